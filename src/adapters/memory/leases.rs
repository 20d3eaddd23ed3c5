//! Slots of second legs, and who looks after what: renewing, suspecting, adopting.

use std::time::Duration;

use super::LEASE_TTL;
use super::org::Waiter;
use super::slab::Place;
use super::state::State;
use crate::model::happening::dialled_by;
use crate::model::{Happening, LegId, LegRole, Timestamp, WorkerId};
use crate::ports::store::{Adopted, Claim, Held, ProcessId, Renewed, SlotAnswer, Stage, Suspect, Written};

/// When the leases of a call end that was handed over: long ago, so that it is the first of the suspects.
const HANDED_OVER: Timestamp = Timestamp::from_millis(0);

/// How much later than its longest lawful end a call is surely over: the backend's own clock ends it before.
const SURELY: Duration = Duration::from_secs(60);

impl State {
    pub fn request_slot(&mut self, held: &Held, leg: LegId, until: Timestamp) -> Written<SlotAnswer> {
        let now = self.now;
        let Some(place) = self.dialled(held) else { return Written::Fenced };
        if leg.attempt != held.attempt {
            return Written::Fenced;
        }
        let ix = self.requests[place.0].org;
        self.org_mut(ix).prune_line(now);
        // Who asks again has not dialled yet: what was granted before holds only if the limit still allows it.
        let leased = self.leased(ix);
        let org = self.org_mut(ix);
        if org.leases.contains_key(&leg) {
            if org.may_keep(leased) {
                return Written::Done(SlotAnswer::Granted);
            }
            org.leases.remove(&leg);
        }
        let free = self.free(ix);
        let org = self.org_mut(ix);
        let stands = org.line.iter().position(|waiter| waiter.leg == leg);
        let ahead = stands.unwrap_or(org.line.len());
        if free as usize > ahead {
            if let Some(stands) = stands {
                org.line.remove(stands);
            }
            let Some(live) = self.call(place).live() else { return Written::Fenced };
            let (worker, token) = (live.worker.clone(), live.token);
            self.lease(place, leg, &worker, token);
            self.refresh_org(ix);
            return Written::Done(SlotAnswer::Granted);
        }
        match stands {
            Some(stands) => org.line[stands].until = until,
            None => org.line.push_back(Waiter { leg, place, until }),
        }
        self.refresh_org(ix);
        Written::Done(SlotAnswer::Waiting)
    }

    /// Lets go of the slots and places in line of second legs that a call's flow does not have any more.
    pub fn release_legs_but(&mut self, place: Place, kept: &[LegId]) {
        let attempt = self.attempt(place);
        let ix = self.requests[place.0].org;
        let org = self.org_mut(ix);
        let gone = |leg: &LegId| leg.attempt == attempt && leg.role != LegRole::Callee && !kept.contains(leg);
        let mine = org.leases.range(LegId::callee(attempt)..).map(|(leg, _)| *leg);
        let released: Vec<LegId> = mine.take_while(|leg| leg.attempt == attempt).filter(gone).collect();
        for leg in &released {
            org.leases.remove(leg);
        }
        let before = org.line.len();
        org.line.retain(|waiter| !gone(&waiter.leg));
        if !released.is_empty() || org.line.len() < before {
            self.woke = true;
            self.refresh_org(ix);
        }
    }

    /// Where a call is that is held under this token and was dialled.
    fn dialled(&self, held: &Held) -> Option<Place> {
        let place = self.holding(held)?;
        self.call(place).live().is_some_and(|live| live.stage == Stage::Dialing).then_some(place)
    }

    pub fn renew(&mut self, held: &[Held]) -> Renewed {
        let mut renewed = Renewed::default();
        for held in held {
            let Some(place) = self.holding(held) else {
                renewed.lost.push(held.clone());
                continue;
            };
            self.extend(place);
            if self.requests[place.0].hang_up {
                renewed.hang_up.push(held.clone());
            }
        }
        renewed
    }

    /// Extends every lease of a held call, in the name of its owner.
    fn extend(&mut self, place: Place) {
        self.let_expire_at(place, self.now + LEASE_TTL);
    }

    fn let_expire_at(&mut self, place: Place, expires: Timestamp) {
        let attempt = self.attempt(place);
        let request = &self.requests[place.0];
        let Some(live) = request.calls[place.1 as usize].live() else { return };
        let org = &mut self.orgs[request.org.0 as usize];
        let legs = org.leases.range_mut(LegId::callee(attempt)..).take_while(|(leg, _)| leg.attempt == attempt);
        for (leg, lease) in legs {
            if leg.role == LegRole::Callee {
                self.expiries.remove(&(lease.expires, place.0, place.1));
                self.expiries.insert((expires, place.0, place.1));
            }
            lease.expires = expires;
            lease.token = live.token;
            if lease.worker != live.worker {
                lease.worker = live.worker.clone();
            }
        }
    }

    pub fn hand_over(&mut self, held: &[Held]) {
        for held in held {
            let Some(place) = self.holding(held) else { continue };
            let token = self.next_token();
            let Some(live) = self.live_mut(place) else { continue };
            live.token = token;
            // Whoever asks again for an earlier adoption has given the call up since.
            live.adopted_from = None;
            self.let_expire_at(place, HANDED_OVER);
        }
    }

    pub fn suspects(&self, limit: u32) -> Vec<Suspect> {
        let expired = self.expiries.iter().take_while(|(expires, ..)| *expires <= self.now);
        let suspect = |(expires, ix, index): &(Timestamp, _, u32)| {
            let place = (*ix, *index);
            let live = self.call(place).live()?;
            let header = &self.requests[*ix].header;
            let over_at = match live.stage {
                Stage::Claimed => *expires,
                Stage::Dialing => live.committed_at + header.ring_timeout + header.max_call_duration + SURELY,
            };
            Some(Suspect {
                held: self.held(place, live.token),
                worker: live.worker.clone(),
                app: dialled_by(&live.facts).unwrap_or(&live.worker).clone(),
                stage: live.stage,
                over_at,
                handed_over: *expires == HANDED_OVER,
            })
        };
        expired.filter_map(suspect).take(limit as usize).collect()
    }

    /// Whether a call's owner has not renewed it in time.
    pub fn is_suspect(&self, place: Place) -> bool {
        let org = self.org(self.requests[place.0].org);
        org.leases.get(&LegId::callee(self.attempt(place))).is_some_and(|lease| lease.expires <= self.now)
    }

    pub fn lock_app(&mut self, app: &WorkerId, process: ProcessId) -> bool {
        let now = self.now;
        self.listeners.retain(|_, (_, until)| *until > now);
        if self.listeners.get(app).is_some_and(|(other, _)| *other != process) {
            return false;
        }
        self.listeners.insert(app.clone(), (process, now + LEASE_TTL));
        true
    }

    pub fn unlock_app(&mut self, app: &WorkerId, process: ProcessId) {
        if self.listeners.get(app).is_some_and(|(holder, _)| *holder == process) {
            self.listeners.remove(app);
        }
    }

    /// Takes whoever has not renewed in time out of the lines: free slots do not wait for the dead. An adopter asks
    /// again.
    pub fn prune_lines(&mut self) {
        for number in 0..self.orgs.len() {
            let line = std::mem::take(&mut self.orgs[number].line);
            if line.is_empty() {
                continue;
            }
            let before = line.len();
            let kept: std::collections::VecDeque<Waiter> =
                line.into_iter().filter(|waiter| !self.is_suspect(waiter.place)).collect();
            let pruned = kept.len() < before;
            self.orgs[number].line = kept;
            if pruned {
                self.woke = true;
                self.refresh_org(super::slab::OrgIx(u32::try_from(number).unwrap_or(u32::MAX)));
            }
        }
    }

    pub fn adopt(&mut self, suspect: &Held, adopter: &WorkerId) -> Written<Adopted> {
        let Some(place) = self.place(suspect.attempt.call) else { return Written::Fenced };
        if self.adopted_before(place, suspect, adopter) {
            return self.adopted(place);
        }
        if self.holding(suspect).is_none() || !self.is_suspect(place) {
            return Written::Fenced;
        }
        let (now, token) = (self.now, self.next_token());
        let Some(live) = self.live_mut(place) else { return Written::Fenced };
        live.adopted_from = Some((live.token, adopter.clone()));
        live.token = token;
        live.worker = adopter.clone();
        if live.stage == Stage::Dialing {
            live.push(now, Happening::Adopted { worker: adopter.clone() });
        }
        self.extend(place);
        self.adopted(place)
    }

    /// Whether this very adoption took effect before, and its answer was lost.
    fn adopted_before(&self, place: Place, suspect: &Held, adopter: &WorkerId) -> bool {
        let call = self.call(place);
        call.claim == suspect.attempt.claim
            && call
                .live()
                .and_then(|live| live.adopted_from.as_ref())
                .is_some_and(|(token, worker)| *token == suspect.token && worker == adopter)
    }

    fn adopted(&self, place: Place) -> Written<Adopted> {
        let request = &self.requests[place.0];
        let call = self.call(place);
        let Some(live) = call.live() else { return Written::Fenced };
        let claim = Claim {
            held: self.held(place, live.token),
            header: std::sync::Arc::clone(&request.header),
            destination: request.destination(place.1).0,
            queued_at: request.sealed_at.unwrap_or(self.now),
            history: live.facts.clone(),
            confirmed: call.confirmed,
        };
        Written::Done(Adopted { claim, stage: live.stage, state: live.state.clone(), hang_up: request.hang_up })
    }
}
