//! What one seed does: organisations, requests, workers, and everything that goes wrong.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{EventSink, MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore, Sabotage};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::{Organisation, OrganisationId, RequestId, WorkerId};
use robocall::ports::store::{CampaignStore, RequestKey};
use robocall::ports::{Clock, Command, CommandKind, RequestQueue, Telephony};
use serde_json::json;

use crate::chaos::{ChaosBus, ChaosCommands, ChaosQueue, ChaosSpeech, ChaosStore, ChaosTelephony, Fate};
use crate::checker::Checker;
use crate::dice::Dice;

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(600);

/// When everything must have come to rest.
const REST: Duration = Duration::from_secs(6 * 3600);

pub struct World {
    pub clock: Arc<VirtualClock>,
    pub store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    bus: Arc<MemoryEventBus>,
    commands: Arc<MemoryCommandBus>,
    telephony: Arc<dyn Telephony>,
    programs: Arc<Programs>,
    pub checker: Arc<Checker>,
    dice: Dice,
    seed: u64,
    organisations: Vec<OrganisationId>,
    requests: Vec<(RequestKey, Vec<u8>)>,
    workers: Vec<Alive>,
    started: u64,
}

struct Alive {
    fate: Arc<Fate>,
    task: tokio::task::AbortHandle,
}

/// Runs one seed and answers with what went wrong, if anything.
pub fn run(seed: u64, sabotage: Sabotage) -> Result<Summary, String> {
    let clock = Arc::new(VirtualClock::for_tests(REST * 4));
    let runtime = clock.runtime().expect("a runtime can be built");
    let outcome = runtime.block_on(async {
        let scenario = {
            let clock = Arc::clone(&clock);
            async move { World::new(clock, seed, sabotage).play().await }
        };
        // On a task of its own, as the virtual clock likes it.
        tokio::spawn(scenario).await
    });
    match outcome {
        Ok(result) => result,
        Err(panic) => Err(format!("panicked: {panic}")),
    }
}

/// What a seed amounted to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub destinations: usize,
    pub invites: usize,
    pub crashes: usize,
    pub freezes: usize,
    pub unknown: usize,
    /// A hash of every INVITE and event in order.
    pub trace: u64,
}

impl World {
    fn new(clock: Arc<VirtualClock>, seed: u64, sabotage: Sabotage) -> Self {
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let store = Arc::new(MemoryStore::new(Arc::clone(&as_clock)).sabotaged(sabotage));
        let network =
            SimulatedNetwork::new(Arc::clone(&as_clock), NetworkSettings { seed, ..NetworkSettings::default() });
        let checker = Checker::new(Arc::clone(&as_clock), Arc::clone(&store));
        {
            let checker = Arc::clone(&checker);
            network.on_invite(Arc::new(move |invite| checker.invited(invite)));
        }
        let telephony = network.telephony();
        tokio::spawn(async move { network.run().await });
        let sink: EventSink = {
            let checker = Arc::clone(&checker);
            Arc::new(move |event: &robocall::model::Event| checker.published(event))
        };
        let bus = Arc::new(MemoryEventBus::new([sink]));
        let programs = Arc::new(Programs::new(FlowCatalogue::default(), Arc::new(SilentSpeech::new())));
        Self {
            queue: Arc::new(MemoryQueue::new()),
            commands: Arc::new(MemoryCommandBus::new()),
            bus,
            telephony,
            programs,
            checker,
            dice: Dice::new(seed),
            seed,
            organisations: Vec::new(),
            requests: Vec::new(),
            workers: Vec::new(),
            started: 0,
            clock,
            store,
        }
    }

    async fn play(mut self) -> Result<Summary, String> {
        let mut summary = Summary::default();
        self.found_organisations().await;
        self.write_requests();
        for _ in 0..1 + self.dice.below(3) {
            self.start_worker();
        }
        let end = self.clock.now() + TROUBLE;
        for (key, body) in self.requests.clone() {
            self.submit(&key, &body);
            self.pause(20_000).await;
        }
        while self.clock.now() < end {
            self.pause(40_000).await;
            self.trouble(&mut summary).await;
            if let Some(violation) = self.checker.violation() {
                return Err(violation);
            }
        }
        self.make_peace().await;
        self.come_to_rest().await?;
        self.checker.check_rest(&self.requests.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
        if let Some(violation) = self.checker.violation() {
            return Err(violation);
        }
        self.checker.sum_up(&mut summary);
        Ok(summary)
    }

    async fn pause(&mut self, at_most_millis: u64) {
        let length = Duration::from_millis(self.dice.below(at_most_millis));
        self.clock.sleep_until(self.clock.now() + length).await;
    }

    async fn found_organisations(&mut self) {
        for number in 0..1 + self.dice.below(3) {
            let id: OrganisationId = format!("org{number}").parse().unwrap();
            let settings = Organisation {
                limit: 1 + self.dice.below(5) as u32,
                weight: 1 + self.dice.below(3) as u32,
                calls_per_second: (self.dice.below(4) == 0).then_some(1),
                ..Organisation::default()
            };
            self.store.set_organisation(&id, settings).await.unwrap();
            self.organisations.push(id);
        }
    }

    fn write_requests(&mut self) {
        for number in 0..1 + self.dice.below(4) {
            let organisation = self.organisations[self.dice.below(self.organisations.len() as u64) as usize].clone();
            let request: RequestId = format!("request{number}").parse().unwrap();
            let body = request_body(&mut self.dice, request.as_str(), number, self.clock.now());
            self.requests.push((RequestKey { organisation, request }, body));
        }
    }

    fn submit(&mut self, key: &RequestKey, body: &[u8]) {
        drop(self.queue.publish(key.organisation.clone(), body.to_vec()).unwrap());
        // Upstream systems send again when no confirmation came.
        if self.dice.below(4) == 0 {
            drop(self.queue.publish(key.organisation.clone(), body.to_vec()).unwrap());
        }
    }

    fn start_worker(&mut self) {
        self.started += 1;
        let id: WorkerId = format!("worker{}", self.started).parse().unwrap();
        let loss = if self.dice.below(2) == 0 { 0 } else { self.dice.below(60) };
        let fate = Fate::new(Arc::clone(&self.clock) as _, self.seed ^ (self.started << 32), loss);
        let ports = Ports {
            clock: Arc::clone(&self.clock) as _,
            queue: Arc::new(ChaosQueue {
                inner: Arc::clone(&self.queue) as Arc<dyn RequestQueue>,
                fate: Arc::clone(&fate),
                checker: Arc::clone(&self.checker),
            }),
            store: Arc::new(ChaosStore {
                inner: Arc::clone(&self.store) as Arc<dyn CampaignStore>,
                fate: Arc::clone(&fate),
                checker: Arc::clone(&self.checker),
            }),
            events: Arc::new(ChaosBus::new(Arc::clone(&self.bus) as _, Arc::clone(&fate))),
            commands: Arc::new(ChaosCommands { inner: Arc::clone(&self.commands) as _, fate: Arc::clone(&fate) }),
            telephony: Arc::new(ChaosTelephony { inner: Arc::clone(&self.telephony), fate: Arc::clone(&fate) }),
            speech: Arc::new(ChaosSpeech { inner: Arc::new(SilentSpeech::new()), fate: Arc::clone(&fate) }),
        };
        let settings = WorkerSettings { capacity: 1 + self.dice.below(8) as usize, ..WorkerSettings::new(id) };
        let worker = Worker::new(Arc::new(ports), Arc::clone(&self.programs), settings);
        let death = Arc::clone(&fate);
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = death.death() => {}
                // A worker that finds itself replaced ends; nobody restarts it here but trouble and peace.
                _ = worker.run(Shutdown::default()) => {}
            }
        });
        self.workers.push(Alive { fate, task: task.abort_handle() });
    }

    async fn trouble(&mut self, summary: &mut Summary) {
        self.workers.retain(|worker| !worker.task.is_finished());
        match self.dice.below(12) {
            0 if !self.workers.is_empty() => {
                let victim = self.dice.below(self.workers.len() as u64) as usize;
                self.workers.swap_remove(victim).task.abort();
                summary.crashes += 1;
            }
            1 | 2 if !self.workers.is_empty() => {
                let victim = self.dice.below(self.workers.len() as u64) as usize;
                self.workers[victim].fate.light_fuse(self.dice.below(200) as i64);
                summary.crashes += 1;
            }
            3 | 4 if !self.workers.is_empty() => {
                let victim = self.dice.below(self.workers.len() as u64) as usize;
                self.workers[victim].fate.freeze(Duration::from_millis(self.dice.below(90_000)));
                summary.freezes += 1;
            }
            5 | 6 if self.workers.len() < 4 => self.start_worker(),
            7 => self.command(CommandKind::Pause),
            8 => self.command(CommandKind::Resume),
            9 if self.dice.below(3) == 0 => {
                let hang_up = self.dice.below(2) == 0;
                self.command(|request| CommandKind::Cancel { request, hang_up });
            }
            10 => {
                let organisation = self.any_organisation();
                let mut settings = self.store.organisation(&organisation).await.unwrap();
                settings.limit = self.dice.below(6) as u32;
                self.store.set_organisation(&organisation, settings).await.unwrap();
            }
            11 => {
                let organisation = self.any_organisation();
                let value = match self.dice.below(6) {
                    0 => Some("many".to_owned()),
                    1 => Some("-2".to_owned()),
                    2 => None,
                    _ => Some(self.dice.below(4).to_string()),
                };
                self.store.set_external(&organisation, value).await.unwrap();
            }
            _ => drop(self.queue.redeliver_unsettled()),
        }
    }

    fn any_organisation(&mut self) -> OrganisationId {
        self.organisations[self.dice.below(self.organisations.len() as u64) as usize].clone()
    }

    fn command(&mut self, kind: impl FnOnce(RequestId) -> CommandKind) {
        let (key, _) = self.requests[self.dice.below(self.requests.len() as u64) as usize].clone();
        let id = format!("command{}", self.dice.below(u64::MAX)).into();
        // Nobody waits for the reply: what counts is what the store acknowledged.
        drop(self.commands.send(Command { id, organisation: key.organisation, kind: kind(key.request) }));
    }

    /// Everything that goes wrong ends: what is left must come to rest.
    async fn make_peace(&mut self) {
        self.workers.retain(|worker| !worker.task.is_finished());
        for worker in &self.workers {
            worker.fate.heal();
        }
        self.start_worker();
        self.workers.last().expect("one was started").fate.heal();
        for organisation in self.organisations.clone() {
            let mut settings = self.store.organisation(&organisation).await.unwrap();
            settings.limit = settings.limit.max(2);
            self.store.set_organisation(&organisation, settings).await.unwrap();
            self.store.set_external(&organisation, None).await.unwrap();
        }
        self.queue.redeliver_unsettled();
        for (key, _) in self.requests.clone() {
            let id = format!("peace-{}", key.request).into();
            let command = Command { id, organisation: key.organisation, kind: CommandKind::Resume(key.request) };
            drop(self.commands.send(command));
        }
    }

    async fn come_to_rest(&mut self) -> Result<(), String> {
        let deadline = self.clock.now() + REST;
        loop {
            if let Some(violation) = self.checker.violation() {
                return Err(violation);
            }
            let mut at_rest = self.queue.depth() == (0, 0);
            for (key, _) in &self.requests {
                at_rest &= match self.store.request(key).await {
                    Ok(snapshot) => snapshot.summary.status.is_final(),
                    Err(_) => false,
                };
            }
            if at_rest && self.checker.is_quiet() {
                return Ok(());
            }
            if self.clock.now() >= deadline {
                return Err(format!("I2: not at rest {REST:?} after the trouble ended: {}", self.checker.describe()));
            }
            // A command may have come before its request did; a delivery may have been lost with its worker.
            for (key, _) in self.requests.clone() {
                let id = format!("again-{}-{}", key.request, self.clock.now()).into();
                drop(self.commands.send(Command {
                    id,
                    organisation: key.organisation,
                    kind: CommandKind::Resume(key.request),
                }));
            }
            self.queue.redeliver_unsettled();
            self.clock.sleep_until(self.clock.now() + Duration::from_secs(60)).await;
        }
    }
}

fn request_body(dice: &mut Dice, id: &str, number: u64, now: robocall::model::Timestamp) -> Vec<u8> {
    let count = 1 + dice.below(12);
    let kinds = ["10", "20", "30", "40", "50", "60", "80", "90", "13"];
    let destinations: Vec<_> = (0..count)
        .map(|index| {
            let serial = number * 1000 + index;
            let phone = match dice.below(4) {
                0 => format!("+99970{serial:05}{}", dice.below(4)),
                1 => format!("+6588{serial:06}"),
                _ => format!("+999{}{serial:05}", kinds[dice.below(kinds.len() as u64) as usize]),
            };
            if dice.below(12) == 0 {
                json!({"phone": phone})
            } else {
                json!({"phone": phone, "properties": {"name": "Alex"}})
            }
        })
        .collect();
    let target = ["Ext:1000", "Queue:sales", "+99910777777", "+99920777777", "+99930777777"][dice.below(5) as usize];
    let flow = json!({"steps": [
        {"name": "play", "message": {"msg": "hello {{name}}"}},
        {"name": "gather", "message": {"msg": "press one"}, "maxRetries": 2, "branches": [
            {"digit": "1", "callFlow": {"steps": [{"name": "transfer", "destination": target, "ringTimeoutSecs": 20,
                "onFailure": if dice.below(2) == 0 { "continue" } else { "hangup" }}]}},
            {"digit": "2", "callFlow": {"steps": [{"name": "optOut", "message": {"msg": "goodbye"}}]}},
            {"default": "true", "callFlow": {"steps": [{"name": "play", "message": {"msg": "bye then"}}]}},
        ]},
        {"name": "play", "message": {"msg": "thank you"}},
    ]});
    let mut request = json!({
        "requestId": id,
        "destinations": destinations,
        "callFlow": flow,
        "priority": dice.below(10),
        "ringTimeoutSecs": 10 + dice.below(20),
        "retry": {"maxAttempts": 1 + dice.below(3), "delaySecs": [5 + dice.below(60)], "on": ["busy", "unanswered", "unreachable", "congestion"]},
    });
    if dice.below(5) == 0 {
        request["scheduledAt"] = json!((now + Duration::from_secs(dice.below(300))).to_string());
    }
    if dice.below(5) == 0 {
        request["expiresAt"] = json!((now + Duration::from_secs(400 + dice.below(600))).to_string());
    }
    if dice.below(5) == 0 {
        request["machineDetection"] = json!("hangup");
    }
    if dice.below(6) == 0 {
        request["callingWindow"] = json!({"timeZone": "Etc/UTC", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "09:05", "to": "09:03"});
    }
    serde_json::to_vec(&request).unwrap()
}

impl Summary {
    /// Adds another seed's.
    pub fn add(&mut self, other: Summary) {
        self.destinations += other.destinations;
        self.invites += other.invites;
        self.crashes += other.crashes;
        self.freezes += other.freezes;
        self.unknown += other.unknown;
        self.trace ^= other.trace;
    }
}
