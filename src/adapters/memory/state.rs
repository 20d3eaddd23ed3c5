//! All that the store knows, and how one finds one's way in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::org::Org;
use super::record::{Body, Call, Live};
use super::request::Request;
use super::ring::Ring;
use super::slab::{OrgIx, Place, ReqIx, Slab};
use crate::model::event::{RequestCommand, RequestEvent};
use crate::model::{AttemptId, CallId, EventType, LegId, OrganisationId, RequestHeader, Timestamp, WorkerId};
use crate::ports::store::{Held, ProcessId, RequestKey, StoreError, StoreResult, Token};

/// Promises to break on purpose, so that a test can show that it would notice.
#[cfg(feature = "sabotage")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sabotage {
    /// An attempt that is ended twice is counted twice, and gives two slots back.
    pub double_release: bool,
    /// Whoever names a held call may act on it.
    pub ignore_tokens: bool,
    /// An expired lease is a free slot.
    pub free_expired_leases: bool,
}

/// All that the store knows.
pub(super) struct State {
    /// The time of the operation that is going on; never goes back.
    pub now: Timestamp,
    pub org_names: BTreeMap<OrganisationId, OrgIx>,
    pub orgs: Vec<Org>,
    pub by_hash: BTreeMap<[u8; 10], ReqIx>,
    pub requests: Slab<Request>,
    pub ring: Ring,
    /// When organisations or requests may become ready by themselves.
    pub timers: BTreeSet<(Timestamp, Timer)>,
    /// What a sweep has to do, and when.
    pub deadlines: BTreeSet<(Timestamp, Deadline, ReqIx)>,
    /// Held calls by the end of their callee's lease.
    pub expiries: BTreeSet<(Timestamp, ReqIx, u32)>,
    /// Calls at rest with unconfirmed events, by their last fact.
    pub outbox: BTreeSet<(Timestamp, ReqIx, u32)>,
    /// Requests with unconfirmed events of their own, by the oldest of them.
    pub request_outbox: BTreeSet<(Timestamp, ReqIx)>,
    /// Organisations with unconfirmed events of their own, by the oldest of them.
    pub change_outbox: BTreeSet<(Timestamp, OrgIx)>,
    /// Who alone may listen to the reports for an app, and until when.
    pub listeners: BTreeMap<WorkerId, (ProcessId, Timestamp)>,
    pub last_token: u64,
    pub last_seal: u64,
    /// Whether something may have become claimable, or a slot free, in the operation that is going on.
    pub woke: bool,
    /// Whether somebody has become ready in it, or has a slot more: whoever waits is woken if anybody is ready when it is over.
    pub freed: bool,
    /// Requests dropped in it; freed when nobody waits for the lock.
    pub dropped: Vec<Request>,
    pub scratch: Vec<u8>,
    #[cfg(feature = "sabotage")]
    pub sabotage: Sabotage,
}

/// What a timer looks at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Organisation(OrgIx),
    Request(ReqIx),
}

/// What a deadline brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// A schedule is due.
    Schedule,
    /// A request's time is over.
    Expiry,
    /// Parts that have not come by now never will.
    Parts,
    /// An ended request has been kept long enough.
    Retention,
}

impl State {
    pub fn new() -> Self {
        Self {
            now: Timestamp::from_millis(i64::MIN),
            org_names: BTreeMap::new(),
            orgs: Vec::new(),
            by_hash: BTreeMap::new(),
            requests: Slab::new(),
            ring: Ring::default(),
            timers: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            expiries: BTreeSet::new(),
            outbox: BTreeSet::new(),
            request_outbox: BTreeSet::new(),
            change_outbox: BTreeSet::new(),
            listeners: BTreeMap::new(),
            last_token: 0,
            last_seal: 0,
            woke: false,
            freed: false,
            dropped: Vec::new(),
            scratch: Vec::new(),
            #[cfg(feature = "sabotage")]
            sabotage: Sabotage::default(),
        }
    }

    #[cfg(feature = "sabotage")]
    pub fn ignores_tokens(&self) -> bool {
        self.sabotage.ignore_tokens
    }

    #[cfg(not(feature = "sabotage"))]
    pub fn ignores_tokens(&self) -> bool {
        false
    }

    /// An organisation; one that nobody has configured has the defaults.
    pub fn org_ix(&mut self, organisation: &OrganisationId) -> OrgIx {
        if let Some(ix) = self.org_names.get(organisation) {
            return *ix;
        }
        let ix = OrgIx(u32::try_from(self.orgs.len()).unwrap_or(u32::MAX));
        self.orgs.push(Org::new(organisation.clone()));
        self.org_names.insert(organisation.clone(), ix);
        ix
    }

    pub fn org(&self, ix: OrgIx) -> &Org {
        &self.orgs[ix.0 as usize]
    }

    pub fn org_mut(&mut self, ix: OrgIx) -> &mut Org {
        &mut self.orgs[ix.0 as usize]
    }

    /// A request by its name.
    pub fn find(&self, key: &RequestKey) -> Option<ReqIx> {
        let hash = CallId::new(&key.organisation, &key.request, 0).request_hash();
        let ix = *self.by_hash.get(&hash)?;
        let header = &self.requests[ix].header;
        (header.id == key.request && header.organisation == key.organisation).then_some(ix)
    }

    /// A request that was not merely rejected.
    pub fn find_accepted(&self, key: &RequestKey) -> StoreResult<ReqIx> {
        let ix = self.find(key).ok_or(StoreError::NotFound)?;
        if self.requests[ix].life == super::request::Life::Rejected { Err(StoreError::NotFound) } else { Ok(ix) }
    }

    pub fn insert(&mut self, request: Request) -> ReqIx {
        let (org, hash) = (request.org, request.first_call.request_hash());
        let ix = self.requests.insert(request);
        self.by_hash.insert(hash, ix);
        self.org_mut(org).requests.insert(ix);
        ix
    }

    /// Where a call is, if its request is known and complete.
    pub fn place(&self, call: CallId) -> Option<Place> {
        let ix = *self.by_hash.get(&call.request_hash())?;
        ((call.index() as usize) < self.requests[ix].calls.len()).then_some((ix, call.index()))
    }

    pub fn call(&self, place: Place) -> &Call {
        &self.requests[place.0].calls[place.1 as usize]
    }

    pub fn call_mut(&mut self, place: Place) -> &mut Call {
        &mut self.requests[place.0].calls[place.1 as usize]
    }

    /// Where a held call is, if it is held under this token.
    pub fn holding(&self, held: &Held) -> Option<Place> {
        let place = self.place(held.attempt.call)?;
        let call = self.call(place);
        let live = call.live()?;
        let proved = live.token == held.token && call.claim == held.attempt.claim;
        (proved || self.ignores_tokens()).then_some(place)
    }

    /// A held call; none if it is not held.
    pub fn live_mut(&mut self, place: Place) -> Option<&mut Live> {
        self.call_mut(place).live_mut()
    }

    pub fn next_token(&mut self) -> Token {
        self.last_token += 1;
        Token(self.last_token)
    }

    /// The attempt that a call is in.
    pub fn attempt(&self, place: Place) -> AttemptId {
        let request = &self.requests[place.0];
        AttemptId { call: request.first_call.sibling(place.1), claim: request.calls[place.1 as usize].claim }
    }

    /// The proof of whoever holds a call.
    pub fn held(&self, place: Place, token: Token) -> Held {
        let header = &self.requests[place.0].header;
        Held {
            organisation: header.organisation.clone(),
            request: header.id.clone(),
            attempt: self.attempt(place),
            token,
        }
    }

    /// Makes a request's event as it is now, and notes that it is not confirmed.
    pub fn emit(&mut self, ix: ReqIx, kind: EventType) -> RequestEvent {
        let event = self.requests[ix].emit(kind, self.now);
        self.note_unconfirmed(ix);
        event
    }

    /// Makes the event of a command that changed nothing about a request itself.
    pub fn emit_command(&mut self, ix: ReqIx, command: RequestCommand) {
        let before = self.requests[ix].commanded.replace(command);
        self.emit(ix, EventType::CommandExecuted);
        self.requests[ix].commanded = before;
    }

    /// Notes that a request has an unconfirmed event.
    pub fn note_unconfirmed(&mut self, ix: ReqIx) {
        if let Some(oldest) = self.requests[ix].events.unconfirmed.front() {
            self.request_outbox.insert((oldest.at, ix));
        }
    }

    /// Lets go of every lease of an attempt and of its places in line: false if it held none any more.
    pub fn release(&mut self, place: Place) -> bool {
        let attempt = self.attempt(place);
        let org = self.requests[place.0].org;
        let org = &mut self.orgs[org.0 as usize];
        let callee = org.leases.remove(&LegId::callee(attempt));
        while let Some(leg) = other_leg_of(org, attempt) {
            org.leases.remove(&leg);
        }
        org.line.retain(|waiter| waiter.place != place);
        self.requests[place.0].held.remove(&place.1);
        // Whoever stands in line is not in the ring.
        self.woke |= !org.line.is_empty();
        self.freed = true;
        let Some(callee) = callee else { return false };
        self.expiries.remove(&(callee.expires, place.0, place.1));
        true
    }

    /// Packs a held call's history away: nobody holds it any more. Answers what it was.
    pub fn lay_down(&mut self, place: Place, finished_by: Option<Token>) -> Option<Live> {
        let request = &mut self.requests[place.0];
        let call = &mut request.calls[place.1 as usize];
        let packed = {
            let live = call.live()?;
            super::record::Packed::new(live, finished_by.unwrap_or(live.finished_by), &mut self.scratch)
        };
        let Body::Live(live) = std::mem::replace(&mut call.body, Body::Rest(packed)) else { return None };
        if call.confirmed < live.events {
            request.unconfirmed_calls += 1;
            self.outbox.insert((live.last_at(), place.0, place.1));
        }
        Some(*live)
    }
}

/// A leg of an attempt that holds a lease, once the callee's does not.
fn other_leg_of(org: &Org, attempt: AttemptId) -> Option<LegId> {
    let (first, _) = org.leases.range(LegId::callee(attempt)..).next()?;
    (first.attempt == attempt).then_some(*first)
}

/// A header for a request of which only the name is known.
pub(super) fn bare_header(key: &RequestKey) -> Arc<RequestHeader> {
    Arc::new(RequestHeader {
        organisation: key.organisation.clone(),
        id: key.request.clone(),
        content_hash: [0; 32],
        flow: "".into(),
        flow_hash: [0; 32],
        caller: None,
        recording: false,
        scheduled_at: None,
        expires_at: None,
        ring_timeout: std::time::Duration::ZERO,
        max_call_duration: std::time::Duration::ZERO,
        retry: crate::model::RetryPolicy::default(),
        calling_window: None,
        machine_detection: crate::model::MachineDetection::Off,
        priority: 5,
        hooks: Vec::new(),
        part: None,
        allow_duplicates: false,
        skip_invalid: false,
        parent: None,
        call_type: crate::model::CallType::Campaign,
        trace: None,
    })
}
