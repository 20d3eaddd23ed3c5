//! What was recorded is kept no longer than its organisation wants.
//!
//! Any number of processes may do this at once: a recording is deleted where it is kept first and forgotten then, and
//! either may be done twice.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{AttemptId, Organisation, OrganisationId, Recording, Timestamp};
use crate::ports::{ArchiveError, CampaignStore, Clock, RecordingArchive, RecordingIndex, StoreResult};

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(3600);

/// Recordings that are asked for at a time.
const BATCH: u32 = 100;

/// So many that cannot be deleted, and an organisation's others wait for the next time.
const MOST_KEPT: usize = 1_000;

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
                let settings = self.store.organisation(&organisation).await?;
                if let Some(before) = self.too_old(&settings) {
                    let of_it = self.sweep_of(&organisation, before).await?;
                    swept = Swept { deleted: swept.deleted + of_it.deleted, kept: swept.kept + of_it.kept };
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

    async fn sweep_of(&self, organisation: &OrganisationId, before: Timestamp) -> StoreResult<Swept> {
        let (mut deleted, mut kept) = (0, BTreeSet::<AttemptId>::new());
        while kept.len() < MOST_KEPT {
            // Those that stay are the oldest the next time, too, and must not stand in the way.
            let limit = BATCH + u32::try_from(kept.len()).unwrap_or(u32::MAX);
            let old = self.recordings.recordings_before(organisation, before, limit).await?;
            let old: Vec<Recording> = old.into_iter().filter(|old| !kept.contains(&old.attempt)).collect();
            if old.is_empty() {
                break;
            }
            for Recording { attempt, place, .. } in old {
                match self.archive.delete(&place).await {
                    Ok(()) | Err(ArchiveError::Missing) => {
                        self.recordings.forget_recording(organisation, attempt).await?;
                        deleted += 1;
                    }
                    Err(error) => {
                        tracing::debug!(%error, %attempt, "a recording cannot be deleted");
                        kept.insert(attempt);
                    }
                }
            }
        }
        Ok(Swept { deleted, kept: kept.len() })
    }
}

#[cfg(test)]
mod tests;
