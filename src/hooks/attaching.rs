//! Recordings that are attached to what is sent: read whole, since the signature is over all of it, and so bounded, each and
//! all together.
//!
//! A recording that cannot be read is waited for a while; then the event goes without it. What a call came to is worth more
//! than how it sounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::template::Attachment;
use crate::model::{AttemptId, OrganisationId, Timestamp};
use crate::ports::recordings::{Part, Sound};
use crate::ports::{ArchiveError, Clock, RecordingArchive, RecordingIndex};

/// How long a recording that cannot be read is waited for, from the first try on.
const WAITED_FOR: Duration = Duration::from_secs(60);

/// How long one may take to be read.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Most recordings that are waited for.
const MOST_AWAITED: usize = 4_096;

/// Where recordings are, and how much of them is held.
pub struct Recordings {
    index: Arc<dyn RecordingIndex>,
    archive: Arc<dyn RecordingArchive>,
    clock: Arc<dyn Clock>,
    most_bytes: u64,
    /// A permit for each byte that is held, in KiB.
    room: Arc<Semaphore>,
    /// Since when those are waited for that could not be read.
    awaited: Mutex<BTreeMap<AttemptId, Timestamp>>,
}

/// A recording, or why there is none.
pub enum Attached {
    /// It is to be attached; its room is given back when the permit is.
    Sound(Attachment, OwnedSemaphorePermit),
    /// There is none, or none that can be had.
    Nothing,
    /// It may be there in a while.
    NotYet,
}

impl Recordings {
    /// Recordings of which each has `most_bytes` at most, and all that are held at a time `room`.
    pub fn new(
        index: Arc<dyn RecordingIndex>,
        archive: Arc<dyn RecordingArchive>,
        clock: Arc<dyn Clock>,
        most_bytes: u64,
        room: u64,
    ) -> Self {
        let room = Arc::new(Semaphore::new(permits(room.max(most_bytes)) as usize));
        Self { index, archive, clock, most_bytes, room, awaited: Mutex::default() }
    }

    /// The recording of the call that an event is about.
    pub async fn of(&self, organisation: &OrganisationId, event: &Value) -> Attached {
        let Some(attempt) = attempt_of(event) else { return Attached::Nothing };
        let looked = tokio::select! {
            biased;
            looked = self.look(organisation, attempt) => looked,
            () = self.clock.sleep_until(self.clock.now() + READ_WITHIN) => Err("it takes too long".to_owned()),
        };
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok(Some((attachment, held))) => {
                awaited.remove(&attempt);
                Attached::Sound(attachment, held)
            }
            Ok(None) => {
                awaited.remove(&attempt);
                Attached::Nothing
            }
            Err(why) => {
                let now = self.clock.now();
                if awaited.len() >= MOST_AWAITED {
                    awaited.retain(|_, since| now.since(*since) < WAITED_FOR);
                }
                let since = *awaited.entry(attempt).or_insert(now);
                if now.since(since) < WAITED_FOR && awaited.len() <= MOST_AWAITED {
                    return Attached::NotYet;
                }
                awaited.remove(&attempt);
                tracing::warn!(%organisation, %attempt, why, "a webhook is sent without its recording");
                Attached::Nothing
            }
        }
    }

    async fn look(
        &self,
        organisation: &OrganisationId,
        attempt: AttemptId,
    ) -> Result<Option<(Attachment, OwnedSemaphorePermit)>, String> {
        let found = self.index.recording(organisation, attempt).await.map_err(|error| error.to_string())?;
        let Some(found) = found else { return Ok(None) };
        let too_large = |size: u64| {
            tracing::warn!(%organisation, %attempt, size, "a recording is too large to be attached");
            Ok(None)
        };
        let Sound { size, mut bytes, .. } = match self.archive.open(&found.place, Part::Whole).await {
            Ok(sound) => sound,
            Err(ArchiveError::Elsewhere) => return Ok(None),
            // Where it is kept it may not be finished yet.
            Err(error @ (ArchiveError::Missing | ArchiveError::Unavailable(_))) => return Err(error.to_string()),
        };
        if size > self.most_bytes {
            return too_large(size);
        }
        // Held twice for a moment: by itself, and in the message.
        let Ok(held) = Arc::clone(&self.room).acquire_many_owned(permits(size)).await else { return Ok(None) };
        let mut sound = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        while let Some(piece) = bytes.next().await {
            sound.extend_from_slice(&piece.map_err(|error| error.to_string())?);
            if sound.len() as u64 > self.most_bytes {
                return too_large(sound.len() as u64);
            }
        }
        Ok(Some((Attachment { name: format!("{attempt}.wav"), bytes: sound }, held)))
    }
}

/// The attempt that an event of a call is about: the event's id is that and a number.
fn attempt_of(event: &Value) -> Option<AttemptId> {
    event["id"].as_str()?.rsplit_once('.')?.0.parse().ok()
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX >> 4)
}
