//! `GET /v1/status/{requestId}`: how far a request is, and a page of its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Refusal, bytes_of_json};
use super::asked::Asked;
use super::room::Place;
use super::submit;
use super::{Api, STORE_WITHIN};
use crate::callflow::Program;
use crate::model::event::{CallContext, CallStatusHint};
use crate::model::status::{CallEntry, RequestSummary, StepLabel};
use crate::model::{CallId, OrganisationId, RequestHeader, RequestId, Timestamp};
use crate::ports::store::{CallSnapshot, RequestKey, RequestSnapshot};

/// Most calls on a page, and as many if nobody says how many.
pub(super) const PAGE: u32 = 1_000;

/// Calls that are read at a time: what was read is written while more is read, and then let go.
const PIECE: u32 = 250;

/// Bytes that an entry has as a rule: room is made for a page of them at once.
const ENTRY: usize = 3_000;

/// Entries that are written without leaving the thread to others meanwhile.
const FEW: usize = 50;

/// Flows that are kept; past it, all are forgotten.
const KEPT: usize = 1_000;

/// The status of a request, and of a page of its calls.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Status", rename = "Status")]
pub struct StatusDocument {
    #[serde(flatten)]
    summary: RequestSummary,
    /// One entry a destination, in the request's order; the latest attempt.
    details: Vec<CallEntry<'static>>,
    /// Where the next page begins; null on the last.
    #[serde(rename = "nextCursor")]
    next_cursor: Option<String>,
}

impl StatusDocument {
    /// A request whose calls nobody asked for.
    pub fn without_details(summary: RequestSummary) -> Self {
        Self { summary, details: Vec::new(), next_cursor: None }
    }
}

/// What all entries of a request share.
pub struct Shared {
    /// Its header.
    pub header: Arc<RequestHeader>,
    /// Names and paths of its flow's steps.
    pub steps: Arc<[StepLabel]>,
    /// When it was sealed.
    pub queued_at: Timestamp,
}

/// The flows of requests that were asked for, by their hashes.
#[derive(Default)]
pub(super) struct Flows(Mutex<BTreeMap<[u8; 32], Arc<Program>>>);

impl Flows {
    pub fn of(&self, header: &RequestHeader) -> Result<Arc<Program>, Refusal> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&header.flow_hash).cloned();
        if let Some(program) = known {
            return Ok(program);
        }
        let program = Program::from_canonical(&header.flow).map_err(|error| {
            tracing::error!(request = %header.id, %error, "a flow was frozen by another version");
            Refusal::unavailable("the flow was frozen by another version of this program")
        })?;
        let program = Arc::new(program);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(header.flow_hash, Arc::clone(&program));
        Ok(program)
    }
}

impl Api {
    /// A request, or that there is none.
    pub(super) async fn request(&self, key: &RequestKey) -> Result<RequestSnapshot, Refusal> {
        let snapshot = self.ask(self.ports.store.request(key)).await;
        snapshot.map_err(|refusal| refusal.about(|| format!("there is no request {}", key.request)))
    }

    /// What all entries of a request share; none if it was refused.
    pub(super) fn shared(&self, snapshot: &RequestSnapshot) -> Result<Option<Shared>, Refusal> {
        let Some((header, queued_at)) = snapshot.header.as_ref().zip(snapshot.queued_at) else { return Ok(None) };
        Ok(Some(Shared { steps: Arc::clone(&self.flows.of(header)?.labels), header: Arc::clone(header), queued_at }))
    }
}

/// Answers it.
pub(super) async fn status(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let limit = asked.query.whole("limit", 1..=PAGE).unwrap_or(PAGE);
    let from = asked.query.whole("cursor", 0..=u32::MAX).unwrap_or(0);
    let request: RequestId = asked.path("requestId")?;
    let key = RequestKey { organisation: asked.organisation().clone(), request };
    asked.query.finish()?;
    let snapshot = match api.request(&key).await {
        Err(refusal) if refusal.is_not_found() => match submit::queued(&api, &key).await? {
            Some(summary) => return without_details(&summary),
            // A worker may have looked at it between the two questions.
            None => api.request(&key).await?,
        },
        // It was refused, and has been handed in again, put right.
        Ok(snapshot) if snapshot.header.is_none() => match submit::queued(&api, &key).await? {
            Some(summary) => return without_details(&summary),
            None => snapshot,
        },
        found => found?,
    };
    let Some(shared) = api.shared(&snapshot)? else { return without_details(&snapshot.summary) };
    let page = Page { from, end: from.saturating_add(limit).min(snapshot.summary.total) };
    let place = api.place_for(&key.organisation, page.calls()).await?;
    let text = beginning(&snapshot.summary).map_err(unwritten)?;
    let (mut text, last) = api.written(&key, Arc::new(shared), &page, text).await?;
    let next = last.map(|last| last + 1).filter(|next| *next < snapshot.summary.total);
    end(&mut text, next).map_err(unwritten)?;
    Ok(bytes_of_json(StatusCode::OK, Bytes::from_owner(Held { text, _place: place })))
}

/// Some calls of a request: from an index up to another.
struct Page {
    from: u32,
    end: u32,
}

impl Page {
    fn calls(&self) -> usize {
        self.end.saturating_sub(self.from) as usize
    }
}

/// A page on its way, and its place among all that are: it is free when the client has taken the last of it.
struct Held {
    text: Vec<u8>,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Api {
    /// A place for a page of so many calls, unless it is so short that it needs none.
    async fn place_for(&self, organisation: &OrganisationId, calls: usize) -> Result<Place, Refusal> {
        if calls <= FEW {
            return Ok(Place::default());
        }
        let place = self.within(STORE_WITHIN, self.pages.take(organisation, (calls * ENTRY) as u64)).await;
        place.ok_or_else(|| Refusal::unavailable("too many pages are on their way: ask again"))
    }

    /// Adds the entries of a page, a piece at a time; and the index of the last.
    async fn written(
        &self,
        key: &RequestKey,
        shared: Arc<Shared>,
        page: &Page,
        mut text: Vec<u8>,
    ) -> Result<(Vec<u8>, Option<u32>), Refusal> {
        let read = |at: u32| self.ask(self.ports.store.calls(key, at, PIECE.min(page.end.saturating_sub(at))));
        let (mut at, mut last) = (page.from, None);
        let mut calls = if at < page.end { read(at).await? } else { Vec::new() };
        while let Some(call) = calls.last() {
            let is_first = last.replace(call.destination.index).is_none();
            at = at.saturating_add(PIECE);
            let long = page.calls() > FEW;
            let piece = Piece { shared: Arc::clone(&shared), calls, is_first };
            let writing = write_aside(long, move || piece.write(text));
            if at >= page.end {
                return Ok((writing.await?, last));
            }
            let (written, more) = tokio::join!(writing, read(at));
            (text, calls) = (written?, more?);
        }
        Ok((text, last))
    }
}

/// Calls that were read and are not written yet.
struct Piece {
    shared: Arc<Shared>,
    calls: Vec<CallSnapshot>,
    is_first: bool,
}

impl Piece {
    fn write(self, mut text: Vec<u8>) -> serde_json::Result<Vec<u8>> {
        if !self.is_first {
            text.push(b',');
        }
        entries(&self.shared, self.calls, &mut text)?;
        Ok(text)
    }
}

fn unwritten(error: serde_json::Error) -> Refusal {
    tracing::error!(%error, "an answer cannot be written");
    Refusal::unavailable("the answer cannot be written")
}

/// Writes something here if it is short, otherwise where it holds nobody up.
async fn write_aside(
    long: bool,
    write: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>, Refusal> {
    let written = if long {
        tokio::task::spawn_blocking(write).await.map_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
            Refusal::unavailable("the answer cannot be written")
        })?
    } else {
        write()
    };
    written.map_err(unwritten)
}

/// The document of a request up to its first call.
fn beginning(summary: &RequestSummary) -> serde_json::Result<Vec<u8>> {
    // The calls go into the summary's object, behind its last field.
    let mut text = serde_json::to_vec(summary)?;
    text.pop();
    text.extend_from_slice(br#","details":["#);
    Ok(text)
}

/// What follows the last call.
fn end(text: &mut Vec<u8>, next: Option<u32>) -> serde_json::Result<()> {
    text.extend_from_slice(br#"],"nextCursor":"#);
    serde_json::to_writer(&mut *text, &next.map(|next| next.to_string()))?;
    text.push(b'}');
    Ok(())
}

/// Writes the entries of some calls of a request, with commas between them.
///
/// # Errors
/// None in practice: what is written are texts and numbers.
pub fn entries(shared: &Shared, calls: Vec<CallSnapshot>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    out.reserve(calls.len().saturating_mul(ENTRY));
    let mut first = true;
    for call in calls {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        let (context, status, history) = shared.context(call);
        serde_json::to_writer(&mut *out, &CallEntry::fold(&context, CallStatusHint::Stored(status), &history))?;
    }
    Ok(())
}

impl Shared {
    /// A call of the request, as entries are folded from it.
    pub(super) fn context(
        &self,
        call: CallSnapshot,
    ) -> (CallContext, crate::model::CallStatus, Vec<crate::model::Fact>) {
        let CallSnapshot { destination, status, history } = call;
        let context = CallContext {
            header: Arc::clone(&self.header),
            steps: Arc::clone(&self.steps),
            call: CallId::new(&self.header.organisation, &self.header.id, destination.index),
            destination,
            queued_at: self.queued_at,
        };
        (context, status, history)
    }
}

/// A request that was handed in and that nobody has looked at yet, or one as it is now.
pub(super) fn without_details(summary: &RequestSummary) -> Result<Response, Refusal> {
    let mut text = beginning(summary).map_err(unwritten)?;
    end(&mut text, None).map_err(unwritten)?;
    Ok(bytes_of_json(StatusCode::OK, text))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::api::room::Room;

    #[test]
    fn a_page_holds_its_place_until_its_last_byte_is_taken() {
        let (room, bank) = (Room::of(32), "bank".parse().unwrap());
        let take = || room.take(&bank, 16 << 20).now_or_never();
        let mut page = Bytes::from_owner(Held { text: vec![b'x'; 100], _place: take().unwrap() });
        let taken = page.split_to(99);
        drop(taken);
        assert!(take().is_none(), "a byte is on its way still");
        drop(page);
        assert!(take().is_some());
    }
}
