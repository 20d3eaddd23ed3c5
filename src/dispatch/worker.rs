//! One worker: its ports, its parts, and the order in which they start and stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::claims::{Assignment, Claimer};
use super::insist::insist;
use super::leases::{Fence, renew_for_ever};
use super::organisations::Organisations;
use super::programs::Programs;
use super::publisher::{Publisher, publish_for_ever, publisher};
use super::roster::Roster;
use super::{commands, intake, legs, reaper};
use crate::model::WorkerId;
use crate::ports::{CampaignStore, Clock, CommandBus, EventBus, RequestQueue, Speech, Telephony, TelephonyError};

/// What a worker works with.
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Requests on their way in.
    pub queue: Arc<dyn RequestQueue>,
    /// The waiting room.
    pub store: Arc<dyn CampaignStore>,
    /// Events on their way out.
    pub events: Arc<dyn EventBus>,
    /// Commands on their way in.
    pub commands: Arc<dyn CommandBus>,
    /// Legs.
    pub telephony: Arc<dyn Telephony>,
    /// Text made audible.
    pub speech: Arc<dyn Speech>,
}

/// What one worker is like.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Its name, unique among all that run and have run lately.
    pub id: WorkerId,
    /// Most live calls at a time.
    pub capacity: usize,
    /// Most destinations in a request over its parts.
    pub max_destinations: u32,
    /// Requests loaded at a time, in turns.
    pub intakes: usize,
}

impl WorkerSettings {
    /// The usual settings.
    pub fn new(id: WorkerId) -> Self {
        Self { id, capacity: 10_000, max_destinations: 1_000_000, intakes: 4 }
    }
}

/// How a worker is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take nothing new, finish what is live, then end.
    pub drain: CancellationToken,
    /// End now; what is live is adopted by others.
    pub stop: CancellationToken,
}

/// Why a worker ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerFailure {
    /// Another process opened this worker's stream of reports: two of one name, or an adopter that thinks us dead.
    #[error("another process listens in this worker's name")]
    Replaced,
    /// Another worker carries calls in this name: one of the same name runs, or its calls were taken over and last still.
    #[error("another worker listens in the name {0}: names must be unique")]
    NameInUse(WorkerId),
    /// One of its own parts panicked: what it holds is safer with others.
    #[error("a part of the worker failed: {0}")]
    Broken(String),
    /// The telephony backend could not be listened to.
    #[error(transparent)]
    Telephony(#[from] TelephonyError),
}

/// What all parts of a worker share.
pub(super) struct Shared {
    pub ports: Arc<Ports>,
    pub settings: WorkerSettings,
    pub programs: Arc<Programs>,
    pub roster: Arc<Roster>,
    pub fence: Arc<Fence>,
    pub organisations: Organisations,
    pub publisher: Publisher,
    pub draining: AtomicBool,
    /// Calls in the hands of a task.
    pub live: AtomicUsize,
    /// Told when a call ends without a successor.
    pub room: Notify,
    /// Where calls to be carried are handed in.
    pub assignments: tokio::sync::mpsc::UnboundedSender<Assignment>,
}

impl Shared {
    /// Whether nothing new may be dialled.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// One worker.
pub struct Worker {
    ports: Arc<Ports>,
    programs: Arc<Programs>,
    settings: WorkerSettings,
}

impl Worker {
    /// A worker with these ports; the programs may be shared by several.
    pub fn new(ports: Arc<Ports>, programs: Arc<Programs>, settings: WorkerSettings) -> Self {
        Self { ports, programs, settings }
    }

    /// Works until told to stop. Dropping the future is a crash: others adopt what was live.
    ///
    /// # Errors
    /// When another process listens in this worker's name, or the backend cannot be listened to.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), WorkerFailure> {
        let Self { ports, programs, settings } = self;
        let name = &settings.id;
        let mine = tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => return Ok(()),
            () = shutdown.drain.cancelled() => return Ok(()),
            mine = insist(&*ports.clock, || ports.store.lock_app(name, name)) => mine,
        };
        if mine != Ok(true) {
            return Err(WorkerFailure::NameInUse(settings.id));
        }
        let reports = ports.telephony.listen(name).await?;
        let (publisher, outbox) = publisher();
        let (assignments, incoming) = unbounded_channel();
        let fence = Arc::new(Fence::new(ports.clock.now()));
        let roster = Arc::new(Roster::default());
        let shared = Arc::new(Shared {
            ports: Arc::clone(&ports),
            programs,
            roster: Arc::clone(&roster),
            fence: Arc::clone(&fence),
            organisations: Organisations::default(),
            publisher,
            draining: AtomicBool::new(false),
            live: AtomicUsize::new(0),
            room: Notify::new(),
            assignments,
            settings,
        });

        // The sets are dropped with this future, and their tasks with them: nothing of a worker outlives it.
        let mut taking_in = JoinSet::new();
        taking_in.spawn(intake::take_in(Arc::clone(&shared)));
        let mut upkeep = JoinSet::new();
        upkeep.spawn(renew_for_ever(Arc::clone(&ports), shared.settings.id.clone(), Arc::clone(&roster), fence));
        upkeep.spawn(reaper::look_after_others(Arc::clone(&shared)));
        upkeep.spawn(commands::obey(Arc::clone(&shared)));
        let mut hearing = JoinSet::new();
        hearing.spawn(legs::hand_on(reports, shared.settings.id.clone(), roster));
        let mut publishing = JoinSet::new();
        publishing.spawn(publish_for_ever(ports, outbox));

        let mut calling = JoinSet::new();
        calling.spawn(Claimer::new(Arc::clone(&shared), incoming, shutdown.drain.clone()).run());

        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.stop.cancelled() => return Ok(()),
                () = shutdown.drain.cancelled(), if !draining => {
                    draining = true;
                    shared.draining.store(true, Ordering::Release);
                    taking_in.abort_all();
                }
                _ = hearing.join_next() => return Err(WorkerFailure::Replaced),
                Some(Err(error)) = upkeep.join_next() => return Err(WorkerFailure::Broken(error.to_string())),
                Some(Err(error)) = publishing.join_next() => return Err(WorkerFailure::Broken(error.to_string())),
                _ = calling.join_next() => break,
            }
        }
        // Every call has ended; what remains is to let the last events out.
        upkeep.shutdown().await;
        taking_in.shutdown().await;
        drop(shared);
        tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => {}
            _ = publishing.join_next() => {}
        }
        Ok(())
    }
}
