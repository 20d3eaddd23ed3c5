//! Destinations on their way to workers, and back undialled.

use super::record::{Body, Live, Origin};
use super::slab::{OrgIx, Place, ReqIx};
use super::state::State;
use super::{BATCH, LEASE_TTL};
use crate::model::event::RequestEvent;
use crate::model::{LegId, WorkerId};
use crate::policy::fairness::{TOGETHER, share};
use crate::ports::store::{Claim, Claims, Held, Stage, Token, Written};

impl State {
    pub fn claim(&mut self, worker: &WorkerId, want: u32) -> Claims {
        self.run_timers();
        let mut claims = Vec::new();
        while want > 0 && claims.is_empty() {
            let turn = self.ring.turn(want.min(TOGETHER));
            if turn.is_empty() {
                break;
            }
            let share = share(want.min(BATCH), turn.len());
            for org in turn {
                claims.extend(self.claim_from(org, worker, share));
            }
        }
        let again_at =
            if self.ring.first().is_some() { Some(self.now) } else { self.timers.first().map(|(at, _)| *at) };
        Claims { claims, again_at }
    }

    /// Claims from one organisation, at its charge.
    pub fn claim_from(&mut self, ix: OrgIx, worker: &WorkerId, want: u32) -> Vec<Claim> {
        let now = self.now;
        self.org_mut(ix).prune_line(now);
        let org = self.org(ix);
        let room = self.free(ix).saturating_sub(org.waiting()).min(org.allowance(now)).min(want);
        let order = org.settings.request_order;
        let mut claims = Vec::new();
        let mut left = room;
        while left > 0 {
            let Some((request, turn)) = self.org(ix).turns.first(order) else { break };
            let taken = self.take_turn(request, worker, turn.min(left), &mut claims);
            if taken == 0 && self.requests[request].turn.is_some() {
                // It had nothing although it was thought to: it must not be asked for ever.
                debug_assert!(false, "a request that can be claimed from has something to claim");
                break;
            }
            left -= taken;
        }
        let taken = room - left;
        let org = &mut self.orgs[ix.0 as usize];
        self.ring.charge(ix, &mut org.share, taken, org.settings.weight);
        self.refresh_org(ix);
        if taken == 0 {
            // Whoever got nothing waits for the next change; else the ring would be asked for ever.
            let org = &mut self.orgs[ix.0 as usize];
            self.ring.leave(ix, &mut org.share);
        }
        claims
    }

    /// One request's turn; how many it gave.
    fn take_turn(&mut self, ix: ReqIx, worker: &WorkerId, most: u32, claims: &mut Vec<Claim>) -> u32 {
        let before = self.requests[ix].served;
        let mut taken = 0;
        while taken < most {
            let Some(claim) = self.take(ix, worker) else { break };
            claims.push(claim);
            taken += 1;
        }
        let request = &mut self.requests[ix];
        request.served = before + u64::from(taken);
        let priority = request.header.priority;
        self.orgs[request.org.0 as usize].turns.advance(priority, before);
        self.requeue(ix);
        self.refresh_request(ix);
        taken
    }

    /// Claims the next destination of a request.
    fn take(&mut self, ix: ReqIx, worker: &WorkerId) -> Option<Claim> {
        let now = self.now;
        let token = self.next_token();
        let request = &mut self.requests[ix];
        if request.paused || !request.is_open(now) || request.waits_for_schedule(now) {
            return None;
        }
        let pick = request.pick(now)?;
        let index = pick.index;
        let (destination, length) = request.destination(index);
        let lane = &mut request.lanes[pick.lane];
        match pick.origin {
            Origin::Fresh => lane.take_fresh(index, length, &request.chunks),
            Origin::Retry { due } => {
                lane.retries.remove(&(due, index));
            }
        }
        let call = &mut request.calls[index as usize];
        let (history, head) = match &call.body {
            Body::Rest(packed) => (packed.facts(), packed.head()),
            // Nothing that is held is in a lane.
            Body::Live(_) => return None,
        };
        if call.confirmed < head.events && self.outbox.remove(&(head.last_at, ix, index)) {
            request.unconfirmed_calls = request.unconfirmed_calls.saturating_sub(1);
        }
        call.claim += 1;
        call.body = Body::Live(Box::new(Live {
            stage: Stage::Claimed,
            token,
            worker: worker.clone(),
            adopted_from: None,
            origin: pick.origin,
            finished_by: Token(head.finished_by),
            facts: history.clone(),
            events: head.events,
            state: None,
            committed_at: now,
            phone: destination.number.phone(),
        }));
        request.held.insert(index);
        let header = std::sync::Arc::clone(&request.header);
        let queued_at = request.sealed_at.unwrap_or(now);
        let place = (ix, index);
        let held = self.held(place, token);
        self.lease(place, LegId::callee(held.attempt), worker, token);
        let org = self.requests[ix].org;
        self.org_mut(org).undialled += 1;
        let confirmed = self.call(place).confirmed;
        Some(Claim { held, header, destination, queued_at, history, confirmed })
    }

    /// Gives a leg a slot for one time to live.
    pub fn lease(&mut self, place: Place, leg: LegId, worker: &WorkerId, token: Token) {
        let expires = self.now + LEASE_TTL;
        if leg.role == crate::model::LegRole::Callee {
            self.expiries.insert((expires, place.0, place.1));
        }
        let org = self.requests[place.0].org;
        let lease = super::org::Lease { place, worker: worker.clone(), token, expires };
        self.org_mut(org).leases.insert(leg, lease);
    }

    pub fn give_back(&mut self, held: &Held) -> Written<Vec<RequestEvent>> {
        if let Some(place) = self.holding(held) {
            if self.call(place).live().is_some_and(|live| live.stage == Stage::Dialing) {
                return Written::Fenced;
            }
            return Written::Done(self.put_back(place));
        }
        // Nobody has claimed it since: it was given back before, and the answer was lost.
        let given_back = self.place(held.attempt.call).is_some_and(|place| {
            let call = self.call(place);
            call.live().is_none() && call.claim == held.attempt.claim
        });
        if given_back { Written::Done(Vec::new()) } else { Written::Fenced }
    }

    /// Takes a claimed call back to where it came from, at its owner's charge no longer. Answers what that meant for its
    /// request.
    pub fn put_back(&mut self, place: Place) -> Vec<RequestEvent> {
        let (ix, index) = place;
        self.release(place);
        let Some(live) = self.lay_down(place, None) else { return Vec::new() };
        let request = &mut self.requests[ix];
        let org = &mut self.orgs[request.org.0 as usize];
        org.undialled = org.undialled.saturating_sub(1);
        request.served = request.served.saturating_sub(1).max(org.turns.floor(request.header.priority));
        self.ring.refund(request.org, &mut org.share, org.settings.weight);
        match request.over {
            None => {
                let lane = request.lane_of(index);
                request.lanes[lane].put_back(index, live.origin);
            }
            Some(over) => {
                // What waited has ended meanwhile, and so does this.
                let status = request.calls[index as usize].status;
                request.calls[index as usize].status = over.status();
                request.recount(status, over.status());
            }
        }
        self.requeue(ix);
        self.refresh(ix);
        self.check_rest(ix).into_iter().collect()
    }
}
