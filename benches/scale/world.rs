//! A deployment, and what happens in it: nothing for a while; then everybody has work and no slots, then slots that other
//! applications hold, each for a while; then everybody calls until all is done; then nothing again.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::{Organisation, OrganisationId, RequestStatus};
use robocall::ports::Clock;
use robocall::ports::store::{CampaignStore, ProcessId, RequestKey, StoreError, StoreResult};

use super::books::{Balance, Books};
use super::counted::{Count, Counted, Counts, between};
use super::mix::{Client, Size, client};
use super::nodes::{Legs, Nodes, Phones};

/// For how long nothing happens before it is watched: until workers trust that the store has not stood still.
const AT_REST: Duration = Duration::from_secs(60);

/// How long it takes until everybody has been let in.
const LET_IN_WITHIN: Duration = Duration::from_secs(10);

/// How long an answer of the store takes in virtual time: that of a server in the same network.
const ANSWERS_AFTER: Duration = Duration::from_millis(1);

/// Nothing lasts longer.
const AT_MOST: Duration = Duration::from_secs(12 * 3600);

/// Slots that other applications hold: so many that nothing can be dialled.
const ALL: &str = "1000000";

/// What was asked of the store.
pub type Asked = BTreeMap<&'static str, Count>;

/// What a database that is no mere reckoning says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server {
    /// Scripts it has run.
    pub scripts: u64,
    /// Processor time it has used, in seconds.
    pub cpu: f64,
}

/// What was asked while something went on.
#[derive(Debug, Default)]
pub struct Phase {
    /// How long that was, in seconds.
    pub seconds: f64,
    /// By workers.
    pub asked: Asked,
    /// Of a database, if there is one.
    pub server: Server,
}

/// What a deployment stands on.
pub struct Ground {
    pub clock: Arc<dyn Clock>,
    /// Opens a process's way to the store.
    pub store: Box<dyn Fn() -> Arc<dyn CampaignStore> + Send + Sync>,
    /// How long the store takes to answer, besides the time that it takes by itself.
    pub answers_after: Duration,
    /// For how long it is watched while nothing happens.
    pub watched: Duration,
    /// For how long it is watched while calls are made; none: until all are.
    pub calls_for: Option<Duration>,
    /// What the database says of itself.
    pub server: Box<dyn Fn() -> Server + Send + Sync>,
}

/// What was found out.
#[derive(Debug, Default)]
pub struct Findings {
    pub slots: u64,
    pub destinations: u64,
    pub balance: Balance,
    pub legs: Legs,
    /// Dials by each worker, the fewest first.
    pub by_worker: Vec<u64>,
    /// The most claims in vain of all workers in one second.
    pub most_in_vain: u64,
    /// While nothing was there to be done, and nobody had called yet.
    pub idle: Phase,
    /// While everybody had work and nobody slots.
    pub waiting: Phase,
    /// While other applications held everybody's slots.
    pub held: Phase,
    /// From when the first was let in until all was done, or for a while.
    pub calling: Phase,
    /// After everything, if that was waited for.
    pub over: Option<Phase>,
}

/// Lets it all happen in virtual time, with a store in memory.
pub fn play(size: Size) -> Findings {
    let clock = Arc::new(VirtualClock::for_tests(AT_MOST));
    let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let store = Arc::new(MemoryStore::new(Arc::clone(&time)));
    let ground = Ground {
        clock: time,
        store: Box::new(move || Arc::clone(&store) as _),
        answers_after: ANSWERS_AFTER,
        watched: AT_REST,
        calls_for: None,
        server: Box::new(Server::default),
    };
    // The clock refuses only if the system does.
    clock.run(async move { play_on(ground, size).await }).expect("a runtime")
}

/// Lets it all happen.
pub async fn play_on(ground: Ground, size: Size) -> Findings {
    World::new(ground, size).play().await
}

struct World {
    size: Size,
    ground: Ground,
    clock: Arc<dyn Clock>,
    store: Arc<dyn CampaignStore>,
    queue: Arc<MemoryQueue>,
    nodes: Arc<Nodes>,
    books: Arc<Books>,
    counts: Arc<Counts>,
    clients: Vec<Client>,
    by_worker: Vec<Arc<AtomicU64>>,
}

impl World {
    fn new(ground: Ground, size: Size) -> Self {
        let clock = Arc::clone(&ground.clock);
        let networks = (0..size.nodes).map(|seed| {
            let settings = NetworkSettings { seed: u64::from(seed) + 1, dial_log: 0, ..NetworkSettings::default() };
            let network = SimulatedNetwork::new(Arc::clone(&clock), settings);
            tokio::spawn(network.run());
            network.telephony()
        });
        let (books, counts) = (Arc::new(Books::default()), Arc::new(Counts::default()));
        let mut world = Self {
            store: (ground.store)(),
            queue: Arc::new(MemoryQueue::new()),
            nodes: Arc::new(Nodes::new(networks.collect(), size.legs)),
            clients: (0..size.organisations).map(|number| client(number, size.rounds)).collect(),
            by_worker: Vec::new(),
            size,
            ground,
            clock,
            books,
            counts,
        };
        (0..size.workers).for_each(|number| world.start_worker(number));
        world
    }

    fn start_worker(&mut self, number: u32) {
        let speech = Arc::new(SilentSpeech::new());
        let phones = Phones::new(Arc::clone(&self.nodes), Arc::clone(&self.books), Arc::clone(&self.clock));
        self.by_worker.push(phones.dialled());
        let store = Counted {
            inner: (self.ground.store)(),
            answers_after: self.ground.answers_after,
            clock: Arc::clone(&self.clock),
            counts: Arc::clone(&self.counts),
            books: Arc::clone(&self.books),
            seen: Mutex::default(),
        };
        let ports = Ports {
            clock: Arc::clone(&self.clock),
            queue: Arc::clone(&self.queue) as _,
            store: Arc::new(store),
            events: Arc::new(MemoryEventBus::new([])),
            commands: Arc::new(MemoryCommandBus::new()),
            telephony: Arc::new(phones),
            speech: Arc::clone(&speech) as _,
        };
        // Both are names.
        let id = format!("w{number}").parse().expect("a name");
        let settings = WorkerSettings {
            capacity: self.size.capacity,
            ..WorkerSettings::new(id, ProcessId(u128::from(number) + 1))
        };
        let programs = Arc::new(Programs::new(FlowCatalogue::default(), speech));
        let clock = Arc::clone(&self.clock);
        // No two processes begin in the same moment, and what they do every few seconds is never done by all at once.
        let begins =
            clock.now() + Duration::from_millis(u64::from(number) * 3_000 / u64::from(self.size.workers.max(1)));
        tokio::spawn(async move {
            clock.sleep_until(begins).await;
            Worker::new(Arc::new(ports), programs, settings).run(Shutdown::default()).await
        });
    }

    async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.now() + time).await;
    }

    /// What is asked of the store until something is over.
    async fn during(&self, what: impl Future<Output = ()>) -> Phase {
        let (before, server, begun) = (self.counts.so_far(), (self.ground.server)(), self.clock.now());
        what.await;
        let (after, asked) = ((self.ground.server)(), between(&before, &self.counts.so_far()));
        let server = Server { scripts: after.scripts - server.scripts, cpu: after.cpu - server.cpu };
        Phase { seconds: self.clock.now().since(begun).as_secs_f64(), asked, server }
    }

    async fn play(self) -> Findings {
        let mut findings = Findings::default();
        self.pass(AT_REST).await;
        findings.idle = self.during(self.pass(self.ground.watched)).await;
        let keys = self.submit_all().await;
        findings.waiting = self.during(self.pass(self.ground.watched)).await;
        for client in &self.clients {
            self.set_external(client, Some(ALL)).await;
            self.set_limit(client, client.limit).await;
        }
        findings.held = self.during(self.pass(self.ground.watched)).await;
        let calling = async {
            self.let_all_in().await;
            if let Some(time) = self.ground.calls_for {
                return self.pass(time).await;
            }
            for key in &keys {
                while !self.is_over(key).await {
                    self.pass(Duration::from_secs(1)).await;
                }
            }
        };
        findings.calling = self.during(calling).await;
        if self.ground.calls_for.is_none() {
            // Confirmations and leases have come to rest by then.
            self.pass(AT_REST).await;
            findings.over = Some(self.during(self.pass(self.ground.watched)).await);
        }
        findings.slots = self.clients.iter().map(|client| u64::from(client.limit)).sum();
        let counts = self.clients.iter().flat_map(|client| &client.campaigns).map(|campaign| u64::from(campaign.count));
        findings.destinations = counts.sum();
        findings.balance = self.books.balance();
        findings.most_in_vain = self.counts.most_in_vain();
        findings.legs = self.nodes.legs();
        findings.by_worker = self.by_worker.iter().map(|dialled| dialled.load(Ordering::Relaxed)).collect();
        findings.by_worker.sort_unstable();
        findings
    }

    async fn is_over(&self, key: &RequestKey) -> bool {
        let snapshot = self.insist(|| self.store.request(key)).await;
        snapshot.summary.status == RequestStatus::Completed
    }

    /// Asks the store until it answers, which a server that has much to do may not in time.
    async fn insist<T, A: Future<Output = StoreResult<T>>>(&self, ask: impl Fn() -> A) -> T {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(StoreError::Unavailable(why)) => eprintln!("   the store does not answer: {why}"),
                Err(error) => panic!("{error}"),
            }
            self.pass(Duration::from_secs(1)).await;
        }
    }

    async fn set_external(&self, client: &Client, value: Option<&str>) {
        let organisation = client.name.parse().expect("a name");
        self.insist(|| self.store.set_external(&organisation, value.map(str::to_owned))).await;
    }

    async fn set_limit(&self, client: &Client, limit: u32) {
        let settings = Organisation { limit, calls_per_second: client.a_second, ..Organisation::default() };
        let organisation = client.name.parse().expect("a name");
        self.insist(|| self.store.set_organisation(&organisation, settings.clone())).await;
    }

    /// Submits everything; nobody has a slot yet.
    async fn submit_all(&self) -> Vec<RequestKey> {
        let (mut keys, mut asked) = (Vec::new(), Vec::new());
        for (number, client) in self.clients.iter().enumerate() {
            let organisation: OrganisationId = client.name.parse().expect("a name");
            self.books.open(client, self.clock.now());
            self.set_limit(client, 0).await;
            for campaign in &client.campaigns {
                let body = client.body(u32::try_from(number).unwrap_or(u32::MAX), campaign).to_string();
                let verdict = self.queue.publish(organisation.clone(), body.into_bytes()).expect("the queue is open");
                let request = campaign.name.parse().expect("a name");
                let key = RequestKey { organisation: organisation.clone(), request };
                asked.push((number, key, campaign, verdict));
            }
        }
        for (number, key, campaign, verdict) in asked {
            let summary = verdict.await.expect("somebody takes it in");
            assert_eq!(summary.total, campaign.count, "{summary:?}");
            self.books.sealed(number, &key, campaign.count, campaign.retries, self.clock.now());
            keys.push(key);
        }
        keys
    }

    /// Other applications give all slots back, one organisation's after the other's.
    async fn let_all_in(&self) {
        let begun = self.clock.now();
        for (number, client) in self.clients.iter().enumerate() {
            let share = LET_IN_WITHIN.mul_f64(number as f64 / self.clients.len() as f64);
            self.clock.sleep_until(begun + share).await;
            self.books.let_in(number, self.clock.now());
            self.set_external(client, None).await;
        }
    }
}
