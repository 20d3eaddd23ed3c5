//! `GET /v1/requests`: the requests of an organisation.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::answer::{Refusal, json};
use super::asked::Asked;
use crate::model::status::{RequestStatus, RequestSummary};
use crate::model::{RequestCursor, Timestamp};
use crate::ports::store::{RequestFilter, RequestPage, RequestSnapshot};

/// Requests on a page if nobody says how many, and at most.
const ROWS: u32 = 100;
pub(super) const MOST_ROWS: u32 = 1_000;

/// Some of an organisation's requests.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Requests")]
pub struct RequestList {
    /// The newest first.
    requests: Vec<Listed>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<String>,
}

/// A request of a list.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ListedRequest")]
struct Listed {
    #[serde(flatten)]
    summary: RequestSummary,
    /// When it was sealed; null if it was refused or is not all there.
    queued_at: Option<Timestamp>,
    /// Nothing is dialled before.
    scheduled_at: Option<Timestamp>,
    /// Nothing is dialled after.
    expires_at: Option<Timestamp>,
    /// Order among the organisation's requests, 9 first; null if it was refused.
    priority: Option<u8>,
}

impl RequestList {
    /// A page of them.
    pub fn of(page: RequestPage) -> Self {
        let next_cursor = page.next.map(|next| next.to_string());
        Self { requests: page.requests.into_iter().map(Listed::of).collect(), next_cursor }
    }
}

impl Listed {
    fn of(snapshot: RequestSnapshot) -> Self {
        let RequestSnapshot { summary, header, queued_at } = snapshot;
        Self {
            summary,
            queued_at,
            scheduled_at: header.as_ref().and_then(|header| header.scheduled_at),
            expires_at: header.as_ref().and_then(|header| header.expires_at),
            priority: header.as_ref().map(|header| header.priority),
        }
    }
}

/// Lists them.
pub(super) async fn list(api: Arc<Api>, mut asked: Asked) -> Result<Response, Refusal> {
    let mut query = std::mem::take(&mut asked.query);
    let statuses = query.text("status").map(statuses).transpose();
    let statuses = statuses.unwrap_or_else(|message| {
        query.refuse("status", message);
        None
    });
    let after: Option<RequestCursor> = query.parsed("cursor");
    let limit = query.whole("limit", 1..=MOST_ROWS).unwrap_or(ROWS);
    query.finish()?;
    let filter = RequestFilter { statuses, after };
    let page = api.ask(api.ports.store.requests(asked.organisation(), &filter, limit)).await?;
    Ok(json(StatusCode::OK, &RequestList::of(page)))
}

/// Statuses with commas between them.
fn statuses(text: &str) -> Result<BTreeSet<RequestStatus>, String> {
    let words = text.split(',').map(|word| {
        let word = word.trim();
        serde_json::from_value(Value::String(word.to_owned())).map_err(|error| error.to_string())
    });
    words.collect()
}
