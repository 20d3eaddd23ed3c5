//! What one process is told holds for all: limits, pauses, ends. Real time, two stores on one server.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::store::scene::*;
use robocall::ports::store::*;
use robocall::ports::{Clock as _, Listener};

use crate::server;

/// Far longer than it takes; whoever only found out by looking now and then would take longer.
const SOON: Duration = Duration::from_secs(5);

/// A process's store.
fn process(prefix: &str) -> Store {
    let settings = RedisSettings { prefix: prefix.to_owned(), ..RedisSettings::new(server::shared().url()) };
    Arc::new(RedisStore::new(&settings).unwrap())
}

/// What a worker gets, once the database is not new any more.
async fn claimed(store: &Store) -> Claim {
    let clock = SystemClock::new();
    loop {
        let mut claims = store.claim(&worker("w"), 1).await.unwrap();
        match claims.claims.pop() {
            Some(claim) => return claim,
            None => clock.sleep_until(claims.again_at.unwrap()).await,
        }
    }
}

/// Claims for whoever waits for wake-ups, as dispatchers do.
async fn claim_when_woken(store: &Store, wakeups: &mut Listener) -> Claim {
    let woken = async {
        loop {
            if let Some(claim) = store.claim(&worker("w"), 1).await.unwrap().claims.pop() {
                return claim;
            }
            wakeups.rung().await;
        }
    };
    let clock = SystemClock::new();
    tokio::select! {
        biased;
        claim = woken => claim,
        () = clock.sleep_until(clock.now() + SOON) => panic!("nobody has woken it"),
    }
}

/// Two processes; the first has claimed all that it may, and hears no more of that.
async fn two(limit_: u32) -> (Store, Store, Vec<Claim>, Listener) {
    let prefix = server::prefix();
    let (one, other) = (process(&prefix), process(&prefix));
    let mut wakeups = one.wakeups();
    limit(&other, "bank", limit_).await;
    submit(&other, header("r"), 9).await;
    let mut claims = Vec::new();
    for _ in 0..limit_ {
        claims.push(claimed(&one).await);
    }
    assert!(one.claim(&worker("w"), 1).await.unwrap().claims.is_empty(), "there is no free slot");
    wakeups.forget();
    (one, other, claims, wakeups)
}

#[tokio::test]
async fn a_limit_that_another_process_raises_wakes_those_who_wait() {
    let (one, other, claims, mut wakeups) = two(2).await;
    limit(&other, "bank", 3).await;
    let third = claim_when_woken(&one, &mut wakeups).await;
    assert!(claims.iter().all(|claim| claim.held.attempt != third.held.attempt));
    assert!(one.claim(&worker("w"), 1).await.unwrap().claims.is_empty(), "and no more than that");
}

#[tokio::test]
async fn a_limit_that_another_process_lowers_holds_the_next_dial() {
    let (one, other, claims, _) = two(2).await;
    dial(&one, &claims[0].held).await;
    limit(&other, "bank", 1).await;
    let refused = try_dial(&one, &claims[1].held).await;
    assert!(matches!(refused, DialDecision::GivenBack { why: NotNow::NoSlot, .. }), "{refused:?}");
    let live = one.renew(&worker("w"), &[claims[0].held.clone()]).await.unwrap();
    assert_eq!(live, Renewed::default(), "whoever is live is cut off by nobody");
    assert!(one.claim(&worker("w"), 1).await.unwrap().claims.is_empty());
}

#[tokio::test]
async fn what_another_process_pauses_is_not_dialled_and_what_it_resumes_is_claimed() {
    let (one, other, claims, mut wakeups) = two(1).await;
    other.control(&key("r"), Control::Pause, None).await.unwrap();
    let refused = try_dial(&one, &claims[0].held).await;
    assert!(matches!(refused, DialDecision::GivenBack { why: NotNow::Paused, .. }), "{refused:?}");
    assert!(one.claim(&worker("w"), 1).await.unwrap().claims.is_empty());
    wakeups.forget();
    other.control(&key("r"), Control::Resume, None).await.unwrap();
    let again = claim_when_woken(&one, &mut wakeups).await;
    dial(&one, &again.held).await;
}

#[tokio::test]
async fn what_another_process_cancels_is_dialled_no_more() {
    let (one, other, claims, _) = two(2).await;
    dial(&one, &claims[0].held).await;
    other.control(&key("r"), Control::Cancel { hang_up: true }, None).await.unwrap();
    let refused = try_dial(&one, &claims[1].held).await;
    assert!(matches!(refused, DialDecision::GivenBack { why: NotNow::Over, .. }), "{refused:?}");
    let renewed = one.renew(&worker("w"), &[claims[0].held.clone()]).await.unwrap();
    assert_eq!(renewed.hang_up, [claims[0].held.clone()], "the next renewal tells of it");
}
