//! Thousands of small worlds in virtual time: calls with random fates, workers that die at any await, stand still and
//! lose replies, requests that come twice, in parts and wrong, pause, and are cancelled, limits that move. After every
//! step the promises of `ARCHITECTURE.md` are checked.
//!
//! `ROBOCALL_SEED=7 cargo test --test simulation` replays one seed, `ROBOCALL_TELL=1` and `--nocapture` with it say what
//! happens; `ROBOCALL_SEEDS=100000` walks more of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod chaos;
mod checker;
mod dice;
mod scenario;
mod summary;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use robocall::adapters::memory::Sabotage;
use summary::Summary;

/// Seeds walked by default.
const SEEDS: u64 = 3_000;

/// Seeds within which a broken guard must be noticed.
const NOTICED_WITHIN: u64 = 2_000;

/// How many broken seeds are told of before the walk ends.
const TOLD: usize = 25;

/// What a walk over the default seeds exercises, and how often at least.
const EXERCISED: [(&str, u64); 43] = [
    ("targets called beside a flow", 200),
    ("supervisors listening in", 200),
    ("third parties dialled", 500),
    ("third parties talking", 150),
    ("invites", 30_000),
    ("destinations", 30_000),
    ("unknown ends", 300),
    ("crashes", 1_000),
    ("crashes at an await", 1_000),
    ("freezes", 1_000),
    ("freezes of all workers at once", 500),
    ("freezes between a leg and its commitment", 500),
    ("freezes between a commitment and its dial", 500),
    ("restarts under the same name", 500),
    ("workers drained to their end", 300),
    ("workers replaced or deaf", 300),
    ("calls handed over", 200),
    ("calls taken up that were handed over", 200),
    ("looks at calls that wait for an adopter", 50),
    ("adoptions of live calls", 1_000),
    ("crowds of suspects", 5),
    ("listens failed", 50),
    ("reports lost", 300),
    ("reports doubled", 300),
    ("commands delivered twice", 500),
    ("commands to requests known again", 500),
    ("commands passed on", 100),
    ("hang-up commands carried out", 300),
    ("requests paused, resumed or cancelled", 1_000),
    ("changes of organisations told", 1_000),
    ("attended transfers joined", 500),
    ("blind transfers", 300),
    ("external second legs", 500),
    ("recordings begun", 1_000),
    ("recordings paused for a secret", 100),
    ("steps of calls with secrets", 1_000),
    ("parts accepted", 500),
    ("requests with duplicates", 300),
    ("requests rejected as conflicts", 100),
    ("requests rejected as invalid", 300),
    ("bad numbers that failed alone", 100),
    ("dials within recipients' hours", 300),
    ("dials under a rate", 1_000),
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Walks seeds on as many threads as there are processors, each seed in a world and a runtime of its own.
fn walk(seeds: std::ops::Range<u64>) -> (Summary, Vec<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Summary::default());
    let broken = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || broken.lock().unwrap().len() >= TOLD {
                        return;
                    }
                    let outcome = std::panic::catch_unwind(|| scenario::run(seed, Sabotage::default()));
                    match outcome.unwrap_or_else(|_| Err("time stood still".to_owned())) {
                        Ok(one) => sum.lock().unwrap().add(&one),
                        Err(violation) => broken.lock().unwrap().push((seed, violation)),
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap();
    broken.sort();
    (sum.into_inner().unwrap(), broken)
}

#[test]
fn promises_hold_whatever_goes_wrong() {
    let by_default = number("ROBOCALL_SEED").is_none() && number("ROBOCALL_SEEDS").is_none();
    let seeds = match number("ROBOCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROBOCALL_SEEDS").unwrap_or(SEEDS),
    };
    let (sum, broken) = walk(seeds);
    sum.print();
    for (seed, violation) in &broken {
        println!("seed {seed}: {violation}");
    }
    if let Some((seed, _)) = broken.first() {
        panic!("{} seeds broke a promise\nreplay: ROBOCALL_SEED={seed} cargo test --test simulation", broken.len());
    }
    if by_default {
        for (what, least) in EXERCISED {
            assert!(sum.of(what) >= least, "{what}: only {} times, it should be {least}", sum.of(what));
        }
    }
}

/// Some seed breaks one of these promises that holds on it otherwise.
fn is_noticed(sabotage: Sabotage, promises: &[&str]) {
    let noticed = (0..NOTICED_WITHIN).find_map(|seed| {
        let violation = scenario::run(seed, sabotage).err()?;
        let named = promises.iter().any(|promise| violation.contains(promise));
        (named && scenario::run(seed, Sabotage::default()).is_ok()).then_some((seed, violation))
    });
    let (seed, violation) = noticed.expect("taking the guard out must be noticed");
    println!("noticed at seed {seed}: {violation}");
}

#[test]
fn without_the_guard_against_ending_twice_a_promise_breaks() {
    is_noticed(Sabotage { double_release: true, ..Sabotage::default() }, &["I1", "I2", "I4", "I8"]);
}

#[test]
fn without_tokens_a_promise_breaks() {
    is_noticed(Sabotage { ignore_tokens: true, ..Sabotage::default() }, &["I1", "I2", "I4", "I7", "I8"]);
}

#[test]
fn with_expired_leases_taken_for_free_slots_a_promise_breaks() {
    is_noticed(Sabotage { free_expired_leases: true, ..Sabotage::default() }, &["I3"]);
}

#[test]
fn one_seed_gives_one_history() {
    for seed in 0..20 {
        let (first, second) = (scenario::run(seed, Sabotage::default()), scenario::run(seed, Sabotage::default()));
        assert_eq!(first, second);
    }
}
