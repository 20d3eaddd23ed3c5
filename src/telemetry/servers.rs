//! How servers around a process answer it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::catalogue::{BROKER, BROKER_LOST, BUILD, NODE_LEGS, NODE_UP, PROMPT, PROMPTS, REDIS};
use super::dispatch::whole;

/// Measures how long something takes, finer than the clock that decisions are made by. Nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins to measure.
    #[expect(clippy::disallowed_methods, reason = "what is measured decides nothing")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has been.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Which build this is.
pub(super) fn build() {
    BUILD.set([env!("CARGO_PKG_VERSION")], 1.0);
}

/// Redis answered, or did not.
pub fn redis_answered(asked: Stopwatch, ok: bool) {
    REDIS.record([if ok { "ok" } else { "failed" }], asked.elapsed().as_secs_f64());
}

/// How often it is said that a server is waited for.
const SAID_AGAIN: Duration = Duration::from_secs(30);

/// Says that a server is waited for while it does not answer, and once when it does again.
#[derive(Debug)]
pub struct Waiting {
    /// Which, and where, without a password.
    server: String,
    state: Mutex<Silence>,
}

#[derive(Debug, Default)]
struct Silence {
    /// Since when it has not answered, if that was said and is not over.
    since: Option<Stopwatch>,
    /// When that was said last.
    said: Option<Stopwatch>,
}

impl Waiting {
    /// For nothing yet.
    pub fn new(server: String) -> Self {
        Self { server, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Silence> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It did not answer, or did not let us in. Said at once, and every half a minute while it lasts.
    pub fn goes_on(&self, why: &dyn fmt::Display) {
        let mut silence = self.lock();
        if silence.said.is_some_and(|said| said.elapsed() < SAID_AGAIN) {
            return;
        }
        silence.said = Some(Stopwatch::start());
        silence.since.get_or_insert_with(Stopwatch::start);
        drop(silence);
        tracing::warn!("waits for {}: {why}", self.server);
    }

    /// It answered.
    pub fn is_over(&self) {
        if let Some(since) = self.lock().since.take() {
            tracing::warn!("{} is back after {} s", self.server, since.elapsed().as_secs());
        }
    }
}

/// A connection to the broker, which is open for as long as this is held.
#[derive(Debug)]
pub struct BrokerConnection(());

impl BrokerConnection {
    /// It was made.
    pub fn made() -> Self {
        BROKER.change([], 1.0);
        Self(())
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        BROKER.change([], -1.0);
    }
}

/// A connection to the broker was lost, or could not be made.
pub fn broker_lost() {
    BROKER_LOST.count([]);
}

/// Whether a telephony server is heard.
pub fn node_is_up(node: &str, up: bool) {
    NODE_UP.set([node], f64::from(u8::from(up)));
}

/// How many legs of ours, whoever made them, a telephony server carries.
pub fn node_legs(node: &str, legs: usize) {
    NODE_LEGS.set([node], whole(legs));
}

/// A prompt was found in the cache.
pub fn prompt_cached() {
    PROMPTS.count(["cached"]);
}

/// A prompt was made.
pub fn prompt_made(since: Stopwatch) {
    PROMPTS.count(["made"]);
    PROMPT.record([], since.elapsed().as_secs_f64());
}

/// A prompt cannot be spoken, or could not be made this time.
pub fn prompt_failed(refused: bool) {
    PROMPTS.count([if refused { "refused" } else { "failed" }]);
}
