//! What time alone brings.

use std::time::Duration;

use super::request::Over;
use super::slab::ReqIx;
use super::state::{Deadline, State, Timer};
use crate::model::Timestamp;
use crate::model::event::RequestEvent;

/// How much longer a request is kept whose events are not out when its retention is over.
const UNCONFIRMED_GRACE: Duration = Duration::from_secs(60);

impl State {
    pub fn sweep(&mut self) -> (Vec<RequestEvent>, Option<Timestamp>) {
        let mut events = Vec::new();
        while let Some(&(at, what, ix)) = self.deadlines.first() {
            if at > self.now {
                break;
            }
            self.deadlines.pop_first();
            match what {
                Deadline::Schedule => self.refresh(ix),
                Deadline::Expiry => events.extend(self.expire(ix)),
                Deadline::Parts => events.extend(self.give_up_on_parts(ix)),
                Deadline::Retention => self.retire(ix),
            }
        }
        self.run_timers();
        self.prune_lines();
        (events, self.deadlines.first().map(|(at, ..)| *at))
    }

    fn expire(&mut self, ix: ReqIx) -> Option<RequestEvent> {
        let request = &self.requests[ix];
        if request.over.is_some() || request.ended_at.is_some() {
            return None;
        }
        self.end_waiting(ix, Over::Expired)
    }

    fn retire(&mut self, ix: ReqIx) {
        let request = &mut self.requests[ix];
        if request.unconfirmed_calls > 0 || !request.events.unconfirmed.is_empty() {
            // What nobody has heard of must not be forgotten.
            let later = self.now + UNCONFIRMED_GRACE;
            request.kept_until = Some(later);
            self.deadlines.insert((later, Deadline::Retention, ix));
        } else {
            self.drop_request(ix);
        }
    }

    /// Forgets a request of which nothing is held and nothing unconfirmed.
    pub fn drop_request(&mut self, ix: ReqIx) {
        self.unlist(ix);
        let header = std::sync::Arc::clone(&self.requests[ix].header);
        self.taken_in(&header.organisation, &header.id);
        let request = &self.requests[ix];
        let (hash, org) = (request.first_call.request_hash(), request.org);
        let (turn, timer, priority) = (request.turn, request.timer, request.header.priority);
        let deadlines = [
            request.kept_until.map(|at| (at, Deadline::Retention)),
            request.header.expires_at.map(|at| (at, Deadline::Expiry)),
            request.header.scheduled_at.map(|at| (at, Deadline::Schedule)),
        ];
        if let Some(oldest) = request.events.unconfirmed.front() {
            self.request_outbox.remove(&(oldest.at, ix));
        }
        for (at, what) in deadlines.into_iter().flatten() {
            self.deadlines.remove(&(at, what, ix));
        }
        if let Some(at) = timer {
            self.timers.remove(&(at, Timer::Request(ix)));
        }
        self.by_hash.remove(&hash);
        let org = self.org_mut(org);
        org.requests.remove(&ix);
        if let Some(key) = turn {
            org.turns.leave(ix, priority, key);
        }
        self.dropped.extend(self.requests.remove(ix).map(|request| *request));
    }
}
