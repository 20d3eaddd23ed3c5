//! What is asked of the server, over one connection; and code that is loaded where it is not known.

use std::sync::Arc;
use std::time::Duration;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::aio::ConnectionManagerConfig;
use redis::{Client, Cmd, ErrorKind, IntoConnectionInfo as _, ProtocolVersion, PushInfo};
use redis::{PushKind, ServerErrorKind, Value};
use secrecy::{ExposeSecret as _, SecretString};

use super::connection::Connection;
use super::reply;
use super::script::{Code, Ops, Scripts};
use crate::ports::{Bell, StoreError, StoreResult};

/// How long an answer is waited for.
const RESPONSE: Duration = Duration::from_secs(2);

/// How long a connection is waited for, and at most between two tries.
const CONNECTION: Duration = Duration::from_secs(1);

/// How long what was sent may stay without the other side's acknowledgement.
const DEAD_AFTER: Duration = Duration::from_secs(4);

/// Where the database is, and what is ours there.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Such as `redis://user:password@host:6379/0`; `rediss` for TLS.
    pub url: SecretString,
    /// The beginning of every key.
    pub prefix: String,
    /// Concurrent calls of an organisation that has no limit of its own.
    pub default_limit: u32,
    /// Replicas that must have a dial before it is made; 0: none are waited for.
    pub wait_replicas: u32,
}

impl RedisSettings {
    /// The usual settings for a server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        let default_limit = crate::model::Organisation::default().limit;
        Self { url: SecretString::from(url.into()), prefix: "robocall".to_owned(), default_limit, wait_replicas: 0 }
    }
}

/// The connection.
#[derive(Clone)]
pub(super) struct Link {
    connection: Arc<Connection>,
    /// How often the server may have become another: with every connection that was lost, and the first.
    changes: Arc<AtomicU64>,
    /// After how many of these it was last asked who it is.
    known: Arc<AtomicU64>,
    scripts: Arc<Scripts>,
    /// Whether functions may be kept there, as far as is known.
    keeps_functions: Arc<AtomicBool>,
}

impl Link {
    /// A connection that need not be there yet. Messages on `channel`, and whatever may have made us miss one, ring the
    /// bell.
    pub fn new(settings: &RedisSettings, bell: Bell) -> StoreResult<Self> {
        let refused = |error: redis::RedisError| StoreError::Refused(error.to_string());
        let info = settings.url.expose_secret().into_connection_info().map_err(refused)?;
        let with_push = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        // The client replaces a connection that fails, not one on which nothing comes any more: the system has it fail.
        let tcp = info.tcp_settings().clone().set_user_timeout(DEAD_AFTER);
        let client = Client::open(info.set_redis_settings(with_push).set_tcp_settings(tcp)).map_err(refused)?;
        let (changes, known) = (Arc::new(AtomicU64::new(1)), Arc::default());
        let lost = Arc::clone(&changes);
        let hear = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                lost.fetch_add(1, Ordering::AcqRel);
            }
            if matches!(push.kind, PushKind::Message | PushKind::Disconnection | PushKind::Subscribe) {
                bell.ring();
            }
            Ok::<(), redis::aio::SendError>(())
        };
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECTION))
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(CONNECTION)
            .set_number_of_retries(3)
            .set_push_sender(Arc::new(hear))
            .set_automatic_resubscription();
        let connection = Arc::new(Connection::new(client, config, Arc::clone(&changes)).map_err(refused)?);
        let (scripts, keeps_functions) = (Arc::new(Scripts::new()), Arc::new(AtomicBool::new(true)));
        Ok(Self { connection, changes, known, scripts, keeps_functions })
    }

    /// How often the server may have become another.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Notes that the server is known as it was after so many changes; before that is said, nothing it answers counts.
    pub fn is_known_after(&self, changes: u64) {
        if self.known.fetch_max(changes, Ordering::AcqRel) < changes {
            // Another server may keep functions, or have its rules mended.
            self.keeps_functions.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the server may be another than before.
    pub fn is_unknown(&self) -> bool {
        self.changes() != self.known.load(Ordering::Acquire)
    }

    /// Notes that the server may be another than before.
    pub fn doubt(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn checked<T>(&self, answer: redis::RedisResult<T>) -> StoreResult<T> {
        answer.map_err(|error| {
            if !matches!(error.kind(), ErrorKind::Server(_)) {
                self.doubt();
            }
            reply::error(&error)
        })
    }

    /// Has messages on a channel ring the bell, from now on and after every loss of the connection.
    pub async fn listen(&self, channel: String) {
        Arc::clone(&self.connection).listen(channel).await;
    }

    /// Carries code out on `key`. What the server does not know yet, being new or having been restarted, it is told first.
    pub async fn run(&self, code: Code, key: &str, ops: &Ops) -> StoreResult<Value> {
        self.run_and(code, key, ops, None).await.map(|(answer, _)| answer)
    }

    /// Carries code out on `key`, and a command right after it on the same connection: both answers.
    pub async fn run_and(
        &self,
        code: Code,
        key: &str,
        ops: &Ops,
        after: Option<&Cmd>,
    ) -> StoreResult<(Value, Option<Value>)> {
        if self.keeps_functions.load(Ordering::Relaxed) {
            match self.call(code, key, ops, after).await {
                Err(error) if is_refusal(&error) => {
                    if self.keeps_functions.swap(false, Ordering::Relaxed) {
                        tracing::info!(%error, "the database keeps no functions for us; scripts do as well, more slowly");
                    }
                }
                answer => return self.checked(answer),
            }
        }
        let evaluation = self.scripts.evaluation(code, key, ops);
        let answer = self.raw(&evaluation, after).await;
        let is_unknown = |error: &redis::RedisError| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        if !answer.as_ref().is_err_and(is_unknown) {
            return self.checked(answer);
        }
        let loaded = self.scripts.script(code).load_async(&mut self.connection.current()).await;
        loaded.map_err(|error| reply::error(&error))?;
        self.checked(self.raw(&evaluation, after).await)
    }

    /// Calls a function; a library that is not there is loaded.
    async fn call(
        &self,
        code: Code,
        key: &str,
        ops: &Ops,
        after: Option<&Cmd>,
    ) -> redis::RedisResult<(Value, Option<Value>)> {
        let call = self.scripts.function(code, key, ops);
        let answer = self.raw(&call, after).await;
        if !answer.as_ref().is_err_and(|error| says(error, "Function not found")) {
            return answer;
        }
        match self.raw(&self.scripts.load(), None).await {
            // Another process was faster.
            Err(error) if says(&error, "already exists") => {}
            answer => drop(answer?),
        }
        self.raw(&call, after).await
    }

    async fn raw(&self, command: &Cmd, after: Option<&Cmd>) -> redis::RedisResult<(Value, Option<Value>)> {
        self.connection.ask(command, after).await
    }

    /// Runs a plain command.
    pub async fn command(&self, command: &Cmd) -> StoreResult<Value> {
        self.checked(self.raw(command, None).await).map(|(answer, _)| answer)
    }
}

fn says(error: &redis::RedisError, what: &str) -> bool {
    error.detail().is_some_and(|detail| detail.contains(what))
}

/// Whether the server keeps no functions, being too old, or lets us have none.
fn is_refusal(error: &redis::RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm)) || says(error, "unknown command")
}
