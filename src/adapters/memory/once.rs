//! What was given under which id, so that it is done once.

use std::collections::{BTreeMap, BTreeSet};

use super::slab::ReqIx;
use super::state::State;
use crate::model::status::RequestSummary;
use crate::model::{OrganisationId, RequestId, Timestamp};
use crate::ports::store::{
    COMMANDS_KEPT, Control, Controlled, Given, Remembered, StoreError, StoreResult, id_of_queued,
};

/// An organisation's commands and what else is asked once.
#[derive(Default)]
pub(super) struct Once {
    asked: BTreeMap<Box<str>, Asked>,
    given: BTreeMap<Box<str>, Before>,
    /// When what is forgotten: of those asked, or of the commands.
    ends: BTreeSet<(Timestamp, bool, Box<str>)>,
}

struct Asked {
    fingerprint: [u8; 32],
    answer: Option<Box<[u8]>>,
}

/// A command to a request that was carried out.
struct Before {
    request: [u8; 10],
    control: Control,
    summary: RequestSummary,
    /// The event it made.
    event: Option<u32>,
}

impl Once {
    /// Forgets what is over.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        while self.ends.first().is_some_and(|(until, ..)| *until <= now) {
            match self.ends.pop_first() {
                Some((_, true, id)) => drop(self.given.remove(&id)),
                Some((_, false, id)) => drop(self.asked.remove(&id)),
                None => {}
            }
        }
        self
    }
}

impl State {
    pub fn remember(
        &mut self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: std::time::Duration,
    ) -> Remembered {
        let (now, ix) = (self.now, self.org_ix(organisation));
        let once = self.org_mut(ix).once.at(now);
        match once.asked.get(id) {
            Some(asked) if asked.fingerprint != *fingerprint => Remembered::Different,
            Some(asked) => Remembered::Again(asked.answer.clone()),
            None => {
                once.asked.insert(id.into(), Asked { fingerprint: *fingerprint, answer: None });
                once.ends.insert((now + life, false, id.into()));
                Remembered::First
            }
        }
    }

    pub fn answered(&mut self, organisation: &OrganisationId, id: &str, answer: &[u8]) {
        let (now, ix) = (self.now, self.org_ix(organisation));
        if let Some(asked) = self.org_mut(ix).once.at(now).asked.get_mut(id) {
            asked.answer.get_or_insert_with(|| answer.into());
        }
    }

    pub fn recalled(&mut self, organisation: &OrganisationId, id: &str) -> Option<Box<[u8]>> {
        let (now, ix) = (self.now, self.org_ix(organisation));
        self.org_mut(ix).once.at(now).asked.get(id)?.answer.clone()
    }

    /// A request that a worker looks at waits no more to be taken in.
    pub fn taken_in(&mut self, organisation: &OrganisationId, request: &RequestId) {
        let ix = self.org_ix(organisation);
        let once = &mut self.org_mut(ix).once;
        let id = id_of_queued(request);
        if once.asked.remove(&*id).is_some() {
            once.ends.retain(|(_, is_command, ending)| *is_command || **ending != *id);
        }
    }

    /// What a command brought that was given before; none if it was not.
    pub fn given_before(&mut self, ix: ReqIx, control: Control, given: &Given) -> StoreResult<Option<Controlled>> {
        let (now, org) = (self.now, self.requests[ix].org);
        let hash = self.requests[ix].first_call.request_hash();
        let Some(before) = self.org_mut(org).once.at(now).given.get(&given.id) else { return Ok(None) };
        if before.request != hash || before.control != control {
            return Err(StoreError::IdTaken);
        }
        let (summary, seq) = (before.summary.clone(), before.event);
        let unconfirmed = self.requests[ix].events.unconfirmed.iter();
        let events = unconfirmed.filter(|event| Some(event.seq) == seq).cloned().collect();
        Ok(Some(Controlled { summary, events, live: self.live_owners(ix), again: true }))
    }

    /// Notes what a command brought.
    pub fn give(&mut self, ix: ReqIx, control: Control, given: &Given, brought: &Controlled) {
        let (now, org) = (self.now, self.requests[ix].org);
        let before = Before {
            request: self.requests[ix].first_call.request_hash(),
            control,
            summary: brought.summary.clone(),
            event: brought.events.first().map(|event| event.seq),
        };
        let once = &mut self.org_mut(org).once;
        once.given.insert(given.id.clone(), before);
        once.ends.insert((now + COMMANDS_KEPT, true, given.id.clone()));
    }
}
