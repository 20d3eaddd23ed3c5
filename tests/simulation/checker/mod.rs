//! Watches every step of a simulation and says which promise was broken first.
//!
//! It reads three things only: the network's own log and legs, the events that the bus confirmed, and the store. What
//! the store answers is held against what was asked of it and when, never against the store's own reasons.

mod books;
mod crew;
mod dials;
mod drains;
mod events;
mod legs;
mod orders;
mod rest;
mod service;
mod terms;

pub use books::Touched;
pub use crew::{Crew, Member};
pub use rest::Expected;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use robocall::adapters::memory::{BooksAudit, MemoryStore};
use robocall::adapters::simulator::SimulatedNetwork;
use robocall::model::{CallId, Fact, Timestamp};
use robocall::ports::Clock;
use robocall::ports::store::{CallSnapshot, CampaignStore, Held, RequestKey};

use crate::summary::Summary;

pub struct Checker {
    clock: Arc<dyn Clock>,
    store: Arc<MemoryStore>,
    network: SimulatedNetwork,
    pub crew: Crew,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    violations: Vec<String>,
    /// Every request that was ever sent, and its first call: names are hashes, which are costly to make.
    keys: BTreeMap<RequestKey, CallId>,
    tally: BTreeMap<&'static str, u64>,
    dials: dials::Dials,
    drains: drains::Drains,
    events: events::Events,
    orders: orders::Orders,
    books: books::Books,
    legs: legs::Legs,
    service: service::Service,
    /// A hash of all that was seen, in order.
    trace: u64,
}

impl Seen {
    fn trace(&mut self, line: &str) {
        // FNV-1a: enough to tell two histories apart.
        self.trace =
            line.bytes().fold(self.trace, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    }
}

impl Checker {
    pub fn new(clock: Arc<dyn Clock>, store: Arc<MemoryStore>, network: SimulatedNetwork) -> Arc<Self> {
        let crew = Crew::new(Arc::clone(&clock));
        Arc::new(Self { clock, store, network, crew, seen: Mutex::default() })
    }

    /// A request will be sent under this name.
    pub fn expect_request(&self, key: &RequestKey) {
        let first = CallId::new(&key.organisation, &key.request, 0);
        self.seen.lock().unwrap().keys.insert(key.clone(), first);
    }

    /// The first promise that was broken.
    pub fn violation(&self) -> Option<String> {
        self.seen.lock().unwrap().violations.first().cloned()
    }

    fn broken(&self, what: String) {
        let at = self.clock.now();
        self.seen.lock().unwrap().violations.push(format!("{at} {what}"));
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(what());
        }
    }

    /// Tells what happens, for whoever replays a seed with `ROBOCALL_TELL` set.
    pub fn tell(&self, what: impl FnOnce() -> String) {
        static TOLD: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        if *TOLD.get_or_init(|| std::env::var_os("ROBOCALL_TELL").is_some()) {
            println!("{} {}", self.now(), what());
        }
    }

    /// Something happened that never should.
    pub fn report(&self, what: String) {
        self.broken(what);
    }

    /// What was broken until now was expected.
    pub fn forgive(&self) {
        self.seen.lock().unwrap().violations.clear();
    }

    /// The phone network, with its own log.
    pub fn network(&self) -> &SimulatedNetwork {
        &self.network
    }

    /// Something was exercised.
    pub fn count(&self, what: &'static str) {
        *self.seen.lock().unwrap().tally.entry(what).or_default() += 1;
    }

    fn call(&self, key: &RequestKey, call: CallId) -> Option<CallSnapshot> {
        // The store in memory answers at once.
        let page = self.store.calls(key, call.index(), 1).now_or_never();
        page.and_then(Result::ok).and_then(|mut calls| calls.pop())
    }

    fn books(&self, key: &RequestKey) -> Option<BooksAudit> {
        let first = self.seen.lock().unwrap().keys.get(key).copied()?;
        self.store.audit_books(first)
    }

    fn history(&self, held: &Held) -> Vec<Fact> {
        self.call(&key_of(held), held.attempt.call).map(|call| call.history).unwrap_or_default()
    }

    /// What the world looks like, for a report.
    pub fn describe(&self) -> String {
        format!("{:?}", self.store.audit())
    }

    /// Adds up what the seed amounted to.
    pub fn sum_up(&self, summary: &mut Summary) {
        let seen = self.seen.lock().unwrap();
        summary.trace = seen.trace;
        for (what, times) in &seen.tally {
            summary.count(what, *times);
        }
        seen.books.sum_up(summary);
        summary.count("invites", seen.dials.invites() as u64);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn key_of(held: &Held) -> RequestKey {
    RequestKey { organisation: held.organisation.clone(), request: held.request.clone() }
}
