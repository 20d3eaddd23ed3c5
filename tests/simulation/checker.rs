//! Watches every step of a simulation and says which promise was broken first.
//!
//! It reads three things only: the network's own log of INVITEs, the events that the bus confirmed, and the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use robocall::adapters::memory::{Audit, MemoryStore, OrganisationAudit, RequestAudit};
use robocall::adapters::simulator::Invite;
use robocall::model::happening::events_in;
use robocall::model::{
    AttemptId, CallId, CallStatus, Event, EventType, Fact, Happening, LegId, LegRole, OrganisationId, RequestStatus,
    Timestamp,
};
use robocall::ports::Clock;
use robocall::ports::queue::Verdict;
use robocall::ports::store::{CampaignStore, Held, RequestKey};

use crate::scenario::Summary;

/// How long after its commitment an INVITE may follow.
const COMMITMENT: Duration = Duration::from_secs(1);

pub struct Checker {
    clock: Arc<dyn Clock>,
    store: Arc<MemoryStore>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    violations: Vec<String>,
    invites: BTreeMap<LegId, Timestamp>,
    commitments: BTreeMap<AttemptId, (Held, Timestamp)>,
    /// Events of calls: by call, by seq.
    events: BTreeMap<CallId, BTreeMap<u32, (String, EventType)>>,
    request_events: BTreeMap<RequestKey, BTreeMap<u32, EventType>>,
    finals: BTreeMap<CallId, CallStatus>,
    /// A hash of all that was seen, in order.
    trace: u64,
}

impl Seen {
    fn trace(&mut self, line: &str) {
        // FNV-1a: enough to tell two histories apart.
        self.trace =
            line.bytes().fold(self.trace, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    }
}

impl Checker {
    pub fn new(clock: Arc<dyn Clock>, store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self { clock, store, seen: Mutex::default() })
    }

    /// The first promise that was broken.
    pub fn violation(&self) -> Option<String> {
        self.seen.lock().unwrap().violations.first().cloned()
    }

    fn broken(&self, what: String) {
        let at = self.clock.now();
        self.seen.lock().unwrap().violations.push(format!("{at} {what}"));
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(what());
        }
    }

    /// A dial was committed to.
    pub fn committed(&self, held: &Held, at: Timestamp) {
        let before = self.seen.lock().unwrap().commitments.insert(held.attempt, (held.clone(), at));
        if let Some((_, first)) = before {
            self.expect(first == at, || format!("I1: {} was committed to at {first} and again at {at}", held.attempt));
            return;
        }
        let history = self.history(held);
        let dials = history.iter().filter(|fact| matches!(fact.what, Happening::Dialing { .. })).count();
        let retries = history.iter().filter(|fact| matches!(fact.what, Happening::RetryScheduled { .. })).count();
        self.expect(dials == retries + 1, || {
            format!("I1: {} dialled although the attempt before it has no recorded, retryable end", held.attempt)
        });
        let audit = self.store.audit();
        self.check_limit(&audit, &held.organisation, "I3: at the dial of", held.attempt);
        let request = find(&audit, &held.organisation)
            .and_then(|found| found.requests.iter().find(|request| request.id == held.request));
        let may_dial = |request: &RequestAudit| request.summary.status == RequestStatus::OnProgress;
        self.expect(request.is_some_and(may_dial), || {
            format!("I7: {} dialled although its request is paused, cancelled or over", held.attempt)
        });
    }

    /// Whether a call is held under another token than this one.
    pub fn is_stale(&self, held: &Held) -> bool {
        let audit = self.store.audit();
        let request = find(&audit, &held.organisation)
            .and_then(|found| found.requests.iter().find(|request| request.id == held.request));
        let index = held.attempt.call.index();
        let call = request.and_then(|request| request.calls.iter().find(|call| call.index == index));
        call.and_then(|call| call.token).is_some_and(|token| token != held.token)
    }

    /// The store let somebody act on a call that is another's.
    pub fn let_through(&self, held: &Held, what: &str) {
        self.broken(format!("I7: {what} of {} was accepted under a token that is not its owner's", held.attempt));
    }

    /// A slot for a second leg was granted.
    pub fn slot_granted(&self, held: &Held, leg: LegId) {
        let audit = self.store.audit();
        self.check_limit(&audit, &held.organisation, "I3: at the slot of", leg);
    }

    fn check_limit(&self, audit: &Audit, organisation: &OrganisationId, what: &str, whom: impl std::fmt::Display) {
        let Some(found) = find(audit, organisation) else {
            return self.broken(format!("{what} {whom}: no such organisation"));
        };
        let leases = found.leases.len() as u64;
        self.expect(leases + u64::from(found.external) <= u64::from(found.limit), || {
            format!(
                "{what} {whom}: {leases} leases and {} elsewhere exceed the limit of {}",
                found.external, found.limit
            )
        });
    }

    /// The network saw an INVITE.
    pub fn invited(&self, invite: &Invite) {
        let leg = invite.leg;
        self.seen.lock().unwrap().trace(&format!("{} {leg}", invite.at));
        let before = self.seen.lock().unwrap().invites.insert(leg, invite.at);
        self.expect(before.is_none(), || format!("I1: {leg} was dialled twice"));
        if leg.role != LegRole::Callee {
            return;
        }
        let commitment = self.seen.lock().unwrap().commitments.get(&leg.attempt).cloned();
        let Some((held, at)) = commitment else {
            return self.broken(format!("I1: {leg} was dialled without a commitment"));
        };
        self.expect(invite.at.since(at) <= COMMITMENT, || {
            format!("I7: {leg} was dialled {:?} after its commitment", invite.at.since(at))
        });
        let history = self.history(&held);
        let since = history.iter().rposition(|fact| matches!(fact.what, Happening::Dialing { .. })).unwrap_or(0);
        let mine = matches!(history.get(since).map(|fact| &fact.what), Some(Happening::Dialing { claim, .. }) if *claim == leg.attempt.claim);
        let untouched = history[since..]
            .iter()
            .all(|fact| !matches!(fact.what, Happening::Adopted { .. }) && !fact.what.ends_attempt());
        self.expect(mine && untouched, || format!("I7: {leg} was dialled by a worker that is fenced"));
    }

    fn history(&self, held: &Held) -> Vec<Fact> {
        let key = RequestKey { organisation: held.organisation.clone(), request: held.request.clone() };
        // The store in memory answers at once.
        let page = self.store.calls(&key, held.attempt.call.index(), 1).now_or_never();
        page.and_then(Result::ok).and_then(|mut calls| calls.pop()).map(|call| call.history).unwrap_or_default()
    }

    /// The bus confirmed an event.
    pub fn published(&self, event: &Event) {
        // Rendering must work for every event there is.
        let rendered = serde_json::to_value(event);
        self.expect(rendered.is_ok(), || format!("an event cannot be rendered: {}", event.id()));
        let mut seen = self.seen.lock().unwrap();
        seen.trace(&format!("{} {}", event.at(), event.id()));
        let mut violations = Vec::new();
        match event.call() {
            Some(call) => {
                let known = seen.events.entry(call).or_default();
                let next = known.last_key_value().map_or(1, |(seq, _)| seq + 1);
                match known.get(&event.seq()) {
                    Some((id, kind)) if *id == event.id() && *kind == event.kind() => {}
                    Some((id, kind)) => violations.push(format!(
                        "I8: {id} ({kind:?}) came again as {} ({:?})",
                        event.id(),
                        event.kind()
                    )),
                    None if event.seq() == next => {
                        known.insert(next, (event.id(), event.kind()));
                    }
                    None => violations.push(format!("I8: {call} published event {} before event {next}", event.seq())),
                }
            }
            None => {
                let key = RequestKey { organisation: event.organisation().clone(), request: event.request().clone() };
                let before = seen.request_events.entry(key.clone()).or_default().insert(event.seq(), event.kind());
                if before.is_some_and(|kind| kind != event.kind()) {
                    violations.push(format!("I8: event {} of {key:?} came again as {:?}", event.seq(), event.kind()));
                }
            }
        }
        drop(seen);
        for violation in violations {
            self.broken(violation);
        }
    }

    /// A delivery was acknowledged.
    pub fn acknowledged(&self, organisation: &OrganisationId, verdict: &Verdict) {
        let (Verdict::Accepted(summary) | Verdict::Rejected(summary)) = verdict;
        let key = RequestKey { organisation: organisation.clone(), request: summary.request_id.clone() };
        let known = self.store.request(&key).now_or_never().and_then(Result::ok);
        self.expect(
            known.is_some_and(|known| matches!(verdict, Verdict::Rejected(_)) || known.queued_at.is_some()),
            || format!("I9: {key:?} was acknowledged but is neither sealed nor rejected"),
        );
    }

    /// Checks what must hold after every step.
    pub fn inspect_store(&self) {
        let audit = self.store.audit();
        for organisation in &audit.organisations {
            let leased: BTreeSet<LegId> = organisation.leases.iter().map(|lease| lease.leg).collect();
            let mut held = BTreeSet::new();
            for request in &organisation.requests {
                let first = CallId::new(&organisation.id, &request.id, 0);
                for call in &request.calls {
                    let id = first.sibling(call.index);
                    if call.stage.is_some() {
                        held.insert(LegId::callee(AttemptId { call: id, claim: call.claim }));
                    }
                    self.check_final(id, call.status);
                }
                if !request.calls.is_empty() {
                    let shown = &request.summary;
                    self.expect(shown.counts == request.recounted, || {
                        format!("I2: {} counts {:?}, there are {:?}", request.id, shown.counts, request.recounted)
                    });
                    self.expect(shown.counts.total() == shown.total, || {
                        format!("I2: {} does not add up: {shown:?}", request.id)
                    });
                }
            }
            let callees: BTreeSet<LegId> = leased.iter().copied().filter(|leg| leg.role == LegRole::Callee).collect();
            self.expect(callees == held, || {
                format!("I4: leases {callees:?} are not the calls that are claimed or live {held:?}")
            });
            for leg in leased.iter().filter(|leg| leg.role != LegRole::Callee) {
                self.expect(held.contains(&LegId::callee(leg.attempt)), || {
                    format!("I4: {leg} holds a slot, its call has ended")
                });
            }
        }
    }

    fn check_final(&self, call: CallId, status: CallStatus) {
        let mut seen = self.seen.lock().unwrap();
        let before = seen.finals.get(&call).copied();
        if status.is_final() {
            seen.finals.insert(call, status);
        }
        drop(seen);
        self.expect(before.is_none_or(|before| before == status), || {
            format!("I2: {call} was {before:?} for good and is {status:?} now")
        });
    }

    /// Whether nothing is under way any more, unconfirmed events included.
    pub fn is_quiet(&self) -> bool {
        let audit = self.store.audit();
        audit.organisations.iter().all(|organisation| {
            organisation.leases.is_empty()
                && organisation.requests.iter().all(|request| {
                    request.unconfirmed == 0
                        && request.calls.iter().all(|call| call.stage.is_none() && call.confirmed == call.events)
                })
        })
    }

    /// Checks what must hold when everything is at rest.
    pub fn check_rest(&self, requests: &[RequestKey]) {
        for key in requests {
            let Some(Ok(snapshot)) = self.store.request(key).now_or_never() else {
                self.broken(format!("I9: {key:?} is gone"));
                continue;
            };
            let total = snapshot.summary.total;
            let calls = self.store.calls(key, 0, u32::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
            self.expect(calls.len() == total as usize, || format!("I2: {key:?} has {} calls of {total}", calls.len()));
            for (index, call) in calls.iter().enumerate() {
                let id = CallId::new(&key.organisation, &key.request, index as u32);
                self.expect(call.status.is_final(), || format!("I2: {id} is at rest as {:?}", call.status));
                self.check_events(id, &call.history, call.status);
            }
        }
    }

    fn check_events(&self, call: CallId, history: &[Fact], status: CallStatus) {
        let seen = self.seen.lock().unwrap();
        let events = seen.events.get(&call).cloned().unwrap_or_default();
        drop(seen);
        let expected = events_in(history);
        self.expect(events.len() as u32 == expected, || {
            format!("I8: {call} had {expected} events, {} were confirmed", events.len())
        });
        let ended = events.values().filter(|(_, kind)| *kind == EventType::CallEnded).count();
        let in_bulk = history.is_empty()
            || matches!(history.last().map(|fact| &fact.what), Some(Happening::RetryScheduled { .. }));
        self.expect(ended == usize::from(!in_bulk), || {
            format!("I8: {call} ({status:?}) published call.ended {ended} times")
        });
        let dials = history.iter().filter(|fact| matches!(fact.what, Happening::Dialing { .. })).count();
        let ends = history.iter().filter(|fact| fact.what.ends_attempt()).count();
        self.expect(dials <= ends, || format!("I2: {call} was dialled {dials} times and ended {ends} times"));
    }

    /// What the world looks like, for a report.
    pub fn describe(&self) -> String {
        format!("{:?}", self.store.audit())
    }

    /// Adds up what the seed amounted to.
    pub fn sum_up(&self, summary: &mut Summary) {
        let seen = self.seen.lock().unwrap();
        summary.destinations = seen.finals.len();
        summary.trace = seen.trace;
        summary.invites = seen.invites.len();
        summary.unknown = seen.finals.values().filter(|status| **status == CallStatus::Unknown).count();
    }
}

fn find<'a>(audit: &'a Audit, organisation: &OrganisationId) -> Option<&'a OrganisationAudit> {
    audit.organisations.iter().find(|found| found.id == *organisation)
}
