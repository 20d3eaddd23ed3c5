//! A simulated network in another process, as a worker sees it.
//!
//! It is connected to when it is first asked something, and again whenever the connection is lost, with growing pauses;
//! callers wait for that only so long. A connection counts as lost when it is closed, or when an answer, be it to a
//! ping, does not come within [`RemoteSettings::answer_within`]: commands that were sent and not answered are then
//! [`Unavailable`](crate::ports::TelephonyError::Unavailable), for nobody knows whether they took effect, and callers
//! clear that up by asking how far the leg is.
//!
//! # What happens to reports meanwhile
//! Streams do not end with a connection, but go on over the next one, unless somebody else has opened a newer one.
//! Reports sent in between are lost, as they are with any backend. But legs whose end nobody hears of hold slots, so
//! each stream remembers its legs, and compares them with those that the network still has when it goes on: one that
//! was answered is reported answered, one that is gone is reported gone, as
//! [`lost`](crate::callflow::call::LegEnd::lost), since nobody knows how. Keys, ends of playbacks and verdicts of
//! machine detection are not made up for: the call machine waits for none of them without a bound.
//!
//! **Invariants**
//! - `not_after` is looked at right before the bytes are handed to the system, and again whenever that has to wait.
//! - Everything about one connection happens in one task; a command costs no task and no timer.

mod connection;
mod line;
mod port;
mod streams;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use self::line::{Ask, Got, Line};
use super::wire::BETWEEN_WRITES;
use crate::model::Timestamp;
use crate::ports::{Clock, TelephonyError};

/// How a network is reached.
#[derive(Clone)]
pub struct RemoteSettings {
    /// `host:port`.
    pub address: String,
    /// The time that `not_after` is compared with.
    pub clock: Arc<dyn Clock>,
    /// The time that the connection goes by, if it is another.
    pub wall: Arc<dyn Clock>,
    /// How long an answer, or a connection, is waited for.
    pub answer_within: Duration,
    /// How often an idle connection is tried.
    pub ping_every: Duration,
    /// Longest pause between two attempts to connect.
    pub longest_pause: Duration,
    /// Shortest time between two writes.
    pub between_writes: Duration,
}

impl RemoteSettings {
    /// As a worker needs it.
    pub fn new(address: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            address: address.into(),
            wall: Arc::clone(&clock),
            clock,
            answer_within: Duration::from_secs(2),
            ping_every: Duration::from_secs(2),
            longest_pause: Duration::from_secs(2),
            between_writes: BETWEEN_WRITES,
        }
    }
}

/// A simulated network in another process.
pub struct RemoteNetwork {
    shared: Arc<Shared>,
    /// The connection's task; ends with this.
    task: OnceLock<Mutex<JoinSet<()>>>,
}

/// What the port and the connection share.
struct Shared {
    settings: RemoteSettings,
    line: Mutex<Line>,
    /// Something is to be sent.
    wake: Notify,
    /// Whether there is a connection.
    connected: AtomicBool,
}

impl RemoteNetwork {
    /// A network that is connected to when it is first needed.
    pub fn connect(settings: RemoteSettings) -> Self {
        let shared =
            Shared { settings, line: Mutex::new(Line::new()), wake: Notify::new(), connected: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), task: OnceLock::new() }
    }

    /// Asks, and waits for the answer. What `prepare` returns goes onto the line.
    async fn ask(&self, prepare: impl FnOnce(&Line) -> Ask) -> Result<Got, TelephonyError> {
        self.task.get_or_init(|| {
            let mut task = JoinSet::new();
            task.spawn(connection::keep(Arc::clone(&self.shared)));
            Mutex::new(task)
        });
        let answer = self.shared.put(prepare)?;
        answer.await.unwrap_or_else(|_| Err(TelephonyError::Unavailable("the connection was lost".to_owned())))
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing in there panics half-way.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request onto the line.
    fn put(
        &self,
        prepare: impl FnOnce(&Line) -> Ask,
    ) -> Result<oneshot::Receiver<Result<Got, TelephonyError>>, TelephonyError> {
        let now = self.settings.wall.now();
        let mut line = self.line();
        let ask = prepare(&line);
        if ask.not_after.is_some_and(|not_after| self.settings.clock.now() > not_after) {
            return Err(TelephonyError::TooLate);
        }
        let nothing_before = line.has_nothing_to_send();
        let (reply, answer) = oneshot::channel();
        line.put(ask, Some(reply), now)?;
        drop(line);
        if nothing_before {
            self.wake.notify_one();
        }
        Ok(answer)
    }

    /// Whether a request may still be sent.
    fn is_late(&self, not_after: Option<Timestamp>) -> bool {
        not_after.is_some_and(|not_after| self.settings.clock.now() > not_after)
    }
}

impl std::fmt::Debug for RemoteNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteNetwork").field("address", &self.shared.settings.address).finish_non_exhaustive()
    }
}
