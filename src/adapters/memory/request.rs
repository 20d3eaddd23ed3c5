//! One request's record: its parts while it is loaded, its calls, its counts and its own events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::lane::{Lane, NEVER, StoredChunk};
use super::record::{Call, Origin, read};
use super::slab::OrgIx;
use crate::model::event::{RequestCommand, RequestEvent};
use crate::model::note::CallNotes;
use crate::model::status::{Counts, RejectReason, RequestError, RequestSummary};
use crate::model::{
    CallId, CallStatus, Destination, EventType, RequestCursor, RequestHeader, RequestStatus, Timestamp,
};
use crate::policy::window::WindowState;
use crate::ports::store::Totals;

/// A request under its name.
pub(super) struct Request {
    pub org: OrgIx,
    /// The call of index 0; the others are its siblings.
    pub first_call: CallId,
    /// The header; made up of defaults if the request was rejected.
    pub header: Arc<RequestHeader>,
    pub life: Life,
    /// Content hashes of the parts that came, by index; part 0 if it came in one.
    pub parts: BTreeMap<u32, PartLoad>,
    pub sealed_at: Option<Timestamp>,
    /// Its place among the organisation's; none until something of it was acknowledged or refused.
    pub listed: Option<RequestCursor>,
    /// Place among all sealed requests.
    pub seal_order: u64,
    pub refusal: Option<Box<Refusal>>,
    pub total: u32,
    pub duplicates: u32,
    pub counts: Counts,
    pub paused: bool,
    /// What became of all that waited, if it was ended as a whole.
    pub over: Option<Over>,
    /// The command that paused, resumed or cancelled it last; none if nobody said which.
    pub commanded: Option<RequestCommand>,
    /// Whether its live calls are to be hung up.
    pub hang_up: bool,
    /// Whether anything was dialled.
    pub started: bool,
    pub ended_at: Option<Timestamp>,
    /// When it is dropped.
    pub kept_until: Option<Timestamp>,
    pub chunks: Vec<StoredChunk>,
    pub calls: Vec<Call>,
    /// What is noted about calls, by index.
    pub notes: BTreeMap<u32, CallNotes>,
    pub lanes: Vec<Lane>,
    /// Indices of calls that are held.
    pub held: BTreeSet<u32>,
    /// Destinations it was given, for its turns among requests of its priority.
    pub served: u64,
    /// Its key among the requests of its priority, if it can be claimed from.
    pub turn: Option<(u64, u64)>,
    pub timer: Option<Timestamp>,
    pub events: Events,
    /// Calls at rest with unconfirmed events.
    pub unconfirmed_calls: u32,
}

/// How far a request's record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Only a rejection is known under its name.
    Rejected,
    /// Parts are missing.
    Loading { since: Timestamp },
    /// Its calls are known.
    Complete,
}

/// Why a request, or all of it that was still waiting, is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Cancelled,
    Expired,
    /// Parts did not come.
    Incomplete,
}

impl Over {
    pub const fn status(self) -> CallStatus {
        match self {
            Over::Cancelled => CallStatus::Cancelled,
            Over::Expired | Over::Incomplete => CallStatus::Expired,
        }
    }
}

/// Why a request has no calls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub reason: RejectReason,
    pub errors: Vec<RequestError>,
    pub error_count: u32,
}

/// A part of a request, or all of one that came in one.
pub(super) struct PartLoad {
    pub content_hash: [u8; 32],
    pub totals: Totals,
    /// Destinations that came.
    pub loaded: u32,
    /// Chunks that came; they move on when the request is complete.
    pub next_chunk: u32,
    pub sealed: bool,
    pub chunks: Vec<LoadedChunk>,
}

/// A chunk whose request is not complete.
pub(super) struct LoadedChunk {
    pub zones: Vec<Box<str>>,
    pub bytes: Box<[u8]>,
    /// Index within the part and first byte of each destination.
    pub places: Vec<(u32, u32)>,
}

/// A request's own events.
#[derive(Default)]
pub(super) struct Events {
    pub last_seq: u32,
    pub unconfirmed: VecDeque<RequestEvent>,
    pub last_rejection: Option<Box<RequestEvent>>,
}

/// What a request gives next.
pub(super) struct Pick {
    pub lane: usize,
    pub index: u32,
    pub origin: Origin,
}

impl Request {
    pub fn new(org: OrgIx, header: Arc<RequestHeader>, life: Life) -> Self {
        Self {
            org,
            first_call: CallId::new(&header.organisation, &header.id, 0),
            header,
            life,
            parts: BTreeMap::new(),
            sealed_at: None,
            listed: None,
            seal_order: 0,
            refusal: None,
            total: 0,
            duplicates: 0,
            counts: Counts::default(),
            paused: false,
            over: None,
            commanded: None,
            hang_up: false,
            started: false,
            ended_at: None,
            kept_until: None,
            chunks: Vec::new(),
            calls: Vec::new(),
            notes: BTreeMap::new(),
            lanes: Vec::new(),
            held: BTreeSet::new(),
            served: 0,
            turn: None,
            timer: None,
            events: Events::default(),
            unconfirmed_calls: 0,
        }
    }

    pub fn part_count(&self) -> u32 {
        self.header.part.map_or(1, |part| part.count)
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.header.expires_at.is_some_and(|at| at <= now)
    }

    pub fn waits_for_schedule(&self, now: Timestamp) -> bool {
        self.header.scheduled_at.is_some_and(|at| now < at)
    }

    /// Whether dialling is allowed as far as the request as a whole goes, its schedule and pauses aside.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.life == Life::Complete && self.over.is_none() && self.ended_at.is_none() && !self.has_expired(now)
    }

    pub fn status(&self, now: Timestamp) -> RequestStatus {
        if self.life == Life::Rejected || self.over == Some(Over::Incomplete) {
            RequestStatus::Failed
        } else if self.over == Some(Over::Cancelled) {
            RequestStatus::Cancelled
        } else if self.ended_at.is_some() {
            if self.over == Some(Over::Expired) && !self.started {
                RequestStatus::Expired
            } else {
                RequestStatus::Completed
            }
        } else if self.paused {
            RequestStatus::Paused
        } else if self.started {
            RequestStatus::OnProgress
        } else if self.life == Life::Complete && self.waits_for_schedule(now) {
            RequestStatus::Scheduled
        } else {
            RequestStatus::Submitted
        }
    }

    pub fn summary(&self, now: Timestamp) -> RequestSummary {
        let refusal = self.refusal.as_deref();
        RequestSummary {
            request_id: self.header.id.clone(),
            status: self.status(now),
            total: self.total,
            duplicates: self.duplicates,
            counts: self.counts,
            flow_hash: (self.life != Life::Rejected).then(|| hexadecimal(&self.header.flow_hash)),
            errors: refusal.map(|refusal| refusal.errors.clone()).unwrap_or_default(),
            error_count: refusal.map_or(0, |refusal| refusal.error_count),
            reason: refusal.map(|refusal| refusal.reason),
            trace: self.header.trace,
        }
    }

    /// Makes an event of the request as it is now.
    pub fn emit(&mut self, kind: EventType, now: Timestamp) -> RequestEvent {
        let summary = self.summary(now);
        self.emit_with(kind, now, summary)
    }

    pub fn emit_with(&mut self, kind: EventType, at: Timestamp, summary: RequestSummary) -> RequestEvent {
        self.events.last_seq += 1;
        let event = RequestEvent {
            organisation: self.header.organisation.clone(),
            request: self.header.id.clone(),
            seq: self.events.last_seq,
            kind,
            at,
            summary,
            command: self.commanded.clone().filter(|_| kind.follows_a_command()),
        };
        self.events.unconfirmed.push_back(event.clone());
        event
    }

    /// The status of a call: what is written, unless it waited when the request was ended as a whole.
    pub fn call_status(&self, call: &Call) -> CallStatus {
        match self.over {
            Some(over) if call.live().is_none() && !call.status.is_final() => over.status(),
            _ => call.status,
        }
    }

    /// Moves one call from a count to another.
    pub fn recount(&mut self, from: CallStatus, to: CallStatus) {
        let left = self.counts.of_mut(from);
        *left = left.saturating_sub(1);
        *self.counts.of_mut(to) += 1;
    }

    /// A destination, and how many bytes it takes.
    pub fn destination(&self, index: u32) -> (Destination, usize) {
        let call = &self.calls[index as usize];
        let chunk = &self.chunks[call.chunk as usize];
        let bytes = &chunk.bytes[call.offset as usize..];
        let (mut destination, rest): (Destination, _) = read(bytes);
        destination.index += chunk.base;
        (destination, bytes.len() - rest.len())
    }

    pub fn lane_of(&self, index: u32) -> usize {
        self.chunks[self.calls[index as usize].chunk as usize].lane as usize
    }

    /// Whether a call's people may be called now.
    pub fn window_is_open(&mut self, index: u32, now: Timestamp) -> bool {
        let lane = self.lane_of(index);
        let window = self.lanes[lane].window(self.header.calling_window.as_ref(), now);
        matches!(window, WindowState::Open { .. })
    }

    /// Whether it can be claimed from now; and if not, when it can be by the mere passing of time.
    pub fn outlook(&mut self, now: Timestamp) -> (bool, Option<Timestamp>) {
        if self.paused || !self.is_open(now) {
            return (false, None);
        }
        if self.waits_for_schedule(now) {
            return (false, self.header.scheduled_at);
        }
        let mut next = NEVER;
        for lane in &mut self.lanes {
            let window = lane.window(self.header.calling_window.as_ref(), now);
            let outlook = lane.outlook(window, now, &self.chunks);
            if outlook.claimable {
                return (true, None);
            }
            next = next.min(outlook.next);
        }
        let end = self.header.expires_at.unwrap_or(NEVER);
        (false, (next < end).then_some(next))
    }

    /// What is claimed next: due retries by their time, then file order.
    pub fn pick(&mut self, now: Timestamp) -> Option<Pick> {
        let mut retry: Option<((Timestamp, u32), usize)> = None;
        let mut fresh: Option<(u32, usize)> = None;
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let window = lane.window(self.header.calling_window.as_ref(), now);
            if matches!(window, WindowState::Closed { .. }) {
                continue;
            }
            let due = lane.retries.first().filter(|(due, _)| *due <= now).map(|first| (*first, number));
            retry = earlier(retry, due);
            fresh = earlier(fresh, lane.fresh(&self.chunks).map(|index| (index, number)));
        }
        if let Some(((due, index), lane)) = retry {
            return Some(Pick { lane, index, origin: Origin::Retry { due } });
        }
        fresh.map(|(index, lane)| Pick { lane, index, origin: Origin::Fresh })
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
