//! How facts and destinations are kept: as few bytes as can be appended, compared and cut by a script.
//!
//! A fact is its length, whether it is an event, its time, and what happened. A destination is its number and the rest.

use redis::Value;
use serde::{Deserialize, Serialize};

use crate::callflow::call::CallState;
use crate::model::{Destination, Fact, Happening, Number, Phone, Private, Timestamp, Via};
use crate::ports::StoreError;
use crate::ports::store::StoreResult;

/// Data that this version does not understand.
pub(super) fn unreadable(what: impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!("the store holds what this version does not understand: {what}"))
}

/// Reads JSON that was kept; `what` says of what it is. What serde finds wrong it quotes, and that may be of people, or secret:
/// told is only where it is.
pub(super) fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> StoreResult<T> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(format!("{what} (wrong at {})", error.column())))
}

/// What a server answered is not what it should be. What it is stays untold: it may be of people.
pub(super) fn unfit(value: &Value, wanted: &str) -> StoreError {
    let found = match value {
        Value::Nil => "nothing",
        Value::Int(_) | Value::Double(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a text",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    unreadable(format!("{found} {wanted}"))
}

/// What records are written as. Whoever changes what is written counts this up and goes on reading what came before:
/// records outlive the program that wrote them.
const FORMAT: u8 = 1;

/// Appends a record.
fn write(bytes: &mut Vec<u8>, record: &impl Serialize) -> Result<(), StoreError> {
    bytes.push(FORMAT);
    *bytes = postcard::to_extend(record, std::mem::take(bytes)).map_err(unreadable)?;
    Ok(())
}

/// Reads a record.
fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&FORMAT, record)) => postcard::from_bytes(record).map_err(unreadable),
        Some((other, _)) => Err(unreadable(format!("a record of format {other}, not {FORMAT}"))),
        None => Err(unreadable("an empty record")),
    }
}

/// Something of ours that is too large for its place.
fn too_large(what: &str) -> StoreError {
    StoreError::Refused(format!("{what} is too large to be stored"))
}

/// Appends facts.
pub(super) fn facts(facts: &[Fact]) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(facts.len() * 24);
    for fact in facts {
        let what = happening(&fact.what)?;
        let length = u16::try_from(what.len() + 9).map_err(|_| too_large("a fact"))?;
        bytes.extend(length.to_be_bytes());
        bytes.push(u8::from(fact.what.event_type().is_some()));
        bytes.extend(fact.at.as_millis().to_be_bytes());
        bytes.extend(what);
    }
    Ok(bytes)
}

/// What happened, without when.
pub(super) fn happening(what: &Happening) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(16);
    write(&mut bytes, what)?;
    Ok(bytes)
}

/// The fact of a dial before and after the number of the attempt, which the store counts.
pub(super) fn dialing(
    claim: u32,
    via: &Via,
    worker: &crate::model::WorkerId,
) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let what = |attempt| {
        let Via { caller, trunk } = via.clone();
        happening(&Happening::Dialing { claim, attempt, caller, trunk, worker: worker.clone() })
    };
    // Two numbers of one byte each: they differ in that byte only.
    let (one, other) = (what(1)?, what(2)?);
    let at = one.iter().zip(&other).position(|(one, other)| one != other).ok_or_else(|| unreadable("a dial"))?;
    Ok((one[..at].to_vec(), one[at + 1..].to_vec()))
}

/// Reads facts back.
pub(super) fn read_facts(mut bytes: &[u8]) -> Result<Vec<Fact>, StoreError> {
    let mut facts = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<11>().ok_or_else(|| unreadable("half a fact"))?;
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let at = head[3..].iter().fold(0_i64, |at, byte| at << 8 | i64::from(*byte));
        let length = length.checked_sub(9).filter(|length| *length <= rest.len());
        let (what, rest) = rest.split_at(length.ok_or_else(|| unreadable("half a fact"))?);
        facts.push(Fact { at: Timestamp::from_millis(at), what: read_happening(what)? });
        bytes = rest;
    }
    Ok(facts)
}

/// Reads what happened.
fn read_happening(bytes: &[u8]) -> Result<Happening, StoreError> {
    read(bytes).or_else(|error| {
        // A command that was carried out says what was to be done since there are digests, and who gave it since there
        // are actors; before, it said neither.
        const UNSAID: [&[u8]; 2] = [&[0], &[0; 2]];
        let mut read_with = UNSAID.iter().map(|unsaid| read(&[bytes, unsaid].concat()));
        let command = |what: &Happening| matches!(what, Happening::CommandExecuted { .. });
        read_with.find_map(|what| what.ok().filter(command)).ok_or(error)
    })
}

/// Where a flow stands.
pub(super) fn state(state: &CallState) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(64);
    write(&mut bytes, state)?;
    Ok(bytes)
}

/// Reads back where a flow stands; none if it was never stored.
pub(super) fn read_state(bytes: &[u8]) -> Result<Option<CallState>, StoreError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    // What a call has had since: third parties, and a recording that was turned on or off; later, transfers from outside.
    // Before, it had none.
    const NONE_YET: [&[u8]; 2] = [&[0], &[0; 5]];
    let since = |error| {
        let mut read_with = NONE_YET.iter().map(|none| read(&[bytes, none].concat()));
        read_with.find_map(Result::ok).ok_or(error)
    };
    read(bytes).or_else(since).map(Some)
}

/// A destination but for its index and its number.
#[derive(Serialize, Deserialize)]
struct Rest<'a> {
    /// What stood where the number should.
    #[serde(borrow)]
    invalid: Option<std::borrow::Cow<'a, str>>,
    caller: Option<Phone>,
    external_id: Option<Box<str>>,
    time_zone: Option<Box<str>>,
    properties: Vec<(Box<str>, Private)>,
}

/// Bytes of a number; no number of E.164 takes more.
const NUMBER: usize = 7;

/// Appends a destination, its index left out.
pub(super) fn destination(bytes: &mut Vec<u8>, destination: &Destination) -> Result<(), StoreError> {
    let number = destination.number.phone().map_or(0, Phone::digits).to_be_bytes();
    bytes.extend(&number[8 - NUMBER..]);
    let rest = Rest {
        invalid: match &destination.number {
            Number::Valid(_) => None,
            Number::Invalid(text) => Some((&**text).into()),
        },
        caller: destination.caller,
        external_id: destination.external_id.clone(),
        time_zone: destination.time_zone.clone(),
        properties: destination.properties.clone(),
    };
    write(bytes, &rest)
}

/// Reads a destination back.
pub(super) fn read_destination(index: u32, bytes: &[u8]) -> Result<Destination, StoreError> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER>().ok_or_else(|| unreadable("half a destination"))?;
    let digits = number.iter().fold(0_u64, |digits, byte| digits << 8 | u64::from(*byte));
    let rest: Rest<'_> = read(rest)?;
    let number = match rest.invalid {
        Some(text) => Number::Invalid(text.into()),
        None => Number::Valid(digits.to_string().parse().map_err(unreadable)?),
    };
    let Rest { caller, external_id, time_zone, properties, .. } = rest;
    Ok(Destination { index, number, caller, external_id, time_zone, properties })
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
