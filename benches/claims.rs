//! What the waiting room in memory costs a call: claimed, dialled, ended, another in exchange.
//!
//! `cargo bench --bench claims`. Figures are for one call unless a name says otherwise; 100,000 destinations wait.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use futures_util::FutureExt as _;
use robocall::adapters::memory::MemoryStore;
use robocall::callflow::call::CallState;
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::{Store, chunk, ends, flow_state, header_of, limit, submit_chunks, worker};
use robocall::model::{DispositionResult, Via, WorkerId};
use robocall::ports::store::{Claim, DialDecision, Written};

/// Destinations that wait when a bench begins; no bench calls as many.
const WAITING: u32 = 100_000;

/// How many are claimed at once.
const BATCH: u32 = 64;

fn main() {
    divan::main();
}

/// A store full of destinations, and one worker.
struct Room {
    store: Store,
    worker: WorkerId,
    state: CallState,
}

impl Room {
    /// A room in which each of so many organisations has its share of the destinations.
    fn of(organisations: u32) -> Self {
        let store: Store = Arc::new(MemoryStore::new(Arc::new(ManualClock::default())));
        let each = WAITING / organisations;
        let chunks = |total: u32| (0..total).step_by(1000).map(move |from| chunk(from..total.min(from + 1000)));
        for number in 0..organisations {
            let name = format!("org{number}");
            let load = async {
                limit(&store, &name, BATCH).await;
                submit_chunks(&store, header_of(&name, "r"), chunks(each).collect()).await
            };
            // A store in memory answers at once.
            load.now_or_never().unwrap();
        }
        Self { store, worker: worker("w"), state: flow_state() }
    }

    fn claim(&self, want: u32) -> Vec<Claim> {
        self.store.claim(&self.worker, want).now_or_never().unwrap().unwrap().claims
    }

    /// Dials and ends one call; what came in exchange.
    fn call(&self, claim: &Claim, refill: u32) -> Vec<Claim> {
        let held = &claim.held;
        let dial = self.store.begin_dial(held, &self.worker, &Via::default(), &self.state).now_or_never().unwrap();
        assert!(matches!(dial, Ok(DialDecision::Dial { .. })), "nothing speaks against the dial");
        let end = ends(DispositionResult::Busy);
        let ended = self.store.finish(held, &self.worker, 1, &[], end, refill).now_or_never().unwrap();
        let Ok(Written::Done(finished)) = ended else { panic!("the owner is not fenced") };
        finished.refill
    }
}

/// The longest part of a call's life: its slot goes from destination to destination.
#[divan::bench(sample_count = 100, sample_size = 500)]
fn dial_end_and_refill(bencher: Bencher<'_, '_>) {
    let room = Room::of(1);
    let mut hands = room.claim(BATCH);
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let claim = hands.remove(0);
        hands.extend(room.call(&claim, 1));
    });
}

/// A batch of 64: its claim, and each call's dial and end without another in exchange.
#[divan::bench(sample_count = 100, sample_size = 10)]
fn claim_dial_and_end_a_batch(bencher: Bencher<'_, '_>) {
    let room = Room::of(1);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let claims = room.claim(BATCH);
        assert_eq!(claims.len(), BATCH as usize);
        claims.iter().for_each(|claim| drop(room.call(claim, 0)));
    });
}

/// Ten thousand organisations in turn, ten destinations each.
#[divan::bench(sample_count = 100, sample_size = 50)]
fn claim_dial_and_end_in_turns_of_ten_thousand(bencher: Bencher<'_, '_>) {
    let room = Room::of(10_000);
    bencher.counter(ItemsCount::new(10u32)).bench_local(|| {
        let claims = room.claim(10);
        assert_eq!(claims.len(), 10);
        claims.iter().for_each(|claim| drop(room.call(claim, 0)));
    });
}
