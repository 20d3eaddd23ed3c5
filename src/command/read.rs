//! Commands as they are read: everything that is wrong at once, with its path.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use super::body::LONGEST_USER_ID;
use super::{CommandKind, SessionName, Standing};
use crate::callflow::call::Invitation;
use crate::callflow::program::{Target, TransferKind};
use crate::model::status::LiveState;
use crate::model::{CallId, LegRole, Phone, RequestStatus, SessionType};
use crate::reading::{Fields, Problems};

/// The names of commands to requests.
pub const REQUEST_COMMANDS: [&str; 3] = ["pause", "resume", "cancel"];

/// The names of commands to calls.
pub const CALL_COMMANDS: [&str; 6] = ["hangup", "supervise", "addParticipant", "transfer", "endSession", "record"];

const TRANSFER_TYPES: [(&str, TransferKind); 3] =
    [("attended", TransferKind::Attended), ("attendend", TransferKind::Attended), ("blind", TransferKind::Blind)];

const SESSIONS: [(&str, SessionType); 3] =
    [("MONITOR", SessionType::Monitor), ("COACHING", SessionType::Coaching), ("BARGEIN", SessionType::BargeIn)];

/// Reads the command of a name from its body, which names its request or call, and how that must stand.
///
/// None is returned exactly when something was added to `problems`.
pub fn read(name: &str, body: &Value, problems: &mut Problems) -> Option<(CommandKind, Option<Standing>)> {
    if !REQUEST_COMMANDS.iter().chain(&CALL_COMMANDS).any(|known| *known == name) {
        let (to_requests, to_calls) = (REQUEST_COMMANDS.join(", "), CALL_COMMANDS.join(", "));
        problems.add("", format!("no such command: {name:?}; there are {to_requests}, {to_calls}"));
        return None;
    }
    let count = problems.count();
    let mut fields = Fields::of(body, "", problems)?;
    let (kind, expect) = if REQUEST_COMMANDS.contains(&name) {
        let kind = to_request(name, &mut fields);
        let statuses: Vec<_> = RequestStatus::ALL.iter().map(|status| (status.as_str(), *status)).collect();
        (kind, fields.word("expect", &statuses).map(Standing::Request))
    } else {
        let kind = to_call(name, &mut fields);
        let states: Vec<_> = LiveState::ALL.iter().map(|state| (state.as_str(), *state)).collect();
        (kind, fields.word("expect", &states).map(Standing::Call))
    };
    fields.finish();
    kind.filter(|_| problems.count() == count).map(|kind| (kind, expect))
}

fn to_request(name: &str, fields: &mut Fields<'_, '_>) -> Option<CommandKind> {
    let request = parsed(fields, "requestId");
    Some(match name {
        "pause" => CommandKind::Pause(request?),
        "resume" => CommandKind::Resume(request?),
        _ => {
            let hang_up = fields.word("mode", &[("drain", false), ("hangup", true)]).unwrap_or_default();
            CommandKind::Cancel { request: request?, hang_up }
        }
    })
}

fn to_call(name: &str, fields: &mut Fields<'_, '_>) -> Option<CommandKind> {
    let call: Option<CallId> = parsed(fields, "callId");
    Some(match name {
        "hangup" => CommandKind::HangUp(call?),
        "supervise" => {
            let target = parsed(fields, "destination");
            let session = required_word(fields, "sessionType", &SESSIONS);
            let invitation = Invitation { role: LegRole::Supervisor, target: target?, caller: None, session: session? };
            CommandKind::Invite { call: call?, invitation }
        }
        "addParticipant" => {
            let caller = somebody(fields, "from").map(|from| shown_number(&from, fields));
            let target = somebody_required(fields, "to");
            let spies = fields.boolean("spyCall").unwrap_or_default();
            let session = if spies { SessionType::Monitor } else { SessionType::BargeIn };
            let invitation =
                Invitation { role: LegRole::Participant, target: target?, caller: caller.flatten(), session };
            CommandKind::Invite { call: call?, invitation }
        }
        "transfer" => {
            let target = somebody_required(fields, "to");
            let kind = fields.word("transferType", &TRANSFER_TYPES).unwrap_or_default();
            // Nobody is signed in here who could be told from others by it.
            if fields.string("fromUserId").is_some_and(|user| user.chars().count() > LONGEST_USER_ID) {
                fields.refuse("fromUserId", format!("has more than {LONGEST_USER_ID} characters"));
            }
            CommandKind::Transfer { call: call?, target: target?, kind }
        }
        "endSession" => {
            let session = fields
                .required_string("session")
                .and_then(|text| session_name(text).map_err(|error| fields.refuse("session", error)).ok());
            CommandKind::EndSession { call: call?, session: session? }
        }
        _ => {
            fields.required("record");
            let on = fields.boolean("record");
            CommandKind::Record { call: call?, on: on? }
        }
    })
}

/// A text that is read as what it stands for.
fn parsed<T: FromStr<Err: Display>>(fields: &mut Fields<'_, '_>, name: &'static str) -> Option<T> {
    let text = fields.required_string(name)?;
    text.parse().map_err(|error: T::Err| fields.refuse(name, error.to_string())).ok()
}

fn required_word<T: Copy>(fields: &mut Fields<'_, '_>, name: &'static str, words: &[(&'static str, T)]) -> Option<T> {
    fields.required(name)?;
    fields.word(name, words)
}

/// Somebody as they are written.
struct Somebody<'v> {
    at: &'static str,
    r#type: Type,
    number: &'v str,
}

#[derive(Clone, Copy)]
enum Type {
    Internal,
    External,
    Queue,
}

fn somebody<'v>(fields: &mut Fields<'v, '_>, at: &'static str) -> Option<Somebody<'v>> {
    let value = fields.optional(at)?;
    let path = fields.path_of(at);
    let mut inner = Fields::of(value, path, fields.problems)?;
    let types = [("internal", Type::Internal), ("external", Type::External), ("queue", Type::Queue)];
    let r#type = required_word(&mut inner, "type", &types);
    let number = inner.required_string("number");
    // For people only.
    inner.string("alias");
    inner.finish();
    Some(Somebody { at, r#type: r#type?, number: number? })
}

fn somebody_required(fields: &mut Fields<'_, '_>, at: &'static str) -> Option<Target> {
    fields.required(at)?;
    let somebody = somebody(fields, at)?;
    target(&somebody, fields)
}

fn target(to: &Somebody<'_>, fields: &mut Fields<'_, '_>) -> Option<Target> {
    let Somebody { at, r#type, number } = to;
    let written = match r#type {
        Type::External if !number.starts_with('+') => {
            fields.refuse(&format!("{at}.number"), format!("{number:?} is not E.164, +6591234567"));
            return None;
        }
        Type::External => (*number).to_owned(),
        Type::Internal if number.starts_with("sip:") => (*number).to_owned(),
        Type::Internal => format!("Ext:{number}"),
        Type::Queue => format!("Queue:{number}"),
    };
    written
        .parse()
        .map_err(|error: crate::callflow::document::InvalidTarget| {
            fields.refuse(&format!("{at}.number"), error.to_string());
        })
        .ok()
}

fn shown_number(from: &Somebody<'_>, fields: &mut Fields<'_, '_>) -> Option<Phone> {
    let Somebody { at, number, .. } = from;
    number
        .parse()
        .map_err(|error: crate::model::InvalidPhone| fields.refuse(&format!("{at}.number"), error.to_string()))
        .ok()
}

/// A session's name: its leg's, or whom it leads to.
///
/// # Errors
/// When it is neither.
pub fn session_name(text: &str) -> Result<SessionName, String> {
    if let Ok(leg) = text.parse() {
        return Ok(SessionName::Leg(leg));
    }
    let target = text.parse().map(SessionName::Target);
    target.map_err(|error| format!("{text:?} is neither a session's id nor a destination, which {error}"))
}
