//! Reading what scripts answer: nested lists of numbers and texts.

use redis::Value;
use serde::{Deserialize, Serialize};

use super::codec::{from_json, unfit, unreadable};
use crate::model::event::{RequestCommand, RequestEvent};
use crate::model::status::{Counts, RejectReason, RequestError, RequestSummary};
use crate::model::{CallId, CallStatus, EventType, OrganisationId, RequestStatus, Timestamp};
use crate::ports::{StoreError, StoreResult};

/// How errors begin that pass: another try may be answered.
const PASSING: [&str; 8] = ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "NOPERM", "LOADING", "BUSY", "MASTERDOWN"];

/// What an organisation answers; none if what is kept of it cannot be read: nobody else waits for that.
pub(super) fn readable<T>(organisation: &OrganisationId, answer: StoreResult<T>) -> StoreResult<Option<T>> {
    match answer {
        Err(StoreError::Refused(reason)) => {
            tracing::error!(%organisation, reason, "what is kept of an organisation cannot be read");
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// A list that is read from its beginning.
#[derive(Clone)]
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub fn of(value: Value) -> StoreResult<Self> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            other => Err(unfit(&other, "where a list should be")),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.as_slice().len()
    }

    fn next(&mut self) -> StoreResult<Value> {
        self.0.next().ok_or_else(|| unreadable("a list that is too short"))
    }

    pub fn list(&mut self) -> StoreResult<Reply> {
        Reply::of(self.next()?)
    }

    /// A list, or the text of what went wrong instead.
    pub fn list_or_error(&mut self) -> StoreResult<Reply> {
        match self.next()? {
            Value::BulkString(error) => {
                let error = String::from_utf8_lossy(&error).into_owned();
                let passes = PASSING.iter().any(|passing| error.trim_start_matches('-').starts_with(passing));
                Err(if passes { StoreError::Unavailable(error) } else { StoreError::Refused(error) })
            }
            value => Reply::of(value),
        }
    }

    pub fn lists(&mut self) -> StoreResult<Vec<Reply>> {
        self.list()?.0.map(Reply::of).collect()
    }

    pub fn bytes(&mut self) -> StoreResult<Vec<u8>> {
        match self.next()? {
            Value::BulkString(bytes) => Ok(bytes),
            Value::SimpleString(text) => Ok(text.into_bytes()),
            other => Err(unfit(&other, "where a text should be")),
        }
    }

    /// A text, if there is one.
    pub fn optional_bytes(&mut self) -> StoreResult<Option<Vec<u8>>> {
        match self.next()? {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes)),
            other => Err(unfit(&other, "where a text should be")),
        }
    }

    pub fn text(&mut self) -> StoreResult<String> {
        String::from_utf8(self.bytes()?).map_err(unreadable)
    }

    /// A number, also one that is written as a text.
    pub fn int(&mut self) -> StoreResult<i64> {
        match self.next()? {
            Value::Int(int) => Ok(int),
            Value::BulkString(bytes) => number(&bytes),
            other => Err(unfit(&other, "where a number should be")),
        }
    }

    pub fn small(&mut self) -> StoreResult<u32> {
        u32::try_from(self.int()?).map_err(unreadable)
    }

    pub fn large(&mut self) -> StoreResult<u64> {
        u64::try_from(self.int()?).map_err(unreadable)
    }

    pub fn time(&mut self) -> StoreResult<Timestamp> {
        Ok(Timestamp::from_millis(self.int()?))
    }

    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> StoreResult<T> {
        self.text()?.parse().map_err(unreadable)
    }

    pub fn call(&mut self) -> StoreResult<CallId> {
        self.parse()
    }

    /// A request's summary.
    pub fn summary(&mut self) -> StoreResult<RequestSummary> {
        let mut list = self.list()?;
        let request_id = list.parse()?;
        let status = request_status(&list.text()?)?;
        let (total, duplicates) = (list.small()?, list.small()?);
        let (mut numbers, mut counts) = (list.list()?, Counts::default());
        for status in CallStatus::ALL {
            *counts.of_mut(*status) = numbers.small()?;
        }
        let flow = list.bytes()?;
        let flow_hash = (!flow.is_empty()).then(|| hexadecimal(&flow));
        let refusal = Refusal::read(&list.bytes()?)?;
        let (reason, errors, error_count) = match refusal {
            Some(Refusal { reason, errors, error_count }) => (Some(reason), errors, error_count),
            None => (None, Vec::new(), 0),
        };
        // What was stored before traces were handed on ends here.
        let trace = if list.is_empty() { String::new() } else { list.text()? };
        let trace = (!trace.is_empty()).then(|| trace.parse().map_err(unreadable)).transpose()?;
        Ok(RequestSummary {
            request_id,
            status,
            total,
            duplicates,
            counts,
            flow_hash,
            errors,
            error_count,
            reason,
            trace,
        })
    }

    /// Events of requests.
    pub fn events(&mut self, organisation: &OrganisationId) -> StoreResult<Vec<RequestEvent>> {
        self.lists()?.into_iter().map(|event| event.event(organisation)).collect()
    }

    /// One event of a request.
    pub fn event(mut self, organisation: &OrganisationId) -> StoreResult<RequestEvent> {
        let (seq, kind, at) = (self.small()?, event_type(&self.text()?)?, self.time()?);
        let summary = self.summary()?;
        let request = summary.request_id.clone();
        // What no command caused ends here, and so does what was stored before commands were told of.
        let command = if self.is_empty() { None } else { Some(self.list()?.command()?) };
        Ok(RequestEvent { organisation: organisation.clone(), request, seq, kind, at, summary, command })
    }

    /// A command: its name, its id, who gave it, and which call it is about, if it is about one.
    pub fn command(mut self) -> StoreResult<RequestCommand> {
        let (name, id, actor) = (self.text()?.into(), self.text()?.into(), self.text()?);
        let actor = (!actor.is_empty()).then(|| actor.parse().map_err(unreadable)).transpose()?;
        let call = if self.is_empty() { None } else { Some(self.call()?) };
        Ok(RequestCommand { name, id, actor, call })
    }
}

/// Why a request was refused, as it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct Refusal {
    pub reason: RejectReason,
    pub errors: Vec<RequestError>,
    pub error_count: u32,
}

impl Refusal {
    fn read(bytes: &[u8]) -> StoreResult<Option<Self>> {
        if bytes.is_empty() { Ok(None) } else { from_json(bytes, "a refusal").map(Some) }
    }
}

/// A number as scores and large integers are written: it may have an exponent.
fn number(bytes: &[u8]) -> StoreResult<i64> {
    let text = std::str::from_utf8(bytes).map_err(unreadable)?;
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let number: f64 = text.parse().map_err(unreadable)?;
    #[expect(clippy::cast_possible_truncation, reason = "scores are whole numbers below 2^53")]
    Ok(number as i64)
}

pub(super) fn request_status(text: &str) -> StoreResult<RequestStatus> {
    use serde::de::{IntoDeserializer, value};
    let deserializer: value::StrDeserializer<'_, value::Error> = text.into_deserializer();
    // What it is instead stays untold, here and below: a list may be out of step.
    RequestStatus::deserialize(deserializer).map_err(|_: value::Error| unreadable("a status that there is not"))
}

fn event_type(text: &str) -> StoreResult<EventType> {
    let named = |kind: &&EventType| kind.as_str() == text || kind.as_str().strip_prefix("request.") == Some(text);
    EventType::ALL.iter().find(named).copied().ok_or_else(|| unreadable("an event that there is not"))
}

/// The status that an entry's number stands for.
pub(super) fn call_status(number: u32) -> StoreResult<CallStatus> {
    let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    place.and_then(|place| CallStatus::ALL.get(place)).copied().ok_or_else(|| unreadable(number))
}

/// The number that stands for a status in an entry.
pub(super) fn status_number(status: CallStatus) -> u32 {
    let place = CallStatus::ALL.iter().position(|other| *other == status).unwrap_or_default();
    // There are nine.
    u32::try_from(place).unwrap_or_default() + 1
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An error of the database's client, as dispatch understands it.
pub(super) fn error(error: &redis::RedisError) -> StoreError {
    use redis::{ErrorKind, ServerErrorKind};
    // A script that fails will fail again; everything else, a lack of memory or of rights included, may be mended.
    let permanent =
        matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot));
    if permanent { StoreError::Refused(error.to_string()) } else { StoreError::Unavailable(error.to_string()) }
}
