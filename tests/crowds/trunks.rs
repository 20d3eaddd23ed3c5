//! A phone network with several trunks, and one that is full.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use robocall::callflow::program::Target;
use robocall::model::{DispositionResult, Happening, LegId, Timestamp, WorkerId};
use robocall::ports::store::CallSnapshot;
use robocall::ports::telephony::{LegReport, LegState, NewLeg};
use robocall::ports::{Audio, Telephony, TelephonyError};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::world::{World, play};

/// Nobody finds a way to this one; this one is busy; this one answers and stays.
const NO_WAY: &str = "+9998000001";
const BUSY: &str = "+9992000001";
const ANSWERS: &str = "+9991000001";

type Outcome = Result<(), TelephonyError>;
type Recorded = Result<Option<Box<str>>, TelephonyError>;

/// A network on which each trunk leads somewhere else.
struct Trunked {
    inner: Arc<dyn Telephony>,
    names: Vec<Box<str>>,
    lead_to: Vec<&'static str>,
    most_calls: usize,
}

#[async_trait]
impl Telephony for Trunked {
    fn trunks(&self) -> &[Box<str>] {
        &self.names
    }
    fn most_calls(&self) -> usize {
        self.most_calls
    }
    async fn listen(&self, app: &WorkerId) -> Result<UnboundedReceiver<LegReport>, TelephonyError> {
        self.inner.listen(app).await
    }
    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome {
        let target = Target::External(self.lead_to[new.trunk].parse().unwrap());
        self.inner.create(app, &NewLeg { target, ..new.clone() }, not_after).await
    }
    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome {
        self.inner.dial(leg, ring_timeout, not_after).await
    }
    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome {
        self.inner.hang_up(leg, not_after).await
    }
    async fn play(&self, leg: LegId, playback: u32, audio: &Audio, key: bool, not_after: Timestamp) -> Outcome {
        self.inner.play(leg, playback, audio, key, not_after).await
    }
    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome {
        self.inner.stop_playback(leg, playback, not_after).await
    }
    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome {
        self.inner.detect_machine(leg, wait_for_beep, not_after).await
    }
    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome {
        self.inner.bridge(leg, other, not_after).await
    }
    async fn listen_in(&self, leg: LegId, other: LegId, to: Option<LegId>, not_after: Timestamp) -> Outcome {
        self.inner.listen_in(leg, other, to, not_after).await
    }
    async fn blind_transfer(&self, leg: LegId, other: LegId, target: &Target, not_after: Timestamp) -> Outcome {
        self.inner.blind_transfer(leg, other, target, not_after).await
    }
    async fn record(&self, leg: LegId, name: &str, on: bool, not_after: Timestamp) -> Recorded {
        self.inner.record(leg, name, on, not_after).await
    }
    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        self.inner.inspect(leg).await
    }
    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        self.inner.legs_of(app).await
    }
}

/// Lets trunks `a`, `b`, … lead to these numbers.
fn lead_to(world: &mut World, numbers: &[&'static str], most_calls: usize) {
    world.phones = Arc::new(Trunked {
        inner: world.network.telephony(),
        names: ["a", "b", "c"][..numbers.len()].iter().map(|name| Box::from(*name)).collect(),
        lead_to: numbers.to_vec(),
        most_calls,
    });
}

fn says_one() -> serde_json::Value {
    json!([{"name": "play", "message": {"msg": "One."}}])
}

/// The trunks that a call was dialled through, in order.
fn trunks(call: &CallSnapshot) -> Vec<&str> {
    let dials = call.history.iter().filter_map(|fact| match &fact.what {
        Happening::Dialing { trunk, .. } => Some(trunk.as_deref().unwrap_or_default()),
        _ => None,
    });
    dials.collect()
}

fn result(call: &CallSnapshot) -> Option<DispositionResult> {
    call.history.iter().rev().find_map(|fact| match &fact.what {
        Happening::Ended { disposition, .. } => Some(disposition.result),
        _ => None,
    })
}

#[test]
fn a_trunk_without_a_way_leads_to_the_next_at_once_and_counts_for_nothing() {
    play(|mut world| async move {
        lead_to(&mut world, &[NO_WAY, NO_WAY, ANSWERS], 100);
        world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": "+6591234567"}]), says_one()).await;
        world.pass(30_000).await;
        let call = world.only_call("r").await;
        assert_eq!((trunks(&call), result(&call)), (vec!["a", "b", "c"], Some(DispositionResult::Answered)));
    });
}

#[test]
fn whoever_is_busy_is_not_dialled_through_another_trunk() {
    play(|mut world| async move {
        lead_to(&mut world, &[BUSY, ANSWERS], 100);
        world.start_worker("w1", 10);
        world.submit("r", json!([{"phone": "+6591234567"}]), says_one()).await;
        world.pass(30_000).await;
        let call = world.only_call("r").await;
        assert_eq!((trunks(&call), result(&call)), (vec!["a"], Some(DispositionResult::Busy)));
    });
}

#[test]
fn when_no_trunk_has_a_way_policy_decides_and_the_first_comes_first_again() {
    play(|mut world| async move {
        lead_to(&mut world, &[NO_WAY, NO_WAY], 100);
        world.start_worker("w1", 10);
        let again = json!({"retry": {"maxAttempts": 2, "on": ["congestion"], "delaySecs": [60]}});
        world.publish("r", json!([{"phone": "+6591234567"}]), says_one(), again).await.unwrap();
        world.pass(30_000).await;
        assert_eq!(trunks(&world.only_call("r").await), ["a", "b"]);
        world.pass(60_000).await;
        let call = world.only_call("r").await;
        assert_eq!((trunks(&call), result(&call)), (vec!["a", "b", "a", "b"], Some(DispositionResult::Congestion)));
    });
}

#[test]
fn a_network_that_is_full_is_given_no_more() {
    play(|mut world| async move {
        lead_to(&mut world, &[ANSWERS], 2);
        world.start_worker("w1", 10);
        let crowd: Vec<_> = (0..5).map(|n| json!({"phone": format!("+659123456{n}")})).collect();
        world.submit("r", json!(crowd), says_one()).await;
        world.pass(1_000).await;
        assert_eq!(world.network.counters().created, 2);
        world.pass(600_000).await;
        assert_eq!(
            (world.network.counters().most_live, world.network.counters().answered),
            (2, 5),
            "one after the other"
        );
    });
}
