//! Thousands of small worlds in virtual time: calls with random fates, workers that die at any await, stand still and
//! lose replies, requests that come twice, pause, and are cancelled, limits that move. After every step the promises
//! of `ARCHITECTURE.md` are checked.
//!
//! `ROBOCALL_SEED=7 cargo test --test simulation` replays one seed; `ROBOCALL_SEEDS=100000` walks more of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod chaos;
mod checker;
mod dice;
mod scenario;

use robocall::adapters::memory::Sabotage;
use scenario::Summary;

/// Seeds walked by default.
const SEEDS: u64 = 1_000;

/// Seeds within which a broken guard must be noticed.
const NOTICED_WITHIN: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn promises_hold_whatever_goes_wrong() {
    let seeds = match number("ROBOCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROBOCALL_SEEDS").unwrap_or(SEEDS),
    };
    let mut sum = Summary::default();
    for seed in seeds {
        match scenario::run(seed, Sabotage::default()) {
            Ok(one) => sum.add(one),
            Err(violation) => {
                panic!("seed {seed}: {violation}\nreplay: ROBOCALL_SEED={seed} cargo test --test simulation")
            }
        }
    }
    println!("{sum:?}");
}

fn is_noticed(sabotage: Sabotage, promises: &[&str]) {
    let noticed =
        (0..NOTICED_WITHIN).find_map(|seed| scenario::run(seed, sabotage).err().map(|violation| (seed, violation)));
    let (seed, violation) = noticed.expect("taking the guard out must be noticed");
    println!("noticed at seed {seed}: {violation}");
    assert!(promises.iter().any(|promise| violation.contains(promise)), "noticed, but as {violation}");
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
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }
}
