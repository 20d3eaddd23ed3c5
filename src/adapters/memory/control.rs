//! Requests as a whole: commands, Status, notes.

use super::org::Org;
use super::request::{Life, Over};
use super::slab::ReqIx;
use super::state::State;
use crate::model::note::{CallNote, CallNotes};
use crate::model::{CallId, EventType, LegId, OrganisationId, RequestId, WorkerId};
use crate::ports::store::{
    COMMANDS_KEPT, CallSnapshot, Control, Controlled, Given, Held, LiveCall, Remembered, RequestKey, RequestSnapshot,
    Stage, StoreError, StoreResult,
};

impl State {
    pub fn control(&mut self, key: &RequestKey, control: Control, given: Option<&Given>) -> StoreResult<Controlled> {
        let ix = self.find_accepted(key)?;
        if self.requests[ix].life != Life::Complete && !self.requests[ix].parts.values().any(|part| part.sealed) {
            // Nothing of it was acknowledged: to its submitter it does not exist yet.
            return Err(StoreError::NotFound);
        }
        if let Some(given) = given
            && let Some(before) = self.given_before(ix, control, given)?
        {
            return Ok(before);
        }
        let found = self.requests[ix].status(self.now);
        if given.and_then(|given| given.expect).is_some_and(|expected| expected != found) {
            return Err(StoreError::Unmet { found });
        }
        let request = &mut self.requests[ix];
        let closed = request.over.is_some() || request.ended_at.is_some();
        let mut events = Vec::new();
        let command = given.map(|given| given.named(control));
        match control {
            Control::Pause if !closed && !request.paused => {
                (request.paused, request.commanded) = (true, command);
                events.push(self.emit(ix, EventType::RequestPaused));
            }
            Control::Resume if !closed && request.paused => {
                (request.paused, request.commanded) = (false, command);
                events.push(self.emit(ix, EventType::RequestResumed));
                self.woke = true;
            }
            Control::Cancel { hang_up } => {
                // Whoever only stopped the dialling before may still want the rest to end.
                request.hang_up |= hang_up;
                if !closed {
                    request.commanded = command;
                    events.extend(self.end_waiting(ix, Over::Cancelled));
                }
            }
            // Asked again, or too late.
            Control::Pause | Control::Resume => {}
        }
        self.refresh(ix);
        let summary = self.requests[ix].summary(self.now);
        let controlled = Controlled { summary, events, live: self.live_owners(ix), again: false };
        if let Some(given) = given {
            self.give(ix, control, given, &controlled);
        }
        Ok(controlled)
    }

    pub fn live_owners(&self, ix: ReqIx) -> Vec<(Held, WorkerId)> {
        self.requests[ix].held.iter().filter_map(|index| self.live_owner((ix, *index))).collect()
    }

    fn live_owner(&self, place: (ReqIx, u32)) -> Option<(Held, WorkerId)> {
        let live = self.call(place).live().filter(|live| live.stage == Stage::Dialing)?;
        Some((self.held(place, live.token), live.worker.clone()))
    }

    pub fn owner(&self, organisation: &OrganisationId, call: CallId) -> Option<(Held, WorkerId)> {
        let place = self.place(call)?;
        if self.requests[place.0].header.organisation != *organisation {
            return None;
        }
        self.live_owner(place)
    }

    pub fn request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId> {
        let header = self.place(call).map(|(ix, _)| &self.requests[ix].header);
        let header = header.filter(|header| header.organisation == *organisation).ok_or(StoreError::NotFound)?;
        Ok(header.id.clone())
    }

    pub fn live_calls(&self, organisation: &OrganisationId, request: Option<&RequestId>) -> Vec<LiveCall> {
        let Some(org) = self.org_names.get(organisation).map(|ix| self.org(*ix)) else { return Vec::new() };
        let wanted = |ix: &&ReqIx| request.is_none_or(|id| self.requests[**ix].header.id == *id);
        let places = org.requests.iter().filter(wanted).flat_map(|ix| {
            let held = self.requests[*ix].held.iter();
            held.map(|index| (*ix, *index))
        });
        let mut found: Vec<LiveCall> = places.filter_map(|place| self.live_call(org, place)).collect();
        found.sort_by(|one, other| {
            let place = |call: &LiveCall| (call.held.request.clone(), call.held.attempt.call.index());
            place(one).cmp(&place(other))
        });
        found
    }

    fn live_call(&self, org: &Org, place: (ReqIx, u32)) -> Option<LiveCall> {
        let live = self.call(place).live()?;
        let held = self.held(place, live.token);
        let renewed_until = org.leases.get(&LegId::callee(held.attempt))?.expires;
        Some(LiveCall {
            held,
            worker: live.worker.clone(),
            stage: live.stage,
            renewed_until,
            destination: self.requests[place.0].destination(place.1).0,
            history: live.facts.clone(),
        })
    }

    pub fn snapshot(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        let ix = self.find(key).ok_or(StoreError::NotFound)?;
        Ok(self.snapshot_of(&self.requests[ix]))
    }

    pub fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        let ix = self.find(key).ok_or(StoreError::NotFound)?;
        let request = &self.requests[ix];
        let calls = (from..=u32::MAX).zip(request.calls.iter().skip(from as usize)).take(limit as usize);
        let snapshot = calls.map(|(index, call)| CallSnapshot {
            destination: request.destination(index).0,
            status: request.call_status(call),
            history: call.history(),
        });
        Ok(snapshot.collect())
    }

    fn noted_on(&self, key: &RequestKey, index: u32) -> StoreResult<ReqIx> {
        let ix = self.find(key).ok_or(StoreError::NotFound)?;
        let is_call = (index as usize) < self.requests[ix].calls.len();
        if is_call { Ok(ix) } else { Err(StoreError::NotFound) }
    }

    pub fn annotate(
        &mut self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes> {
        let ix = self.noted_on(key, index)?;
        if let Some(given) = given {
            let call = self.requests[ix].first_call.sibling(index);
            let id = given.id_of_note();
            match self.remember(&key.organisation, &id, &note.fingerprint(call), COMMANDS_KEPT) {
                // Begun, perhaps, but not noted.
                Remembered::First | Remembered::Again(None) => self.answered(&key.organisation, &id, b"noted"),
                Remembered::Again(Some(_)) => return self.notes(key, index),
                Remembered::Different => return Err(StoreError::IdTaken),
            }
            self.emit_command(ix, given.noting(note, call));
        }
        let notes = self.requests[ix].notes.entry(index).or_default();
        notes.add(note);
        Ok(notes.clone())
    }

    pub fn notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes> {
        let ix = self.noted_on(key, index)?;
        Ok(self.requests[ix].notes.get(&index).cloned().unwrap_or_default())
    }
}
