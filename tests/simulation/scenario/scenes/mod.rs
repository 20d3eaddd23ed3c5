//! Accidents told one by one: what exactly goes wrong, and what must come of it. The checker watches these worlds, too.

mod calls;
mod crew;
mod drains;
mod guards;
mod hang_ups;
mod names;
mod third_parties;
mod transfers;
mod within_a_second;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, Sabotage};
use robocall::command::{Command, CommandKind, CommandReply};
use robocall::model::{
    CallId, CallStatus, DispositionResult, Fact, Happening, LegRole, Organisation, Party, RequestStatus, StepStatus,
};
use robocall::ports::Clock;
use robocall::ports::store::{CampaignStore, RequestKey};
use serde_json::{Value, json};

use super::World;
use crate::chaos::{Accident, Fate};

/// Presses 1, and nothing more.
const PRESSES_ONE: &str = "+99970000011";

/// Answers, listens, presses nothing.
const ANSWERS: &str = "+9991000001";

/// A second leg that answers.
const AGENT: &str = "+9991077777";

/// Plays a scene in a world of its own, in which nothing goes wrong but what the scene prepares.
fn play<F: Future<Output = World> + Send + 'static>(scene: impl FnOnce(World) -> F + Send + 'static) {
    let clock = Arc::new(VirtualClock::for_tests(Duration::from_secs(24 * 3600)));
    let time = Arc::clone(&clock);
    clock
        .run(async move {
            let mut world = World::new(time, 0, Sabotage::default());
            world.well = true;
            let world = scene(world).await;
            assert_eq!(world.checker.violation(), None);
        })
        .unwrap();
}

fn says(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

/// Twenty messages of half a minute or so each.
fn talk() -> Value {
    (0..20).map(|_| json!({"name": "play", "message": {"msg": "a long story. ".repeat(40)}})).collect()
}

fn transfer_to(target: &str) -> Value {
    json!([
        {"name": "transfer", "destination": target, "onFailure": "continue"},
        {"name": "play", "message": {"msg": "goodbye"}},
    ])
}

impl World {
    fn worker(&mut self, capacity: usize) -> Arc<Fate> {
        self.start_well_worker(capacity);
        Arc::clone(&self.workers.last().unwrap().fate)
    }

    /// A worker whose calls may go on for so long once it drains.
    fn worker_with_grace(&mut self, grace: Duration) -> Arc<Fate> {
        let id = format!("worker{}", self.started + 1).parse().unwrap();
        self.start(id, 8, grace, (0, 0));
        Arc::clone(&self.workers.last().unwrap().fate)
    }

    fn drain(&self, worker: usize) {
        self.checker.crew.drain(&self.workers[worker].fate);
    }

    /// Waits until a worker has ended, for so long at most.
    async fn until_gone(&self, worker: usize, within: Duration) {
        let until = self.clock.now() + within;
        while !self.workers[worker].task.is_finished() {
            assert!(self.clock.now() < until, "it should have ended by now");
            self.clock.sleep_until(self.clock.now() + Duration::from_millis(100)).await;
        }
    }

    async fn limit(&self, limit: u32) {
        self.settle(|settings| settings.limit = limit).await;
    }

    async fn settle(&self, change: impl FnOnce(&mut Organisation)) {
        let bank = "bank".parse().unwrap();
        let mut settings = self.store.organisation(&bank).await.unwrap();
        change(&mut settings);
        self.store.set_organisation(&bank, settings).await.unwrap();
    }

    /// Submits a request and waits for the verdict.
    async fn ask(&self, phones: &[&str], steps: Value, more: Value) {
        self.ask_for(&key(), phones, steps, more).await;
    }

    async fn ask_for(&self, key: &RequestKey, phones: &[&str], steps: Value, more: Value) {
        let destinations: Vec<_> = phones.iter().map(|phone| json!({"phone": phone})).collect();
        let mut body = json!({"requestId": key.request, "destinations": destinations, "callFlow": {"steps": steps}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.checker.expect_request(key);
        let body = serde_json::to_vec(&body).unwrap();
        let summary = self.queue.publish("bank".parse().unwrap(), body).unwrap().await.unwrap();
        assert_ne!(summary.status, RequestStatus::Failed, "{:?}", summary.errors);
    }

    async fn pass(&self, secs: u64) {
        self.clock.sleep_until(self.clock.now() + Duration::from_secs(secs)).await;
    }

    /// Waits until the request has ended, and answers with its calls' histories.
    async fn until_over(&self) -> Vec<(CallStatus, Vec<Fact>)> {
        self.until_over_for(&key()).await
    }

    async fn until_over_for(&self, key: &RequestKey) -> Vec<(CallStatus, Vec<Fact>)> {
        loop {
            let summary = self.store.request(key).await.unwrap().summary;
            if summary.status.is_final() {
                break;
            }
            assert_eq!(self.checker.violation(), None);
            self.pass(1).await;
        }
        let calls = self.store.calls(key, 0, 1000).await.unwrap();
        calls.into_iter().map(|call| (call.status, call.history)).collect()
    }

    /// Waits until something has happened to the first call.
    async fn until(&self, happened: impl Fn(&Happening) -> bool) {
        loop {
            let calls = self.store.calls(&key(), 0, 1).await.unwrap();
            if calls.iter().flat_map(|call| &call.history).any(|fact| happened(&fact.what)) {
                return;
            }
            assert_eq!(self.checker.violation(), None);
            self.clock.sleep_until(self.clock.now() + Duration::from_millis(100)).await;
        }
    }

    fn second_legs_dialled(&self) -> usize {
        let log = self.checker.network().dial_log();
        log.iter().filter(|invite| invite.leg.role != LegRole::Callee).count()
    }
}

fn key() -> RequestKey {
    key_of("r")
}

fn key_of(request: &str) -> RequestKey {
    RequestKey { organisation: "bank".parse().unwrap(), request: request.parse().unwrap() }
}

fn has(history: &[Fact], happened: impl Fn(&Happening) -> bool) -> bool {
    history.iter().any(|fact| happened(&fact.what))
}
