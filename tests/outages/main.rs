//! Answers that get lost one at a time, on purpose, and what must come of it all the same. Chance is the business of
//! `tests/simulation/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod buses;
mod store;
mod telephony;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use robocall::adapters::memory::MemoryStore;
use robocall::model::{CallStatus, Happening, RequestStatus, Timestamp};
use robocall::ports::Clock;
use robocall::ports::store::CampaignStore;
use serde_json::{Value, json};
use world::play;

/// True the first time it is asked after `name`.
fn once(name: &'static str) -> impl FnMut(&'static str) -> bool + Send {
    let mut left = true;
    move |asked| asked == name && std::mem::take(&mut left)
}

/// Answers at once, rings for two seconds, presses 1 whenever asked, and listens for ever.
const TYPIST: &str = "+99970000001111";

fn says(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

#[test]
fn a_step_that_was_stored_and_not_answered_is_no_reason_to_let_a_call_go() {
    play(|mut world| async move {
        // For some seconds what is stored is not answered, and meanwhile more happens.
        let clock = Arc::clone(&world.clock);
        let (from, to) = (clock.now() + Duration::from_secs(1), clock.now() + Duration::from_secs(5));
        world.store_loses(move |asked| asked == "checkpoint" && (from..to).contains(&clock.now()));
        world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": TYPIST}]), json!([says("one"), says("two"), says("three")])).await;
        world.pass(60_000).await;
        let call = world.only_call("r").await;
        assert!(!call.history.iter().any(|fact| matches!(fact.what, Happening::Adopted { .. })), "{:#?}", call.history);
        assert_eq!(call.status, CallStatus::Completed);
    });
}

#[test]
fn a_prompt_that_never_reached_the_backend_is_no_reason_to_hang_up() {
    play(|mut world| async move {
        world.telephony_swallows(once("play"));
        world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": TYPIST}]), json!([says("one"), says("two")])).await;
        world.pass(60_000).await;
        let steps = world.steps_finished("r").await;
        assert_eq!(steps.len(), 2, "the callee heard all of it: {steps:?}");
    });
}

#[test]
fn two_who_were_not_joined_at_once_are_joined_at_last() {
    play(|mut world| async move {
        world.telephony_swallows(once("bridge"));
        world.start_worker("w1", 10);
        let transfer = json!({"name": "transfer", "destination": "Ext:1000", "transferType": "attended"});
        world.submit("r", json!([{"phone": TYPIST}]), json!([transfer])).await;
        world.pass(20_000).await;
        assert!(world.asked("bridge") > 1, "it was asked for {} times", world.asked("bridge"));
    });
}

#[test]
fn a_delivery_that_can_be_settled_no_more_does_not_keep_the_next_one_waiting() {
    play(|mut world| async move {
        world.queue_interrupted();
        world.intakes = 1;
        world.start_worker("w1", 10);
        let answer = world.publish("r", json!([{"phone": TYPIST}]), json!([says("one")]), json!({}));
        world.pass(600_000).await;
        let status = answer.await;
        assert!(status.is_ok(), "the delivery that came again was never taken");
    });
}

#[test]
fn a_destination_that_is_no_number_fails_whatever_the_hours_of_the_others() {
    play(|world| async move {
        world.start_worker("w1", 10);
        let more =
            json!({"skipInvalid": true, "callingWindow": {"timeZone": "recipient", "from": "08:00", "to": "20:00"}});
        let list = json!([{"phone": TYPIST}, {"phone": "12-not-a-number"}]);
        drop(world.publish("r", list, json!([says("one")]), more));
        world.pass(3 * 24 * 3_600_000).await;
        assert_eq!(world.summary("r").await.status, RequestStatus::Completed, "{:?}", world.summary("r").await);
    });
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
fn a_store_away_for_two_seconds_at_the_commitment_loses_nobody() {
    play(|mut world| async move {
        let clock = Arc::clone(&world.clock);
        let away = clock.now() + Duration::from_secs(2);
        world.store_loses(move |asked| asked == "begin_dial" && clock.now() < away);
        world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": TYPIST}]), json!([says("one")])).await;
        world.pass(600_000).await;
        let call = world.only_call("r").await;
        // The commitment stood and its answers were lost: too late for this dial, not for the person.
        assert!(call.history.iter().any(|fact| matches!(fact.what, Happening::RetryScheduled { .. })));
        assert_eq!(call.status, CallStatus::Completed, "{:#?}", call.history);
    });
}
