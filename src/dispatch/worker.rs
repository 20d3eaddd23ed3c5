//! One worker: its ports, its parts, and the order in which they start and stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::claims::Claimer;
use super::fence::Fence;
use super::insist::insist;
use super::leases::renew_for_ever;
use super::organisations::Organisations;
use super::ports::Ports;
use super::programs::Programs;
use super::publisher::{publish_for_ever, publisher};
use super::roster::Roster;
use super::shared::{Shared, WorkerSettings};
use super::{commands, intake, legs, reaper};
use crate::model::WorkerId;
use crate::ports::TelephonyError;

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
            mine = insist(&*ports.clock, || ports.store.lock_app(name, settings.process)) => mine,
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
