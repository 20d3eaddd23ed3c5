//! Speech that can be heard: an engine's text and recorded files, as prompts that a telephony server finds.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sha2::{Digest as _, Sha256};

use super::cache::Cache;
use super::engine::{Engine, plain, unknown_language};
use super::files::{Files, Key, hex};
use super::recordings::Recordings;
use super::wav;
use crate::callflow::program::{Gender, Utterance, Voice};
use crate::ports::{Audio, Clock, Speech, SpeechError};

/// Where prompts are and how they are found.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder in which they are kept.
    pub folder: PathBuf,
    /// How much it may hold, in bytes.
    pub most_bytes: u64,
    /// The folder of recorded files, if there is one.
    pub media: Option<PathBuf>,
    /// What stands before a prompt's name where a telephony server fetches it; none: it opens the file itself.
    pub url: Option<String>,
}

/// Speech that can be heard.
pub struct EngineSpeech {
    clock: Arc<dyn Clock>,
    engine: Arc<Engine>,
    cache: Arc<Cache>,
    recordings: Arc<Recordings>,
    url: Option<String>,
}

impl EngineSpeech {
    /// What an engine says, and what was recorded.
    ///
    /// # Errors
    /// When nothing can be kept in the folder.
    pub fn new(clock: Arc<dyn Clock>, engine: Engine, place: Place) -> std::io::Result<Self> {
        let cache = Cache::new(Arc::clone(&clock), Files::open(&place.folder)?, place.most_bytes);
        Ok(Self {
            clock,
            engine: Arc::new(engine),
            cache: Arc::new(cache),
            recordings: Arc::new(Recordings::of(place.media)),
            url: place.url.map(|url| url.trim_end_matches('/').to_owned()),
        })
    }

    /// What speaks, for people.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The folder in which prompts are kept.
    pub fn folder(&self) -> &std::path::Path {
        self.cache.folder()
    }

    /// Has the engine say a few words that are not kept.
    ///
    /// # Errors
    /// When it does not.
    pub async fn try_out(&self) -> Result<(), SpeechError> {
        let language = self.engine.languages().one().into();
        let voice = Voice { language, gender: Gender::Female, pitch: 5, rate: 5 };
        let scratch = self.cache.files().part().map_err(|error| SpeechError::Unavailable(error.to_string()))?;
        self.engine.speak("1 2 3", &voice, &scratch).await.map(drop)
    }

    /// Clears away prompts that are too much; as a rule that is done when new ones are kept. Blocks.
    pub fn clear(&self) {
        self.cache.clear();
    }

    fn audio(&self, key: &Key, samples: u32) -> Audio {
        let reference = match &self.url {
            Some(url) => format!("sound:{url}/{}.wav", hex(key)),
            // Without the extension: the server adds that of the form it likes best.
            None => format!("sound:{}", self.cache.files().stem(key).display()),
        };
        Audio { reference: reference.into(), length: wav::length(samples) }
    }

    /// Under which name a text is kept.
    fn key_of(&self, text: &str, voice: &Voice) -> Key {
        let mut hash = Sha256::new();
        // Another number where what is made of an engine's sound changes.
        hash.update(b"robocall text 1\0");
        let gender = match voice.gender {
            Gender::Female => "f",
            Gender::Male => "m",
        };
        for part in [self.engine.identity(), &voice.language, gender, text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update([voice.pitch, voice.rate]);
        hash.finalize().into()
    }

    async fn text(&self, text: &str, voice: &Arc<Voice>) -> Result<Audio, SpeechError> {
        if !self.speaks(&voice.language) {
            return Err(unknown_language(&voice.language));
        }
        let text = plain(text);
        let key = self.key_of(&text, voice);
        let (engine, voice, files) = (Arc::clone(&self.engine), Arc::clone(voice), self.cache.files().clone());
        let make = move || {
            async move {
                let scratch = files.part().map_err(|error| SpeechError::Unavailable(error.to_string()))?;
                engine.speak(&text, &voice, &scratch).await
            }
            .boxed()
        };
        let samples = self.cache.get(key, make).await?;
        Ok(self.audio(&key, samples))
    }

    async fn recording(&self, name: &Arc<str>) -> Result<Audio, SpeechError> {
        if let Some(audio) = self.recording_at_hand(name) {
            return Ok(audio);
        }
        let (recordings, wanted, now) = (Arc::clone(&self.recordings), Arc::clone(name), self.clock.now());
        let found = blocking(move || recordings.look(&wanted, now)).await?;
        let key = found.key;
        let samples = self.cache.get(key, move || blocking(move || found.read()).boxed()).await?;
        Ok(self.audio(&key, samples))
    }

    fn recording_at_hand(&self, name: &str) -> Option<Audio> {
        let key = self.recordings.seen(name, self.clock.now())?;
        Some(self.audio(&key, self.cache.at_hand(&key)?))
    }
}

/// Runs what blocks where that is no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SpeechError> + Send + 'static,
) -> Result<T, SpeechError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SpeechError::Unavailable(error.to_string())))
}

#[async_trait]
impl Speech for EngineSpeech {
    fn speaks(&self, language: &str) -> bool {
        self.engine.languages().voice(language).is_some()
    }

    fn is_ready(&self, utterance: &Utterance) -> bool {
        match utterance {
            Utterance::Text { text, voice } => self.cache.at_hand(&self.key_of(&plain(text), voice)).is_some(),
            Utterance::Media(name) => self.recording_at_hand(name).is_some(),
        }
    }

    async fn prepare(&self, utterance: &Utterance) -> Result<Audio, SpeechError> {
        match utterance {
            Utterance::Text { text, voice } => self.text(text, voice).await,
            Utterance::Media(name) => self.recording(name).await,
        }
    }
}
