//! What all parts of a worker share, and what one worker is like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::assignment::Assignment;
use super::fence::Fence;
use super::organisations::Organisations;
use super::ports::Ports;
use super::programs::Programs;
use super::publisher::Publisher;
use super::roster::Roster;
use crate::model::WorkerId;
use crate::ports::store::ProcessId;

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
}

impl WorkerSettings {
    /// The usual settings.
    pub fn new(id: WorkerId, process: ProcessId) -> Self {
        Self { id, process, capacity: 10_000, max_destinations: 1_000_000, intakes: 4 }
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
    /// Where calls to be carried are handed in.
    pub assignments: UnboundedSender<Assignment>,
}

impl Shared {
    /// Whether nothing new may be dialled.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
