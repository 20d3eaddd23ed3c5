//! Workers, a waiting room and a phone network in virtual time, with one thing that can be made to go wrong.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::status::RequestSummary;
use robocall::model::{Happening, Organisation, OrganisationId, StepStatus};
use robocall::ports::store::{CallSnapshot, CampaignStore, RequestKey};
use robocall::ports::{Clock, EventBus, RequestQueue};
use serde_json::{Value, json};
use tokio::sync::oneshot::Receiver;

use crate::buses::{Interrupted, Unhurried};
use crate::store::{Forgetful, Loses};
use crate::telephony::{HardOfHearing, Swallows};

pub struct World {
    pub clock: Arc<VirtualClock>,
    pub store: Arc<MemoryStore>,
    pub network: SimulatedNetwork,
    pub limit: u32,
    pub intakes: usize,
    queue: Arc<MemoryQueue>,
    interrupted: bool,
    events: Arc<dyn EventBus>,
    loses: Arc<Mutex<Loses>>,
    swallows: Arc<Mutex<Swallows>>,
    asked: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

/// Plays a scene in a new world.
pub fn play<F: Future<Output = ()> + Send + 'static>(scene: impl FnOnce(World) -> F + Send + 'static) {
    let clock = Arc::new(VirtualClock::for_tests(Duration::from_secs(30 * 24 * 3600)));
    let time = Arc::clone(&clock);
    clock.run(async move { scene(World::new(time)).await }).unwrap();
}

impl World {
    fn new(clock: Arc<VirtualClock>) -> Self {
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let network = SimulatedNetwork::new(Arc::clone(&time), NetworkSettings::default());
        tokio::spawn(network.run());
        Self {
            store: Arc::new(MemoryStore::new(time)),
            clock,
            network,
            limit: 100,
            intakes: 4,
            queue: Arc::new(MemoryQueue::new()),
            interrupted: false,
            events: Arc::new(MemoryEventBus::new([])),
            loses: Arc::new(Mutex::new(Box::new(|_| false))),
            swallows: Arc::new(Mutex::new(Box::new(|_| false))),
            asked: Arc::default(),
        }
    }

    /// Which answers of the store's get lost.
    pub fn store_loses(&mut self, loses: impl FnMut(&'static str) -> bool + Send + 'static) {
        *self.loses.lock().unwrap() = Box::new(loses);
    }

    /// Which commands never reach the backend.
    pub fn telephony_swallows(&mut self, swallows: impl FnMut(&'static str) -> bool + Send + 'static) {
        *self.swallows.lock().unwrap() = Box::new(swallows);
    }

    pub fn queue_interrupted(&mut self) {
        self.interrupted = true;
    }

    /// How long the bus takes to confirm, and whether it is out of order.
    pub fn bus_takes(&mut self, takes: Duration, out: Arc<AtomicBool>) {
        self.events = Arc::new(Unhurried { clock: Arc::clone(&self.clock) as _, takes, out });
    }

    /// How often a command was given.
    pub fn asked(&self, command: &'static str) -> u32 {
        self.asked.lock().unwrap().get(command).copied().unwrap_or_default()
    }

    pub fn start_worker(&self, name: &str, capacity: usize) -> tokio::task::AbortHandle {
        let queue: Arc<dyn RequestQueue> = if self.interrupted {
            Arc::new(Interrupted { inner: Arc::clone(&self.queue), once: AtomicBool::new(false) })
        } else {
            Arc::clone(&self.queue) as _
        };
        let (loses, swallows, asked) = (Arc::clone(&self.loses), Arc::clone(&self.swallows), Arc::clone(&self.asked));
        let speech = Arc::new(SilentSpeech::new());
        let ports = Ports {
            clock: Arc::clone(&self.clock) as _,
            queue,
            store: Arc::new(Forgetful {
                inner: Arc::clone(&self.store) as _,
                loses: Mutex::new(Box::new(move |name| (loses.lock().unwrap())(name))),
            }),
            events: Arc::clone(&self.events),
            commands: Arc::new(MemoryCommandBus::new()),
            telephony: Arc::new(HardOfHearing {
                inner: self.network.telephony(),
                swallows: Mutex::new(Box::new(move |name| {
                    *asked.lock().unwrap().entry(name).or_default() += 1;
                    (swallows.lock().unwrap())(name)
                })),
            }),
            speech: Arc::clone(&speech) as _,
        };
        let settings = WorkerSettings { capacity, intakes: self.intakes, ..WorkerSettings::new(name.parse().unwrap()) };
        let programs = Arc::new(Programs::new(FlowCatalogue::default(), speech));
        tokio::spawn(Worker::new(Arc::new(ports), programs, settings).run(Shutdown::default())).abort_handle()
    }

    /// Sends a request of `bank`.
    pub fn publish(&self, request: &str, destinations: Value, steps: Value, more: Value) -> Receiver<RequestSummary> {
        let mut body = json!({"requestId": request, "destinations": destinations, "callFlow": {"steps": steps}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (store, limit) = (Arc::clone(&self.store), self.limit);
        let settings = Organisation { limit, ..Organisation::default() };
        futures_util::FutureExt::now_or_never(store.set_organisation(&bank(), settings)).unwrap().unwrap();
        self.queue.publish(bank(), serde_json::to_vec(&body).unwrap()).unwrap()
    }

    /// Sends a request of `bank` and waits until it is sealed.
    pub async fn submit(&self, request: &str, destinations: Value, steps: Value) {
        self.publish(request, destinations, steps, json!({})).await.unwrap();
    }

    pub async fn pass(&self, millis: u64) {
        self.clock.sleep_until(self.clock.now() + Duration::from_millis(millis)).await;
    }

    pub async fn summary(&self, request: &str) -> RequestSummary {
        self.store.request(&key(request)).await.unwrap().summary
    }

    pub async fn only_call(&self, request: &str) -> CallSnapshot {
        self.store.calls(&key(request), 0, 1).await.unwrap().remove(0)
    }

    /// How the steps of a request's only call ended.
    pub async fn steps_finished(&self, request: &str) -> Vec<StepStatus> {
        let ended = |what: &Happening| match what {
            Happening::StepFinished { status, .. } => Some(*status),
            _ => None,
        };
        self.only_call(request).await.history.iter().filter_map(|fact| ended(&fact.what)).collect()
    }
}

fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

fn key(request: &str) -> RequestKey {
    RequestKey { organisation: bank(), request: request.parse().unwrap() }
}
