//! The embedded composition: everything in this process, for one request.

mod campaign;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::interface::{self, Behind};
use super::silent_speech;
use super::worker::DaemonError;
use crate::adapters::clock::{InvalidSpeed, SystemClock, VirtualClock};
use crate::adapters::memory::{
    EventSink, MemoryCommandBus, MemoryEventBus, MemoryEventLog, MemoryKeys, MemoryQueue, MemoryStore,
};
use crate::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use crate::api::Server;
use crate::callflow::Program;
use crate::config;
use crate::dispatch::{FlowCatalogue, Ports, Programs, WorkerFailure};
use crate::model::status::RequestSummary;
use crate::model::{ApiKey, Event, IdError, Organisation, OrganisationId, RequestHeader, Scope, Timestamp};
use crate::ports::store::{CallSnapshot, RequestKey, SlotUse};
use crate::ports::{CampaignStore, Clock, QueueError, StoreError};
use crate::shutdown::Interrupts;

use campaign::{Campaign, Crew};

/// Most events that listeners over HTTP can go back to: about a kilobyte each.
const EVENTS_KEPT: usize = 20_000;

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
    /// The interface over HTTP; none: nobody can ask.
    pub interface: Option<InterfaceSettings>,
}

/// The interface over HTTP of an embedded run.
pub struct InterfaceSettings {
    /// What it is like.
    pub api: config::Api,
    /// The organisation's key, good for everything.
    pub key: ApiKey,
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
    /// The interface cannot be asked there.
    #[error(transparent)]
    Interface(#[from] DaemonError),
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
    address: Option<SocketAddr>,
    /// What answers over HTTP, until it is let.
    server: Option<Server>,
    /// Who goes on working after the request, if somebody may ask for more.
    crew: Option<Crew>,
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
        let EmbeddedSettings { organisation, rules, external, network, pace, workers, flows, mut sinks, interface } =
            settings;
        let (clock, runtime) = time(pace)?;
        let speech = silent_speech();
        let network = SimulatedNetwork::new(Arc::clone(&clock), network);
        let recordings = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let store: Arc<dyn CampaignStore> = Arc::<MemoryStore>::clone(&recordings);
        let queue = Arc::new(MemoryQueue::new());
        let commands = Arc::new(MemoryCommandBus::new());
        let (end, ended) = watch::channel(None);
        let glimpse = Glimpse { store: Arc::clone(&store), clock: Arc::clone(&clock), key: Arc::default() };
        let key = Arc::clone(&glimpse.key);
        sinks.push(Arc::new(move |event: &Event| {
            if let Event::Request(event) = event
                && event.summary.status.is_final()
                // Others come over HTTP, and only when its key is known.
                && key.get().is_none_or(|key| key.request == event.summary.request_id)
            {
                end.send_replace(Some(event.summary.clone()));
            }
        }));
        let programs = Arc::new(Programs::new(flows, Arc::clone(&speech)));
        let mut server = None;
        if let Some(InterfaceSettings { api, key }) = interface {
            let log = MemoryEventLog::keeping(EVENTS_KEPT);
            sinks.push(log.sink());
            let keys = Arc::new(MemoryKeys::default());
            let behind = Behind {
                store: recordings,
                queue: Arc::clone(&queue),
                commands: Arc::clone(&commands),
                keys: Arc::clone(&keys),
                log,
                programs: Arc::clone(&programs),
                clock: Arc::clone(&clock),
            };
            let label = "embedded".parse().map_err(|error: IdError| EmbeddedError::Broken(error.to_string()))?;
            server = Some(runtime.block_on(async {
                interface::let_in(&keys, &key, organisation.clone(), label, &Scope::ALL, clock.now()).await?;
                interface::listen(&api, behind).await
            })?);
        }
        let address = server.as_ref().map(Server::address).transpose()?;
        let ports = Arc::new(Ports {
            clock,
            queue: Arc::clone(&queue) as _,
            store,
            events: Arc::new(MemoryEventBus::new(sinks)),
            commands: Arc::clone(&commands) as _,
            telephony: network.telephony(),
            speech,
        });
        Ok(Self {
            runtime,
            ports,
            programs,
            queue,
            commands,
            network,
            ended,
            settings: Settings { organisation, rules, external, workers: workers.max(1) },
            glimpse,
            address,
            server,
            crew: None,
        })
    }

    /// Where the interface over HTTP can be asked, from when the request is accepted.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Looks at the run from elsewhere.
    pub fn glimpse(&self) -> Glimpse {
        self.glimpse.clone()
    }

    /// Runs a request to its end. The first interrupt cancels it: live calls go on to their end; the second stops.
    ///
    /// # Errors
    /// When a part of the program does not do its work.
    pub fn run(&mut self, request: &Path, interrupts: &Interrupts) -> Result<Ending, EmbeddedError> {
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
            server: self.server.take(),
        };
        let verdict = self.queue.publish_file(self.settings.organisation.clone(), request.to_owned())?;
        // As a task, so that virtual time treats it like all others.
        let running = self.runtime.spawn(campaign.run(verdict));
        let ran = self.runtime.block_on(running).map_err(|error| EmbeddedError::Broken(error.to_string()))?;
        let (ending, crew) = ran?;
        self.crew = crew;
        Ok(ending)
    }

    /// Goes on for those who ask over HTTP, until interrupted: what is being answered then is still answered. Ends at once
    /// if there is no interface.
    ///
    /// # Errors
    /// When a part of the program does not do its work.
    pub fn stay(&mut self, interrupts: &Interrupts) -> Result<(), EmbeddedError> {
        match self.crew.take() {
            Some(crew) => self.runtime.block_on(crew.stay(interrupts)),
            None => Ok(()),
        }
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
    let real = || Builder::new_current_thread().enable_all().build();
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
