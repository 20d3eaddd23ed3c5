//! The embedded composition: everything in this process, for one request.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::silent_speech;
use crate::adapters::clock::{InvalidSpeed, SystemClock, VirtualClock};
use crate::adapters::memory::{EventSink, MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use crate::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use crate::callflow::Program;
use crate::command::{Command, CommandKind};
use crate::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerFailure, WorkerSettings};
use crate::model::status::RequestSummary;
use crate::model::{Event, Organisation, OrganisationId, RequestHeader, RequestStatus, Timestamp};
use crate::ports::store::{CallSnapshot, ProcessId, RequestKey, SlotUse};
use crate::ports::{CampaignStore, Clock, QueueError, StoreError};
use crate::shutdown::Interrupts;

/// How fast time goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Waits take no time.
    Instant,
    /// As on the wall.
    Real,
    /// So many times as fast.
    Times(f64),
}

/// What an embedded run is like.
pub struct EmbeddedSettings {
    /// The tenant.
    pub organisation: OrganisationId,
    /// What it may do.
    pub rules: Organisation,
    /// Slots that other applications hold.
    pub external: u32,
    /// The phone network.
    pub network: NetworkSettings,
    /// How fast time goes.
    pub pace: Pace,
    /// Workers that share the work; at least 1.
    pub workers: u32,
    /// Flows that the request may name.
    pub flows: FlowCatalogue,
    /// Who hears events, in the order of publishing.
    pub sinks: Vec<EventSink>,
}

/// Why a run could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Time cannot go so fast.
    #[error(transparent)]
    Speed(#[from] InvalidSpeed),
    /// The runtime could not be made.
    #[error("no runtime: {0}")]
    Runtime(#[from] io::Error),
    /// The queue did not take the request.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A worker ended by itself.
    #[error("a worker failed: {0}")]
    Worker(#[from] WorkerFailure),
    /// A part of the program broke.
    #[error("{0}")]
    Broken(String),
}

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// Every call of the request is at rest.
    AtRest(RequestSummary),
    /// The request was refused; nothing was dialled.
    Refused(RequestSummary),
    /// Stopped at once, on demand.
    Stopped,
}

/// One process with everything in it.
pub struct Embedded {
    runtime: Runtime,
    ports: Arc<Ports>,
    programs: Arc<Programs>,
    queue: Arc<MemoryQueue>,
    commands: Arc<MemoryCommandBus>,
    network: SimulatedNetwork,
    /// The request's last event, once it has come.
    ended: watch::Receiver<Option<RequestSummary>>,
    settings: Settings,
    glimpse: Glimpse,
}

/// What is needed again when it runs.
struct Settings {
    organisation: OrganisationId,
    rules: Organisation,
    external: u32,
    workers: u32,
}

/// Looks at a run from another thread.
#[derive(Clone)]
pub struct Glimpse {
    store: Arc<dyn CampaignStore>,
    clock: Arc<dyn Clock>,
    key: Arc<OnceLock<RequestKey>>,
}

impl Glimpse {
    /// How far the request is, once it is accepted.
    pub fn look(&self) -> Option<(RequestSummary, SlotUse)> {
        let key = self.key.get()?;
        // A store in memory answers at once.
        let request = self.store.request(key).now_or_never()?.ok()?;
        let slots = self.store.slot_use(&key.organisation).now_or_never()?.ok()?;
        Some((request.summary, slots))
    }

    /// The run's own time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The request's header, once it is accepted.
    pub fn header(&self) -> Option<Arc<RequestHeader>> {
        self.store.request(self.key.get()?).now_or_never()?.ok()?.header
    }

    /// When it was accepted, on the run's own clock.
    pub fn accepted_at(&self) -> Option<Timestamp> {
        self.store.request(self.key.get()?).now_or_never()?.ok()?.queued_at
    }

    /// Its calls in request order, a page at a time.
    pub fn pages(&self) -> impl Iterator<Item = Vec<CallSnapshot>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let page = self.store.calls(self.key.get()?, from, PAGE).now_or_never()?.ok()?;
            from = page.last()?.destination.index + 1;
            Some(page)
        })
    }
}

/// A request that was accepted, for reports.
pub struct AcceptedCampaign {
    /// Its header.
    pub header: Arc<RequestHeader>,
    /// Its flow.
    pub program: Arc<Program>,
    /// When it was sealed.
    pub queued_at: Timestamp,
}

impl Embedded {
    /// Puts everything together; nothing runs yet.
    ///
    /// # Errors
    /// When time cannot go as fast as asked, or the system refuses a runtime.
    pub fn new(settings: EmbeddedSettings) -> Result<Self, EmbeddedError> {
        let EmbeddedSettings { organisation, rules, external, network, pace, workers, flows, mut sinks } = settings;
        let (clock, runtime) = time(pace)?;
        let speech = silent_speech();
        let network = SimulatedNetwork::new(Arc::clone(&clock), network);
        let store: Arc<dyn CampaignStore> = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let queue = Arc::new(MemoryQueue::new());
        let commands = Arc::new(MemoryCommandBus::new());
        let (end, ended) = watch::channel(None);
        sinks.push(Arc::new(move |event: &Event| {
            if let Event::Request(event) = event
                && event.summary.status.is_final()
            {
                end.send_replace(Some(event.summary.clone()));
            }
        }));
        let glimpse = Glimpse { store: Arc::clone(&store), clock: Arc::clone(&clock), key: Arc::default() };
        let ports = Arc::new(Ports {
            clock,
            queue: Arc::clone(&queue) as _,
            store,
            events: Arc::new(MemoryEventBus::new(sinks)),
            commands: Arc::clone(&commands) as _,
            telephony: network.telephony(),
            speech: Arc::clone(&speech),
        });
        Ok(Self {
            runtime,
            ports,
            programs: Arc::new(Programs::new(flows, speech)),
            queue,
            commands,
            network,
            ended,
            settings: Settings { organisation, rules, external, workers: workers.max(1) },
            glimpse,
        })
    }

    /// Looks at the run from elsewhere.
    pub fn glimpse(&self) -> Glimpse {
        self.glimpse.clone()
    }

    /// Runs a request to its end. The first interrupt cancels it: live calls go on to their end; the second stops.
    ///
    /// # Errors
    /// When a part of the program does not do its work.
    pub fn run(&self, request: &Path, interrupts: &Interrupts) -> Result<Ending, EmbeddedError> {
        let campaign = Campaign {
            ports: Arc::clone(&self.ports),
            programs: Arc::clone(&self.programs),
            commands: Arc::clone(&self.commands),
            network: self.network.clone(),
            ended: self.ended.clone(),
            key: Arc::clone(&self.glimpse.key),
            organisation: self.settings.organisation.clone(),
            rules: self.settings.rules.clone(),
            external: self.settings.external,
            workers: self.settings.workers,
            interrupts: interrupts.clone(),
        };
        let verdict = self.queue.publish_file(self.settings.organisation.clone(), request.to_owned())?;
        // As a task, so that virtual time treats it like all others.
        let running = self.runtime.spawn(campaign.run(verdict));
        self.runtime.block_on(running).map_err(|error| EmbeddedError::Broken(error.to_string()))?
    }

    /// The request that was run, if it was accepted.
    ///
    /// # Errors
    /// When the store does not answer, or the flow cannot be compiled again.
    pub fn accepted(&self) -> Result<Option<AcceptedCampaign>, EmbeddedError> {
        let Some(key) = self.glimpse.key.get() else { return Ok(None) };
        let snapshot = self.runtime.block_on(self.ports.store.request(key))?;
        let (Some(header), Some(queued_at)) = (snapshot.header, snapshot.queued_at) else { return Ok(None) };
        let program = self.programs.of(&header).map_err(EmbeddedError::Broken)?;
        Ok(Some(AcceptedCampaign { header, program, queued_at }))
    }

    /// Its calls in request order, a page at a time.
    pub fn pages(&self) -> impl Iterator<Item = Result<Vec<CallSnapshot>, StoreError>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let key = self.glimpse.key.get()?;
            let page = self.runtime.block_on(self.ports.store.calls(key, from, PAGE));
            match page {
                Ok(page) if page.is_empty() => None,
                Ok(page) => {
                    from = page.last().map_or(from, |last| last.destination.index + 1);
                    Some(Ok(page))
                }
                Err(error) => Some(Err(error)),
            }
        })
    }
}

/// Calls read at a time.
const PAGE: u32 = 1_000;

fn time(pace: Pace) -> Result<(Arc<dyn Clock>, Runtime), EmbeddedError> {
    let real = || Builder::new_current_thread().enable_time().build();
    Ok(match pace {
        Pace::Instant => {
            let clock = VirtualClock::new();
            let runtime = clock.runtime()?;
            (Arc::new(clock), runtime)
        }
        Pace::Real => (Arc::new(SystemClock::new()), real()?),
        Pace::Times(speed) => (Arc::new(SystemClock::at_speed(speed)?), real()?),
    })
}

/// One request on its way to its end.
struct Campaign {
    ports: Arc<Ports>,
    programs: Arc<Programs>,
    commands: Arc<MemoryCommandBus>,
    network: SimulatedNetwork,
    ended: watch::Receiver<Option<RequestSummary>>,
    key: Arc<OnceLock<RequestKey>>,
    organisation: OrganisationId,
    rules: Organisation,
    external: u32,
    workers: u32,
    interrupts: Interrupts,
}

impl Campaign {
    async fn run(mut self, verdict: tokio::sync::oneshot::Receiver<RequestSummary>) -> Result<Ending, EmbeddedError> {
        let store = Arc::clone(&self.ports.store);
        store.set_organisation(&self.organisation, self.rules.clone()).await?;
        store.set_external(&self.organisation, Some(self.external.to_string())).await?;
        // Dropped with this future, and their tasks with them.
        let mut network = JoinSet::new();
        network.spawn(self.network.run());
        let shutdown = Shutdown::default();
        let mut workers = JoinSet::new();
        for number in 1..=self.workers {
            let id = format!("embedded-{number}").parse();
            let id = id.map_err(|error: crate::model::IdError| EmbeddedError::Broken(error.to_string()))?;
            // The store is this process's own: no other process ever asks it.
            let settings = WorkerSettings::new(id, ProcessId(number.into()));
            let worker = Worker::new(Arc::clone(&self.ports), Arc::clone(&self.programs), settings);
            workers.spawn(worker.run(shutdown.clone()));
        }
        let ending = tokio::select! {
            biased;
            () = self.interrupts.hard.clone().cancelled_owned() => return Ok(Ending::Stopped),
            failed = workers.join_next() => return Err(gone(failed)),
            ending = self.follow(verdict) => ending?,
        };
        shutdown.drain.cancel();
        loop {
            tokio::select! {
                biased;
                () = self.interrupts.hard.cancelled() => return Ok(Ending::Stopped),
                ended = workers.join_next() => match ended {
                    Some(Ok(Ok(()))) => {}
                    None => return Ok(ending),
                    failed => return Err(gone(failed)),
                },
            }
        }
    }

    /// From the verdict on the request to its last event.
    async fn follow(
        &mut self,
        verdict: tokio::sync::oneshot::Receiver<RequestSummary>,
    ) -> Result<Ending, EmbeddedError> {
        let summary = tokio::select! {
            biased;
            // Not accepted yet: there is nothing to bring to an end.
            () = self.interrupts.soft.cancelled() => return Ok(Ending::Stopped),
            verdict = verdict => verdict.map_err(|_| EmbeddedError::Broken("nobody took the request".to_owned()))?,
        };
        if summary.status == RequestStatus::Failed {
            return Ok(Ending::Refused(summary));
        }
        let key = RequestKey { organisation: self.organisation.clone(), request: summary.request_id };
        // There is one request in a run, so nobody was here before.
        let _first = self.key.set(key.clone());
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                changed = self.ended.wait_for(Option::is_some) => {
                    let ended = changed.map_err(|_| EmbeddedError::Broken("nobody tells of the end".to_owned()))?;
                    if let Some(summary) = &*ended {
                        return Ok(Ending::AtRest(summary.clone()));
                    }
                }
                () = self.interrupts.soft.cancelled(), if !told => {
                    told = true;
                    // What it came to is heard as the request's last event.
                    let _answer = self.commands.send(Command {
                        id: "interrupt".into(),
                        organisation: key.organisation.clone(),
                        actor: None,
                        expect: None,
                        kind: CommandKind::Cancel { request: key.request.clone(), hang_up: false },
                    });
                }
            }
        }
    }
}

/// Why workers that should work have ended.
fn gone(ended: Option<Result<Result<(), WorkerFailure>, tokio::task::JoinError>>) -> EmbeddedError {
    match ended {
        Some(Ok(Err(failure))) => failure.into(),
        Some(Err(error)) => EmbeddedError::Broken(error.to_string()),
        Some(Ok(Ok(()))) | None => EmbeddedError::Broken("a worker stopped before its time".to_owned()),
    }
}
