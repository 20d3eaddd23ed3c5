//! Bodies of commands as documents: the source of their schemas, and how commands are written.
//!
//! Over the broker a body also names its request or call, in `requestId` or `callId`; over HTTP the path does.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::{CommandKind, SessionName, Standing};
use crate::callflow::call::Invitation;
use crate::callflow::document::{LONGEST_TARGET, TARGET_PATTERN};
use crate::callflow::program::{Target, TransferKind};
use crate::model::status::LiveState;
use crate::model::{CallId, LegRole, Phone, RequestId, RequestStatus, SessionType};

/// A command to a request that says nothing more.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "To a request")]
pub struct RequestBody {
    /// The status that the request must have for it to be done; otherwise it is a conflict. Default: whichever it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<RequestStatus>,
}

/// A command to a live call that says nothing more.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "To a live call")]
pub struct CallBody {
    /// How far the call must be for it to be done; otherwise it is a conflict. Default: however far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<LiveState>,
}

/// Dial nothing more of a request, ever.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Cancel")]
pub struct CancelBody {
    /// What becomes of live calls. Default: `drain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<CancelMode>,
    /// The status that the request must have for it to be done; otherwise it is a conflict. Default: whichever it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<RequestStatus>,
}

/// What becomes of the live calls of a request that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CancelMode {
    /// They go on to their end.
    Drain,
    /// They are hung up.
    Hangup,
}

/// Call a supervisor into a live call, or give one who is there another session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Supervise")]
pub struct SuperviseBody {
    /// The supervisor's phone: `+6591234567`, `Ext:1000`, `Queue:desk` or `sip:user@host`.
    #[schemars(regex(pattern = TARGET_PATTERN), length(max = LONGEST_TARGET))]
    pub destination: String,
    /// What they hear, and who hears them.
    pub session_type: SessionType,
    /// How far the call must be for it to be done; otherwise it is a conflict. Default: however far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<LiveState>,
}

/// Call somebody else into a live call.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Add participant")]
pub struct AddParticipantBody {
    /// The number to show, one of the organisation's. Default: the one that the callee saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ShownBody>")]
    pub from: Option<SomebodyBody>,
    /// Whom to call in.
    pub to: SomebodyBody,
    /// Whether they only listen. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spy_call: bool,
    /// How far the call must be for it to be done; otherwise it is a conflict. Default: however far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<LiveState>,
}

/// Transfer the callee of a live call to somebody.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Transfer")]
pub struct TransferBody {
    /// To whom.
    pub to: SomebodyBody,
    /// How they are joined. Default: `attended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_type: Option<TransferType>,
    /// Who transfers. Read and not used: nobody is signed in here, and who gave the command is its `actor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LONGEST_USER_ID))]
    pub from_user_id: Option<String>,
    /// How far the call must be for it to be done; otherwise it is a conflict. Default: however far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<LiveState>,
}

/// Most characters of a user's id.
pub(super) const LONGEST_USER_ID: usize = 128;

/// How the callee of a live call and somebody else are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TransferType {
    /// The other is called beside the flow, and joined when they answer.
    Attended,
    /// The same, as the older interface writes it.
    Attendend,
    /// The flow ends, and the telephony backend connects the callee by itself.
    Blind,
}

/// A person, a place in a queue, or a number to show.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SomebodyBody {
    /// What the number is.
    pub r#type: SomebodyType,
    /// `+6591234567` if external, an extension or `sip:user@host` if internal, a name if a queue.
    pub number: String,
    /// A name for it, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

/// What a number may be depends on what it is.
impl JsonSchema for SomebodyBody {
    fn schema_name() -> Cow<'static, str> {
        "Somebody".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let of = |r#type: &str, about: &str, number: &str| {
            json!({
                "type": "object",
                "description": about,
                "properties": {
                    "type": {"const": r#type},
                    "number": {"type": "string", "pattern": number, "maxLength": LONGEST_TARGET},
                    "alias": {"type": ["string", "null"], "description": "A name for it, for people."},
                },
                "required": ["type", "number"],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "title": "Somebody",
            "oneOf": [
                of("external", "A number of the public network.", r"^\+[1-9][0-9]{1,14}$"),
                of("internal", "An extension, or an address.", &internal_pattern()),
                of("queue", "A place in a queue.", r"^[A-Za-z0-9._-]{1,64}$"),
            ],
        })
    }
}

/// An extension as it stands behind `Ext:`, or a whole address.
fn internal_pattern() -> String {
    let address = TARGET_PATTERN.split_once("|sip:").map_or("", |(_, address)| address);
    format!("^([A-Za-z0-9*#._-]{{1,32}}|sip:{address}")
}

/// A number to show.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Shown number")]
#[expect(dead_code, reason = "a shape to be described")]
struct ShownBody {
    /// What the number is; one of the organisation's in any case.
    r#type: SomebodyType,
    /// The number, with its country code.
    number: Phone,
    /// A name for it, for people.
    alias: Option<String>,
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum SomebodyType {
    Internal,
    External,
    Queue,
}

/// End somebody's session in a live call, and nothing else.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "End session")]
pub struct EndSessionBody {
    /// The session's id, or the supervisor's phone.
    pub session: String,
    /// How far the call must be for it to be done; otherwise it is a conflict. Default: however far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<LiveState>,
}

/// Record a live call, or record it no more.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Record")]
pub struct RecordBody {
    /// Which of the two.
    pub record: bool,
    /// How far the call must be for it to be done; otherwise it is a conflict. Default: however far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<LiveState>,
}

impl SomebodyBody {
    fn shown_as(caller: Phone) -> Self {
        Self { r#type: SomebodyType::External, number: caller.to_string(), alias: None }
    }

    fn of(target: &Target) -> Self {
        let (r#type, number) = match target {
            Target::External(phone) => (SomebodyType::External, phone.to_string()),
            Target::Extension(number) => (SomebodyType::Internal, number.to_string()),
            Target::Sip(address) => (SomebodyType::Internal, address.to_string()),
            Target::Queue(name) => (SomebodyType::Queue, name.to_string()),
        };
        Self { r#type, number, alias: None }
    }
}

/// The body of a command, naming its request or call, and how that must stand.
///
/// # Errors
/// None in practice: what is written are texts and words.
pub fn body(kind: &CommandKind, expected: Option<Standing>) -> serde_json::Result<Value> {
    let expect = expected.and_then(Standing::of_call);
    match kind {
        CommandKind::Pause(request) | CommandKind::Resume(request) => {
            to_request(request, &RequestBody { expect: expected.and_then(Standing::of_request) })
        }
        CommandKind::Cancel { request, hang_up } => {
            let mode = if *hang_up { CancelMode::Hangup } else { CancelMode::Drain };
            let expect = expected.and_then(Standing::of_request);
            to_request(request, &CancelBody { mode: Some(mode), expect })
        }
        CommandKind::HangUp(call) => to_call(*call, &CallBody { expect }),
        CommandKind::Invite { call, invitation: Invitation { role: LegRole::Supervisor, target, session, .. } } => {
            to_call(*call, &SuperviseBody { destination: target.as_written(), session_type: *session, expect })
        }
        CommandKind::Invite { call, invitation: Invitation { target, caller, session, .. } } => {
            let from = caller.map(SomebodyBody::shown_as);
            let (to, spy_call) = (SomebodyBody::of(target), *session == SessionType::Monitor);
            to_call(*call, &AddParticipantBody { from, to, spy_call, expect })
        }
        CommandKind::Transfer { call, target, kind } => {
            let transfer_type = Some(match kind {
                TransferKind::Attended => TransferType::Attended,
                TransferKind::Blind => TransferType::Blind,
            });
            to_call(*call, &TransferBody { to: SomebodyBody::of(target), transfer_type, from_user_id: None, expect })
        }
        CommandKind::EndSession { call, session } => {
            let session = match session {
                SessionName::Leg(leg) => leg.to_string(),
                SessionName::Target(target) => target.as_written(),
            };
            to_call(*call, &EndSessionBody { session, expect })
        }
        CommandKind::Record { call, on } => to_call(*call, &RecordBody { record: *on, expect }),
    }
}

fn to_request(request: &RequestId, body: &impl Serialize) -> serde_json::Result<Value> {
    naming("requestId", request.to_string(), body)
}

fn to_call(call: CallId, body: &impl Serialize) -> serde_json::Result<Value> {
    naming("callId", call.to_string(), body)
}

fn naming(name: &str, id: String, body: &impl Serialize) -> serde_json::Result<Value> {
    let mut body = serde_json::to_value(body)?;
    if let Value::Object(fields) = &mut body {
        fields.insert(name.to_owned(), Value::String(id));
    }
    Ok(body)
}
