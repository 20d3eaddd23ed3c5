//! `GET /v1/events`: events as they come, as server-sent events.

mod catching_up;
mod hub;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::Api;
use super::answer::{Refusal, plain};
use super::asked::Asked;
use crate::model::{CallId, EventFilter, RequestId};
use crate::telemetry::deployment::Listening;
use catching_up::CatchingUp;
use hub::Wanted;
use stream::{Source, Stream};

pub(super) use hub::Hub;

/// The header that says which event was seen last.
const LAST: &str = "last-event-id";

/// Tells of events for as long as somebody listens.
pub(super) async fn tell(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let mut query = std::mem::take(&mut asked.query);
    let request: Option<RequestId> = query.parsed("requestId");
    let call: Option<CallId> = query.parsed("callId");
    let types = query.text("types").map(types).transpose().unwrap_or_else(|message| {
        query.refuse("types", message);
        None
    });
    query.finish()?;
    let seen = asked.headers.get(LAST).map(|seen| {
        let seen = seen.to_str().ok().and_then(|seen| seen.parse::<u64>().ok());
        seen.ok_or_else(|| Refusal::wrong("Last-Event-ID", "must be the id of an event of this stream"))
    });
    let seen = seen.transpose()?;
    // Never closed.
    let Ok(place) = Arc::clone(&api.listening).try_acquire_owned() else {
        return Err(Refusal::unavailable("as many listen as there may"));
    };
    // However many of one listen, there is room for others.
    if api.hub.listeners_of(asked.organisation()) > api.listening.available_permits() {
        return Err(Refusal::unavailable("as many of this organisation listen as there is room left for others"));
    }
    let wanted = Wanted { organisation: asked.organisation().clone(), request, call, types: types.unwrap_or_default() };
    let present = api.hub.enter(asked.organisation());
    let log = api.ask(api.hub.begin()).await?;
    let source = match seen {
        Some(seen) => Source::Missed(CatchingUp::begin(Arc::clone(&api.hub), wanted, seen, log)),
        None => Source::Now(api.hub.listen(wanted)),
    };
    let now = api.ports.clock.now();
    let counted = Listening::begin();
    let stream = Stream {
        key: asked.key,
        log,
        seen,
        source,
        place: (place, present),
        _counted: counted,
        api,
        looked_at: now,
        told_at: now,
    };
    let mut response = plain(StatusCode::OK);
    *response.body_mut() = Body::from_stream(stream.run());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// Types with commas between them.
fn types(text: &str) -> Result<Vec<EventFilter>, String> {
    text.split(',').map(|name| name.trim().parse()).collect()
}
