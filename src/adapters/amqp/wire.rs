//! Commands, orders and their answers as they travel: JSON bodies.

use lapin::BasicProperties;
use lapin::types::ShortString;
use serde::{Deserialize, Serialize};

use super::call_body;
use crate::callflow::call::Refusal;
use crate::model::status::RejectReason;
use crate::model::{OrganisationId, RequestId, Timestamp};
use crate::ports::store::{Held, Token};
use crate::ports::{Command, CommandKind, CommandReply, Order};

/// Why a message is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Body of a command to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ToRequest {
    request_id: RequestId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
}

/// What becomes of the live calls of a request that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    Drain,
    Hangup,
}

/// Routing key of a command.
pub(super) fn command_key(organisation: &OrganisationId, kind: &CommandKind) -> String {
    format!("{organisation}.{}", kind.name())
}

/// Body of a command.
pub(super) fn command_body(kind: &CommandKind) -> Result<Vec<u8>, Malformed> {
    let to_request = |request: &RequestId, mode| serde_json::to_vec(&ToRequest { request_id: request.clone(), mode });
    if let Some(body) = call_body::write(kind) {
        return Ok(body?);
    }
    Ok(match kind {
        CommandKind::Pause(request) | CommandKind::Resume(request) => to_request(request, None),
        CommandKind::Cancel { request, hang_up } => {
            to_request(request, Some(if *hang_up { Mode::Hangup } else { Mode::Drain }))
        }
        _ => return Err(Malformed(format!("{} has no body", kind.name()))),
    }?)
}

/// Reads a command.
pub(super) fn read_command(key: &str, body: &[u8]) -> Result<(OrganisationId, CommandKind), Malformed> {
    let (organisation, name) =
        key.split_once('.').ok_or_else(|| Malformed(format!("the routing key {key:?} is not organisation.command")))?;
    let organisation = organisation.parse().map_err(|error: crate::model::IdError| Malformed(error.to_string()))?;
    Ok((organisation, read_kind(name, body)?))
}

fn read_kind(name: &str, body: &[u8]) -> Result<CommandKind, Malformed> {
    if let Some(kind) = call_body::read(name, body) {
        return kind;
    }
    if !["pause", "resume", "cancel"].contains(&name) {
        let to_calls = call_body::NAMES.join(", ");
        return Err(Malformed(format!("no such command: {name:?}; there are pause, resume, cancel, {to_calls}")));
    }
    let ToRequest { request_id, mode } = serde_json::from_slice(body)?;
    match (name, mode) {
        ("pause", None) => Ok(CommandKind::Pause(request_id)),
        ("resume", None) => Ok(CommandKind::Resume(request_id)),
        ("cancel", mode) => Ok(CommandKind::Cancel { request: request_id, hang_up: mode == Some(Mode::Hangup) }),
        _ => Err(Malformed(format!("{name} has no mode"))),
    }
}

/// Body of an order to the worker that owns a call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderBody {
    id: String,
    organisation: OrganisationId,
    command: String,
    body: serde_json::Value,
    /// Of the call, which may be another's than the command's.
    request_id: RequestId,
    attempt: String,
    token: u64,
    not_after: Timestamp,
}

/// Body of an order.
pub(super) fn order_body(order: &Order) -> Result<Vec<u8>, Malformed> {
    let Order { command, held, not_after } = order;
    let body = OrderBody {
        id: command.id.to_string(),
        organisation: held.organisation.clone(),
        command: command.kind.name().to_owned(),
        body: serde_json::from_slice(&command_body(&command.kind)?)?,
        request_id: held.request.clone(),
        attempt: held.attempt.to_string(),
        token: held.token.0,
        not_after: *not_after,
    };
    Ok(serde_json::to_vec(&body)?)
}

/// Reads an order.
pub(super) fn read_order(body: &[u8]) -> Result<Order, Malformed> {
    let OrderBody { id, organisation, command, body, request_id, attempt, token, not_after } =
        serde_json::from_slice(body)?;
    let attempt = attempt.parse().map_err(|error: crate::model::IdError| Malformed(error.to_string()))?;
    let kind = read_kind(&command, body.to_string().as_bytes())?;
    let command = Command { id: id.into(), organisation: organisation.clone(), kind };
    Ok(Order { command, held: Held { organisation, request: request_id, attempt, token: Token(token) }, not_after })
}

/// Body of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    status: AnswerStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Who is called in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// Why it cannot be done as things stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Refusal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum AnswerStatus {
    Done,
    Dialling,
    Conflict,
    NotFound,
    Adopting,
    Unavailable,
    Invalid,
}

impl Answer {
    /// What became of a command.
    pub fn of(reply: CommandReply) -> Self {
        let status = match reply {
            CommandReply::Done => AnswerStatus::Done,
            CommandReply::Invited(leg) => {
                return Self { session_id: Some(leg.to_string()), ..Self::bare(AnswerStatus::Dialling) };
            }
            CommandReply::Refused(reason) => {
                let message = Some(reason.to_string());
                return Self { message, reason: Some(reason), ..Self::bare(AnswerStatus::Conflict) };
            }
            CommandReply::NotFound => AnswerStatus::NotFound,
            CommandReply::Adopting => AnswerStatus::Adopting,
            CommandReply::Unavailable => AnswerStatus::Unavailable,
        };
        Self::bare(status)
    }

    const fn bare(status: AnswerStatus) -> Self {
        Self { status, message: None, session_id: None, reason: None }
    }

    /// Why it is no command.
    pub fn invalid(malformed: &Malformed) -> Self {
        Self { message: Some(malformed.to_string()), ..Self::bare(AnswerStatus::Invalid) }
    }

    /// What became of it, or what is wrong with it.
    pub fn read(body: &[u8]) -> Result<CommandReply, Malformed> {
        let Self { status, message, session_id, reason } = serde_json::from_slice(body)?;
        match status {
            AnswerStatus::Done => Ok(CommandReply::Done),
            AnswerStatus::Dialling => {
                let leg = session_id.as_deref().and_then(|leg| leg.parse().ok());
                leg.map(CommandReply::Invited).ok_or_else(|| Malformed("an answer without a session".to_owned()))
            }
            AnswerStatus::Conflict => {
                reason.map(CommandReply::Refused).ok_or_else(|| Malformed("a refusal without a reason".to_owned()))
            }
            AnswerStatus::NotFound => Ok(CommandReply::NotFound),
            AnswerStatus::Adopting => Ok(CommandReply::Adopting),
            AnswerStatus::Unavailable => Ok(CommandReply::Unavailable),
            AnswerStatus::Invalid => Err(Malformed(message.unwrap_or_else(|| "it is invalid".to_owned()))),
        }
    }
}

/// Properties of a reply.
pub(super) fn reply_properties(correlation_id: Option<&ShortString>) -> BasicProperties {
    let properties = BasicProperties::default().with_content_type("application/json".into());
    match correlation_id {
        Some(id) => properties.with_correlation_id(id.clone()),
        None => properties,
    }
}

/// The name of a reason.
pub(super) fn reason(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::Invalid => "invalid",
        RejectReason::Conflict => "conflict",
        RejectReason::TooLarge => "tooLarge",
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
