//! I2 and I4: after every step a request's states add up, and every lease is somebody's.

use std::collections::{BTreeMap, BTreeSet};

use robocall::adapters::memory::{BooksAudit, SlotsAudit};
use robocall::model::{AttemptId, CallId, CallStatus, LegId, LegRole, OrganisationId, RequestId};
use robocall::ports::store::RequestKey;

use super::Checker;
use crate::summary::Summary;

/// What a step may have changed.
pub enum Touched {
    Nothing,
    Leases,
    Request(OrganisationId, RequestId),
    Everything,
}

#[derive(Default)]
pub(super) struct Books {
    /// Calls that have ended, and how.
    finals: BTreeMap<CallId, CallStatus>,
    /// Every organisation's slots after the last step that touched one.
    pub slots: Vec<SlotsAudit>,
    /// Requests with destinations that wait.
    pub waiting: BTreeSet<RequestKey>,
}

impl Books {
    pub fn sum_up(&self, summary: &mut Summary) {
        summary.count("destinations", self.finals.len() as u64);
        let unknown = self.finals.values().filter(|status| **status == CallStatus::Unknown).count();
        summary.count("unknown ends", unknown as u64);
    }

    /// Every leg that holds a lease.
    pub fn leases(&self) -> BTreeSet<LegId> {
        self.slots.iter().flat_map(|slots| &slots.leases).map(|lease| lease.leg).collect()
    }
}

impl Checker {
    /// Checks what must hold after every step.
    pub fn after_step(&self, touched: Touched) {
        if !matches!(touched, Touched::Nothing) {
            let slots = self.store.audit_slots();
            match &touched {
                Touched::Nothing | Touched::Leases => {}
                Touched::Request(organisation, request) => {
                    let key = RequestKey { organisation: organisation.clone(), request: request.clone() };
                    self.check_books(&key, &slots);
                }
                Touched::Everything => {
                    let keys = self.seen.lock().unwrap().keys.clone();
                    for key in keys.keys() {
                        self.check_books(key, &slots);
                    }
                    self.check_owners(&keys, &slots);
                }
            }
            self.check_second_legs(&slots);
            self.seen.lock().unwrap().books.slots = slots;
        }
        self.look_at_legs(!matches!(touched, Touched::Nothing));
        self.look_at_drains();
        self.look_at_service();
    }

    fn check_books(&self, key: &RequestKey, slots: &[SlotsAudit]) {
        let Some(books) = self.books(key) else { return };
        let held = self.check_calls(key, &books);
        if !books.calls.is_empty() {
            self.expect(books.counts == books.recounted, || {
                format!("I2: {} counts {:?}, there are {:?}", key.request, books.counts, books.recounted)
            });
            self.expect(books.counts.total() == books.total, || {
                format!("I2: {} does not add up to {}: {:?}", key.request, books.total, books.counts)
            });
        }
        let leases = slots.iter().filter(|slots| slots.id == key.organisation).flat_map(|slots| &slots.leases);
        let mine = leases.filter(|lease| lease.request == key.request && lease.leg.role == LegRole::Callee);
        let callees: BTreeSet<LegId> = mine.map(|lease| lease.leg).collect();
        self.expect(callees == held, || {
            format!("I4: leases {callees:?} are not the calls that are claimed or live {held:?}")
        });
        let waits = !books.status.is_final() && books.counts.queued + books.counts.retry_scheduled > 0;
        let mut seen = self.seen.lock().unwrap();
        if waits {
            seen.books.waiting.insert(key.clone());
        } else {
            seen.books.waiting.remove(key);
        }
    }

    /// Looks at each call of a request; the callees of those that are held.
    fn check_calls(&self, key: &RequestKey, books: &BooksAudit) -> BTreeSet<LegId> {
        let mut held = BTreeSet::new();
        let mut changed = Vec::new();
        let mut seen = self.seen.lock().unwrap();
        for call in &books.calls {
            let id = books.first_call.sibling(call.index);
            if call.stage.is_some() {
                held.insert(LegId::callee(AttemptId { call: id, claim: call.claim }));
            }
            match seen.books.finals.get(&id) {
                Some(before) if *before != call.status => changed.push((id, *before, call.status)),
                Some(_) => {}
                None if call.status.is_final() => drop(seen.books.finals.insert(id, call.status)),
                None => {}
            }
        }
        drop(seen);
        for (id, before, now) in changed {
            self.broken(format!("I2: {id} of {} was {before:?} for good and is {now:?} now", key.request));
        }
        held
    }

    /// No lease is held for a request nobody has heard of.
    fn check_owners(&self, keys: &BTreeMap<RequestKey, CallId>, slots: &[SlotsAudit]) {
        for slots in slots {
            for lease in &slots.leases {
                let key = RequestKey { organisation: slots.id.clone(), request: lease.request.clone() };
                self.expect(keys.contains_key(&key), || format!("I4: {} is leased for {key:?}", lease.leg));
            }
        }
    }

    /// A second leg's lease does not outlive its call's.
    fn check_second_legs(&self, slots: &[SlotsAudit]) {
        for slots in slots {
            for lease in slots.leases.iter().filter(|lease| lease.leg.role != LegRole::Callee) {
                let callee = LegId::callee(lease.leg.attempt);
                self.expect(slots.leases.iter().any(|other| other.leg == callee), || {
                    format!("I4: {} holds a slot, its call has ended", lease.leg)
                });
            }
        }
    }
}
