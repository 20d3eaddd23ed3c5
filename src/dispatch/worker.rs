//! One worker: its ports, its parts, and the order in which they start and stop.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ahead;
use super::claims::Claimer;
use super::fence::Fence;
use super::insist::insist;
use super::leases::TIME_TO_LIVE;
use super::organisations::Organisations;
use super::ports::Ports;
use super::programs::Programs;
use super::publisher::{publish_for_ever, publisher};
use super::roster::Roster;
use super::shared::{Shared, WorkerSettings};
use super::{commands, drain, intake, leases, legs, reaper};
use crate::model::WorkerId;
use crate::ports::telephony::LegReport;
use crate::ports::{StoreError, TelephonyError};
use crate::telemetry::dispatch as telemetry;

/// How long to wait before looking again whether the worker's name is free.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a process that died may hold its name: as long as its lock lives, and a moment more, since the store's clock
/// is another.
const NAME_IS_FREE_AFTER: Duration = TIME_TO_LIVE.saturating_add(Duration::from_secs(2));

type Reports = UnboundedReceiver<LegReport>;

/// How a worker is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Take nothing new, finish what is live, hand over what is live still after the time of grace, then end.
    pub drain: CancellationToken,
    /// End now; what is live is adopted by others.
    pub stop: CancellationToken,
}

/// How far a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits for its name, or for the backend.
    Waiting,
    /// It does its work.
    Working,
    /// It was told to finish what is live.
    Draining,
}

/// Why a worker ended by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerFailure {
    /// Another process has this worker's name now, or opened its stream of reports: an adopter that thinks us dead.
    #[error("another process listens in this worker's name")]
    Replaced,
    /// The store refuses to give the worker its name.
    #[error("the store refuses the name {0}: {1}")]
    Nameless(WorkerId, StoreError),
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
    progress: watch::Sender<Progress>,
}

impl Worker {
    /// A worker with these ports; the programs may be shared by several.
    pub fn new(ports: Arc<Ports>, programs: Arc<Programs>, settings: WorkerSettings) -> Self {
        Self { ports, programs, settings, progress: watch::Sender::new(Progress::Waiting) }
    }

    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Works until told to stop. Dropping the future is a crash: others adopt what was live.
    ///
    /// # Errors
    /// When another process listens in this worker's name, or the backend cannot be listened to.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), WorkerFailure> {
        let Self { ports, programs, settings, progress } = self;
        let reports = tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => return Ok(()),
            () = shutdown.drain.cancelled() => return Ok(()),
            reports = take_name(&ports, &settings) => reports?,
        };
        let (publisher, outbox) = publisher();
        let (assignments, incoming) = unbounded_channel();
        let shared = Arc::new(Shared {
            programs,
            roster: Arc::new(Roster::default()),
            fence: Arc::new(Fence::new(ports.clock.now())),
            organisations: Organisations::default(),
            publisher,
            draining: AtomicBool::new(false),
            live: AtomicUsize::new(0),
            room: Notify::new(),
            names: Mutex::new(BTreeSet::from([settings.id.clone()])),
            ahead: Arc::new(Semaphore::new(ahead::AT_A_TIME)),
            assignments,
            settings,
            ports: Arc::clone(&ports),
        });
        telemetry::began(shared.settings.capacity);
        let mut publishing = JoinSet::new();
        publishing.spawn(publish_for_ever(Arc::clone(&ports), outbox));
        let claimer = Claimer::new(Arc::clone(&shared), incoming, shutdown.drain.clone());
        let parts = Parts::start(&shared, reports, claimer);
        progress.send_replace(Progress::Working);
        let told = shutdown.drain.clone();
        let drains = async {
            told.cancelled().await;
            progress.send_replace(Progress::Draining);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => return Ok(()),
            () = drains => return Ok(()),
            ended = parts.work(&shared, &shutdown.drain, &mut publishing) => ended?,
        }
        drop(shared);
        tokio::select! {
            biased;
            () = shutdown.stop.cancelled() => {}
            () = drain::let_events_out(&*ports.clock, &mut publishing) => {}
        }
        Ok(())
    }
}

/// Makes the worker's name its own and listens in it. A process of that name that died lately holds it still, and then
/// perhaps whoever has taken its calls over, until these have ended: a container that comes back under its old name waits.
async fn take_name(ports: &Ports, settings: &WorkerSettings) -> Result<Reports, WorkerFailure> {
    let (name, process, clock) = (&settings.id, settings.process, &*ports.clock);
    let (mut patient_until, mut has_said) = (clock.now() + NAME_IS_FREE_AFTER, false);
    loop {
        match insist(clock, || ports.store.lock_app(name, process)).await {
            Ok(true) => match ports.telephony.listen(name).await {
                Ok(reports) => return Ok(reports),
                // Whatever is started first waits for the other; the name is kept meanwhile.
                Err(TelephonyError::Unavailable(reason)) => {
                    tracing::warn!(reason, "waiting for the phone network");
                    clock.sleep_until(clock.now() + AGAIN).await;
                }
                Err(error) => {
                    // Whoever starts it again need not wait; if it is not heard, they do.
                    let _ = ports.store.unlock_app(name, process).await;
                    return Err(error.into());
                }
            },
            Ok(false) => {
                let now = clock.now();
                if now < patient_until {
                    if !std::mem::replace(&mut has_said, true) {
                        tracing::warn!(worker = %name, "another process holds this worker's name: nothing is done until it lets go");
                    }
                } else {
                    patient_until = now + NAME_IS_FREE_AFTER;
                    tracing::warn!(
                        worker = %name,
                        "another process holds this worker's name still: it carries calls of an earlier life of this worker, \
                         or two workers have one name, which must be unique"
                    );
                }
                clock.sleep_until(now + AGAIN).await;
            }
            Err(error) => return Err(WorkerFailure::Nameless(name.clone(), error)),
        }
    }
}

/// What a worker is made of. The sets are dropped with the worker's future, and their tasks with them: nothing of a
/// worker outlives it.
struct Parts {
    taking_in: JoinSet<()>,
    /// Looking after others, and obeying.
    upkeep: JoinSet<()>,
    renewing: JoinSet<()>,
    hearing: JoinSet<()>,
    calling: JoinSet<()>,
}

impl Parts {
    fn start(shared: &Arc<Shared>, reports: Reports, claimer: Claimer) -> Self {
        let mut parts = Self {
            taking_in: JoinSet::new(),
            upkeep: JoinSet::new(),
            renewing: JoinSet::new(),
            hearing: JoinSet::new(),
            calling: JoinSet::new(),
        };
        parts.taking_in.spawn(intake::take_in(Arc::clone(shared)));
        parts.renewing.spawn(leases::renew(Arc::clone(shared)));
        parts.upkeep.spawn(reaper::look_after_others(Arc::clone(shared), shared.ports.clock.now()));
        parts.upkeep.spawn(commands::obey(Arc::clone(shared)));
        parts.hearing.spawn(legs::hand_on(reports, shared.settings.id.clone(), Arc::clone(&shared.roster)));
        parts.calling.spawn(claimer.run());
        parts
    }

    /// Works until it is told to drain and has nothing left to do, or has handed over what is left.
    async fn work(
        mut self,
        shared: &Arc<Shared>,
        drain: &CancellationToken,
        publishing: &mut JoinSet<()>,
    ) -> Result<(), WorkerFailure> {
        let clock = &*shared.ports.clock;
        let mut until = None;
        loop {
            let grace = async {
                match until {
                    Some(until) => clock.sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = drain.cancelled(), if until.is_none() => {
                    until = Some(clock.now() + shared.settings.grace);
                    shared.draining.store(true, Ordering::Release);
                    telemetry::draining();
                    self.taking_in.abort_all();
                }
                _ = self.hearing.join_next() => return Err(WorkerFailure::Replaced),
                Some(ended) = self.renewing.join_next() => return Err(match ended {
                    Ok(()) => WorkerFailure::Replaced,
                    Err(error) => WorkerFailure::Broken(error.to_string()),
                }),
                Some(Err(error)) = self.upkeep.join_next() => return Err(WorkerFailure::Broken(error.to_string())),
                Some(Err(error)) = publishing.join_next() => return Err(WorkerFailure::Broken(error.to_string())),
                _ = self.calling.join_next() => break,
                () = grace => break,
            }
        }
        // Nobody else's calls are taken over any more, and nobody's orders.
        self.upkeep.shutdown().await;
        self.taking_in.shutdown().await;
        let calls = drain::hand_over(shared, &mut self.calling, &mut self.renewing).await;
        self.hearing.shutdown().await;
        drain::let_names_go(shared).await;
        tracing::info!(worker = %shared.settings.id, calls, "ended: {calls} calls handed over");
        Ok(())
    }
}
