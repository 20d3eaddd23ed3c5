//! Bodies of commands to calls.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Malformed;
use crate::callflow::call::Invitation;
use crate::callflow::program::Target;
use crate::model::{CallId, LegRole, Phone, SessionType};
use crate::ports::{CommandKind, SessionName};

/// The commands that there are to a call.
pub(super) const NAMES: [&str; 5] = ["hangup", "supervise", "addParticipant", "endSession", "record"];

/// To `hangup`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HangUp {
    call_id: Text<CallId>,
}

/// To `supervise`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Supervise {
    call_id: Text<CallId>,
    destination: Written,
    session_type: SessionType,
}

/// To `addParticipant`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AddParticipant {
    call_id: Text<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Somebody>,
    to: Somebody,
    #[serde(default, deserialize_with = "flag")]
    spy_call: bool,
}

/// To `endSession`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndSession {
    call_id: Text<CallId>,
    session: String,
}

/// To `record`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    call_id: Text<CallId>,
    #[serde(deserialize_with = "flag")]
    record: bool,
}

/// A person, a place in a queue, or a number to show.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Somebody {
    r#type: SomebodyType,
    number: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SomebodyType {
    Internal,
    External,
    Queue,
}

impl Somebody {
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

    fn target(&self) -> Result<Target, Malformed> {
        let written = match self.r#type {
            SomebodyType::External if !self.number.starts_with('+') => {
                return Err(Malformed(format!("to.number: {:?} is not E.164, +6591234567", self.number)));
            }
            SomebodyType::External => self.number.clone(),
            SomebodyType::Internal if self.number.starts_with("sip:") => self.number.clone(),
            SomebodyType::Internal => format!("Ext:{}", self.number),
            SomebodyType::Queue => format!("Queue:{}", self.number),
        };
        written.parse().map_err(|error| Malformed(format!("to.number: {error}")))
    }

    fn phone(&self) -> Result<Phone, Malformed> {
        self.number.parse().map_err(|error| Malformed(format!("from.number: {error}")))
    }
}

/// Body of a command to a call; none if it is to a request.
pub(super) fn write(kind: &CommandKind) -> Option<serde_json::Result<Vec<u8>>> {
    Some(match kind {
        CommandKind::HangUp(call) => serde_json::to_vec(&HangUp { call_id: Text(*call) }),
        CommandKind::Invite { call, invitation: Invitation { role, target, caller, session } } => {
            let call_id = Text(*call);
            match role {
                LegRole::Supervisor => serde_json::to_vec(&Supervise {
                    call_id,
                    destination: Written(target.clone()),
                    session_type: *session,
                }),
                LegRole::Callee | LegRole::Transfer | LegRole::Participant => serde_json::to_vec(&AddParticipant {
                    call_id,
                    from: caller.map(Somebody::shown_as),
                    to: Somebody::of(target),
                    spy_call: *session == SessionType::Monitor,
                }),
            }
        }
        CommandKind::EndSession { call, session } => {
            let session = match session {
                SessionName::Leg(leg) => leg.to_string(),
                SessionName::Target(target) => target.as_written(),
            };
            serde_json::to_vec(&EndSession { call_id: Text(*call), session })
        }
        CommandKind::Record { call, on } => serde_json::to_vec(&Record { call_id: Text(*call), record: *on }),
        CommandKind::Pause(_) | CommandKind::Resume(_) | CommandKind::Cancel { .. } => return None,
    })
}

/// Reads a command to a call; none if the name is of none.
pub(super) fn read(name: &str, body: &[u8]) -> Option<Result<CommandKind, Malformed>> {
    Some(match name {
        "hangup" => {
            serde_json::from_slice(body).map(|HangUp { call_id }| CommandKind::HangUp(call_id.0)).map_err(Into::into)
        }
        "supervise" => serde_json::from_slice(body).map_err(Into::into).map(|body| {
            let Supervise { call_id, destination, session_type } = body;
            let (role, target, caller) = (LegRole::Supervisor, destination.0, None);
            CommandKind::Invite {
                call: call_id.0,
                invitation: Invitation { role, target, caller, session: session_type },
            }
        }),
        "addParticipant" => participant(body),
        "endSession" => serde_json::from_slice(body).map_err(Into::into).and_then(|EndSession { call_id, session }| {
            Ok(CommandKind::EndSession { call: call_id.0, session: session_name(&session)? })
        }),
        "record" => serde_json::from_slice(body)
            .map(|Record { call_id, record }| CommandKind::Record { call: call_id.0, on: record })
            .map_err(Into::into),
        _ => return None,
    })
}

fn participant(body: &[u8]) -> Result<CommandKind, Malformed> {
    let AddParticipant { call_id, from, to, spy_call } = serde_json::from_slice(body)?;
    let session = if spy_call { SessionType::Monitor } else { SessionType::BargeIn };
    let caller = from.map(|from| from.phone()).transpose()?;
    let invitation = Invitation { role: LegRole::Participant, target: to.target()?, caller, session };
    Ok(CommandKind::Invite { call: call_id.0, invitation })
}

/// A session's name: its leg's, or whom it leads to.
fn session_name(text: &str) -> Result<SessionName, Malformed> {
    if let Ok(leg) = text.parse() {
        return Ok(SessionName::Leg(leg));
    }
    let target = text.parse().map(SessionName::Target);
    target.map_err(|error| {
        Malformed(format!("session: {text:?} is neither a session's id nor a destination, which {error}"))
    })
}

/// Written as it is shown.
struct Text<T>(T);

impl<T: std::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: std::str::FromStr<Err: std::fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A destination as flows write it.
struct Written(Target);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.as_written())
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| serde::de::Error::custom(format!("destination: {error}")))
    }
}

/// A boolean, which may be a string.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Plain(bool),
        Text(String),
    }
    match Flag::deserialize(deserializer).map_err(|_| serde::de::Error::custom("must be true or false"))? {
        Flag::Plain(flag) => Ok(flag),
        Flag::Text(text) => {
            text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is not true or false")))
        }
    }
}
