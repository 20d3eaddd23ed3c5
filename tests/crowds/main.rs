//! Thousands of calls at once, slow buses and clocks that differ: what is too large, or too odd, for the checker of
//! `tests/simulation/` to watch.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod silent;
mod trunks;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use robocall::adapters::memory::MemoryStore;
use robocall::model::{Happening, RequestStatus, Timestamp};
use robocall::ports::Clock;
use robocall::ports::store::CampaignStore;
use serde_json::{Value, json};
use world::play;

/// Answers at once, rings for two seconds, presses 1 whenever asked, and listens for ever.
const TYPIST: &str = "+99970000001111";

fn says(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

#[test]
fn a_worker_whose_clock_is_ahead_of_the_stores_dials_all_the_same() {
    play(|mut world| async move {
        world.store = Arc::new(MemoryStore::new(Arc::new(Behind(Arc::clone(&world.clock) as _))));
        world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": TYPIST}]), json!([says("one")])).await;
        world.pass(60_000).await;
        let call = world.only_call("r").await;
        assert_eq!(world.network.counters().dialled, 1, "{:#?}", call.history);
    });
}

/// A clock two seconds behind another.
struct Behind(Arc<dyn Clock>);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        self.0.now() - Duration::from_secs(2)
    }
    fn sleep_until(&self, at: Timestamp) -> futures_util::future::BoxFuture<'static, ()> {
        self.0.sleep_until(at + Duration::from_secs(2))
    }
}

#[test]
fn what_the_dead_left_unpublished_is_published_however_busy_the_living_are() {
    play(|mut world| async move {
        let out = Arc::new(AtomicBool::new(true));
        world.limit = 2_000;
        world.bus_takes(Duration::from_millis(50), Arc::clone(&out));
        let first = world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": TYPIST}]), json!([says("one")])).await;
        world.pass(60_000).await;
        assert_eq!(world.summary("r").await.status, RequestStatus::Completed);
        first.abort();
        out.store(false, Ordering::Relaxed);
        world.start_worker("w2", 2_000);
        let many: Vec<Value> = (0..40_000).map(|n| json!({"phone": format!("+6580{n:06}")})).collect();
        world.submit("busy", json!(many), json!([says("one"), says("two"), says("three")])).await;
        world.pass(300_000).await;
        assert_eq!(world.summary("busy").await.status, RequestStatus::OnProgress, "it is busy still");
        let left = world.store.unconfirmed(world.clock.now() - Duration::from_secs(200), 10).await.unwrap();
        assert!(left.is_empty(), "{} records wait since the first worker died", left.len());
    });
}

#[test]
fn all_calls_of_a_dead_worker_have_another_within_a_time_to_live_and_a_little() {
    play(|mut world| async move {
        world.limit = 3_000;
        // It looks after others, and takes nothing on by itself.
        world.start_worker("w2", 0);
        world.pass(40_000).await;
        let first = world.start_worker("w1", 3_000);
        let many: Vec<Value> = (0..3_000).map(|n| json!({"phone": format!("+99930{n:05}")})).collect();
        let more = json!({"ringTimeoutSecs": 110});
        world.publish("r", json!(many), json!([says("one")]), more).await.unwrap();
        world.pass(5_000).await;
        assert_eq!(world.network.counters().dialled, 3_000);
        first.abort();
        world.pass(45_000).await;
        let slots = world.store.audit_slots();
        let orphans = slots[0].leases.iter().filter(|lease| lease.worker.as_str() == "w1").count();
        assert_eq!(orphans, 0, "so many calls are nobody's 45 seconds after their worker died");
    });
}

#[test]
fn a_worker_that_comes_back_under_its_name_has_its_calls_again_when_their_leases_have_run_out() {
    // Died right after a renewal, or just before the next: then leases outlive the lock of its name by ten seconds.
    for died_after in [41_000, 49_500] {
        play(move |mut world| async move {
            world.limit = 600;
            let first = world.start_process("w1", 600, 1);
            world.pass(died_after - 1_500).await;
            let many: Vec<Value> = (0..600).map(|n| json!({"phone": format!("+99930{n:05}")})).collect();
            world.publish("r", json!(many), json!([says("one")]), json!({"ringTimeoutSecs": 110})).await.unwrap();
            world.pass(1_500).await;
            assert_eq!(world.network.counters().dialled, 600);
            first.abort();
            world.start_process("w1", 600, 2);
            world.pass(34_000).await;
            let left = world.store.suspects(1_000).await.unwrap();
            assert!(left.is_empty(), "{} calls are nobody's 34 seconds after their worker died", left.len());
            let calls = world.store.calls(&world::key("r"), 0, 600).await.unwrap();
            let again = |call: &robocall::ports::store::CallSnapshot| {
                call.history.iter().any(|fact| matches!(fact.what, Happening::Adopted { .. }))
            };
            assert!(calls.iter().all(again), "they are its own again");
        });
    }
}
