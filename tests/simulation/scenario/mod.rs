//! What one seed does: organisations, requests, workers, everything that goes wrong, and how it ends.

mod requests;
mod scenes;
mod trouble;
mod workers;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{EventSink, MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore, Sabotage};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::command::{Command, CommandKind};
use robocall::dispatch::{FlowCatalogue, Programs};
use robocall::model::{Organisation, OrganisationId, RequestId};
use robocall::ports::store::{CampaignStore, RequestKey};
use robocall::ports::{Clock, Telephony};

use crate::checker::Checker;
use crate::dice::Dice;
use crate::summary::Summary;
use requests::Submission;
use workers::Alive;

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(600);

/// When everything must have come to rest.
const REST: Duration = Duration::from_secs(6 * 3600);

/// One seed in so many sees more suspects at once than a reaper looks at in one round.
pub const CROWDED: u64 = 400;

/// How many calls that takes.
const CROWD: u32 = 300;

pub struct World {
    clock: Arc<VirtualClock>,
    store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    bus: Arc<MemoryEventBus>,
    commands: Arc<MemoryCommandBus>,
    telephony: Arc<dyn Telephony>,
    programs: Arc<Programs>,
    checker: Arc<Checker>,
    dice: Dice,
    seed: u64,
    /// Nothing gets lost between its workers and the world; they may still die and stand still.
    well: bool,
    crowded: bool,
    organisations: Vec<OrganisationId>,
    submissions: Vec<Submission>,
    /// What is still to be sent.
    outbox: VecDeque<(OrganisationId, Vec<u8>)>,
    workers: Vec<Alive>,
    started: u64,
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

impl World {
    fn new(clock: Arc<VirtualClock>, seed: u64, sabotage: Sabotage) -> Self {
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let store = Arc::new(MemoryStore::new(Arc::clone(&as_clock)).sabotaged(sabotage));
        let network =
            SimulatedNetwork::new(Arc::clone(&as_clock), NetworkSettings { seed, ..NetworkSettings::default() });
        let checker = Checker::new(Arc::clone(&as_clock), Arc::clone(&store), network.clone());
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
        let mut dice = Dice::new(seed);
        Self {
            queue: Arc::new(MemoryQueue::new()),
            commands: Arc::new(MemoryCommandBus::new()),
            bus: Arc::new(MemoryEventBus::new([sink])),
            programs: Arc::new(Programs::new(FlowCatalogue::default(), Arc::new(SilentSpeech::new()))),
            telephony,
            checker,
            well: dice.below(3) == 0,
            crowded: seed % CROWDED == CROWDED - 1,
            dice,
            seed,
            organisations: Vec::new(),
            submissions: Vec::new(),
            outbox: VecDeque::new(),
            workers: Vec::new(),
            started: 0,
            clock,
            store,
        }
    }

    async fn play(mut self) -> Result<Summary, String> {
        self.found_organisations().await;
        self.write_requests();
        let end = self.clock.now() + TROUBLE;
        if self.crowded {
            self.leave_a_crowd_behind().await;
        }
        for _ in 0..1 + self.dice.below(3) {
            self.start_worker();
        }
        while self.clock.now() < end || !self.outbox.is_empty() {
            self.submit_next();
            self.pause(30_000).await;
            self.trouble().await;
            if let Some(violation) = self.checker.violation() {
                return Err(violation);
            }
        }
        self.make_peace().await;
        self.come_to_rest().await?;
        let requests: Vec<_> =
            self.submissions.iter().map(|submission| (submission.key.clone(), submission.expected)).collect();
        self.checker.check_rest(&requests);
        self.checker.check_changes();
        if let Some(violation) = self.checker.violation() {
            return Err(violation);
        }
        let mut summary = Summary::default();
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
                calls_per_second: (self.dice.below(4) == 0).then(|| 1 + self.dice.below(3) as u32),
                denied_prefixes: if self.dice.below(5) == 0 { vec!["99930".to_owned()] } else { Vec::new() },
                caller_ids: if self.dice.below(5) == 0 { vec!["+6561111111".parse().unwrap()] } else { Vec::new() },
                ..Organisation::default()
            };
            self.store.set_organisation(&id, settings).await.unwrap();
            self.organisations.push(id);
        }
    }

    fn write_requests(&mut self) {
        for number in 0..1 + self.dice.below(4) {
            let organisation = self.any_organisation();
            let request: RequestId = format!("request{number}").parse().unwrap();
            let key = RequestKey { organisation, request };
            let submission = requests::submission(&mut self.dice, key, number, self.clock.now());
            for body in &submission.bodies {
                self.outbox.push_back((submission.key.organisation.clone(), body.clone()));
            }
            self.enter(submission);
        }
    }

    fn enter(&mut self, submission: Submission) {
        self.checker.expect_request(&submission.key);
        if submission.secretive {
            self.checker.keeps_secrets(&submission.key);
        }
        self.submissions.push(submission);
    }

    /// Many calls ring, and whoever looked after them dies.
    async fn leave_a_crowd_behind(&mut self) {
        let organisation: OrganisationId = "crowd".parse().unwrap();
        let settings = Organisation { limit: CROWD, ..Organisation::default() };
        self.store.set_organisation(&organisation, settings).await.unwrap();
        self.organisations.push(organisation.clone());
        let crowd = requests::crowd(RequestKey { organisation, request: "crowd".parse().unwrap() }, CROWD);
        self.queue.publish(crowd.key.organisation.clone(), crowd.bodies[0].clone()).map(drop).unwrap();
        self.enter(crowd);
        for _ in 0..2 {
            self.start_well_worker(CROWD as usize / 2);
        }
        self.clock.sleep_until(self.clock.now() + Duration::from_secs(20)).await;
        for worker in self.workers.drain(..) {
            worker.task.abort();
        }
        self.start_well_worker(2 * CROWD as usize);
        self.clock.sleep_until(self.clock.now() + Duration::from_secs(60)).await;
    }

    fn submit_next(&mut self) {
        let Some((organisation, body)) = self.outbox.pop_front() else { return };
        drop(self.queue.publish(organisation.clone(), body.clone()).unwrap());
        // Upstream systems send again when no confirmation came.
        if self.dice.below(4) == 0 {
            self.checker.count("bodies sent twice");
            drop(self.queue.publish(organisation, body).unwrap());
        }
    }

    fn any_organisation(&mut self) -> OrganisationId {
        self.organisations[self.dice.below(self.organisations.len() as u64) as usize].clone()
    }

    /// Everything that goes wrong ends: what is left must come to rest.
    async fn make_peace(&mut self) {
        self.workers.retain(|worker| !worker.task.is_finished());
        for worker in &self.workers {
            worker.fate.heal();
        }
        self.well = true;
        self.start_worker();
        if let Some(id) = self.any_name().filter(|_| self.seed.is_multiple_of(4)) {
            self.start_worker_named(id);
        }
        self.checker.crew.upset(self.clock.now());
        for organisation in self.organisations.clone() {
            let mut settings = self.store.organisation(&organisation).await.unwrap();
            settings.limit = settings.limit.max(2);
            self.store.set_organisation(&organisation, settings).await.unwrap();
            self.store.set_external(&organisation, None).await.unwrap();
        }
        self.queue.redeliver_unsettled();
        self.resume_all("peace");
    }

    fn resume_all(&self, why: &str) {
        for Submission { key, .. } in &self.submissions {
            let id = format!("{why}-{}-{}", key.request, self.clock.now()).into();
            let kind = CommandKind::Resume(key.request.clone());
            drop(self.commands.send(Command {
                id,
                organisation: key.organisation.clone(),
                actor: None,
                expect: None,
                trace: None,
                kind,
            }));
        }
    }

    async fn come_to_rest(&mut self) -> Result<(), String> {
        let deadline = self.clock.now() + REST;
        loop {
            if let Some(violation) = self.checker.violation() {
                return Err(violation);
            }
            let mut at_rest = self.queue.depth() == (0, 0);
            for Submission { key, .. } in &self.submissions {
                at_rest &= match self.store.request(key).await {
                    Ok(snapshot) => snapshot.summary.status.is_final(),
                    Err(_) => false,
                };
            }
            let idle = self.workers.iter().filter(|worker| worker.shutdown.drain.is_cancelled());
            at_rest &= idle.into_iter().all(|worker| worker.task.is_finished());
            if at_rest && self.checker.is_quiet() {
                return Ok(());
            }
            if self.clock.now() >= deadline {
                return Err(format!("I2: not at rest {REST:?} after the trouble ended: {}", self.checker.describe()));
            }
            // A command may have come before its request did; a delivery may have been lost with its worker.
            self.resume_all("again");
            self.queue.redeliver_unsettled();
            self.clock.sleep_until(self.clock.now() + Duration::from_secs(60)).await;
        }
    }
}
