//! A worker between servers: requests and events through the broker, slots through the database, calls through a phone
//! network.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::deployment::Deployment;
use super::hooks;
use super::phones::Phones;
use super::speech::{self, Voices};
use super::vitals;
use crate::adapters::asterisk::IsOurs;
use crate::adapters::clock::SystemClock;
use crate::config::{Backend, ConfigError, Settings, SpeechEngine};
use crate::dispatch::{FlowCatalogue, Ports, Programs, Progress, Shutdown, Worker, WorkerFailure, WorkerSettings};
use crate::model::WorkerId;
use crate::ports::store::ProcessId;
use crate::ports::{Clock, StoreError};
use crate::shutdown::Interrupts;
use crate::telemetry::Role;

/// Why a worker did not work, or works no more.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address or a name in the settings is none.
    #[error("{0}")]
    Settings(String),
    /// The runtime could not be made.
    #[error("no runtime: {0}")]
    Runtime(#[from] io::Error),
    /// The database refuses, or may forget.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A process does not live.
    #[error("nobody lives there: {0}")]
    Dead(String),
    /// The worker ended by itself.
    #[error(transparent)]
    Worker(#[from] WorkerFailure),
}

/// How far a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerStage {
    /// Its parts are put together; servers may still be absent, and its name another's.
    Starting,
    /// It takes requests and calls.
    Working,
    /// It was told to finish what is live.
    Draining,
    /// It was told to end at once.
    Stopping,
}

/// Whether the settings name servers that can be asked; none is asked.
///
/// # Errors
/// When they do not.
pub fn check_settings(settings: &Settings) -> Result<(), DaemonError> {
    // Clients are put together inside one.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let deployment = Deployment::new(settings, Arc::clone(&clock))?;
        deployment.broker()?;
        Phones::of(settings, clock, None).map(drop)
    })?;
    if settings.worker.capacity == 0 {
        return Err(DaemonError::Settings("worker.capacity: must be at least 1".to_owned()));
    }
    vitals::check(&settings.metrics)?;
    speech::check(&settings.speech)?;
    hooks::check(&settings.hooks)?;
    if settings.telephony.backend == Backend::Asterisk && settings.speech.engine == SpeechEngine::Silent {
        let why = "speech.engine: \"silent\" is for the simulated network; with Asterisk nobody would hear anything";
        return Err(DaemonError::Settings(why.to_owned()));
    }
    Ok(())
}

/// Works until told to stop: once to finish what is live, twice to end at once. `tell` is called with the worker's name
/// at every stage of its life.
///
/// # Errors
/// When it cannot begin, or ends by itself.
pub fn run_worker(
    settings: &Settings,
    flows: FlowCatalogue,
    interrupts: &Interrupts,
    tell: impl Fn(WorkerStage, &WorkerId) + Clone + Send + 'static,
) -> Result<(), DaemonError> {
    // One thread: a cluster scales processes, and calls that share a thread share no locks.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let process = ProcessId(random_number());
    let id = match &settings.worker.id {
        Some(id) => id.clone(),
        None => own_name(process)?,
    };
    check_settings(settings)?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        // Before anything happens that is to be counted.
        let exposition = vitals::count(&settings.metrics, Role::Worker)?;
        let deployment = Deployment::new(settings, Arc::clone(&clock))?;
        let broker = deployment.broker()?;
        let Voices { speech, sounds } = speech::open(&settings.speech, &clock).await?;
        let requests = Arc::new(broker.requests());
        let store = deployment.store();
        let locks = Arc::clone(&store);
        let is_ours: IsOurs = Arc::new(move |app| {
            let locks = Arc::clone(&locks);
            async move { locks.lock_app(&app, process).await }.boxed()
        });
        let ports = Ports {
            queue: Arc::clone(&requests) as _,
            store,
            events: Arc::new(broker.events()),
            commands: Arc::new(broker.commands(id.clone())),
            telephony: Phones::of(settings, Arc::clone(&clock), Some(is_ours))?.telephony(),
            speech: Arc::clone(&speech),
            clock: Arc::clone(&clock),
        };
        let worker = WorkerSettings {
            capacity: usize::try_from(settings.worker.capacity).unwrap_or(usize::MAX),
            max_destinations: settings.worker.max_destinations,
            intakes: usize::from(settings.worker.intakes.max(1)),
            grace: Duration::from_secs(settings.worker.grace_secs),
            ..WorkerSettings::new(id.clone(), process)
        };
        let mut helpers = JoinSet::new();
        let (soft, name, telling) = (interrupts.soft.clone(), id.clone(), tell.clone());
        helpers.spawn(async move {
            soft.cancelled().await;
            // Others are to take them now, not when the last call has ended.
            requests.release();
            telling(WorkerStage::Draining, &name);
        });
        if let Some(sounds) = sounds {
            helpers.spawn(sounds.serve());
        }
        let shutdown = Shutdown { drain: interrupts.soft.clone(), stop: interrupts.hard.clone() };
        let programs = Arc::new(Programs::new(flows, speech));
        let telephony = Arc::clone(&ports.telephony);
        let worker = Worker::new(Arc::new(ports), programs, worker);
        if let Some(exposition) = exposition {
            let checks = vec![
                vitals::redis(&deployment),
                vitals::broker(broker),
                vitals::backend(telephony),
                vitals::worker(worker.progress()),
            ];
            helpers.spawn(vitals::serve(&settings.metrics, exposition, checks, &clock).await?);
        }
        // Nothing of its own keeps it from working any more.
        tell(WorkerStage::Starting, &id);
        let (mut progress, name, telling) = (worker.progress(), id.clone(), tell.clone());
        helpers.spawn(async move {
            if progress.wait_for(|progress| *progress != Progress::Waiting).await.is_ok() {
                telling(WorkerStage::Working, &name);
            }
        });
        tokio::select! {
            biased;
            checked = deployment.check_durability() => checked?,
            // There is nothing yet to finish.
            () = interrupts.soft.cancelled() => return Ok(()),
        }
        helpers.spawn(deployment.lost_requests(process)?);
        let ended = worker.run(shutdown).await;
        if interrupts.hard.is_cancelled() {
            // Here: whatever else waits for that is dropped with the worker's end, often unheard.
            tell(WorkerStage::Stopping, &id);
        }
        Ok(ended?)
    })
}

/// A number that no other process draws.
pub fn random_number() -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    // The system's randomness, by way of the keys of two hash maps.
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    half() << 64 | half()
}

/// The host's name and a part of the process's number: readable, and unique without anybody's care.
fn own_name(process: ProcessId) -> Result<WorkerId, DaemonError> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let readable: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(50).collect();
    let readable = if readable.is_empty() { "worker".to_owned() } else { readable };
    let number = process.to_string();
    format!("{readable}-{}", &number[..8]).parse().map_err(|error| DaemonError::Settings(format!("worker.id: {error}")))
}
