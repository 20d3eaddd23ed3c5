//! What breaks in a deployment is broken on purpose: real servers and processes, each trouble at each point in the life
//! of a destination. A checker that reads only the log of dials, the stream of events and the store says what was
//! promised and not kept.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

#[path = "../support/rabbitmq.rs"]
mod broker;
mod cell;
mod checker;
#[cfg(test)]
mod checker_tests;
mod crew;
mod deployment;
mod evidence;
mod points;
mod processes;
#[path = "../support/proxy.rs"]
mod proxy;
mod requests;
#[path = "../support/redis.rs"]
#[expect(dead_code, reason = "each test program uses what it needs")]
mod server;
mod soak;
mod stream;
mod trouble;

use cell::Tally;
use futures_util::{StreamExt as _, stream as streams};
use points::{POINTS, Point};
use robocall::adapters::clock::SystemClock;
use robocall::ports::Clock as _;
use trouble::{Line, Trouble};

/// Cells that run at a time: most of them wait for leases.
const AT_ONCE: usize = 28;

/// What is broken, and where: at every point, or at those that it concerns.
fn matrix() -> Vec<(Trouble, Vec<Point>)> {
    use Line::{Broker, Phones, Redis};
    let all = || POINTS.to_vec();
    vec![
        (Trouble::Freeze, vec![Point::Seal, Point::Commit, Point::Answer]),
        (Trouble::Crash, all()),
        (Trouble::Rebirth, vec![Point::Intake, Point::Dial, Point::Step]),
        (Trouble::HalfOpen(Redis), vec![Point::Seal, Point::Commit, Point::Step]),
        (Trouble::HalfOpen(Broker), vec![Point::Seal, Point::Answer, Point::Publish]),
        (Trouble::HalfOpen(Phones), vec![Point::Commit, Point::Answer]),
        (Trouble::Swallowed(Redis), all()),
        (Trouble::Swallowed(Broker), vec![Point::Seal, Point::Answer, Point::End]),
        (Trouble::Swallowed(Phones), vec![Point::Commit, Point::Dial, Point::Step]),
        (Trouble::Drain, all()),
        (Trouble::RedisCrash, all()),
        (Trouble::Flush, all()),
        (Trouble::RedisLost, vec![Point::Seal, Point::Commit, Point::Answer]),
        (Trouble::Cut(Redis), all()),
        (Trouble::Cut(Broker), all()),
        (Trouble::Cut(Phones), vec![Point::Commit, Point::Dial, Point::Answer, Point::Step, Point::End]),
        (Trouble::Torn(Redis), vec![Point::Intake, Point::Commit, Point::End]),
        (Trouble::Torn(Broker), vec![Point::Intake, Point::Step, Point::Publish]),
        (Trouble::Torn(Phones), vec![Point::Claim, Point::Answer]),
        (Trouble::Slow, vec![Point::Intake, Point::Answer]),
        (Trouble::Doubled, all()),
    ]
}

/// Runs cells, those that take longest first; panics with everything that is wrong.
async fn run(mut cells: Vec<(Trouble, Point)>) {
    let wanted = std::env::var("ROBOCALL_CELLS").unwrap_or_default();
    cells.retain(|(trouble, point)| format!("{trouble:?}@{point:?}").contains(&wanted));
    cells.sort_by_key(|(trouble, _)| std::cmp::Reverse(trouble.length()));
    let count = cells.len();
    let running = streams::iter(cells).map(|(trouble, point)| async move {
        let result = tokio::task::spawn_local(cell::run(trouble, point)).await;
        let result = result.unwrap_or_else(|error| Err(format!("{trouble:?}@{point:?}: {error}")));
        match &result {
            Ok(Tally { seconds, adopted, unknown, .. }) => {
                println!("{seconds:5.1} s  {trouble:?}@{point:?}: {adopted} adopted, {unknown} unknown");
            }
            Err(what) => println!("BROKEN   {}", what.lines().take(3).collect::<Vec<_>>().join("  ")),
        }
        result
    });
    let local = tokio::task::LocalSet::new();
    let results: Vec<Result<Tally, String>> = local.run_until(running.buffer_unordered(AT_ONCE).collect()).await;
    let mut sum = Tally::default();
    let mut wrong = Vec::new();
    for result in results {
        match result {
            Ok(tally) => {
                sum.destinations += tally.destinations;
                sum.dials += tally.dials;
                sum.unknown += tally.unknown;
                sum.adopted += tally.adopted;
                sum.republished += tally.republished;
            }
            Err(what) => wrong.push(what),
        }
    }
    println!(
        "{count} cells: {} destinations, {} dials, {} adopted, {} unknown, {} events published again",
        sum.destinations, sum.dials, sum.adopted, sum.unknown, sum.republished
    );
    assert!(wrong.is_empty(), "{} of {count} cells are broken\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_and_wherever_every_promise_holds() {
    let cells =
        matrix().into_iter().flat_map(|(trouble, points)| points.into_iter().map(move |point| (trouble, point)));
    run(cells.collect()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_at_any_point_costs_nothing() {
    run(POINTS.map(|point| (Trouble::BrokerCrash, point)).to_vec()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_workers_calls_and_slots_are_back_within_35_seconds() {
    crew::a_worker_dies().await;
}

/// `./dev soak 30m`; `ROBOCALL_SEED` repeats what chance did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as one likes: ./dev soak"]
async fn soak() {
    let length = std::env::var("ROBOCALL_SOAK").unwrap_or_else(|_| "5m".to_owned());
    let length = soak::length(&length).unwrap_or_else(|| panic!("{length:?} is no length such as 90s, 30m or 8h"));
    let seed = std::env::var("ROBOCALL_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|| SystemClock::new().now().as_millis().unsigned_abs());
    tokio::task::LocalSet::new().run_until(soak::run(length, seed)).await;
}
