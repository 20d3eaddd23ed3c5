//! Prompts as files of a folder that several processes may share: looked at, kept, and cleared away.
//!
//! A file is called by the hash of all that can be heard in it, so it never changes: it is there whole or not at all.
//! When it was last handed out is its time of change. Everything here blocks, and is called where that is no harm.

use std::fs::{self, File, FileTimes};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::wav::{self, HEADER};
use crate::model::Timestamp;

/// The hash of all that can be heard in a prompt.
pub type Key = [u8; 32];

/// How long nobody may have been handed a prompt before it may go: the longest call, two hours, and some more. A call
/// that is being played a prompt was handed it during that call.
const UNUSED: Duration = Duration::from_secs(150 * 60);

/// The same when there is really too much: a telephony server that has begun to play a file goes on with it.
const UNUSED_IN_NEED: Duration = Duration::from_secs(15 * 60);

/// There is really too much where there is so many times as much as there may be.
const NEED: u64 = 2;

/// What is cleared away goes on until this is left, in percent of what there may be, so that it is not done each time.
const LEFT: u64 = 90;

/// A file that was being written so long ago never will be.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What a file takes on a disk is counted in pieces of this many bytes.
const PIECE: u64 = 4096;

/// Where prompts are.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
}

/// What was found and what was done when the folder was cleared.
#[derive(Debug, Default)]
pub struct Cleared {
    /// Bytes that are left.
    pub bytes: u64,
    /// What is gone.
    pub gone: Vec<Key>,
}

impl Files {
    /// Files in a folder, which is made if it is missing. Its name becomes absolute.
    ///
    /// # Errors
    /// When it cannot be made, or not be written to.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // Not its real name if it is a link: a telephony server elsewhere knows it by this one.
        let files = Self { folder: std::path::absolute(folder)? };
        let probe = files.part()?;
        File::create_new(&probe)?;
        fs::remove_file(probe)?;
        Ok(files)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A prompt's file, without its extension.
    pub fn stem(&self, key: &Key) -> PathBuf {
        let name = hex(key);
        self.folder.join(&name[..2]).join(name)
    }

    fn file(&self, key: &Key) -> PathBuf {
        self.stem(key).with_extension("wav")
    }

    /// A new name for something that is being written.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn part(&self) -> io::Result<PathBuf> {
        let number = getrandom::u64()?;
        Ok(self.folder.join(format!("{number:016x}.part")))
    }

    /// How many samples a prompt has, if it is there and whole; one that is not whole is taken away. It counts as
    /// handed out now.
    pub fn look(&self, key: &Key, now: Timestamp) -> Option<u32> {
        let path = self.file(key);
        let mut file = File::open(&path).ok()?;
        let mut beginning = [0; HEADER];
        let whole = file.read_exact(&mut beginning).and_then(|()| file.metadata());
        let samples = whole.ok().and_then(|metadata| wav::samples_in(&beginning, metadata.len()));
        if samples.is_none() {
            tracing::warn!(file = %path.display(), "a prompt is damaged: it is made anew");
            let _gone_already = fs::remove_file(&path);
            return None;
        }
        // In a folder that others write to it cannot be marked: then their own marks have to do.
        let _not_ours = file.set_times(FileTimes::new().set_modified(on_wall(now)));
        samples
    }

    /// Keeps a prompt; how many bytes it takes.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it is left then.
    pub fn keep(&self, key: &Key, samples: &[i16], now: Timestamp) -> io::Result<u64> {
        let path = self.file(key);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let part = self.part()?;
        let bytes = wav::write(samples);
        let written = (|| {
            let mut file = File::create_new(&part)?;
            file.write_all(&bytes)?;
            file.set_times(FileTimes::new().set_modified(on_wall(now)))?;
            fs::rename(&part, &path)
        })();
        if written.is_err() {
            let _never_made = fs::remove_file(&part);
        }
        written.map(|()| taken(bytes.len() as u64))
    }

    /// Clears away what was unused for longest where there is more than `most` bytes, and what was never finished.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn clear(&self, most: u64, now: Timestamp) -> io::Result<Cleared> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            match path.file_name().and_then(|name| name.to_str()) {
                Some(name) if name.len() == 2 => self.list(&path, &mut found),
                Some(name) if name.ends_with(".part") && unused(&path, now) > Some(ABANDONED) => {
                    let _gone_already = fs::remove_file(&path);
                }
                _ => {}
            }
        }
        found.sort_unstable();
        let mut cleared = Cleared { bytes: found.iter().map(|(_, _, bytes)| bytes).sum(), gone: Vec::new() };
        if cleared.bytes <= most {
            return Ok(cleared);
        }
        let enough = most / 100 * LEFT;
        for (_, key, bytes) in found {
            let in_need = cleared.bytes > most.saturating_mul(NEED);
            let bound = if in_need { UNUSED_IN_NEED } else { UNUSED };
            if cleared.bytes <= enough {
                break;
            }
            let path = self.file(&key);
            // Looked at again: another process may have handed it out since, or taken it away.
            match unused(&path, now) {
                Some(unused) if unused <= bound => break,
                Some(_) => match fs::remove_file(path) {
                    // Whoever took it away made as much room.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => continue,
                    Ok(()) | Err(_) => {}
                },
                _ => {}
            }
            cleared.bytes -= bytes;
            cleared.gone.push(key);
        }
        Ok(cleared)
    }

    /// Adds the prompts of one part of the folder: when each was last handed out, and what it takes.
    fn list(&self, part: &Path, found: &mut Vec<(SystemTime, Key, u64)>) {
        // A folder that is no part of ours is none of our business.
        let Ok(entries) = fs::read_dir(part) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| from_hex(name.strip_suffix(".wav")?));
            if let (Some(key), Ok(metadata)) = (key, entry.metadata()) {
                found.push((metadata.modified().unwrap_or(UNIX_EPOCH), key, taken(metadata.len())));
            }
        }
    }
}

fn taken(bytes: u64) -> u64 {
    bytes.next_multiple_of(PIECE)
}

/// How long a file was not handed out; none: it is not there.
fn unused(path: &Path, now: Timestamp) -> Option<Duration> {
    let handed_out = fs::metadata(path).ok()?.modified().ok()?;
    Some(on_wall(now).duration_since(handed_out).unwrap_or_default())
}

/// A time as file systems know it.
pub fn on_wall(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or_default())
}

/// A hash as a file's name.
pub fn hex(key: &Key) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    key.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(name: &str) -> Option<Key> {
    let digits = name.as_bytes();
    if digits.len() != 64 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, two) in key.iter_mut().zip(name.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(Files);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("robocall-files-{}-{name}", std::process::id()));
            let _left_over = fs::remove_dir_all(&folder);
            Self(Files::open(&folder).unwrap())
        }

        fn keep(&self, number: u8, now: Timestamp) {
            // Two pieces each.
            assert_eq!(self.0.keep(&[number; 32], &[7; 3000], now).unwrap(), 2 * PIECE);
        }

        fn left(&self) -> Vec<u8> {
            (0..=255).filter(|number| self.0.file(&[*number; 32]).exists()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone_already = fs::remove_dir_all(self.0.folder());
        }
    }

    const NOW: Timestamp = Timestamp::VIRTUAL_START;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn what_is_kept_is_found_under_its_hash() {
        let folder = Folder::new("kept");
        assert_eq!(folder.0.look(&[0xA5; 32], NOW), None);
        folder.0.keep(&[0xA5; 32], &[1, 2, 3], NOW).unwrap();
        assert_eq!(folder.0.look(&[0xA5; 32], NOW), Some(3));
        let stem = folder.0.stem(&[0xA5; 32]);
        assert_eq!(stem, folder.0.folder().join("a5").join("a5".repeat(32)));
        assert_eq!(fs::read(stem.with_extension("wav")).unwrap(), wav::write(&[1, 2, 3]));
        assert_eq!(from_hex(&hex(&[0xA5; 32])), Some([0xA5; 32]));
        assert_eq!(from_hex(&"A5".repeat(32)), None);
        let names: Vec<_> = fs::read_dir(folder.0.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a5"], "nothing else is left behind");
    }

    #[test]
    fn what_is_damaged_is_taken_away() {
        let folder = Folder::new("damaged");
        let file = folder.0.file(&[1; 32]);
        for damage in [&b""[..], b"RIFF", &wav::write(&[1, 2, 3])[..49], &[0; 50]] {
            folder.keep(1, NOW);
            fs::write(&file, damage).unwrap();
            assert_eq!(folder.0.look(&[1; 32], NOW), None);
            assert!(!file.exists());
        }
    }

    #[test]
    fn what_was_unused_for_longest_goes_first() {
        let folder = Folder::new("clear");
        for number in 0..10 {
            folder.keep(number, NOW + minutes(number.into()));
        }
        // Used again.
        let now = NOW + minutes(200);
        assert!(folder.0.look(&[0; 32], now).is_some());
        assert_eq!(folder.0.clear(20 * PIECE, now).unwrap().bytes, 20 * PIECE, "there is room");
        // A tenth more than must goes, so that the next one does not have to clear again.
        let cleared = folder.0.clear(16 * PIECE, now).unwrap();
        assert_eq!((cleared.bytes, cleared.gone), (14 * PIECE, vec![[1; 32], [2; 32], [3; 32]]));
        assert_eq!(folder.left(), [0, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_may_be_playing_stays_unless_there_is_really_too_much() {
        let folder = Folder::new("recent");
        for number in 0..10 {
            folder.keep(number, NOW);
        }
        let now = NOW + UNUSED;
        assert!(folder.0.clear(12 * PIECE, now).unwrap().gone.is_empty(), "not twice as much");
        assert_eq!(folder.0.clear(5 * PIECE, now).unwrap().bytes, 10 * PIECE, "no less than twice as much is left");
        assert!(folder.0.clear(5 * PIECE, now).unwrap().gone.is_empty());
        folder.keep(20, now);
        assert_eq!(folder.0.clear(0, NOW + UNUSED_IN_NEED).unwrap().gone.len(), 0, "these may be playing");
        assert_eq!(folder.0.clear(0, now + Duration::from_secs(1)).unwrap().bytes, 2 * PIECE);
        assert_eq!(folder.left(), [20]);
    }

    #[test]
    fn what_was_never_finished_is_cleared_away_and_strangers_are_left_alone() {
        let folder = Folder::new("parts");
        let part = folder.0.part().unwrap();
        File::create_new(&part).unwrap().set_times(FileTimes::new().set_modified(on_wall(NOW))).unwrap();
        let stranger = folder.0.folder().join("ab").join("notes.wav");
        fs::create_dir_all(stranger.parent().unwrap()).unwrap();
        fs::write(&stranger, "not ours").unwrap();
        folder.0.clear(0, NOW + ABANDONED).unwrap();
        assert!(part.exists());
        folder.0.clear(0, NOW + ABANDONED + minutes(1)).unwrap();
        assert!(!part.exists() && stranger.exists());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = Folder::new("full");
        // Where the file's folder should be, there is something else.
        fs::write(folder.0.folder().join("01"), "in the way").unwrap();
        assert!(folder.0.keep(&[1; 32], &[1], NOW).is_err());
        fs::remove_file(folder.0.folder().join("01")).unwrap();
        // Where the file should be, there is something else.
        fs::create_dir_all(folder.0.file(&[2; 32])).unwrap();
        assert!(folder.0.keep(&[2; 32], &[1], NOW).is_err());
        let parts = fs::read_dir(folder.0.folder()).unwrap().flatten();
        assert_eq!(parts.filter(|entry| entry.path().extension().is_some()).count(), 0);
        assert!(Files::open(Path::new("/proc/nowhere")).is_err());
    }
}
