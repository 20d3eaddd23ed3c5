//! What must hold when everything is at rest.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use robocall::model::happening::events_in;
use robocall::model::{CallId, CallStatus, EventType, Fact, Happening, RequestStatus, StepStatus};
use robocall::ports::store::{CampaignStore, RequestKey};

use super::Checker;
use super::events::Published;

/// How many destinations a request has when all of it was taken in, and how many were left out.
pub type Expected = Option<(u32, u32)>;

impl Checker {
    /// Whether nothing is under way any more, unconfirmed events included.
    pub fn is_quiet(&self) -> bool {
        let audit = self.store.audit();
        audit.organisations.iter().all(|organisation| {
            organisation.leases.is_empty()
                && organisation.changes.1 == 0
                && organisation.requests.iter().all(|request| {
                    request.unconfirmed == 0
                        && request.calls.iter().all(|call| call.stage.is_none() && call.confirmed == call.events)
                })
        })
    }

    /// Checks what must hold when everything is at rest.
    pub fn check_rest(&self, requests: &[(RequestKey, Expected)]) {
        for (key, expected) in requests {
            let Some(Ok(snapshot)) = self.store.request(key).now_or_never() else {
                self.broken(format!("I9: {key:?} is gone"));
                continue;
            };
            let summary = snapshot.summary;
            if let Some((total, duplicates)) = *expected {
                let all = (summary.total, summary.duplicates) == (total, duplicates);
                // Parts that come after a cancellation are known, and nothing more.
                let cut = summary.status == RequestStatus::Cancelled && summary.total <= total;
                self.expect(all || cut, || {
                    format!("I2: {key:?} should have {total} destinations, {duplicates} left out: {summary:?}")
                });
            }
            let accepted = self.seen.lock().unwrap().events.accepted.contains(key);
            self.expect(!accepted || snapshot.queued_at.is_some(), || {
                format!("I9: {key:?} was acknowledged and is not sealed")
            });
            let total = summary.total;
            let calls = self.store.calls(key, 0, u32::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
            self.expect(calls.len() == total as usize, || format!("I2: {key:?} has {} calls of {total}", calls.len()));
            for (index, call) in calls.iter().enumerate() {
                let id = CallId::new(&key.organisation, &key.request, u32::try_from(index).unwrap());
                self.expect(call.status.is_final(), || format!("I2: {id} is at rest as {:?}", call.status));
                self.check_call(id, &call.history, call.status);
            }
            self.check_request_events(key);
        }
        let live = self.network.live_legs();
        let dialled = live.iter().filter(|(leg, _)| self.seen.lock().unwrap().legs.external.contains(leg)).count();
        self.expect(dialled == 0, || format!("I4: at rest, and the network has {live:?}"));
    }

    /// Whatever a command changed of an organisation itself was told, without gaps.
    pub fn check_changes(&self) {
        for organisation in self.store.audit().organisations {
            let told = self.seen.lock().unwrap().events.changes.get(&organisation.id).cloned().unwrap_or_default();
            let (last, _) = organisation.changes;
            self.expect(told.keys().copied().eq(1..=last), || {
                format!(
                    "I8: of {last} events of {} itself only these were published: {:?}",
                    organisation.id,
                    told.keys()
                )
            });
        }
    }

    fn check_call(&self, call: CallId, history: &[Fact], status: CallStatus) {
        let events = self.seen.lock().unwrap().events.calls.get(&call).cloned().unwrap_or_default();
        let expected = events_in(history);
        self.expect(events.len() as u32 == expected, || {
            format!("I8: {call} had {expected} events, {} were confirmed", events.len())
        });
        let ended = count(&events, EventType::CallEnded);
        let last = history.last().map(|fact| &fact.what);
        let in_bulk = matches!(last, None | Some(Happening::RetryScheduled { .. }));
        self.expect(ended == usize::from(!in_bulk), || {
            format!("I8: {call} ({status:?}) published call.ended {ended} times")
        });
        let dials = history.iter().filter(|fact| matches!(fact.what, Happening::Dialing { .. })).count();
        let ends = history.iter().filter(|fact| fact.what.ends_attempt()).count();
        self.expect(dials <= ends, || format!("I2: {call} was dialled {dials} times and ended {ends} times"));
        if let Some(Happening::Ended { refusal: Some(StepStatus::ErrorDestInvalid), .. }) = last {
            self.expect(dials == 0, || format!("I7: {call} was dialled, and its number is none"));
            self.count("bad numbers that failed alone");
        }
        if status == CallStatus::Blocked {
            self.count("calls blocked");
        }
        let adopted = history.iter().filter(|fact| matches!(fact.what, Happening::Adopted { .. })).count();
        *self.seen.lock().unwrap().tally.entry("adoptions of live calls").or_default() += adopted as u64;
    }

    /// A request's own events came all, and told of its end once.
    fn check_request_events(&self, key: &RequestKey) {
        let seen = self.seen.lock().unwrap();
        let events = seen.events.requests.get(key).cloned().unwrap_or_default();
        let (accepted, rejected) = (seen.events.accepted.contains(key), seen.events.rejected.contains(key));
        drop(seen);
        let last = self.books(key).map_or(0, |books| books.last_event);
        let missing: Vec<u32> = (1..=last).filter(|seq| !events.contains_key(seq)).collect();
        self.expect(missing.is_empty() && events.len() == last as usize, || {
            format!("I8: of {last} events of {key:?} these were never published: {missing:?}")
        });
        let ends = [EventType::RequestCompleted, EventType::RequestCancelled, EventType::RequestExpired];
        let ends: usize = ends.into_iter().map(|kind| count(&events, kind)).sum();
        self.expect(ends == usize::from(accepted), || format!("I8: the end of {key:?} was published {ends} times"));
        let refused = count(&events, EventType::RequestRejected);
        self.expect(!rejected || refused > 0, || format!("I9: nobody was told that {key:?} was rejected"));
    }
}

fn count(events: &BTreeMap<u32, Published>, kind: EventType) -> usize {
    events.values().filter(|event| event.kind == kind).count()
}
