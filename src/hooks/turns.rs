//! Whose turn it is to be sent something, and how much waits for whom. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{OrganisationId, Timestamp};
use crate::ports::hooks::EndpointKey;

/// Most endpoints that are remembered as slow; past it, all are given another chance.
const MOST_SLOW: usize = 10_000;

/// How many places there are for messages on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// Enough.
    Many,
    /// Nobody gets more than one.
    Few,
    /// They are kept for those who answer soon.
    Last,
}

/// A turn.
pub type Turn = (Timestamp, EndpointKey);

/// Whose turn it is.
#[derive(Default)]
pub struct Turns {
    /// When there is something to be done for which.
    agenda: BTreeSet<Turn>,
    planned: BTreeMap<EndpointKey, Timestamp>,
    /// When each of them had its turn last.
    served: BTreeMap<EndpointKey, Timestamp>,
    /// Those who took long, or failed, the last time.
    slow: BTreeSet<EndpointKey>,
    /// Bytes of what waits, by endpoint and by organisation.
    weights: BTreeMap<EndpointKey, u64>,
    loads: BTreeMap<OrganisationId, u64>,
}

impl Turns {
    /// The first turn that has come by `now`, behind one that was passed over. `is_quiet`: whether nothing is on its way to
    /// an endpoint.
    pub fn next(
        &self,
        now: Timestamp,
        places: Places,
        passed: Option<&Turn>,
        is_quiet: impl Fn(&EndpointKey) -> bool,
    ) -> Option<Turn> {
        let mut due = self.agenda.iter().take_while(|(at, _)| *at <= now);
        let next = due.find(|turn| {
            let key = &turn.1;
            let may = match places {
                Places::Many => true,
                Places::Few => is_quiet(key),
                Places::Last => is_quiet(key) && !self.slow.contains(key),
            };
            may && passed.is_none_or(|passed| *turn > passed)
        });
        next.cloned()
    }

    /// When the first turn comes after `now`.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.agenda.iter().map(|(at, _)| *at).find(|at| *at > now)
    }

    /// Notes that an endpoint had its turn: it comes behind those who have waited since, so that one with much to be sent is
    /// not always the first.
    pub fn served(&mut self, key: &EndpointKey, now: Timestamp) {
        self.served.insert(key.clone(), now);
    }

    /// Notes whether an endpoint took long, or failed.
    pub fn answered(&mut self, key: &EndpointKey, is_slow: bool) {
        if !is_slow {
            self.slow.remove(key);
            return;
        }
        if self.slow.len() >= MOST_SLOW {
            self.slow.clear();
        }
        self.slow.insert(key.clone());
    }

    /// Notes when there is something to be done for an endpoint, and how many bytes wait for it.
    pub fn plan(&mut self, key: &EndpointKey, at: Option<Timestamp>, bytes: u64) {
        let before = if bytes == 0 { self.weights.remove(key) } else { self.weights.insert(key.clone(), bytes) };
        let load = (self.load(&key.organisation) + bytes).saturating_sub(before.unwrap_or(0));
        if load == 0 {
            self.loads.remove(&key.organisation);
        } else {
            self.loads.insert(key.organisation.clone(), load);
        }
        if let Some(at) = self.planned.remove(key) {
            self.agenda.remove(&(at, key.clone()));
        }
        if let Some(at) = at {
            let at = self.served.get(key).map_or(at, |served| at.max(*served));
            self.planned.insert(key.clone(), at);
            self.agenda.insert((at, key.clone()));
        }
    }

    /// Forgets when an endpoint had its turn.
    pub fn forget(&mut self, key: &EndpointKey) {
        self.plan(key, None, 0);
        self.served.remove(key);
    }

    /// Bytes of what waits for an organisation.
    pub fn load(&self, organisation: &OrganisationId) -> u64 {
        self.loads.get(organisation).copied().unwrap_or(0)
    }

    /// Whether nothing is planned or waits.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.agenda.is_empty() && self.planned.is_empty() && self.served.is_empty() && self.loads.is_empty()
    }
}
