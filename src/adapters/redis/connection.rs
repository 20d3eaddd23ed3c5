//! The connection that everything shares. The client replaces one that fails; one that lives and is of no use, because the
//! server behind it gave its place to another or never answers, is replaced here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use crate::telemetry::servers::{self, Stopwatch, Waiting};

/// Questions in a row without an answer after which another connection is made.
const SILENCES: u32 = 3;

/// How soon listening for wake-ups is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// A connection that is made when it is first needed.
pub(super) struct Connection {
    client: Client,
    config: ConnectionManagerConfig,
    current: Mutex<Current>,
    /// How often the server may have become another: another connection may lead to another.
    changes: Arc<AtomicU64>,
    waiting: Waiting,
}

struct Current {
    manager: ConnectionManager,
    /// How many there were before.
    number: u64,
    /// Questions without an answer since the last answer.
    silences: u32,
    /// What is listened to.
    channel: Option<String>,
}

impl Connection {
    pub fn new(client: Client, config: ConnectionManagerConfig, changes: Arc<AtomicU64>) -> RedisResult<Self> {
        let manager = client.get_connection_manager_lazy(config.clone())?;
        let current = Mutex::new(Current { manager, number: 0, silences: 0, channel: None });
        let waiting = Waiting::new(format!("Redis at {}", client.get_connection_info().addr()));
        Ok(Self { client, config, current, changes, waiting })
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection as it is now.
    pub fn current(&self) -> ConnectionManager {
        self.lock().manager.clone()
    }

    /// Asks the server, and `after` it something else on the very same connection.
    pub async fn ask(self: &Arc<Self>, command: &Cmd, after: Option<&Cmd>) -> RedisResult<(Value, Option<Value>)> {
        let (mut manager, number) = {
            let current = self.lock();
            (current.manager.clone(), current.number)
        };
        let asked = Stopwatch::start();
        let answer = match after {
            None => manager.send_packed_command(command).await.and_then(Value::extract_error).map(|said| (said, None)),
            Some(after) => {
                let mut both = redis::pipe();
                both.add_command(command.clone()).add_command(after.clone());
                let answers = manager.send_packed_commands(&both, 0, 2).await;
                answers.and_then(|answers| {
                    let mut answers = answers.into_iter().map(Value::extract_error);
                    let first = answers.next().unwrap_or(Ok(Value::Nil))?;
                    Ok((first, answers.next().transpose()?))
                })
            }
        };
        servers::redis_answered(asked, answer.is_ok());
        match answer.as_ref().err().filter(|error| is_away(error)) {
            Some(error) => self.waiting.goes_on(error),
            None => self.waiting.is_over(),
        }
        self.judge(number, answer.as_ref().err());
        answer
    }

    /// Notes what came of a question on the connection of this number, and replaces it if it is of no use.
    fn judge(self: &Arc<Self>, number: u64, error: Option<&RedisError>) {
        let mut current = self.lock();
        if current.number != number {
            return;
        }
        let is_read_only = error.is_some_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly));
        let is_silence = error.is_some_and(RedisError::is_timeout);
        current.silences = if is_silence { current.silences + 1 } else { 0 };
        if !is_read_only && current.silences < SILENCES {
            return;
        }
        let manager = match self.client.get_connection_manager_lazy(self.config.clone()) {
            Ok(manager) => manager,
            Err(error) => {
                tracing::warn!(%error, "no other connection to the database can be made");
                return;
            }
        };
        // Before anything can be asked over the new one.
        self.changes.fetch_add(1, Ordering::AcqRel);
        tracing::warn!(is_read_only, "the connection to the database is of no use: another is made");
        let channel = current.channel.clone();
        *current = Current { manager, number: number + 1, silences: 0, channel: channel.clone() };
        drop(current);
        if let Some(channel) = channel {
            tokio::spawn(Arc::clone(self).listen(channel));
        }
    }

    /// Listens to a channel, from now on and on every connection to come. Returns when it is listened to.
    #[expect(clippy::disallowed_methods, reason = "the connection lives in real time, whatever the store's time is")]
    pub async fn listen(self: Arc<Self>, channel: String) {
        let (mut manager, number) = {
            let mut current = self.lock();
            current.channel = Some(channel.clone());
            (current.manager.clone(), current.number)
        };
        while let Err(error) = manager.subscribe(&channel).await {
            tracing::debug!(%error, "wake-ups are not heard yet");
            tokio::time::sleep(AGAIN).await;
            if self.lock().number != number {
                // Whoever replaced the connection listens on the new one.
                return;
            }
        }
    }
}

/// Whether the server did not answer, does not let us in, or is not what it should be yet.
fn is_away(error: &RedisError) -> bool {
    const SHUT: [&str; 5] = ["NOAUTH", "WRONGPASS", "LOADING", "MASTERDOWN", "CLUSTERDOWN"];
    !matches!(error.kind(), ErrorKind::Server(_)) || error.code().is_some_and(|code| SHUT.contains(&code))
}
