//! Prompts that were made before: known in memory, kept in files, each made once however many ask for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::files::{Files, Key};
use super::flights::Flights;
use super::resample::Filter;
use super::wav::Sound;
use crate::model::Timestamp;
use crate::ports::{Clock, SpeechError};
use crate::telemetry::servers::{self, Stopwatch};

/// How long a file is taken to be there without a look. Much less than files stay that were just handed out.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Most prompts that are known without a look; past it, those not handed out for a while are forgotten, or all.
const MOST_KNOWN: usize = 100_000;

/// How often the folder is looked through at most, while there is too much in it.
const CLEARED_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked through even if there seems to be room: other processes write there, too.
const COUNTED_EVERY: Duration = Duration::from_secs(600);

/// Most rates whose filters are kept.
const MOST_FILTERS: usize = 16;

/// What became of making a prompt: how many samples it has.
type Made = Result<u32, SpeechError>;

/// Prompts that were made before.
pub struct Cache {
    clock: Arc<dyn Clock>,
    files: Files,
    /// Bytes that there may be.
    most: u64,
    known: Mutex<HashMap<Key, Known>>,
    filters: Mutex<HashMap<u32, Arc<Filter>>>,
    room: Mutex<Room>,
    flights: Flights<Key, Made>,
}

/// A prompt that is there.
#[derive(Clone, Copy)]
struct Known {
    samples: u32,
    looked_at: Timestamp,
}

/// How full the folder is.
#[derive(Default)]
struct Room {
    bytes: u64,
    cleared_at: Option<Timestamp>,
    is_being_cleared: bool,
}

impl Cache {
    /// Prompts in files, of which there may be `most` bytes.
    pub fn new(clock: Arc<dyn Clock>, files: Files, most: u64) -> Self {
        Self {
            clock,
            files,
            most,
            known: Mutex::default(),
            filters: Mutex::default(),
            room: Mutex::default(),
            flights: Flights::default(),
        }
    }

    /// Where prompts are.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// How many samples a prompt has that is known to be there; without a look at the disk.
    pub fn at_hand(&self, key: &Key) -> Option<u32> {
        let known = *lock(&self.known).get(key)?;
        (self.clock.now().since(known.looked_at) < REMEMBERED).then_some(known.samples)
    }

    /// How many samples a prompt has. It is made unless it is there, or somebody is making it already, which is then
    /// waited for.
    ///
    /// # Errors
    /// As `make`, and when the prompt cannot be kept.
    pub async fn get(
        self: &Arc<Self>,
        key: Key,
        make: impl FnOnce() -> BoxFuture<'static, Result<Sound, SpeechError>> + Send + 'static,
    ) -> Made {
        if let Some(samples) = self.at_hand(&key) {
            servers::prompt_cached();
            return Ok(samples);
        }
        let this = Arc::clone(self);
        let making = move || {
            async move {
                if let Some(samples) = this.blocking(move |this| this.look(&key)).await? {
                    servers::prompt_cached();
                    return Ok(samples);
                }
                let began = Stopwatch::start();
                let made = async {
                    let sound = make().await?;
                    this.blocking(move |this| this.keep(&key, &sound)).await?
                };
                let made = made.await;
                match &made {
                    Ok(_) => servers::prompt_made(began),
                    Err(SpeechError::Refused { .. }) => servers::prompt_failed(true),
                    Err(SpeechError::Unavailable(_)) => servers::prompt_failed(false),
                }
                made
            }
            .boxed()
        };
        // Not awaited under a lock: what is being made takes as long as it takes.
        let making = self.flights.join(key, making);
        making.await
    }

    /// Runs what blocks where that is no harm.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> Result<T, SpeechError> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.map_err(|error| SpeechError::Unavailable(error.to_string()))
    }

    fn look(&self, key: &Key) -> Option<u32> {
        let samples = self.files.look(key, self.clock.now())?;
        self.remember(key, samples);
        Some(samples)
    }

    fn keep(self: &Arc<Self>, key: &Key, sound: &Sound) -> Made {
        let samples = self.filter(sound.rate).apply(&sound.samples);
        let now = self.clock.now();
        let kept = self.files.keep(key, &samples, now).map_err(|error| {
            SpeechError::Unavailable(format!("nothing can be kept in {}: {error}", self.files.folder().display()))
        })?;
        let samples = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.remember(key, samples);
        if self.is_to_be_cleared(kept, now) {
            let this = Arc::clone(self);
            // Whoever waits for the prompt does not wait for that.
            tokio::task::spawn_blocking(move || this.clear());
        }
        Ok(samples)
    }

    fn filter(&self, rate: u32) -> Arc<Filter> {
        if let Some(filter) = lock(&self.filters).get(&rate) {
            return Arc::clone(filter);
        }
        let filter = Arc::new(Filter::new(rate));
        let mut filters = lock(&self.filters);
        if filters.len() >= MOST_FILTERS {
            filters.clear();
        }
        filters.insert(rate, Arc::clone(&filter));
        filter
    }

    fn remember(&self, key: &Key, samples: u32) {
        let now = self.clock.now();
        let mut known = lock(&self.known);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, known| now.since(known.looked_at) < REMEMBERED);
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
        }
        known.insert(*key, Known { samples, looked_at: now });
    }

    /// Counts what was kept; whether the folder is to be looked through, which only one does at a time.
    fn is_to_be_cleared(&self, kept: u64, now: Timestamp) -> bool {
        let mut room = lock(&self.room);
        room.bytes = room.bytes.saturating_add(kept);
        let every = if room.bytes > self.most { CLEARED_EVERY } else { COUNTED_EVERY };
        let due = room.cleared_at.is_none_or(|at| now.since(at) >= every);
        let begins = due && !room.is_being_cleared;
        room.is_being_cleared |= begins;
        begins
    }

    /// Looks through the folder, and clears away what is too much. Blocks.
    pub fn clear(&self) {
        let now = self.clock.now();
        let cleared = self.files.clear(self.most, now);
        let mut room = lock(&self.room);
        (room.cleared_at, room.is_being_cleared) = (Some(now), false);
        match cleared {
            Ok(cleared) => {
                room.bytes = cleared.bytes;
                drop(room);
                if cleared.bytes > self.most {
                    let (bytes, most) = (cleared.bytes, self.most);
                    tracing::warn!(bytes, most, "there is more in the folder of prompts than may be: all is in use");
                }
                let mut known = lock(&self.known);
                for key in &cleared.gone {
                    known.remove(key);
                }
            }
            Err(error) => tracing::warn!(%error, "the folder of prompts cannot be looked through"),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
