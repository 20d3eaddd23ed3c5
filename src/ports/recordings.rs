//! What was recorded: which recordings there are, and where they are kept.

use std::ops::Range;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::StoreResult;
use crate::model::{AttemptId, OrganisationId, Recording, Timestamp};

/// Which recordings there are. The store notes one when it ends an attempt that says where its recording is kept
/// ([`AttemptEnd::recording`](super::store::AttemptEnd::recording)), in the same step.
#[async_trait]
pub trait RecordingIndex: Send + Sync + 'static {
    /// The recording of an attempt; none if nothing was recorded, the attempt goes on, or it was forgotten.
    async fn recording(&self, organisation: &OrganisationId, attempt: AttemptId) -> StoreResult<Option<Recording>>;

    /// Recordings of attempts that ended before some time, the oldest first; behind another, which may be forgotten since.
    async fn recordings_before(
        &self,
        organisation: &OrganisationId,
        before: Timestamp,
        behind: Option<&Recording>,
        limit: u32,
    ) -> StoreResult<Vec<Recording>>;

    /// Forgets a recording; nothing happens if it is not known.
    async fn forget_recording(&self, organisation: &OrganisationId, attempt: AttemptId) -> StoreResult<()>;

    /// Some of the organisations that have ever had work, and where to go on; 0 begins, and 0 says that it was all. Each
    /// comes at least once.
    async fn organisations(&self, from: u64) -> StoreResult<(Vec<OrganisationId>, u64)>;
}

/// Why a recording cannot be had, or not be deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Where it is kept, there is none.
    #[error("there is no recording")]
    Missing,
    /// Nobody knows how to get there: the server is none of those that are configured.
    #[error("it is kept where nothing is configured")]
    Elsewhere,
    /// The server that keeps it does not answer as it should; trying again may help.
    #[error("the server that keeps it: {0}")]
    Unavailable(String),
}

/// Which bytes of a recording are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    Whole,
    /// From one to the end.
    From(u64),
    /// From one to another, both included.
    Between(u64, u64),
    /// So many at the end.
    Last(u64),
}

impl Part {
    /// Which these are of so many; none if there are none of them.
    pub fn of(self, size: u64) -> Option<Range<u64>> {
        match self {
            Part::Whole => Some(0..size),
            Part::From(from) => (from < size).then_some(from..size),
            Part::Between(from, to) => (from < size && from <= to).then(|| from..to.saturating_add(1).min(size)),
            Part::Last(count) => (count > 0 && size > 0).then(|| size.saturating_sub(count)..size),
        }
    }
}

/// A recording, as it is read.
pub struct Sound {
    /// How many bytes the whole has.
    pub size: u64,
    /// What was wanted of them; none if there is nothing of that.
    pub range: Option<Range<u64>>,
    /// The bytes of the range, in pieces. One that fails is the last.
    pub bytes: BoxStream<'static, Result<Vec<u8>, ArchiveError>>,
}

/// Where recordings are kept: WAV files.
#[async_trait]
pub trait RecordingArchive: Send + Sync + 'static {
    /// Opens a recording, or a part of it.
    async fn open(&self, place: &str, part: Part) -> Result<Sound, ArchiveError>;

    /// Deletes a recording. [`ArchiveError::Missing`] says that it was deleted before.
    async fn delete(&self, place: &str) -> Result<(), ArchiveError>;
}
