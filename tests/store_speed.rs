//! How fast the waiting room in memory is, and how much memory ended calls take. Run by hand, in release:
//! `cargo test --release --test store_speed -- --ignored --nocapture --test-threads 1`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::memory::MemoryStore;
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::*;
use robocall::model::{DispositionResult, Fact, Happening, StepStatus};
use robocall::ports::Clock;
use robocall::ports::store::*;

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The facts of one step of a survey: a question, and the key pressed.
fn question(clock: &ManualClock, step: u16) -> [Fact; 3] {
    let finished =
        Happening::StepFinished { step, status: StepStatus::SuccessOk, keys: Some("1".into()), transfer: None };
    let started = Happening::StepStarted { step: step + 1 };
    [
        fact(clock.now(), finished),
        fact(clock.now(), started),
        fact(clock.now(), Happening::PartyDetected(robocall::model::AnsweredBy::Human)),
    ]
}

async fn survey(store: &Store, clock: &ManualClock, claim: &Claim) -> (usize, Vec<Claim>) {
    let held = &claim.held;
    let mut after = u32::try_from(dial(store, held).await.len()).unwrap();
    for step in 0..6 {
        clock.advance(Duration::from_millis(1));
        let facts = question(clock, step);
        done(store.checkpoint(held, after, &facts, &flow_state()).await.unwrap());
        after += 3;
    }
    let finished =
        done(store.finish(held, &worker("w"), after, &[], ends(DispositionResult::Answered), 1).await.unwrap());
    let key = RequestKey { organisation: held.organisation.clone(), request: held.request.clone() };
    let seq = robocall::model::happening::events_in(&finished.history);
    store.confirm(&[Confirmation { key, call: Some(held.attempt.call), seq }]).await.unwrap();
    (finished.history.len(), finished.refill)
}

async fn load(store: &Store, organisation: &str, total: u32) {
    let key = key_of(organisation, "r");
    store.open_request(&Arc::new(header_of(organisation, "r")), totals(total)).await.unwrap();
    for number in 0..total.div_ceil(1000) {
        let chunk = chunk(number * 1000..total.min((number + 1) * 1000));
        store.load_chunk(&key, 0, number, &chunk).await.unwrap();
    }
    store.seal(&key, 0).await.unwrap();
}

fn run(name: &str, organisations: u32, total: u32, limit_each: u32) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let clock = Arc::new(ManualClock::default());
        let time = Arc::<ManualClock>::clone(&clock);
        let store: Store = Arc::new(MemoryStore::new(time));
        let before = resident_bytes();
        for number in 0..organisations {
            limit(&store, &format!("org{number}"), limit_each).await;
            load(&store, &format!("org{number}"), total).await;
        }
        let loaded = resident_bytes();
        let calls = organisations * total;
        let began = wall();
        let (mut ended, mut facts) = (0, 0);
        let mut hands = Vec::new();
        while ended < calls {
            if hands.is_empty() {
                hands = store.claim(&worker("w"), 64).await.unwrap().claims;
            }
            let claim = hands.pop().expect("there is more to claim");
            let (history, refill) = survey(&store, &clock, &claim).await;
            hands.extend(refill);
            (ended, facts) = (ended + 1, facts + history);
        }
        let took = wall();
        let each = (took - began).as_secs_f64() * 1e6 / f64::from(calls);
        let (waiting, rest) = (loaded - before, resident_bytes() - before);
        println!(
            "{name}: {each:.2} µs a call of {} facts; {} bytes a waiting call, {} bytes an ended one",
            facts / calls as usize,
            waiting / calls as usize,
            rest / calls as usize,
        );
    });
}

/// Processor time would do as well; this is the time of the wall.
fn wall() -> Duration {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(uptime.split(' ').next().unwrap().parse().unwrap())
}

#[test]
#[ignore = "a measurement, to be made in release"]
fn one_organisation_with_a_million_calls() {
    run("one organisation", 1, 1_000_000, 300);
}

#[test]
#[ignore = "a measurement, to be made in release"]
fn ten_thousand_organisations() {
    run("ten thousand organisations", 10_000, 50, 6);
}
