//! Recorded files: found by name within one folder, and nowhere else.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::engine::refused;
use super::files::Key;
use super::process::MOST_BYTES;
use super::wav::{self, Sound};
use crate::model::Timestamp;
use crate::ports::SpeechError;

/// How long a file is taken for what it was when it was looked at.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Most names that are remembered; past it, all are forgotten and looked at again.
const MOST_NAMES: usize = 10_000;

/// The recorded files of a folder.
pub struct Recordings {
    folder: Option<PathBuf>,
    seen: Mutex<HashMap<Arc<str>, (Timestamp, Key)>>,
}

/// A recorded file as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Where it is.
    pub path: PathBuf,
    /// Under which name its sound is kept: another once the file has changed.
    pub key: Key,
}

impl Recordings {
    /// Those of a folder; none: there are none.
    pub fn of(folder: Option<PathBuf>) -> Self {
        Self { folder, seen: Mutex::default() }
    }

    /// Under which name a recording's sound is kept, if it was looked at a short while ago.
    pub fn seen(&self, name: &str, now: Timestamp) -> Option<Key> {
        let seen = self.lock();
        let (at, key) = seen.get(name)?;
        (now.since(*at) < REMEMBERED).then_some(*key)
    }

    /// Looks at a recording. Blocks.
    ///
    /// # Errors
    /// When there is none of this name in the folder.
    pub fn look(&self, name: &Arc<str>, now: Timestamp) -> Result<Recording, SpeechError> {
        let found = self.find(name)?;
        let mut seen = self.lock();
        if seen.len() >= MOST_NAMES {
            seen.clear();
        }
        seen.insert(Arc::clone(name), (now, found.key));
        Ok(found)
    }

    fn find(&self, name: &str) -> Result<Recording, SpeechError> {
        let missing = |why: &str| refused(format!("the recording {name:?} {why}"));
        let Some(folder) = &self.folder else { return Err(missing("is in no folder: speech.media names none")) };
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if name.is_empty() || name.contains('\0') || !Path::new(name).components().all(inside) {
            return Err(missing("has a name that leads out of its folder"));
        }
        let folder = fs::canonicalize(folder).map_err(|error| missing(&format!("is in no folder: {error}")))?;
        let path = fs::canonicalize(folder.join(name)).map_err(|error| missing(&format!("is not there: {error}")))?;
        if !path.starts_with(&folder) {
            return Err(missing("is a link that leads out of its folder"));
        }
        let metadata = fs::metadata(&path).map_err(|error| missing(&format!("cannot be looked at: {error}")))?;
        if !metadata.is_file() {
            return Err(missing("is no file"));
        }
        if metadata.len() > MOST_BYTES {
            return Err(missing(&format!("has more than {MOST_BYTES} bytes")));
        }
        let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"robocall recording 1\0");
        hash.update(metadata.len().to_le_bytes());
        hash.update(changed.as_nanos().to_le_bytes());
        hash.update(name.as_bytes());
        Ok(Recording { path, key: hash.finalize().into() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, (Timestamp, Key)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// Reads it. Blocks.
    ///
    /// # Errors
    /// When it cannot be read, or is no sound.
    pub fn read(&self) -> Result<Sound, SpeechError> {
        let name = self.path.display();
        let bytes = fs::read(&self.path).map_err(|error| refused(format!("{name} cannot be read: {error}")))?;
        let sound = wav::read(&bytes).map_err(|error| refused(format!("{name}: {error}")))?;
        if sound.samples.is_empty() {
            return Err(refused(format!("{name} holds no sound")));
        }
        Ok(sound)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const NOW: Timestamp = Timestamp::VIRTUAL_START;

    /// A folder of recordings beside a secret.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let place = std::env::temp_dir().join(format!("robocall-recordings-{}-{name}", std::process::id()));
            let _left_over = fs::remove_dir_all(&place);
            fs::create_dir_all(place.join("media/sub")).unwrap();
            fs::write(place.join("secret.wav"), wav::write(&[9])).unwrap();
            fs::write(place.join("media/sub/hello.wav"), wav::write(&[1, 2])).unwrap();
            Self(place)
        }

        fn recordings(&self) -> Recordings {
            Recordings::of(Some(self.0.join("media")))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _gone_already = fs::remove_dir_all(&self.0);
        }
    }

    fn reason(found: Result<Recording, SpeechError>) -> String {
        found.unwrap_err().to_string()
    }

    #[test]
    fn a_recording_is_found_by_its_name() {
        let place = Place::new("found");
        let recordings = place.recordings();
        let name: Arc<str> = "sub/hello.wav".into();
        assert_eq!(recordings.seen(&name, NOW), None);
        let found = recordings.look(&name, NOW).unwrap();
        assert_eq!(found.read().unwrap().samples, [1, 2]);
        assert_eq!(recordings.seen(&name, NOW + Duration::from_secs(59)), Some(found.key));
        assert_eq!(recordings.seen(&name, NOW + REMEMBERED), None, "it may have changed");
        symlink("hello.wav", place.0.join("media/sub/same.wav")).unwrap();
        assert!(recordings.look(&"sub/same.wav".into(), NOW).is_ok(), "a link within the folder is no harm");
    }

    #[test]
    fn a_recording_that_has_changed_has_another_key() {
        let place = Place::new("changed");
        let recordings = place.recordings();
        let name: Arc<str> = "sub/hello.wav".into();
        let before = recordings.look(&name, NOW).unwrap();
        assert_eq!(recordings.look(&name, NOW), Ok(before.clone()), "unchanged, it stays the same");
        fs::write(&before.path, wav::write(&[1, 2, 3])).unwrap();
        assert_ne!(recordings.look(&name, NOW).unwrap().key, before.key);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let place = Place::new("escape");
        symlink(place.0.join("secret.wav"), place.0.join("media/link.wav")).unwrap();
        symlink(&place.0, place.0.join("media/up")).unwrap();
        let recordings = place.recordings();
        let absolute = place.0.join("media/sub/hello.wav");
        let escapes =
            ["../secret.wav", "sub/../../secret.wav", "link.wav", "up/secret.wav", absolute.to_str().unwrap()];
        for name in escapes.into_iter().chain(["", ".", "..", "/", "a\0b", "sub", "none.wav", "./sub/hello.wav"]) {
            let error = recordings.look(&name.into(), NOW).unwrap_err();
            assert!(
                matches!(
                    error,
                    SpeechError::Refused { status: crate::model::StepStatus::ErrorMsgCannotConvertText, .. }
                ),
                "{name}: {error}"
            );
        }
        assert!(reason(recordings.look(&"link.wav".into(), NOW)).contains("leads out of its folder"));
        assert!(reason(recordings.look(&"none.wav".into(), NOW)).contains("is not there"));
        assert!(reason(Recordings::of(None).look(&"a".into(), NOW)).contains("speech.media"));
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        let place = Place::new("no-sound");
        fs::write(place.0.join("media/text.wav"), "hello").unwrap();
        fs::write(place.0.join("media/empty.wav"), wav::write(&[])).unwrap();
        for name in ["text.wav", "empty.wav"] {
            assert!(place.recordings().look(&name.into(), NOW).unwrap().read().is_err(), "{name}");
        }
    }
}
