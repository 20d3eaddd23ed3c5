//! Requests on their way in: a header, chunks of destinations ready to be cut, seals and rejections.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::codec::{self, unreadable};
use super::reply::Refusal;
use super::script::Ops;
use super::store::RedisStore;
use super::windows::SEPARATOR;
use crate::model::event::RequestEvent;
use crate::model::status::RequestSummary;
use crate::model::{CallId, Destination, RequestHeader, TraceParent};
use crate::ports::store::*;
use crate::ports::{StoreError, StoreResult};

/// The call of index 0: its hash names the request.
pub(super) fn first_call(key: &RequestKey) -> CallId {
    CallId::new(&key.organisation, &key.request, 0)
}

/// An answer that no script gives, of so many bytes.
pub(super) fn unexpected(answer: &str) -> StoreError {
    unreadable(format!("an answer of {} bytes that no script gives", answer.len()))
}

/// What all parts of a request have in common.
fn common(header: &RequestHeader) -> StoreResult<Vec<u8>> {
    let count = header.part.map(|part| part.count);
    let bare = RequestHeader { content_hash: [0; 32], part: None, trace: None, ..header.clone() };
    let text = serde_json::to_vec(&(count, bare)).map_err(unreadable)?;
    Ok(Sha256::digest(text).to_vec())
}

/// A trace as scripts know it.
fn written(trace: Option<TraceParent>) -> String {
    trace.map(|trace| trace.to_string()).unwrap_or_default()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl RedisStore {
    pub(super) async fn open(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        let organisation = &header.organisation;
        let text = serde_json::to_vec(&**header).map_err(unreadable)?;
        // Found by looking, whatever becomes of the hints.
        self.ring.expect(organisation, self.now()).await?;
        let ops = Ops::none().op("open").request(CallId::new(organisation, &header.id, 0));
        let ops = ops.text(header.id.as_str()).bytes(&text).bytes(&common(header)?);
        let (part, count) = header.part.map_or((0, 1), |part| (part.index, part.count));
        let ops = ops.int(part).int(count).bytes(&header.content_hash).int(totals.total).int(totals.duplicates);
        let ops = ops.int(header.priority.min(9)).time(header.scheduled_at).time(header.expires_at);
        let ops = ops.int(millis(header.ring_timeout)).int(millis(header.max_call_duration));
        let ops = ops.int(u8::from(header.calling_window.is_some())).bytes(&header.flow_hash);
        let ops = ops.text(&written(header.trace));
        let mut answer = self.send(organisation, ops).await?.list()?;
        match answer.text()?.as_str() {
            "load" => Ok(Opened::Load { next_chunk: answer.small()? }),
            "known" => Ok(Opened::Known(answer.summary()?)),
            "conflict" => Ok(Opened::Conflict),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn load(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        let zones = chunk.zones.join(&SEPARATOR.to_string());
        let Packed { blob, runs, largest } = pack(number, &chunk.destinations)?;
        let count = u32::try_from(chunk.destinations.len()).unwrap_or(u32::MAX);
        let ops = Ops::none().op("chunk").request(first_call(key)).int(part).int(number);
        let mut ops = ops.text(&zones).int(count).int(largest).bytes(&blob);
        ops = ops.int(i64::try_from(runs.len()).unwrap_or(i64::MAX));
        for (first, entries) in &runs {
            ops = ops.int(*first).bytes(entries);
        }
        let mut answer = self.send(&key.organisation, ops).await?.list()?;
        match answer.text()?.as_str() {
            "stored" => Ok(Loaded::Stored),
            "expected" => Ok(Loaded::Expected { next_chunk: answer.small()? }),
            "missing" => Err(StoreError::NotFound),
            "refused" => Err(StoreError::Refused(answer.text()?)),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn seal_part(
        &self,
        key: &RequestKey,
        part: u32,
    ) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        let ops = Ops::none().op("seal").request(first_call(key)).int(part);
        let mut answer = self.send(&key.organisation, ops).await?.list()?;
        match answer.text()?.as_str() {
            "done" => Ok((answer.summary()?, answer.events(&key.organisation)?)),
            "missing" => Err(StoreError::NotFound),
            "refused" => Err(StoreError::Refused(answer.text()?)),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn write_rejection(
        &self,
        rejection: &Rejection,
    ) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        let Rejection { key, reason, errors, error_count, trace } = rejection;
        let refusal = Refusal { reason: *reason, errors: errors.clone(), error_count: *error_count };
        let refusal = serde_json::to_vec(&refusal).map_err(unreadable)?;
        self.ring.expect(&key.organisation, self.now()).await?;
        let ops = Ops::none().op("reject").request(first_call(key));
        let ops = ops.text(key.request.as_str()).bytes(&refusal).text(&written(*trace));
        let mut answer = self.send(&key.organisation, ops).await?.list()?;
        Ok((answer.summary()?, answer.events(&key.organisation)?))
    }
}

/// A chunk as it is stored.
struct Packed {
    /// Index, length and bytes of each destination.
    blob: Vec<u8>,
    /// Entries of calls whose indices follow one another, by the first.
    runs: Vec<(u32, Vec<u8>)>,
    /// The largest index; -1 if there is none.
    largest: i64,
}

fn pack(number: u32, destinations: &[Destination]) -> StoreResult<Packed> {
    let too_large = |what: &str| StoreError::Refused(format!("{what} is too large to be stored"));
    let chunk = u16::try_from(number).map_err(|_| too_large("the number of chunks"))?;
    let (mut blob, mut runs): (_, Vec<(u32, Vec<u8>)>) = (Vec::with_capacity(destinations.len() * 64), Vec::new());
    let (mut largest, mut bytes, mut next) = (-1, Vec::new(), None);
    for destination in destinations {
        let index = destination.index;
        let offset = three_bytes(blob.len()).ok_or_else(|| too_large("a chunk"))?;
        bytes.clear();
        codec::destination(&mut bytes, destination)?;
        blob.extend(index.to_be_bytes());
        blob.extend(three_bytes(bytes.len()).ok_or_else(|| too_large("a destination"))?);
        blob.extend(&bytes);
        // Queued, in this chunk at this place; never claimed, dialled or confirmed.
        let mut entry = [0; 14];
        entry[0] = 1;
        entry[1..3].copy_from_slice(&chunk.to_be_bytes());
        entry[3..6].copy_from_slice(&offset);
        match runs.last_mut().filter(|_| next == Some(index)) {
            Some((_, entries)) => entries.extend(entry),
            None => runs.push((index, entry.to_vec())),
        }
        next = index.checked_add(1);
        largest = largest.max(i64::from(index));
    }
    Ok(Packed { blob, runs, largest })
}

fn three_bytes(number: usize) -> Option<[u8; 3]> {
    let [high, rest @ ..] = u32::try_from(number).ok()?.to_be_bytes();
    (high == 0).then_some(rest)
}
