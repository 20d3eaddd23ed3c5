//! What was recorded is kept no longer than its organisation wants.
//!
//! Any number of processes may do this at once: a recording is deleted where it is kept first and forgotten then, and
//! either may be done twice.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::model::{Organisation, OrganisationId, Recording, Timestamp};
use crate::ports::{ArchiveError, CampaignStore, Clock, RecordingArchive, RecordingIndex, StoreError, StoreResult};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// Recordings that are asked for at a time.
const BATCH: u32 = 100;

/// Recordings that are deleted at a time: a server that does not answer takes its time to say so.
const AT_A_TIME: usize = 16;

/// What deletes recordings.
pub struct Retention {
    /// What organisations want.
    pub store: Arc<dyn CampaignStore>,
    /// Which recordings there are.
    pub recordings: Arc<dyn RecordingIndex>,
    /// Where they are kept.
    pub archive: Arc<dyn RecordingArchive>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long they are kept where the organisation does not say; none: for ever.
    pub usual: Option<Duration>,
}

/// What a look through everything brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Recordings that are no more.
    pub deleted: usize,
    /// Recordings that should be no more, and are.
    pub kept: usize,
}

impl Retention {
    /// Looks through everything once an hour.
    pub async fn keep_on(&self) -> Infallible {
        loop {
            match self.sweep().await {
                Ok(Swept { deleted: 0, kept: 0 }) => {}
                Ok(Swept { deleted, kept: 0 }) => tracing::info!(deleted, "recordings were kept long enough"),
                Ok(Swept { deleted, kept }) => tracing::warn!(deleted, kept, "recordings should be gone and are not"),
                Err(error) => tracing::warn!(%error, "nobody knows which recordings are old"),
            }
            self.clock.sleep_until(self.clock.now() + EVERY).await;
        }
    }

    /// Looks through everything once.
    ///
    /// # Errors
    /// When the store does not answer; what was deleted until then is gone.
    pub async fn sweep(&self) -> StoreResult<Swept> {
        let (mut swept, mut from) = (Swept::default(), 0);
        loop {
            let (organisations, next) = self.recordings.organisations(from).await?;
            for organisation in organisations {
                match self.sweep_of(&organisation).await {
                    Ok(Swept { deleted, kept }) => {
                        swept = Swept { deleted: swept.deleted + deleted, kept: swept.kept + kept };
                    }
                    Err(error @ StoreError::Unavailable(_)) => return Err(error),
                    // One whose settings cannot be read does not stand in the way of the others.
                    Err(error) => tracing::error!(%error, %organisation, "nobody knows which recordings are old"),
                }
            }
            if next == 0 {
                return Ok(swept);
            }
            from = next;
        }
    }

    /// Whatever ended before this is kept no more.
    fn too_old(&self, settings: &Organisation) -> Option<Timestamp> {
        let kept = settings.recording_retention_secs.map(Duration::from_secs).or(self.usual)?;
        Some(self.clock.now() - kept)
    }

    async fn sweep_of(&self, organisation: &OrganisationId) -> StoreResult<Swept> {
        let (mut swept, mut last) = (Swept::default(), None);
        let settings = self.store.organisation(organisation).await?;
        let Some(before) = self.too_old(&settings) else { return Ok(swept) };
        loop {
            // What stays must not stand in the way of what is behind it.
            let old = self.recordings.recordings_before(organisation, before, last.as_ref(), BATCH).await?;
            let Some(end) = old.last().cloned() else { return Ok(swept) };
            last = Some(end);
            let deleting = old.into_iter().map(|recording| self.delete(organisation, recording));
            let deleted: Vec<bool> = stream::iter(deleting).buffer_unordered(AT_A_TIME).try_collect().await?;
            let gone = deleted.iter().filter(|gone| **gone).count();
            swept = Swept { deleted: swept.deleted + gone, kept: swept.kept + deleted.len() - gone };
        }
    }

    /// Whether it is gone.
    async fn delete(&self, organisation: &OrganisationId, old: Recording) -> StoreResult<bool> {
        let Recording { attempt, place, .. } = old;
        match self.archive.delete(&place).await {
            Ok(()) | Err(ArchiveError::Missing) => {
                self.recordings.forget_recording(organisation, attempt).await?;
                Ok(true)
            }
            Err(error) => {
                tracing::debug!(%error, %attempt, "a recording cannot be deleted");
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests;
