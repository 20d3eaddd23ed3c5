//! Workers, a waiting room, a phone network and an unhurried bus in virtual time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::status::RequestSummary;
use robocall::model::{Event, Organisation, OrganisationId};
use robocall::ports::store::{CallSnapshot, CampaignStore, ProcessId, RequestKey};
use robocall::ports::{BusError, Clock, EventBus, Telephony};
use serde_json::{Value, json};
use tokio::sync::oneshot::Receiver;

pub struct World {
    pub clock: Arc<VirtualClock>,
    pub store: Arc<MemoryStore>,
    pub network: SimulatedNetwork,
    pub limit: u32,
    /// What workers take for the phone network.
    pub phones: Arc<dyn Telephony>,
    queue: Arc<MemoryQueue>,
    events: Arc<dyn EventBus>,
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
            phones: network.telephony(),
            network,
            limit: 100,
            queue: Arc::new(MemoryQueue::new()),
            events: Arc::new(MemoryEventBus::new([])),
        }
    }

    /// How long the bus takes to confirm, and whether it is out of order.
    pub fn bus_takes(&mut self, takes: Duration, out: Arc<AtomicBool>) {
        self.events = Arc::new(Unhurried { clock: Arc::clone(&self.clock) as _, takes, out });
    }

    pub fn start_worker(&self, name: &str, capacity: usize) -> tokio::task::AbortHandle {
        self.start_process(name, capacity, name.bytes().fold(0, |number, byte| (number << 8) | u128::from(byte)))
    }

    /// A worker under a name that may have been used before, in a process that was not.
    pub fn start_process(&self, name: &str, capacity: usize, process: u128) -> tokio::task::AbortHandle {
        let speech = Arc::new(SilentSpeech::new());
        let ports = Ports {
            clock: Arc::clone(&self.clock) as _,
            queue: Arc::clone(&self.queue) as _,
            store: Arc::clone(&self.store) as _,
            events: Arc::clone(&self.events),
            commands: Arc::new(MemoryCommandBus::new()),
            telephony: Arc::clone(&self.phones),
            speech: Arc::clone(&speech) as _,
        };
        let settings = WorkerSettings { capacity, ..WorkerSettings::new(name.parse().unwrap(), ProcessId(process)) };
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
}

fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

pub fn key(request: &str) -> RequestKey {
    RequestKey { organisation: bank(), request: request.parse().unwrap() }
}

/// A bus that confirms everything, each after a while.
pub struct Unhurried {
    pub clock: Arc<dyn Clock>,
    pub takes: Duration,
    /// While this holds, nothing is confirmed.
    pub out: Arc<AtomicBool>,
}

impl EventBus for Unhurried {
    fn publish(&self, _: Event) -> BoxFuture<'static, Result<(), BusError>> {
        if self.out.load(Ordering::Relaxed) {
            return std::future::ready(Err(BusError("out of order".to_owned()))).boxed();
        }
        let confirmed = self.clock.sleep_until(self.clock.now() + self.takes);
        async move {
            confirmed.await;
            Ok(())
        }
        .boxed()
    }

    fn recover(&self) {}
}
