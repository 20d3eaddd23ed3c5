//! Asterisk, by way of its REST interface (ARI): one client for several nodes, each with one WebSocket an app.
//!
//! A leg is a channel of the same name. It is created without an INVITE, waited for until it is in the app's hands, then
//! dialled; whoever made it stands in its account code, so that a listing tells whose it is wherever it is. Asterisk
//! would dial it twice if it were asked twice: that it is not is this adapter's doing, which dials only what it made
//! itself, once.
//!
//! **Invariants**
//! - `not_after` is looked at before every move of a request, so that neither a standstill nor a slow connection lets
//!   anything out late. What was cut off in between counts as unanswered.
//! - Nothing is made on a node on which nobody hears of it.
//! - A socket that was lost is opened again, and what was missed is looked up, as far as a listing tells: who was
//!   answered, and who is gone. Keys, ends of playbacks and verdicts are not: nobody waits for these without a bound.
//! - Reading events waits for nothing but events.

mod archive;
mod ari;
mod checkup;
mod detection;
mod dialling;
mod endpoints;
mod errands;
mod joining;
mod leg;
#[cfg(test)]
mod leg_tests;
mod looks;
mod node;
mod recording;
mod settings;
mod sound;
mod streams;
mod supervision;
mod table;
mod telephony;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;

pub use self::archive::AsteriskArchive;
pub use self::ari::http::InvalidAddress;
pub use self::checkup::NodeReport;
pub use self::endpoints::{Endpoints, InvalidTemplate, Templates};
use self::node::Node;
pub use self::settings::{AsteriskSettings, IsOurs, NodeSettings};
use self::table::{Errand, Table};

/// Asterisk. Its tasks end with it.
pub struct Asterisk {
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<()>>,
    looking: AtomicBool,
}

/// What the port and the tasks share.
struct Inner {
    settings: AsteriskSettings,
    nodes: Vec<Node>,
    table: Mutex<Table>,
    /// What goes on although nobody waits for it; each ends by itself, at the latest with its leg.
    errands: Mutex<JoinSet<()>>,
}

impl Asterisk {
    /// Nodes that are asked when something is first to be done.
    ///
    /// # Errors
    /// When the address of one is none.
    pub fn new(settings: AsteriskSettings) -> Result<Self, InvalidAddress> {
        let nodes = settings.nodes.iter().map(|node| Node::new(node, &settings)).collect::<Result<Vec<_>, _>>()?;
        let table = Mutex::new(Table::new(nodes.len()));
        Ok(Self {
            inner: Arc::new(Inner { settings, nodes, table, errands: Mutex::default() }),
            tasks: Mutex::default(),
            looking: AtomicBool::new(false),
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl Inner {
    /// Does what an event calls for, however the socket fares that brought it.
    fn run(self: &Arc<Self>, todo: Vec<Errand>) {
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        while errands.try_join_next().is_some() {}
        for errand in todo {
            errands.spawn(errands::run(Arc::clone(self), errand));
        }
    }

    /// Does something that nobody waits for.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in there panics half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Asterisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.inner.nodes.iter().map(|node| node.name.as_str()).collect();
        f.debug_struct("Asterisk").field("nodes", &names).finish_non_exhaustive()
    }
}
