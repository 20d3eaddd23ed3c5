//! `GET /v1/status/{requestId}`: how far a request is, and a page of its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::answer::{Refusal, bytes_of_json};
use super::asked::Asked;
use crate::callflow::Program;
use crate::model::event::{CallContext, CallStatusHint};
use crate::model::status::{CallEntry, RequestSummary, StepLabel};
use crate::model::{CallId, RequestHeader, RequestId, Timestamp};
use crate::ports::store::{CallSnapshot, RequestKey, RequestSnapshot};

/// Most calls on a page, and as many if nobody says how many.
pub(super) const PAGE: u32 = 1_000;

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
    let snapshot = api.request(&key).await?;
    let shared = api.shared(&snapshot)?;
    let calls = match &shared {
        Some(_) => api.ask(api.ports.store.calls(&key, from, limit)).await?,
        None => Vec::new(),
    };
    let next = calls.last().map(|last| last.destination.index + 1).filter(|next| *next < snapshot.summary.total);
    let write = move || document(&snapshot.summary, shared.as_ref(), calls, next);
    Ok(bytes_of_json(StatusCode::OK, write_aside(limit as usize > FEW, write).await?))
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
    written.map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Refusal::unavailable("the answer cannot be written")
    })
}

/// The document of a request and some of its calls.
fn document(
    summary: &RequestSummary,
    shared: Option<&Shared>,
    calls: Vec<CallSnapshot>,
    next: Option<u32>,
) -> serde_json::Result<Vec<u8>> {
    // The calls go into the summary's object, behind its last field.
    let mut text = serde_json::to_vec(summary)?;
    text.pop();
    text.extend_from_slice(br#","details":["#);
    if let Some(shared) = shared {
        entries(shared, calls, &mut text)?;
    }
    text.extend_from_slice(br#"],"nextCursor":"#);
    serde_json::to_writer(&mut text, &next.map(|next| next.to_string()))?;
    text.push(b'}');
    Ok(text)
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
    let text = document(summary, None, Vec::new(), None).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Refusal::unavailable("the answer cannot be written")
    })?;
    Ok(bytes_of_json(StatusCode::OK, text))
}
