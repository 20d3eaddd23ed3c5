//! What all parts of a worker share, and what one worker is like.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, Semaphore};

use super::assignment::Assignment;
use super::fence::Fence;
use super::organisations::Organisations;
use super::ports::Ports;
use super::programs::Programs;
use super::publisher::Publisher;
use super::roster::Roster;
use crate::model::WorkerId;
use crate::ports::store::ProcessId;

/// How long calls may go on after a worker was told to drain, unless settled otherwise: longer than most last.
const GRACE: Duration = Duration::from_secs(600);

/// What one worker is like.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Its name, unique among all that run.
    pub id: WorkerId,
    /// This process, which differs from every other one of that name.
    pub process: ProcessId,
    /// Most live calls at a time.
    pub capacity: usize,
    /// Most destinations in a request over its parts.
    pub max_destinations: u32,
    /// Requests loaded at a time, in turns.
    pub intakes: usize,
    /// How long live calls may go on once it is told to drain; then they are handed over to other workers.
    pub grace: Duration,
}

impl WorkerSettings {
    /// The usual settings.
    pub fn new(id: WorkerId, process: ProcessId) -> Self {
        Self { id, process, capacity: 10_000, max_destinations: 1_000_000, intakes: 4, grace: GRACE }
    }
}

/// What all parts of a worker share.
pub struct Shared {
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
    /// In whose names this process has listened, or was about to: to be let go at its end.
    pub names: Mutex<BTreeSet<WorkerId>>,
    /// Prompts that may be made ahead at a time.
    pub ahead: Arc<Semaphore>,
    /// Where calls to be carried are handed in.
    pub assignments: UnboundedSender<Assignment>,
}

impl Shared {
    /// Whether nothing new may be dialled.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
