//! Events that were stored and not confirmed.

use super::record::Body;
use super::slab::{Place, ReqIx};
use super::state::State;
use crate::model::{OrganisationId, Timestamp};
use crate::ports::store::{Confirmation, RequestKey, Subject, Unconfirmed, share_of};

impl State {
    pub fn confirm(&mut self, confirmation: &Confirmation) {
        let Confirmation { organisation, subject, seq } = confirmation;
        match subject {
            Subject::Call(call) => {
                if let Some(place) = self.place(*call) {
                    self.confirm_call(place, *seq);
                }
            }
            Subject::Request(request) => {
                let key = RequestKey { organisation: organisation.clone(), request: request.clone() };
                if let Some(ix) = self.find(&key) {
                    self.confirm_request(ix, *seq);
                }
            }
            Subject::Organisation => self.confirm_change(organisation, *seq),
        }
    }

    fn confirm_call(&mut self, place: Place, seq: u32) {
        let (ix, index) = place;
        let request = &mut self.requests[ix];
        let call = &mut request.calls[index as usize];
        let (events, rests_since) = match &call.body {
            Body::Live(live) => (live.events, None),
            Body::Rest(packed) => {
                let head = packed.head();
                (head.events, Some(head.last_at))
            }
        };
        let before = call.confirmed;
        call.confirmed = before.max(seq.min(events));
        if let Some(last_at) = rests_since
            && before < events
            && call.confirmed == events
        {
            request.unconfirmed_calls = request.unconfirmed_calls.saturating_sub(1);
            self.outbox.remove(&(last_at, ix, index));
        }
    }

    fn confirm_request(&mut self, ix: ReqIx, seq: u32) {
        let unconfirmed = &mut self.requests[ix].events.unconfirmed;
        let Some(oldest) = unconfirmed.front().map(|event| event.at) else { return };
        // Whoever confirms a later event may never have heard of an earlier one.
        unconfirmed.retain(|event| event.seq != seq);
        self.request_outbox.remove(&(oldest, ix));
        self.note_unconfirmed(ix);
    }

    fn confirm_change(&mut self, organisation: &OrganisationId, seq: u32) {
        let Some(ix) = self.org_names.get(organisation).copied() else { return };
        let changes = &mut self.org_mut(ix).changes;
        let Some(oldest) = changes.oldest() else { return };
        changes.unconfirmed.remove(&seq);
        self.change_outbox.remove(&(oldest, ix));
        self.note_unconfirmed_changes(ix);
    }

    /// Requests' events first, so that whoever listens hears of a request before its calls. Organisations' own last: however
    /// many somebody makes, they keep no call's waiting.
    pub fn unconfirmed(&self, before: Timestamp, limit: u32) -> Vec<Unconfirmed> {
        let old = |at: &Timestamp| *at < before;
        let requests = self.request_outbox.iter().take_while(|(at, _)| old(at));
        let events = requests.flat_map(|(_, ix)| self.requests[*ix].events.unconfirmed.iter());
        let events = events.filter(|event| old(&event.at)).map(|event| Unconfirmed::Request(event.clone()));
        let resting = self.outbox.iter().take_while(|(at, ..)| old(at)).map(|(_, ix, index)| (*ix, *index));
        // What a suspect's owner has not published, perhaps nobody will.
        let suspects = self.expiries.iter().take_while(|(expires, ..)| *expires <= self.now);
        let suspects = suspects.map(|(_, ix, index)| (*ix, *index)).filter(|place| {
            let call = self.call(*place);
            call.live().is_some_and(|live| call.confirmed < live.events && old(&live.last_at()))
        });
        let calls = resting.chain(suspects).map(|place| self.unconfirmed_call(place));
        let changed: Vec<_> = self.change_outbox.iter().take_while(|(at, _)| old(at)).collect();
        let share = share_of(limit, changed.len()) as usize;
        let changes = changed.into_iter().flat_map(|(_, ix)| self.org(*ix).changes.unconfirmed.values().take(share));
        let changes = changes.filter(|event| old(&event.at)).map(|event| Unconfirmed::Organisation(event.clone()));
        events.chain(calls).chain(changes).take(limit as usize).collect()
    }

    fn unconfirmed_call(&self, (ix, index): Place) -> Unconfirmed {
        let request = &self.requests[ix];
        let call = self.call((ix, index));
        Unconfirmed::Call {
            header: std::sync::Arc::clone(&request.header),
            destination: request.destination(index).0,
            queued_at: request.sealed_at.unwrap_or(self.now),
            history: call.history(),
            confirmed: call.confirmed,
        }
    }
}
