//! Commands, orders and their answers as they travel: JSON bodies.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde::{Deserialize, Serialize};

use crate::command::{self, Command, CommandKind, Standing};
use crate::model::status::RejectReason;
use crate::model::{KeyLabel, OrganisationId, RequestId, Timestamp, TraceParent};
use crate::ports::Order;
use crate::ports::store::{Held, Token};
use crate::reading::Problems;

/// Who gave a command that does not say who: whoever may write to the exchange, and no more is known.
const NOBODY: &str = "amqp";

/// The header of a message that says who gave the command in it.
const ACTOR: &str = "actor";

/// Why a message is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(super) String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Routing key of a command.
pub(super) fn command_key(organisation: &OrganisationId, kind: &CommandKind) -> String {
    format!("{organisation}.{}", kind.name())
}

/// The headers of a command that say who gave it.
pub(super) fn given_by(actor: Option<&KeyLabel>) -> FieldTable {
    let mut headers = FieldTable::default();
    if let Some(actor) = actor {
        headers.insert(ACTOR.into(), AMQPValue::LongString(actor.as_str().into()));
    }
    headers
}

/// Who gave a command: as it says, since whoever may write to the exchange is believed.
pub(super) fn actor(properties: &BasicProperties) -> Option<KeyLabel> {
    let said = header(properties, ACTOR).and_then(|text| text.parse().ok());
    said.or_else(|| NOBODY.parse().ok())
}

/// The header that says which trace of its sender's a message is a part of, as instrumented clients write it.
const TRACE: &str = "traceparent";

/// The properties of a message that is a part of a trace, if it is.
pub(super) fn part_of(properties: BasicProperties, trace: Option<TraceParent>) -> BasicProperties {
    let Some(trace) = trace else { return properties };
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(TRACE.into(), AMQPValue::LongString(trace.to_string().into()));
    properties.with_headers(headers)
}

/// Which trace a message is a part of. What cannot be read is none: nobody is called or not called for it.
pub(super) fn trace(properties: &BasicProperties) -> Option<TraceParent> {
    header(properties, TRACE)?.parse().ok()
}

/// A header that is text.
fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a str> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

/// Body of a command.
pub(super) fn command_body(kind: &CommandKind, expect: Option<Standing>) -> Result<Vec<u8>, Malformed> {
    Ok(serde_json::to_vec(&command::body(kind, expect)?)?)
}

/// What is to be done, and how things must stand for it.
type Wish = (CommandKind, Option<Standing>);

/// Reads a command.
pub(super) fn read_command(key: &str, body: &[u8]) -> Result<(OrganisationId, Wish), Malformed> {
    let (organisation, name) =
        key.split_once('.').ok_or_else(|| Malformed(format!("the routing key {key:?} is not organisation.command")))?;
    let organisation = organisation.parse().map_err(|error: crate::model::IdError| Malformed(error.to_string()))?;
    Ok((organisation, read_wish(name, &serde_json::from_slice(body)?)?))
}

fn read_wish(name: &str, body: &serde_json::Value) -> Result<Wish, Malformed> {
    let mut problems = Problems::default();
    command::read(name, body, &mut problems).ok_or_else(|| {
        let problems: Vec<String> = problems.first().iter().map(ToString::to_string).collect();
        Malformed(problems.join("; "))
    })
}

/// Body of an order to the worker that owns a call.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderBody {
    id: String,
    organisation: OrganisationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<KeyLabel>,
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
        actor: command.actor.clone(),
        command: command.kind.name().to_owned(),
        body: command::body(&command.kind, command.expect)?,
        request_id: held.request.clone(),
        attempt: held.attempt.to_string(),
        token: held.token.0,
        not_after: *not_after,
    };
    Ok(serde_json::to_vec(&body)?)
}

/// Reads an order, which came as a part of `trace`.
pub(super) fn read_order(body: &[u8], trace: Option<TraceParent>) -> Result<Order, Malformed> {
    let OrderBody { id, organisation, actor, command, body, request_id, attempt, token, not_after } =
        serde_json::from_slice(body)?;
    let attempt = attempt.parse().map_err(|error: crate::model::IdError| Malformed(error.to_string()))?;
    let (kind, expect) = read_wish(&command, &body)?;
    let command = Command { id: id.into(), organisation: organisation.clone(), actor, expect, trace, kind };
    Ok(Order { command, held: Held { organisation, request: request_id, attempt, token: Token(token) }, not_after })
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
