//! Recordings that are kept for as long as the process lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::ports::recordings::{Part, Sound};
use crate::ports::{ArchiveError, RecordingArchive};

type Files = BTreeMap<String, Arc<[u8]>>;

/// How much is read at a time, in bytes.
const PIECE: usize = 16 << 10;

/// The recordings, by their places.
#[derive(Default)]
pub struct MemoryArchive {
    files: Mutex<Files>,
}

impl MemoryArchive {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a recording.
    pub fn keep(&self, place: &str, bytes: &[u8]) {
        self.files().insert(place.to_owned(), bytes.into());
    }
}

#[async_trait]
impl RecordingArchive for MemoryArchive {
    async fn open(&self, place: &str, part: Part) -> Result<Sound, ArchiveError> {
        let file = self.files().get(place).cloned().ok_or(ArchiveError::Missing)?;
        let size = file.len() as u64;
        let range = part.of(size);
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let wanted = range.as_ref().map_or(&[][..], |range| &file[place(range.start)..place(range.end)]);
        let pieces: Vec<Result<Vec<u8>, ArchiveError>> = wanted.chunks(PIECE).map(|piece| Ok(piece.to_vec())).collect();
        Ok(Sound { size, range, bytes: stream::iter(pieces).boxed() })
    }

    async fn delete(&self, place: &str) -> Result<(), ArchiveError> {
        self.files().remove(place).map(drop).ok_or(ArchiveError::Missing)
    }
}
