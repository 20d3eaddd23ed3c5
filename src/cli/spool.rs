//! A request that is in no file, kept in one as long as it is needed: requests are read twice.
//!
//! **Invariant:** nothing is left behind, however the process ends: where the system lets an open file be opened again
//! without its name, the name is taken away before anything is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Most bytes that are kept: a million destinations, each with a kilobyte of its own.
pub const MOST: u64 = 1 << 30;

/// Names tried before it is given up: others may be taken by processes that were killed.
const NAMES: u32 = 1_000;

/// A temporary file that only this user may read.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: PathBuf,
    /// The file has a name that must be taken away at the end.
    named: bool,
}

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The source failed.
    #[error("cannot be read: {0}")]
    Source(io::Error),
    /// The file failed.
    #[error("cannot be kept in {}: {error}", folder.display())]
    Kept {
        /// Where it was to be kept.
        folder: PathBuf,
        /// Why it could not.
        error: io::Error,
    },
    /// There is more than [`MOST`].
    #[error("is larger than {} MiB, which is all that is kept of a request without a file: give it as a file", MOST >> 20)]
    TooLarge,
}

impl Spool {
    /// Keeps all of `source`.
    ///
    /// # Errors
    /// When it cannot be read or kept, or is larger than [`MOST`].
    pub fn of(source: impl Read) -> Result<Self, SpoolError> {
        Self::at_most(source, MOST)
    }

    fn at_most(source: impl Read, most: u64) -> Result<Self, SpoolError> {
        let folder = std::env::temp_dir();
        let mut spool = Self::create(&folder).map_err(|error| SpoolError::Kept { folder: folder.clone(), error })?;
        let mut source = source.take(most.saturating_add(1));
        let mut buffer = vec![0; 1 << 16];
        let mut size = 0;
        loop {
            let read = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(SpoolError::Source(error)),
            };
            size += read as u64;
            if size > most {
                return Err(SpoolError::TooLarge);
            }
            let kept = spool.file.write_all(&buffer[..read]);
            kept.map_err(|error| SpoolError::Kept { folder: folder.clone(), error })?;
        }
        Ok(spool)
    }

    fn create(folder: &Path) -> io::Result<Self> {
        let mut number = 0;
        loop {
            let path = folder.join(format!("robocall-{}-{number}.json", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Self { file, path, named: true }.without_name()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NAMES => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the name away, if the file can be opened without it.
    fn without_name(mut self) -> Self {
        let open = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let is_open = fs::metadata(&open).and_then(|there| Ok(same(there, self.file.metadata()?)));
        if is_open.unwrap_or(false) && fs::remove_file(&self.path).is_ok() {
            self.path = open;
            self.named = false;
        }
        self
    }

    /// Where it can be opened for as long as this lives.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.named {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_read_again_and_again() {
        let spool = Spool::of(&b"{\"requestId\": 1}"[..]).unwrap();
        for _ in 0..2 {
            assert_eq!(fs::read_to_string(spool.path()).unwrap(), "{\"requestId\": 1}");
        }
    }

    #[test]
    fn more_than_the_bound_is_refused() {
        assert!(Spool::at_most(&[b' '; 100][..], 100).is_ok());
        assert!(matches!(Spool::at_most(&[b' '; 101][..], 100), Err(SpoolError::TooLarge)));
        assert!(matches!(Spool::at_most(io::repeat(b' '), 100), Err(SpoolError::TooLarge)), "however much there is");
    }

    #[test]
    fn a_file_that_kept_its_name_loses_it_at_the_end() {
        let mut spool = Spool::of(io::empty()).unwrap();
        let name = std::env::temp_dir().join(format!("robocall-named-{}.json", std::process::id()));
        fs::write(&name, "").unwrap();
        (spool.path, spool.named) = (name.clone(), true);
        drop(spool);
        assert!(!name.exists());
    }
}
