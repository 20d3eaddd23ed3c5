//! I5: whoever has due work, a free slot and rate is served within a second by a worker with room; after a crash
//! within one time to live.

use std::collections::BTreeMap;
use std::time::Duration;

use robocall::adapters::memory::SlotsAudit;
use robocall::model::{CallStatus, Happening, LegRole, OrganisationId, RequestStatus, Timestamp, WorkerId};
use robocall::ports::store::RequestKey;

use super::{Checker, terms};

const SERVED_WITHIN: Duration = Duration::from_secs(1);
const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How often is looked, if nobody waits.
const GRAIN: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Service {
    /// Since when organisations have been waiting that could be served.
    waiting: BTreeMap<OrganisationId, Timestamp>,
    looked_at: Timestamp,
}

impl Checker {
    /// Before a step changes anything: whoever could be served has not waited for too long.
    pub fn before_step(&self) {
        let now = self.now();
        let overdue = |since: &Timestamp| now.since(*since) > SERVED_WITHIN;
        if self.seen.lock().unwrap().service.waiting.values().any(overdue) {
            self.look(now);
        }
    }

    pub(super) fn look_at_service(&self) {
        let now = self.now();
        let seen = self.seen.lock().unwrap();
        // Whoever waits may be served in any step of this moment, and no other may follow for a long time.
        let is_due = now.since(seen.service.looked_at) >= GRAIN || !seen.service.waiting.is_empty();
        drop(seen);
        if is_due {
            self.look(now);
        }
    }

    fn look(&self, now: Timestamp) {
        let calm = self.crew.calm_since().is_some_and(|calm| calm + TIME_TO_LIVE <= now);
        let mut seen = self.seen.lock().unwrap();
        seen.service.looked_at = now;
        if !calm {
            return seen.service.waiting.clear();
        }
        let waiting: Vec<RequestKey> = seen.books.waiting.iter().cloned().collect();
        drop(seen);
        if waiting.is_empty() {
            return self.seen.lock().unwrap().service.waiting.clear();
        }
        let slots = self.store.audit_slots();
        let room = self.has_room(&slots);
        for slots in &slots {
            let could = room
                && u64::from(slots.limit) > u64::from(slots.external) + slots.leases.len() as u64
                && self.has_rate(slots, now)
                && waiting.iter().any(|key| key.organisation == slots.id && self.has_due_work(key, now));
            self.note(&slots.id, could, now);
        }
    }

    fn note(&self, organisation: &OrganisationId, could_be_served: bool, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap();
        if !could_be_served {
            seen.service.waiting.remove(organisation);
            return;
        }
        let since = *seen.service.waiting.entry(organisation.clone()).or_insert(now);
        *seen.tally.entry("organisations seen waiting to be served").or_default() += 1;
        drop(seen);
        self.expect(now.since(since) <= SERVED_WITHIN, || {
            format!("I5: {organisation} has had due work, a free slot and rate since {since}, and nobody serves it")
        });
    }

    fn has_room(&self, slots: &[SlotsAudit]) -> bool {
        let mut held: BTreeMap<&WorkerId, usize> = BTreeMap::new();
        for lease in slots.iter().flat_map(|slots| &slots.leases).filter(|lease| lease.leg.role == LegRole::Callee) {
            *held.entry(&lease.worker).or_default() += 1;
        }
        self.crew.capacities().iter().any(|(id, capacity)| held.get(id).copied().unwrap_or(0) < *capacity)
    }

    /// Whether the rate allows another dial for sure: nobody was dialled within the last second or is about to be.
    fn has_rate(&self, slots: &SlotsAudit, now: Timestamp) -> bool {
        let seen = self.seen.lock().unwrap();
        let Some(pace) = seen.dials.rates.get(&slots.id).filter(|pace| pace.per_second.is_some()) else { return true };
        let rested = pace.latest.back().is_none_or(|last| now.since(*last) >= Duration::from_secs(1));
        let callees = slots.leases.iter().filter(|lease| lease.leg.role == LegRole::Callee);
        let all_dialled = callees.into_iter().all(|lease| seen.dials.commitments.contains_key(&lease.leg.attempt));
        rested && all_dialled
    }

    fn has_due_work(&self, key: &RequestKey, now: Timestamp) -> bool {
        let (Some(books), Some(header)) = (self.books(key), self.header(key)) else { return false };
        let open =
            matches!(books.status, RequestStatus::Submitted | RequestStatus::Scheduled | RequestStatus::OnProgress);
        if !open {
            return false;
        }
        let resting = books.calls.iter().filter(|call| call.stage.is_none());
        let waiting = resting.filter(|call| matches!(call.status, CallStatus::Queued | CallStatus::RetryScheduled));
        waiting.into_iter().any(|call| {
            let Some(shown) = self.call(key, books.first_call.sibling(call.index)) else { return false };
            let due = match shown.history.last().map(|fact| &fact.what) {
                Some(Happening::RetryScheduled { due, .. }) => *due <= now,
                _ => call.status == CallStatus::Queued,
            };
            due && terms::objection(&header, &shown.destination, now).is_none()
        })
    }
}
