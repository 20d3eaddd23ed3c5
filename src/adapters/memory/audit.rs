//! The books, open: for tests that check that they add up.

use super::org::{Lease, Org};
use super::record::Body;
use super::request::Request;
use super::slab::ReqIx;
use super::state::State;
use crate::model::status::{Counts, RequestSummary};
use crate::model::{
    AttemptId, CallId, CallStatus, LegId, OrganisationId, RequestId, RequestStatus, Timestamp, WorkerId,
};
use crate::ports::store::{Stage, Token};

/// All that the store counts and holds, in a fixed order.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// The time of the last operation.
    pub at: Timestamp,
    /// By name.
    pub organisations: Vec<OrganisationAudit>,
}

/// One organisation's slots and requests.
#[derive(Clone, Debug, PartialEq)]
pub struct OrganisationAudit {
    /// The organisation.
    pub id: OrganisationId,
    /// Concurrent calls allowed.
    pub limit: u32,
    /// Held by other applications; all of them if what they wrote is no number.
    pub external: u32,
    /// Every lease, expired ones included, by leg.
    pub leases: Vec<LeaseAudit>,
    /// Second legs that wait for a slot, in line.
    pub waiting: Vec<LegId>,
    /// Its requests, by name.
    pub requests: Vec<RequestAudit>,
    /// How many events of its own there were, and how many of them are not confirmed.
    pub changes: (u32, usize),
}

/// One lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseAudit {
    /// The leg that holds the slot.
    pub leg: LegId,
    /// The request of its call.
    pub request: RequestId,
    /// The index of its call.
    pub index: u32,
    /// Who looks after it.
    pub worker: WorkerId,
    /// Under which token.
    pub token: Token,
    /// Until when it is believed.
    pub expires: Timestamp,
}

/// One request's counts and calls.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestAudit {
    /// The request.
    pub id: RequestId,
    /// As Status shows it.
    pub summary: RequestSummary,
    /// Its calls counted one by one, to be compared with the summary's counts.
    pub recounted: Counts,
    /// Its calls, by index; none before all its parts are there.
    pub calls: Vec<CallAudit>,
    /// Its own events that are not confirmed.
    pub unconfirmed: u32,
    /// Whether its end was noted.
    pub ended: bool,
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallAudit {
    /// Its place in the request.
    pub index: u32,
    /// How far it is.
    pub status: CallStatus,
    /// How far it is in somebody's hands; none if nobody holds it.
    pub stage: Option<Stage>,
    /// Its owner's proof, if it is held.
    pub token: Option<Token>,
    /// How many times it was claimed.
    pub claim: u32,
    /// How many times it was dialled.
    pub dials: u32,
    /// How long its history is.
    pub facts: u32,
    /// How many events its history makes.
    pub events: u32,
    /// How many of them are confirmed.
    pub confirmed: u32,
}

/// One organisation's slots: what changes most often, and is looked at after every step.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotsAudit {
    /// The organisation.
    pub id: OrganisationId,
    /// Concurrent calls allowed.
    pub limit: u32,
    /// Held by other applications; all of them if what they wrote is no number.
    pub external: u32,
    /// Every lease, expired ones included, by leg.
    pub leases: Vec<LeaseAudit>,
}

/// One request's books without what only Status shows.
#[derive(Clone, Debug, PartialEq)]
pub struct BooksAudit {
    /// The call of its first destination; the others are its siblings.
    pub first_call: CallId,
    /// How far it is.
    pub status: RequestStatus,
    /// Destinations of its sealed parts.
    pub total: u32,
    /// Its calls as they are counted.
    pub counts: Counts,
    /// Its calls counted one by one.
    pub recounted: Counts,
    /// Its calls, by index; none before all its parts are there.
    pub calls: Vec<CallAudit>,
    /// Parts that are sealed; part 0 if it came in one.
    pub sealed_parts: Vec<u32>,
    /// The place of its latest event among its own.
    pub last_event: u32,
}

impl State {
    /// Every organisation's slots, by name.
    pub fn audit_slots(&self) -> Vec<SlotsAudit> {
        let slots = self.org_names.values().map(|ix| {
            let org = self.org(*ix);
            let (limit, external) = (org.settings.limit, org.external.in_use());
            SlotsAudit { id: org.id.clone(), limit, external, leases: self.audit_leases(org) }
        });
        slots.collect()
    }

    /// The books of the request that a call is one of.
    pub fn audit_books(&self, call: CallId) -> Option<BooksAudit> {
        let request = &self.requests[*self.by_hash.get(&call.request_hash())?];
        let (calls, recounted) = audit_calls(request);
        let sealed = request.parts.iter().filter(|(_, part)| part.sealed).map(|(index, _)| *index);
        Some(BooksAudit {
            first_call: request.first_call,
            status: request.status(self.now),
            total: request.total,
            counts: request.counts,
            recounted,
            calls,
            sealed_parts: sealed.collect(),
            last_event: request.events.last_seq,
        })
    }

    /// The proof of whoever holds a call; none if nobody does.
    pub fn audit_token(&self, call: CallId) -> Option<Token> {
        self.call(self.place(call)?).live().map(|live| live.token)
    }

    /// Until when the lease of an attempt's callee is believed; none if it holds none.
    pub fn audit_expiry(&self, attempt: AttemptId) -> Option<Timestamp> {
        let (ix, _) = self.place(attempt.call)?;
        let lease = self.org(self.requests[ix].org).leases.get(&LegId::callee(attempt))?;
        Some(lease.expires)
    }

    fn audit_leases(&self, org: &Org) -> Vec<LeaseAudit> {
        let lease = |(leg, lease): (&LegId, &Lease)| LeaseAudit {
            leg: *leg,
            request: self.requests[lease.place.0].header.id.clone(),
            index: lease.place.1,
            worker: lease.worker.clone(),
            token: lease.token,
            expires: lease.expires,
        };
        org.leases.iter().map(lease).collect()
    }

    pub fn audit(&self) -> Audit {
        let organisations = self.org_names.values().map(|ix| {
            let org = self.org(*ix);
            let mut requests: Vec<RequestAudit> = org.requests.iter().map(|ix| self.audit_request(*ix)).collect();
            requests.sort_by(|one, other| one.id.cmp(&other.id));
            OrganisationAudit {
                id: org.id.clone(),
                limit: org.settings.limit,
                external: org.external.in_use(),
                leases: self.audit_leases(org),
                waiting: org.line.iter().map(|waiter| waiter.leg).collect(),
                requests,
                changes: (org.changes.last, org.changes.unconfirmed.len()),
            }
        });
        Audit { at: self.now, organisations: organisations.collect() }
    }

    fn audit_request(&self, ix: ReqIx) -> RequestAudit {
        let request = &self.requests[ix];
        let (calls, recounted) = audit_calls(request);
        RequestAudit {
            id: request.header.id.clone(),
            summary: request.summary(self.now),
            recounted,
            calls,
            unconfirmed: u32::try_from(request.events.unconfirmed.len()).unwrap_or(u32::MAX),
            ended: request.ended_at.is_some(),
        }
    }
}

/// A request's calls, and how many of them are how far.
fn audit_calls(request: &Request) -> (Vec<CallAudit>, Counts) {
    let mut recounted = Counts::default();
    let calls = (0..).zip(&request.calls).map(|(index, call)| {
        let status = request.call_status(call);
        *recounted.of_mut(status) += 1;
        let (facts, events) = match &call.body {
            Body::Live(live) => (u32::try_from(live.facts.len()).unwrap_or(u32::MAX), live.events),
            Body::Rest(packed) => (packed.head().facts, packed.head().events),
        };
        let live = call.live();
        CallAudit {
            index,
            status,
            stage: live.map(|live| live.stage),
            token: live.map(|live| live.token),
            claim: call.claim,
            dials: call.dials,
            facts,
            events,
            confirmed: call.confirmed,
        }
    });
    (calls.collect(), recounted)
}
