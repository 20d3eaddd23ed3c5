//! One organisation's slots and the order among its requests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::TURN;
use super::once::Once;
use super::ring::Share;
use super::slab::{Place, ReqIx};
use crate::model::event::OrganisationEvent;
use crate::model::organisation::RequestOrder;
use crate::model::{
    AttemptId, LegId, Organisation, OrganisationId, Phone, Recording, RequestCursor, Timestamp, WorkerId,
};
use crate::policy::rate::{self, ArrivalTime};
use crate::policy::slots::{self, External};
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

/// What commands changed of an organisation itself.
#[derive(Default)]
pub(super) struct Changes {
    /// How many there were.
    pub last: u32,
    /// Those that nobody has confirmed, by number.
    pub unconfirmed: BTreeMap<u32, OrganisationEvent>,
}

impl Changes {
    /// When the oldest of those was made.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.unconfirmed.first_key_value().map(|(_, event)| event.at)
    }
}

/// An organisation.
pub(super) struct Org {
    pub id: OrganisationId,
    pub settings: Organisation,
    /// What other applications say they hold.
    pub external: External,
    pub leases: BTreeMap<LegId, Lease>,
    pub line: VecDeque<Waiter>,
    /// Claimed, not dialled.
    pub undialled: u32,
    /// What it has used of its calls a second.
    pub arrival: ArrivalTime,
    pub share: Share,
    pub blocked: BTreeSet<Phone>,
    pub once: Once,
    pub changes: Changes,
    pub recordings: BTreeMap<AttemptId, Recording>,
    /// Its requests, whatever their state.
    pub requests: BTreeSet<ReqIx>,
    /// Those that are shown, in the order in which they were accepted.
    pub listed: BTreeMap<RequestCursor, ReqIx>,
    pub turns: Turns,
    pub timer: Option<Timestamp>,
    /// Slots given back twice: only sabotage does that.
    pub overfreed: u32,
}

impl Org {
    pub fn new(id: OrganisationId) -> Self {
        Self {
            share: Share::of(id.clone()),
            id,
            settings: Organisation::default(),
            external: External::InUse(0),
            leases: BTreeMap::new(),
            line: VecDeque::new(),
            undialled: 0,
            arrival: ArrivalTime::default(),
            blocked: BTreeSet::new(),
            once: Once::default(),
            changes: Changes::default(),
            recordings: BTreeMap::new(),
            requests: BTreeSet::new(),
            listed: BTreeMap::new(),
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

    /// Slots that nobody holds, if our legs hold `leased`.
    pub fn free(&self, leased: u32) -> u32 {
        slots::free(self.settings.limit, self.external, leased)
    }

    /// Whether a slot that is among `leased` may be kept by somebody who has not dialled yet.
    pub fn may_keep(&self, leased: u32) -> bool {
        self.free(leased.saturating_sub(1)) > 0
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
        self.rate_allows(now, u32::MAX).saturating_sub(self.undialled)
    }

    /// How many of `want` dials the rate allows at an instant.
    pub fn rate_allows(&self, now: Timestamp, want: u32) -> u32 {
        self.settings
            .calls_per_second
            .map_or(want, |per_second| rate::allow(self.arrival, now, per_second, want).allowed)
    }

    /// How many more than are claimed may be dialled within a time, as far as the rate goes.
    pub fn rate_allows_within(&self, now: Timestamp, horizon: Duration) -> u32 {
        self.settings.calls_per_second.map_or(u32::MAX, |per_second| {
            rate::within(self.arrival, now, per_second, horizon).saturating_sub(self.undialled)
        })
    }

    /// A dial was committed to.
    pub fn use_rate(&mut self, now: Timestamp) {
        if let Some(per_second) = self.settings.calls_per_second {
            self.arrival = rate::allow(self.arrival, now, per_second, 1).arrival;
        }
    }

    /// When the rate allows one more claim; none if that does not come by itself.
    pub fn rate_allows_at(&self) -> Option<Timestamp> {
        rate::ready_at(self.arrival, self.settings.calls_per_second?, self.undialled.saturating_add(1))
    }
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
