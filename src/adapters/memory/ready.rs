//! Who can be claimed from: kept up to date after everything that may change it, so that a claim never searches.

use std::time::Duration;

use super::request::{Life, Over};
use super::slab::{OrgIx, ReqIx};
use super::state::{Deadline, State, Timer};
use crate::model::event::RequestEvent;
use crate::model::{CallStatus, EventType, Timestamp};

impl State {
    /// Looks again at a request, and at its organisation if that may have changed something for it.
    pub fn refresh_request(&mut self, ix: ReqIx) {
        let request = &mut self.requests[ix];
        let (claimable, next) = request.outlook(self.now);
        let org = &mut self.orgs[request.org.0 as usize];
        let priority = request.header.priority;
        match (claimable, request.turn) {
            (true, None) => {
                request.served = org.turns.start(priority, request.served);
                let order = org.settings.request_order;
                request.turn = Some(org.turns.enter(ix, priority, order, request.served, request.seal_order));
            }
            (false, Some(key)) => {
                org.turns.leave(ix, priority, key);
                request.turn = None;
            }
            _ => {}
        }
        let before = std::mem::replace(&mut request.timer, next);
        self.set_timer(Timer::Request(ix), before, next);
    }

    /// Looks again at an organisation.
    pub fn refresh_org(&mut self, ix: OrgIx) {
        let now = self.now;
        let free = self.free(ix);
        let org = &mut self.orgs[ix.0 as usize];
        org.prune_line(now);
        let has_work = !org.turns.is_empty();
        let room = free.saturating_sub(org.waiting());
        let ready = has_work && room > 0 && org.allowance(now) > 0;
        if ready {
            self.freed |= self.ring.enter(ix, &mut org.share);
        } else {
            self.ring.leave(ix, &mut org.share);
        }
        let next = if !has_work || ready {
            None
        } else if room == 0 {
            // Only a waiter's end frees a slot by itself, and only if nobody else has it.
            org.line.iter().map(|waiter| waiter.until).min().filter(|_| free > 0)
        } else {
            org.rate_allows_at()
        };
        let before = std::mem::replace(&mut org.timer, next);
        self.set_timer(Timer::Organisation(ix), before, next);
    }

    pub fn refresh(&mut self, ix: ReqIx) {
        self.refresh_request(ix);
        self.refresh_org(self.requests[ix].org);
    }

    /// Slots that nobody holds.
    pub fn free(&self, ix: OrgIx) -> u32 {
        self.org(ix).free(self.leased(ix))
    }

    /// Slots that our legs hold.
    pub fn leased(&self, ix: OrgIx) -> u32 {
        #[cfg(feature = "sabotage")]
        let only_unexpired_at = self.sabotage.free_expired_leases.then_some(self.now);
        #[cfg(not(feature = "sabotage"))]
        let only_unexpired_at = None;
        self.org(ix).leased(only_unexpired_at)
    }

    fn set_timer(&mut self, timer: Timer, before: Option<Timestamp>, next: Option<Timestamp>) {
        if before == next {
            return;
        }
        if let Some(before) = before {
            self.timers.remove(&(before, timer));
        }
        if let Some(next) = next {
            self.timers.insert((next, timer));
            // Whoever sleeps until the instant that was the first before would sleep too long.
            self.woke |= self.timers.first().is_some_and(|first| *first == (next, timer));
        }
    }

    /// Looks again at whatever may have become ready by itself.
    pub fn run_timers(&mut self) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > self.now {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Organisation(ix) => {
                    self.org_mut(ix).timer = None;
                    self.refresh_org(ix);
                }
                Timer::Request(ix) => {
                    self.requests[ix].timer = None;
                    self.refresh(ix);
                }
            }
        }
    }

    /// Puts a request at the place among the others that what it was given now asks for.
    pub fn requeue(&mut self, ix: ReqIx) {
        let request = &mut self.requests[ix];
        let org = &mut self.orgs[request.org.0 as usize];
        if let Some(key) = request.turn.take() {
            let (priority, order) = (request.header.priority, org.settings.request_order);
            org.turns.leave(ix, priority, key);
            request.turn = Some(org.turns.enter(ix, priority, order, request.served, request.seal_order));
        }
    }

    /// Ends all that waits in a request; what is held goes on. Answers the event if that puts it at rest.
    pub fn end_waiting(&mut self, ix: ReqIx, over: Over) -> Option<RequestEvent> {
        if matches!(self.requests[ix].life, Life::Loading { .. }) {
            self.assemble(ix);
        }
        let request = &mut self.requests[ix];
        request.over = Some(over);
        let mut held = (0, 0);
        for index in &request.held {
            match request.calls[*index as usize].status {
                CallStatus::Queued => held.0 += 1,
                CallStatus::RetryScheduled => held.1 += 1,
                _ => {}
            }
        }
        let counts = &mut request.counts;
        let waiting = counts.queued.saturating_sub(held.0) + counts.retry_scheduled.saturating_sub(held.1);
        (counts.queued, counts.retry_scheduled) = held;
        *counts.of_mut(over.status()) += waiting;
        for lane in &mut request.lanes {
            lane.clear();
        }
        self.refresh(ix);
        self.check_rest(ix)
    }

    /// Ends a request if none of its calls can change any more.
    pub fn check_rest(&mut self, ix: ReqIx) -> Option<RequestEvent> {
        let request = &mut self.requests[ix];
        let counts = &request.counts;
        let open = counts.queued + counts.on_progress + counts.retry_scheduled;
        if open > 0 || request.ended_at.is_some() || request.life != Life::Complete {
            return None;
        }
        let kind = match request.over {
            Some(Over::Cancelled) => EventType::RequestCancelled,
            Some(Over::Incomplete) => EventType::RequestExpired,
            Some(Over::Expired) if !request.started => EventType::RequestExpired,
            Some(Over::Expired) | None => EventType::RequestCompleted,
        };
        request.ended_at = Some(self.now);
        self.refresh_request(ix);
        self.keep_for_retention(ix);
        Some(self.emit(ix, kind))
    }

    /// Has an ended request dropped when its organisation's retention is over.
    pub fn keep_for_retention(&mut self, ix: ReqIx) {
        let request = &mut self.requests[ix];
        let Some(ended) = request.ended_at else { return };
        let retention = self.orgs[request.org.0 as usize].settings.retention_secs;
        let at = ended + Duration::from_secs(retention);
        if let Some(before) = request.kept_until.replace(at) {
            self.deadlines.remove(&(before, Deadline::Retention, ix));
        }
        self.deadlines.insert((at, Deadline::Retention, ix));
    }
}
