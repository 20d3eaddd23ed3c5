//! The wire form of flows, as plain types with a JSON Schema.
//!
//! **Invariant:** documents are written from these types and described by them, but read only by [`super::document`],
//! which finds every problem at once; a test keeps the names of both the same.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::program::{Gender, OnFailure, TransferKind};

pub(super) const NAMED_FLOW_FIELDS: [&str; 1] = ["flow"];
pub(super) const FLOW_FIELDS: [&str; 1] = ["steps"];
pub(super) const BRANCH_FIELDS: [&str; 3] = ["digit", "default", "callFlow"];
pub(super) const MESSAGE_FIELDS: [&str; 7] = ["msg", "media", "language", "lang", "gender", "pitch", "rate"];
/// The kinds of steps and their fields.
pub(super) const STEP_FIELDS: [(&str, &[&str]); 5] = [
    ("play", &["name", "message"]),
    ("gather", &["name", "message", "maxRetries", "timeoutSecs", "branches", "sensitive"]),
    ("transfer", &["name", "destination", "alias", "transferType", "ringTimeoutSecs", "message", "onFailure"]),
    ("hangup", &["name"]),
    ("optOut", &["name", "message"]),
];

/// A request's flow: its steps, or the name of a flow the operator keeps.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum CallFlowDocument {
    /// The steps themselves.
    Steps(FlowDocument),
    /// A flow by name.
    Named(NamedFlowDocument),
}

/// The name of a flow the operator keeps; the flow is frozen with the request.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedFlowDocument {
    /// Its name.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    pub flow: String,
}

/// Steps that are taken one after the other. Flows are nested at most 16 deep and have at most 256 steps in all.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowDocument {
    /// The steps, first to last.
    #[schemars(length(min = 1, max = 256))]
    pub steps: Vec<StepDocument>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "name", rename_all = "camelCase")]
pub enum StepDocument {
    /// Speaks a message.
    Play(PlayDocument),
    /// Speaks a message, waits for one key, and goes where the key leads.
    Gather(GatherDocument),
    /// Joins the callee with somebody else; ends the flow when it succeeds.
    Transfer(TransferDocument),
    /// Ends the call.
    Hangup(HangupDocument),
    /// Puts the number on the organisation's do-not-call list, speaks its message, and ends the call.
    OptOut(OptOutDocument),
}

/// Speaks a message.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlayDocument {
    /// What is spoken.
    pub message: MessageDocument,
}

/// Speaks a message, waits for one key, and goes where the key leads.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GatherDocument {
    /// What is spoken before each try; a key stops it.
    pub message: MessageDocument,
    /// Tries in all; default 3. No key, or one without a branch, uses up a try.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub max_retries: Option<u8>,
    /// Seconds to wait for a key after the message's end; default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout_secs: Option<u8>,
    /// Whether the key must appear nowhere: in no status, event, log or recording; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Flag>")]
    pub sensitive: Option<bool>,
    /// Where the keys lead: each key at most once, at most one default.
    #[schemars(length(min = 1, max = 13))]
    pub branches: Vec<BranchDocument>,
}

/// Where a key leads. It has a digit, or is the default, or both.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BranchDocument {
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9*#]$"))]
    pub digit: Option<String>,
    /// Whether it is also taken after the last try without a known key; default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Flag>")]
    pub default: Option<bool>,
    /// What follows; at its end the flow goes on after the gather.
    pub call_flow: FlowDocument,
}

/// Joins the callee with somebody else.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TransferDocument {
    /// Whom: `+E.164`, `Ext:1000`, `Queue:sales` or `sip:user@host`.
    #[schemars(regex(pattern = DESTINATION_PATTERN))]
    pub destination: String,
    /// What the target is called, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub alias: Option<String>,
    /// `attended`: a second leg is dialled and bridged; `blind`: the call is handed over. Default `attended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TransferType>")]
    pub transfer_type: Option<TransferKind>,
    /// Seconds the target may ring, and a slot is waited for; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 120))]
    pub ring_timeout_secs: Option<u8>,
    /// What the callee hears before the target is dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageDocument>,
    /// What happens when nobody is reached; default `hangup`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

/// Ends the call.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HangupDocument {}

/// Puts the number on the do-not-call list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OptOutDocument {
    /// What is spoken once the number is on the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageDocument>,
}

/// A text or a recorded file, and the voice to speak with. Exactly one of `msg` and `media`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageDocument {
    /// What is spoken; `{{name}}` stands for a property of the destination. At most 1000 characters, filled in too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub msg: Option<String>,
    /// A recorded file, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub media: Option<String>,
    /// BCP 47; default `en`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Another name of `language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Default `female`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// 0 (lowest) to 9 (highest); default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9))]
    pub pitch: Option<u8>,
    /// 0 (slowest) to 9 (fastest); default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9))]
    pub rate: Option<u8>,
}

const DESTINATION_PATTERN: &str = r"^(\+[1-9]\d{1,14}|Ext:[A-Za-z0-9*#._-]{1,32}|Queue:[A-Za-z0-9._-]{1,64}|sip:[A-Za-z0-9+*#._-]{1,64}@[A-Za-z0-9.-]{1,253}(:\d{1,5})?)$";

/// A boolean, or its name as a string.
struct Flag;

impl JsonSchema for Flag {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Flag".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": [true, false, "true", "false"]})
    }
}

/// How a transfer joins, the reference's misspelling included.
struct TransferType;

impl JsonSchema for TransferType {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "TransferType".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["attended", "blind", "attendend"]})
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
