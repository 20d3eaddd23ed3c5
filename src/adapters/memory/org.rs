//! One organisation's slots and the order among its requests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::TURN;
use super::rate::Rate;
use super::ring::Share;
use super::slab::{Place, ReqIx};
use crate::model::organisation::RequestOrder;
use crate::model::{LegId, Organisation, OrganisationId, Phone, Timestamp, WorkerId};
use crate::ports::store::Token;

/// A slot, held by a leg.
pub(super) struct Lease {
    pub place: Place,
    pub worker: WorkerId,
    pub token: Token,
    pub expires: Timestamp,
}

/// A second leg in line for a slot.
pub(super) struct Waiter {
    pub leg: LegId,
    pub place: Place,
    pub until: Timestamp,
}

/// An organisation.
pub(super) struct Org {
    pub id: OrganisationId,
    pub settings: Organisation,
    /// What other applications hold; none: what they wrote is no number, so nothing is free.
    pub external: Option<u32>,
    pub leases: BTreeMap<LegId, Lease>,
    pub line: VecDeque<Waiter>,
    /// Claimed, not dialled.
    pub undialled: u32,
    pub rate: Rate,
    pub share: Share,
    pub blocked: BTreeSet<Phone>,
    /// Its requests, whatever their state.
    pub requests: BTreeSet<ReqIx>,
    pub turns: Turns,
    pub timer: Option<Timestamp>,
    /// Slots given back twice: only sabotage does that.
    pub overfreed: u32,
}

impl Org {
    pub fn new(id: OrganisationId) -> Self {
        Self {
            id,
            settings: Organisation::default(),
            external: Some(0),
            leases: BTreeMap::new(),
            line: VecDeque::new(),
            undialled: 0,
            rate: Rate::default(),
            share: Share::default(),
            blocked: BTreeSet::new(),
            requests: BTreeSet::new(),
            turns: Turns::default(),
            timer: None,
            overfreed: 0,
        }
    }

    /// Leases that count: the expired ones do, for their calls may be live.
    pub fn leased(&self, only_unexpired_at: Option<Timestamp>) -> u32 {
        let held = match only_unexpired_at {
            None => self.leases.len(),
            Some(now) => self.leases.values().filter(|lease| lease.expires > now).count(),
        };
        u32::try_from(held).unwrap_or(u32::MAX).saturating_sub(self.overfreed)
    }

    /// What other applications hold: everything, if it cannot be known.
    pub fn external(&self) -> u32 {
        self.external.unwrap_or(u32::MAX)
    }

    /// Drops waiters whose time is over.
    pub fn prune_line(&mut self, now: Timestamp) {
        self.line.retain(|waiter| waiter.until > now);
    }

    pub fn waiting(&self) -> u32 {
        u32::try_from(self.line.len()).unwrap_or(u32::MAX)
    }

    /// How many more may be claimed as far as the rate goes: what is claimed and not dialled will use it too.
    pub fn allowance(&self, now: Timestamp) -> u32 {
        self.rate.available(now, self.settings.calls_per_second).saturating_sub(self.undialled)
    }
}

/// What other applications wrote of their use: whole numbers only, negative ones as none.
pub(super) fn external_use(value: Option<&str>) -> Option<u32> {
    let Some(value) = value else { return Some(0) };
    let number: i64 = value.parse().ok()?;
    Some(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// The requests that can be claimed from, by priority and then in turns.
#[derive(Default)]
pub(super) struct Turns {
    /// By priority; within one by (what each was given, order of sealing).
    levels: [BTreeSet<(u64, u64, ReqIx)>; 10],
    /// What the request whose turn was last had been given; newcomers start there.
    now: [u64; 10],
}

impl Turns {
    pub fn is_empty(&self) -> bool {
        self.levels.iter().all(BTreeSet::is_empty)
    }

    /// Whose turn it is, and how many destinations that turn has at most.
    pub fn first(&self, order: RequestOrder) -> Option<(ReqIx, u32)> {
        let (_, _, request) = self.levels.iter().rev().find_map(BTreeSet::first)?;
        let turn = match order {
            RequestOrder::Turns => TURN,
            RequestOrder::FirstCome => u32::MAX,
        };
        Some((*request, turn))
    }

    /// What a request counts as having been given when it can be claimed from anew: nobody saves turns up.
    pub fn start(&self, priority: u8, served: u64) -> u64 {
        served.max(self.now[usize::from(priority.min(9))])
    }

    /// Puts a request among those of its priority; answers its key.
    pub fn enter(&mut self, ix: ReqIx, priority: u8, order: RequestOrder, served: u64, sealed: u64) -> (u64, u64) {
        let key = match order {
            RequestOrder::Turns => (served, sealed),
            RequestOrder::FirstCome => (0, sealed),
        };
        self.levels[usize::from(priority.min(9))].insert((key.0, key.1, ix));
        key
    }

    pub fn leave(&mut self, ix: ReqIx, priority: u8, key: (u64, u64)) {
        self.levels[usize::from(priority.min(9))].remove(&(key.0, key.1, ix));
    }

    /// A request that had been given `served` has its turn.
    pub fn advance(&mut self, priority: u8, served: u64) {
        let now = &mut self.now[usize::from(priority.min(9))];
        *now = served.max(*now);
    }

    /// The least that a request counts as having been given, whatever it gave back.
    pub fn floor(&self, priority: u8) -> u64 {
        self.now[usize::from(priority.min(9))].saturating_sub(u64::from(TURN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_is_a_number_or_everything() {
        let cases = [
            (None, Some(0)),
            (Some("0"), Some(0)),
            (Some("17"), Some(17)),
            (Some("-3"), Some(0)),
            (Some("99999999999"), Some(u32::MAX)),
        ];
        for (value, expected) in cases {
            assert_eq!(external_use(value), expected, "{value:?}");
        }
        for malformed in ["", " 1", "1.0", "many", "0x10", "99999999999999999999"] {
            assert_eq!(external_use(Some(malformed)), None, "{malformed:?}");
        }
    }
}
