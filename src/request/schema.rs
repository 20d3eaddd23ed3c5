//! The wire types of a call request: the source of its JSON Schema, and what builds requests of our own.
//!
//! Incoming requests are not read through them: the reader finds every mistake at once. A test holds the two together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::callflow::schema::CallFlowDocument;
use crate::model::request::MachineDetection;
use crate::model::{CallType, EventFilter, Phone, RequestId, Timestamp};

/// A campaign: one call flow and the destinations to walk through it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Call request")]
pub struct CallRequestDocument {
    /// The submitter's name for the request, unique within the organisation for as long as the request is kept.
    pub request_id: RequestId,
    /// Whom to call. The same number twice is called once, unless `allowDuplicates` is set.
    #[schemars(length(min = 1))]
    pub destinations: Vec<DestinationDocument>,
    /// The number to show; by default the organisation's first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Phone>,
    /// Whether calls are recorded from the answer on. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_call_recording: Option<Flag>,
    /// What the callee hears and may do: `steps`, or the name of a prepared `flow`.
    #[schemars(with = "CallFlowDocument")]
    pub call_flow: Map<String, Value>,
    /// Nothing is dialled before. RFC 3339 with an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// Nothing is dialled after; later than `scheduledAt`. RFC 3339 with an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How long a phone may ring, in seconds. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 120))]
    pub ring_timeout_secs: Option<u32>,
    /// How long a call may last from its answer, bridges included, in seconds. Default: 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 7200))]
    pub max_call_duration_secs: Option<u32>,
    /// Which ends are tried again, and when. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDocument>,
    /// When people may be called. Default: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling_window: Option<CallingWindowDocument>,
    /// What to do about answering machines. Default: off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_detection: Option<MachineDetection>,
    /// Order among the requests of one organisation, 9 first. Default: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9))]
    pub priority: Option<u8>,
    /// Where events are sent besides the organisation's own hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub hooks: Vec<HookDocument>,
    /// Which part of a request in parts this document is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PartDocument>,
    /// Whether bad destinations fail alone instead of rejecting the request. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_invalid: Option<Flag>,
    /// Whether the same number may be called more than once. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_duplicates: Option<Flag>,
    /// The call that it follows from, by its callId.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{20}-(0|[1-9][0-9]{0,8})$"))]
    pub parent_id: Option<String>,
    /// What it is made for. Default: campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_type: Option<CallType>,
}

impl CallRequestDocument {
    /// A request that calls one number, with nothing special about it.
    pub fn of_one(request_id: RequestId, destination: DestinationDocument, call_flow: Map<String, Value>) -> Self {
        Self {
            request_id,
            destinations: vec![destination],
            caller: None,
            enable_call_recording: None,
            call_flow,
            scheduled_at: None,
            expires_at: None,
            ring_timeout_secs: None,
            max_call_duration_secs: None,
            retry: None,
            calling_window: None,
            machine_detection: None,
            priority: None,
            hooks: Vec::new(),
            part: None,
            skip_invalid: None,
            allow_duplicates: None,
            parent_id: None,
            call_type: None,
        }
    }
}

impl DestinationDocument {
    /// A number with nothing special about it.
    pub const fn of(phone: Phone) -> Self {
        Self { phone, caller: None, properties: BTreeMap::new(), external_id: None, time_zone: None }
    }
}

/// One number to call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationDocument {
    /// The number to dial, with its country code.
    pub phone: Phone,
    /// The number to show, if not the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Phone>,
    /// Values for the placeholders of messages, spoken as they are written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), schema_with = "properties")]
    pub properties: BTreeMap<String, Value>,
    /// The submitter's own name for the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub external_id: Option<String>,
    /// IANA time zone of the person, for calling windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

fn properties(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "propertyNames": {"minLength": 1, "maxLength": 64},
        "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": 1000},
    })
}

/// A boolean, which may be written as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

impl Serialize for Flag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.0)
    }
}

impl JsonSchema for Flag {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Flag".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"enum": [true, false, "true", "false"]})
    }
}

/// Which ends are tried again, and when.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryDocument {
    /// Dials in all, the first included. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub max_attempts: Option<u32>,
    /// Results after which another dial follows. Default: busy, unanswered, unreachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub on: Option<Vec<RetryableResult>>,
    /// Seconds before the second, third … dial; the last repeats. Default: 300, 900.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10), inner(range(min = 1, max = 604_800)))]
    pub delay_secs: Option<Vec<u32>>,
}

/// A result after which another dial may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryableResult {
    /// The line was engaged.
    Busy,
    /// It rang, and nobody picked up.
    Unanswered,
    /// It never rang.
    Unreachable,
    /// The network had no way to put the call through.
    Congestion,
}

/// Hours in which people may be called.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallingWindowDocument {
    /// An IANA time zone, or `recipient`: the destination's own, else all zones of its prefix must be open.
    pub time_zone: String,
    /// Days on which the window opens. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub days: Option<Vec<Weekday>>,
    /// When it opens, `HH:MM`.
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it closes, `HH:MM` up to `24:00`; earlier than `from`: on the next day.
    #[schemars(regex(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A webhook of one request, signed with the organisation's secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookDocument {
    /// Where to send, http or https.
    #[schemars(length(max = 2048), regex(pattern = "^[Hh][Tt][Tt][Pp][Ss]?://"))]
    pub url: String,
    /// Which kinds of events, or the first words of several kinds. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventFilter>,
}

/// Which part of a request in parts a document is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartDocument {
    /// From 0, less than `count`.
    #[schemars(range(max = 9999))]
    pub index: u32,
    /// How many parts there are.
    #[schemars(range(min = 1, max = 10_000))]
    pub count: u32,
}
