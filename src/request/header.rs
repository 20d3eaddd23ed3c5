//! Every field of a request but its destinations: what may stand there, and what it means.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::rules;
use super::{CompiledFlow, FlowCompiler, phones};
use crate::callflow::Program;
use crate::model::request::MachineDetection;
use crate::model::{CallId, CallType, OrganisationId, Phone, RequestHeader, RequestId, Timestamp};
use crate::reading::{Fields, Problems, kind_of};

/// The names a request may carry, in the order of the contracts.
pub const NAMES: [&str; 19] = [
    "requestId",
    "destinations",
    "caller",
    "enableCallRecording",
    "callFlow",
    "scheduledAt",
    "expiresAt",
    "ringTimeoutSecs",
    "maxCallDurationSecs",
    "retry",
    "callingWindow",
    "machineDetection",
    "priority",
    "hooks",
    "part",
    "skipInvalid",
    "allowDuplicates",
    "parentId",
    "callType",
];

/// How long a phone rings if the request does not say.
pub const DEFAULT_RING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call may last if the request does not say.
pub const DEFAULT_MAX_CALL_DURATION: Duration = Duration::from_secs(600);
/// The priority of a request that does not say.
pub const DEFAULT_PRIORITY: u8 = 5;

/// What the words of `machineDetection` mean.
const MACHINE_DETECTION: [(&str, MachineDetection); 4] = [
    ("off", MachineDetection::Off),
    ("hangup", MachineDetection::Hangup),
    ("continue", MachineDetection::Continue),
    ("waitForBeep", MachineDetection::WaitForBeep),
];

/// What the words of `callType` mean.
const CALL_TYPES: [(&str, CallType); 4] = {
    use CallType::{CallOut, Callback, Campaign, Scheduled};
    [
        (Campaign.as_str(), Campaign),
        (CallOut.as_str(), CallOut),
        (Scheduled.as_str(), Scheduled),
        (Callback.as_str(), Callback),
    ]
};

/// What was in the document besides the values themselves.
#[derive(Default)]
pub(super) struct Found {
    /// The document broke off: what is missing may have stood in the rest.
    pub(super) cut_short: bool,
    /// Fields that are there and whose trouble is already noted.
    pub(super) spoiled: Vec<&'static str>,
    /// Elements of the array of destinations; none: there is no such array.
    pub(super) listed: Option<usize>,
}

impl Found {
    /// Notes that a field is there and its trouble told.
    pub(super) fn spoil(&mut self, name: &'static str) {
        if !self.spoiled.contains(&name) {
            self.spoiled.push(name);
        }
    }

    /// Whether the absence of a value needs no complaint.
    fn excuses(&self, name: &str) -> bool {
        self.cut_short || self.spoiled.contains(&name)
    }
}

/// A header as far as it could be read.
pub(super) struct ReadHeader {
    pub(super) id: Option<RequestId>,
    pub(super) skip_invalid: bool,
    pub(super) allow_duplicates: bool,
    /// The whole of it, without its content's hash; complete only if there was no problem.
    pub(super) complete: Option<(RequestHeader, Arc<Program>)>,
}

/// Reads the header from the request's fields.
pub(super) fn read(
    fields: Map<String, Value>,
    found: &Found,
    organisation: &OrganisationId,
    compiler: &dyn FlowCompiler,
    problems: &mut Problems,
) -> ReadHeader {
    let document = Value::Object(fields);
    let Some(mut fields) = Fields::of(&document, "", problems) else {
        return ReadHeader { id: None, skip_invalid: false, allow_duplicates: false, complete: None };
    };
    let id = request_id(&mut fields, found);
    destinations(&mut fields, found);
    let caller = caller(&mut fields);
    let recording = fields.boolean("enableCallRecording").unwrap_or(false);
    let flow =
        required(&mut fields, "callFlow", found).and_then(|flow| compiler.compile(flow, "callFlow", fields.problems));
    let scheduled_at = instant(&mut fields, "scheduledAt");
    let expires_at = instant(&mut fields, "expiresAt");
    if let (Some(start), Some(end)) = (scheduled_at, expires_at)
        && end <= start
    {
        fields.refuse("expiresAt", "must be later than scheduledAt");
    }
    let ring_timeout = seconds(&mut fields, "ringTimeoutSecs", 120, DEFAULT_RING_TIMEOUT);
    let max_call_duration = seconds(&mut fields, "maxCallDurationSecs", 7200, DEFAULT_MAX_CALL_DURATION);
    let retry = rules::retry(&mut fields);
    let calling_window = rules::calling_window(&mut fields);
    let machine_detection = fields.word("machineDetection", &MACHINE_DETECTION).unwrap_or_default();
    let priority = fields.integer("priority", 0..=9).and_then(|priority| u8::try_from(priority).ok());
    let hooks = rules::hooks(&mut fields);
    let part = rules::part(&mut fields);
    let skip_invalid = fields.boolean("skipInvalid").unwrap_or(false);
    let allow_duplicates = fields.boolean("allowDuplicates").unwrap_or(false);
    let parent = parent(&mut fields);
    let call_type = fields.word("callType", &CALL_TYPES).unwrap_or_default();
    fields.finish();

    let complete = match (id.clone(), flow) {
        (Some(id), Some(CompiledFlow { canonical, program })) => {
            let header = RequestHeader {
                organisation: organisation.clone(),
                id,
                content_hash: [0; 32],
                flow_hash: Sha256::digest(&canonical).into(),
                flow: canonical.into(),
                caller,
                recording,
                scheduled_at,
                expires_at,
                ring_timeout,
                max_call_duration,
                retry,
                calling_window,
                machine_detection,
                priority: priority.unwrap_or(DEFAULT_PRIORITY),
                hooks,
                part,
                allow_duplicates,
                skip_invalid,
                parent,
                call_type,
                trace: None,
            };
            Some((header, program))
        }
        _ => None,
    };
    ReadHeader { id, skip_invalid, allow_duplicates, complete }
}

fn required<'v>(fields: &mut Fields<'v, '_>, name: &'static str, found: &Found) -> Option<&'v Value> {
    if found.excuses(name) { fields.optional(name) } else { fields.required(name) }
}

fn request_id(fields: &mut Fields<'_, '_>, found: &Found) -> Option<RequestId> {
    required(fields, "requestId", found)?;
    let text = fields.string("requestId")?;
    text.parse().map_err(|error: crate::model::IdError| fields.refuse("requestId", error.to_string())).ok()
}

fn parent(fields: &mut Fields<'_, '_>) -> Option<CallId> {
    let text = fields.string("parentId")?;
    text.parse().map_err(|error: crate::model::IdError| fields.refuse("parentId", error.to_string())).ok()
}

fn destinations(fields: &mut Fields<'_, '_>, found: &Found) {
    match (found.listed, fields.optional("destinations")) {
        (None, Some(other)) => {
            fields.refuse("destinations", format!("must be an array, not {}", kind_of(other)));
        }
        (None, None) if !found.excuses("destinations") => fields.refuse("destinations", "is missing"),
        (Some(0), _) if !found.excuses("destinations") => {
            fields.refuse("destinations", "must hold at least one destination");
        }
        _ => {}
    }
}

fn caller(fields: &mut Fields<'_, '_>) -> Option<Phone> {
    if fields.optional("caller")?.is_number() {
        fields.refuse("caller", phones::UNQUOTED);
        return None;
    }
    let text = fields.string("caller")?;
    phones::read(text).map_err(|message| fields.refuse("caller", message)).ok()
}

fn instant(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<Timestamp> {
    let text = fields.string(name)?;
    Timestamp::parse_rfc3339(text).map_err(|error| fields.refuse(name, error.to_string())).ok()
}

fn seconds(fields: &mut Fields<'_, '_>, name: &'static str, most: u64, default: Duration) -> Duration {
    fields.integer(name, 1..=most).map_or(default, Duration::from_secs)
}
