//! One attempt from its dial to its end.

use super::BATCH;
use super::record::{Appended, Body};
use super::slab::Place;
use super::state::State;
use crate::callflow::call::CallState;
use crate::model::event::RequestEvent;
use crate::model::{
    CallStatus, Disposition, DispositionResult, EventType, Fact, Happening, Party, Recording, Timestamp, Via, WorkerId,
};
use crate::ports::store::{AttemptEnd, DialDecision, Finished, Held, NotNow, Stage, Token, Written};

/// What speaks against a dial.
enum Objection {
    /// It is not the time for it.
    Now(NotNow),
    /// The number is on the do-not-call list.
    Blocked,
}

impl State {
    pub fn begin_dial(&mut self, held: &Held, worker: &WorkerId, via: &Via, state: &CallState) -> DialDecision {
        let Some(place) = self.holding(held) else { return self.blocked_before(held) };
        if let Some(live) = self.call(place).live().filter(|live| live.stage == Stage::Dialing) {
            // Asked again: the dial was committed to then, not now.
            let (committed_at, history) = (live.committed_at, live.facts.clone());
            return DialDecision::Dial { committed_at, again: true, history, events: Vec::new() };
        }
        match self.objection(place) {
            Some(Objection::Blocked) => {
                let disposition = Disposition::new(DispositionResult::Blocked, Some(Party::Us));
                let end = Happening::Ended { status: CallStatus::Blocked, disposition, refusal: None };
                let (history, event) = self.end_attempt(place, CallStatus::Blocked, end);
                DialDecision::Blocked(Finished { history, events: event.into_iter().collect(), refill: Vec::new() })
            }
            Some(Objection::Now(why)) => DialDecision::GivenBack { why, events: self.put_back(place) },
            None => self.commit(place, worker, via, state),
        }
    }

    /// Answers whoever commits to a call that this ended as blocked before; all others are fenced.
    fn blocked_before(&self, held: &Held) -> DialDecision {
        let ended = self.place(held.attempt.call).map(|place| self.call(place)).filter(|call| match &call.body {
            Body::Live(_) => false,
            Body::Rest(packed) => call.status == CallStatus::Blocked && Token(packed.head().finished_by) == held.token,
        });
        ended.map_or(DialDecision::Fenced, |call| {
            DialDecision::Blocked(Finished { history: call.history(), ..Finished::default() })
        })
    }

    /// What speaks against dialling a claimed call now.
    fn objection(&mut self, place: Place) -> Option<Objection> {
        let now = self.now;
        let request = &mut self.requests[place.0];
        if !request.is_open(now) {
            return Some(Objection::Now(NotNow::Over));
        }
        if request.paused {
            return Some(Objection::Now(NotNow::Paused));
        }
        let phone = request.calls[place.1 as usize].live().and_then(|live| live.phone);
        let open = request.window_is_open(place.1, now);
        let ix = request.org;
        let leased = self.leased(ix);
        let org = self.org(ix);
        if phone.is_some_and(|phone| org.blocked.contains(&phone)) {
            return Some(Objection::Blocked);
        }
        if !open {
            return Some(Objection::Now(NotNow::Window));
        }
        // The call's own lease is among them.
        if !org.may_keep(leased) {
            return Some(Objection::Now(NotNow::NoSlot));
        }
        (org.rate_allows(now, 1) == 0).then_some(Objection::Now(NotNow::Rate))
    }

    fn commit(&mut self, place: Place, worker: &WorkerId, via: &Via, state: &CallState) -> DialDecision {
        let now = self.now;
        let claim = self.attempt(place).claim;
        let request = &mut self.requests[place.0];
        let call = &mut request.calls[place.1 as usize];
        let before = call.status;
        let Body::Live(live) = &mut call.body else { return DialDecision::Fenced };
        call.dials += 1;
        call.status = CallStatus::OnProgress;
        live.stage = Stage::Dialing;
        live.committed_at = now;
        live.state = Some(state.clone());
        let Via { caller, trunk } = via.clone();
        live.push(now, Happening::Dialing { claim, attempt: call.dials, caller, trunk, worker: worker.clone() });
        let history = live.facts.clone();
        request.recount(before, CallStatus::OnProgress);
        let first = !std::mem::replace(&mut request.started, true);
        let org = &mut self.orgs[request.org.0 as usize];
        org.undialled = org.undialled.saturating_sub(1);
        org.use_rate(now);
        if org.settings.calls_per_second.is_some() {
            let ix = request.org;
            self.refresh_org(ix);
        }
        let events = if first { vec![self.emit(place.0, EventType::RequestStarted)] } else { Vec::new() };
        DialDecision::Dial { committed_at: now, again: false, history, events }
    }

    pub fn checkpoint(&mut self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> Written<()> {
        let Some(place) = self.holding(held) else { return Written::Fenced };
        let live = self.live_mut(place).filter(|live| live.stage == Stage::Dialing);
        let Some(live) = live else { return Written::Fenced };
        match live.append(after, facts) {
            Some(Appended::Now) => {
                live.state = Some(state.clone());
                self.release_legs_but(place, &state.slots());
            }
            // Where the flow stood then is not where it stands now.
            Some(Appended::Before) => {}
            // Whoever does not know the history is not the owner it takes itself for.
            None => return Written::Fenced,
        }
        Written::Done(())
    }

    pub fn finish(
        &mut self,
        held: &Held,
        worker: &WorkerId,
        after: u32,
        facts: &[Fact],
        end: AttemptEnd,
        refill: u32,
    ) -> Written<Finished> {
        let Some(place) = self.holding(held) else { return self.finish_again(held, after, facts) };
        let now = self.now;
        let request = &mut self.requests[place.0];
        let call = &mut request.calls[place.1 as usize];
        let Body::Live(live) = &mut call.body else { return Written::Fenced };
        if live.append(after, facts) != Some(Appended::Now) {
            return Written::Fenced;
        }
        let dialled = live.stage == Stage::Dialing;
        let in_time = |due: Timestamp| request.header.expires_at.is_none_or(|expiry| now < expiry && due < expiry);
        let retry_at = end.retry_at.filter(|due| dialled && request.over.is_none() && in_time(*due));
        let (status, last) = match retry_at {
            Some(due) => (CallStatus::RetryScheduled, Happening::RetryScheduled { disposition: end.disposition, due }),
            None => {
                let status = final_status(&end, dialled);
                (status, Happening::Ended { status, disposition: end.disposition, refusal: end.refusal })
            }
        };
        let (history, event) = self.end_attempt(place, status, last);
        let org = self.requests[place.0].org;
        if let Some(kept_at) = end.recording {
            let recording = Recording { attempt: held.attempt, place: kept_at, ended_at: now };
            self.org_mut(org).recordings.insert(held.attempt, recording);
        }
        let refill = if refill > 0 { self.claim_from(org, worker, refill.min(BATCH)) } else { Vec::new() };
        Written::Done(Finished { history, events: event.into_iter().collect(), refill })
    }

    /// Ends a held call's attempt with one last fact: leases, counts, the retry, the request's rest. Each once, for
    /// the callee's lease is let go of once.
    fn end_attempt(&mut self, place: Place, status: CallStatus, last: Happening) -> (Vec<Fact>, Option<RequestEvent>) {
        let now = self.now;
        let (ix, index) = place;
        let retry = match &last {
            Happening::RetryScheduled { due, .. } => Some(*due),
            _ => None,
        };
        let Some(live) = self.live_mut(place) else { return (Vec::new(), None) };
        live.push(now, last);
        let (token, stage) = (live.token, live.stage);
        let released = self.release(place);
        debug_assert!(released, "a held call has its callee's lease");
        let Some(live) = self.lay_down(place, Some(token)) else { return (Vec::new(), None) };
        let request = &mut self.requests[ix];
        if stage == Stage::Claimed {
            let org = &mut self.orgs[request.org.0 as usize];
            org.undialled = org.undialled.saturating_sub(1);
        }
        let before = std::mem::replace(&mut request.calls[index as usize].status, status);
        request.recount(before, status);
        if let Some(due) = retry {
            let lane = request.lane_of(index);
            request.lanes[lane].retries.insert((due, index));
        }
        self.refresh(ix);
        let event = self.check_rest(ix);
        (live.facts, event)
    }

    /// Answers whoever ends an attempt that it has ended before; nothing happens twice. Only the call's latest end is
    /// remembered: who asks after an older one is fenced.
    fn finish_again(&mut self, held: &Held, after: u32, facts: &[Fact]) -> Written<Finished> {
        let Some(place) = self.place(held.attempt.call) else { return Written::Fenced };
        let call = self.call(place);
        let finished_by = match &call.body {
            Body::Live(live) => live.finished_by,
            Body::Rest(packed) => Token(packed.head().finished_by),
        };
        if finished_by != held.token {
            return Written::Fenced;
        }
        #[cfg(feature = "sabotage")]
        if self.sabotage.double_release {
            self.count_twice(place);
        }
        let mut history = self.call(place).history();
        history.truncate((after as usize).saturating_add(facts.len()).saturating_add(1));
        Written::Done(Finished { history, ..Finished::default() })
    }

    /// What happens to counters if nobody asks whether the lease was really let go of.
    #[cfg(feature = "sabotage")]
    fn count_twice(&mut self, place: Place) {
        let request = &mut self.requests[place.0];
        let status = request.calls[place.1 as usize].status;
        request.recount(CallStatus::OnProgress, status);
        let org = request.org;
        self.org_mut(org).overfreed += 1;
        self.refresh_org(org);
        self.woke = true;
    }
}

/// The status of a call whose last attempt ended so. What was refused undialled has failed.
fn final_status(end: &AttemptEnd, dialled: bool) -> CallStatus {
    let refused = !dialled && end.refusal.is_some();
    if refused { CallStatus::Failed } else { CallStatus::after(end.disposition.result) }
}
