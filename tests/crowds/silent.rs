//! A phone network that takes its time, and one that says nothing any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use robocall::callflow::program::Target;
use robocall::model::{DispositionResult, Happening, LegId, LegRole, Timestamp, WorkerId};
use robocall::ports::telephony::{LegReport, LegState, NewLeg};
use robocall::ports::{Audio, CampaignStore as _, Clock, Telephony, TelephonyError};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::world::{World, key, play};

const HOUR: Duration = Duration::from_secs(3_600);

type Outcome<T = ()> = Result<T, TelephonyError>;

/// A network that lets nobody listen but after a while, and that may fall silent; and if it takes its time over a blind
/// transfer, it does that between making the target's leg and dialling it.
struct Silent {
    inner: Arc<dyn Telephony>,
    clock: Arc<dyn Clock>,
    listens_after: Duration,
    transfers_within: Duration,
    is_silent: Arc<AtomicBool>,
}

impl Silent {
    fn ask(&self) -> Outcome<&dyn Telephony> {
        match self.is_silent.load(Ordering::Relaxed) {
            true => Err(TelephonyError::Unavailable("it is dead".to_owned())),
            false => Ok(&*self.inner),
        }
    }
}

#[async_trait]
impl Telephony for Silent {
    async fn listen(&self, app: &WorkerId) -> Outcome<UnboundedReceiver<LegReport>> {
        self.clock.sleep_until(self.clock.now() + self.listens_after).await;
        let mut reports = self.ask()?.listen(app).await?;
        let ((hears, heard), is_silent) = (unbounded_channel(), Arc::clone(&self.is_silent));
        tokio::spawn(async move {
            while let Some(report) = reports.recv().await {
                if !is_silent.load(Ordering::Relaxed) && hears.send(report).is_err() {
                    return;
                }
            }
        });
        Ok(heard)
    }
    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome {
        self.ask()?.create(app, new, not_after).await
    }
    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome {
        self.ask()?.dial(leg, ring_timeout, not_after).await
    }
    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome {
        self.ask()?.hang_up(leg, not_after).await
    }
    async fn play(&self, leg: LegId, playback: u32, audio: &Audio, key: bool, not_after: Timestamp) -> Outcome {
        self.ask()?.play(leg, playback, audio, key, not_after).await
    }
    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome {
        self.ask()?.stop_playback(leg, playback, not_after).await
    }
    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome {
        self.ask()?.detect_machine(leg, wait_for_beep, not_after).await
    }
    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome {
        self.ask()?.bridge(leg, other, not_after).await
    }
    async fn listen_in(&self, leg: LegId, other: LegId, to: Option<LegId>, not_after: Timestamp) -> Outcome {
        self.ask()?.listen_in(leg, other, to, not_after).await
    }
    async fn blind_transfer(&self, leg: LegId, other: LegId, target: &Target, not_after: Timestamp) -> Outcome {
        if self.transfers_within.is_zero() {
            return self.ask()?.blind_transfer(leg, other, target, not_after).await;
        }
        let (target, lives_at_most, talks_at_most) = (target.clone(), HOUR, HOUR);
        let new =
            NewLeg { leg: other, target, caller: None, lives_at_most, talks_at_most, trunk: 0, is_waited_for: true };
        self.ask()?.create(&app(), &new, not_after).await?;
        self.clock.sleep_until(self.clock.now() + self.transfers_within).await;
        self.ask()?.dial(other, HOUR, not_after).await
    }
    async fn record(&self, leg: LegId, name: &str, on: bool, not_after: Timestamp) -> Outcome<Option<Box<str>>> {
        self.ask()?.record(leg, name, on, not_after).await
    }
    async fn inspect(&self, leg: LegId) -> Outcome<Option<LegState>> {
        self.ask()?.inspect(leg).await
    }
    async fn legs_of(&self, app: &WorkerId) -> Outcome<Vec<(LegId, LegState)>> {
        self.ask()?.legs_of(app).await
    }
}

/// In whose name the legs of a slow blind transfer are made.
fn app() -> WorkerId {
    "w1".parse().unwrap()
}

/// Makes the phone network one that may fall silent, and tells how.
fn may_fall_silent(world: &mut World, listens_after: Duration) -> Arc<AtomicBool> {
    let is_silent = Arc::new(AtomicBool::new(false));
    let (inner, clock) = (world.network.telephony(), Arc::clone(&world.clock) as _);
    let (transfers_within, silence) = (Duration::ZERO, Arc::clone(&is_silent));
    world.phones = Arc::new(Silent { inner, clock, listens_after, transfers_within, is_silent: silence });
    is_silent
}

fn leases(world: &World) -> usize {
    world.store.audit_slots().iter().map(|slots| slots.leases.len()).sum()
}

fn says(text: &str) -> Value {
    json!([{"name": "play", "message": {"msg": text}}])
}

#[test]
fn calls_of_a_network_that_is_dead_for_good_end_when_they_are_surely_over() {
    play(|mut world| async move {
        let is_silent = may_fall_silent(&mut world, Duration::ZERO);
        world.start_worker("w1", 10);
        // One rings for as long as it may, one listens for ever.
        let people = json!([{"phone": "+9993000001"}, {"phone": "+9991000001"}]);
        let limits = json!({"ringTimeoutSecs": 60, "maxCallDurationSecs": 120});
        world.publish("r", people, says(&"A long story. ".repeat(40)), limits).await.unwrap();
        world.pass(20_000).await;
        is_silent.store(true, Ordering::Relaxed);
        assert_eq!((leases(&world), world.network.counters().answered), (2, 1));
        // Preparing, ringing, talking, as long a talk with somebody else, and what is added to these.
        let surely_over = 10 + 60 + (120 + 30) + (120 + 30) + 60;
        world.pass((surely_over - 30) * 1_000).await;
        assert_eq!(leases(&world), 2, "they might still be up");
        world.pass(20_000).await;
        assert_eq!(leases(&world), 0);
        let calls = world.store.calls(&key("r"), 0, 2).await.unwrap();
        let ends = calls.iter().map(|call| {
            let end = call.history.iter().rev().find_map(|fact| match &fact.what {
                Happening::Ended { disposition, .. } => Some(disposition.result),
                _ => None,
            });
            (call.history.iter().filter(|fact| matches!(fact.what, Happening::Dialing { .. })).count(), end)
        });
        let [unknown, answered] = [DispositionResult::Unknown, DispositionResult::Answered].map(Some);
        assert_eq!(ends.collect::<Vec<_>>(), [(1, unknown), (1, answered)]);
    });
}

#[test]
fn a_network_that_is_slow_to_let_listen_holds_nobodys_calls_up_for_long() {
    play(|mut world| async move {
        let _talks = may_fall_silent(&mut world, Duration::from_secs(4));
        world.start_worker("survivor", 0);
        world.pass(40_000).await;
        let workers: Vec<_> = (0..12).map(|n| world.start_worker(&format!("w{n:02}"), 1)).collect();
        world.pass(5_000).await;
        let many: Vec<Value> = (0..12).map(|n| json!({"phone": format!("+99930{n:05}")})).collect();
        world.publish("r", json!(many), says("One."), json!({"ringTimeoutSecs": 110})).await.unwrap();
        world.pass(5_000).await;
        assert_eq!(world.network.counters().dialled, 12, "one each");
        workers.iter().for_each(tokio::task::AbortHandle::abort);
        // Leases run out after thirty seconds at most, are looked for every three, and listening takes four.
        world.pass(40_000).await;
        let slots = world.store.audit_slots();
        let orphans = slots[0].leases.iter().filter(|lease| lease.worker.as_str() != "survivor").count();
        assert_eq!(orphans, 0, "so many calls are nobody's forty seconds after their workers died");
    });
}

#[test]
fn a_target_whose_dial_comes_too_late_leaves_no_channel_behind() {
    play(|mut world| async move {
        let (network, clock) = (world.network.telephony(), Arc::clone(&world.clock) as _);
        world.phones = Arc::new(Silent {
            inner: Arc::clone(&network),
            clock,
            listens_after: Duration::ZERO,
            transfers_within: Duration::from_secs(2),
            is_silent: Arc::default(),
        });
        world.start_worker("w1", 10);
        let steps = json!([
            {"name": "transfer", "destination": "Ext:2000", "transferType": "blind", "onFailure": "continue"},
            {"name": "play", "message": {"msg": "A long story. ".repeat(70)}},
        ]);
        world.submit("r", json!([{"phone": "+9991000001"}]), steps).await;
        world.pass(15_000).await;
        let history = world.only_call("r").await.history;
        let failed = history.iter().any(|fact| matches!(fact.what, Happening::LegFailed { .. }));
        assert!(failed, "{history:#?}");
        assert_eq!(world.network.counters().created, 2, "the target's leg was made");
        let left: Vec<_> = network.legs_of(&app()).await.unwrap().into_iter().map(|(leg, _)| leg.role).collect();
        assert_eq!(left, [LegRole::Callee], "and is hung up, while the callee hears on");
    });
}
