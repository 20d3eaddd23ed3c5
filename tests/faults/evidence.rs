//! What a checker may look at: the network's log of dials, the stream of events, and what the store answers.

use std::collections::BTreeMap;
use std::path::Path;

use robocall::model::status::RequestSummary;
use robocall::model::{CallId, CallStatus, Fact, OrganisationId, Timestamp};
use robocall::ports::store::{RequestKey, SlotUse};
use serde::Deserialize;
use serde_json::Value;

/// A line of the log of dials.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Line {
    pub at: i64,
    pub event: String,
    pub leg: String,
    pub app: String,
    pub to: String,
    pub external: bool,
    pub by: String,
    pub state: String,
}

impl Line {
    /// The call whose leg it is.
    pub fn call(&self) -> Option<CallId> {
        self.leg.split('.').next()?.parse().ok()
    }

    /// The claim under which it was dialled.
    pub fn claim(&self) -> Option<u32> {
        self.leg.split('.').nth(1)?.parse().ok()
    }

    /// Whether it is the callee's own leg.
    pub fn is_callee(&self) -> bool {
        self.leg.split('.').count() == 2
    }
}

/// Reads the log of dials; a line that a crash has cut is none.
pub fn dials(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// An event as it came out of the stream.
#[derive(Clone, Debug)]
pub struct Logged {
    pub id: String,
    /// Its kind, without what all have before it.
    pub kind: String,
    /// The call it is of, if it is one's.
    pub call: Option<CallId>,
    /// Its place among its call's or request's events.
    pub seq: u64,
    pub body: String,
}

impl Logged {
    /// What a request's event is of: its source and name, without the event's number.
    pub fn subject(&self) -> &str {
        self.id.rsplit_once(".r.").map_or(&*self.id, |(subject, _)| subject)
    }

    /// Reads an event. Its id is one within its source, as CloudEvents have it: requests of two organisations may have
    /// the same name.
    pub fn read(id: String, body: &[u8]) -> Self {
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let call = event["subject"].as_str().and_then(|subject| subject.split_once('/')?.1.parse().ok());
        let kind = event["type"].as_str().unwrap_or_default().trim_start_matches("robocall.").to_owned();
        let seq = event["data"]["seq"].as_u64().unwrap_or_default();
        let id = format!("{} {id}", event["source"].as_str().unwrap_or_default());
        Self { id, kind, call, seq, body: String::from_utf8_lossy(body).into_owned() }
    }
}

/// What the store knows of a call.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: CallId,
    pub status: CallStatus,
    pub facts: Vec<Fact>,
}

/// What the store knows of a request at rest; nothing if it does not know it.
#[derive(Clone, Debug)]
pub struct Kept {
    pub key: RequestKey,
    pub known: Option<(RequestSummary, Vec<Call>)>,
}

/// An acknowledged order that forbids dials of a request, until it was taken back.
#[derive(Clone, Debug)]
pub struct Forbidden {
    pub key: RequestKey,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
}

/// A worker that was told to drain.
#[derive(Clone, Debug)]
pub struct Drained {
    pub app: String,
    pub told_at: Timestamp,
    pub grace_secs: u64,
    pub code: Option<i32>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub dials: Vec<Line>,
    pub events: Vec<Logged>,
    /// Every request that the broker took.
    pub requests: Vec<Kept>,
    pub limits: BTreeMap<OrganisationId, u32>,
    /// Slots as they were seen while it went on.
    pub slots: Vec<(OrganisationId, SlotUse)>,
    /// Summaries as they were seen while it went on.
    pub sums: Vec<RequestSummary>,
    /// When an organisation's last lease was seen to be gone; none: it was not.
    pub at_rest: BTreeMap<OrganisationId, Option<Timestamp>>,
    pub forbidden: Vec<Forbidden>,
    pub drained: Vec<Drained>,
    /// The database lost everything at this time.
    pub emptied_at: Option<Timestamp>,
}
