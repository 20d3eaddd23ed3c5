//! A folder, a clock and an engine that a test has to itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::adapters::speech::{CommandLine, Engine, EngineSpeech, Place, Runner, Sound, read_wav};
use robocall::callflow::program::{Gender, Utterance, Voice};
use robocall::ports::{Audio, Clock, Speech, SpeechError};

/// A folder that is gone with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("robocall-speech-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Lines of a file, none if it is not there.
    pub fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default().lines().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn wall() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

pub fn place(folder: &Folder) -> Place {
    let media = Some(folder.path().join("media"));
    Place { folder: folder.path().join("prompts"), most_bytes: 64 << 20, media, url: None }
}

pub fn runner(clock: &Arc<dyn Clock>) -> Runner {
    Runner::new(Arc::clone(clock), 2, Duration::from_secs(10))
}

pub async fn espeak(folder: &Folder) -> EngineSpeech {
    let clock = wall();
    let engine = Engine::espeak(runner(&clock)).await;
    let engine = engine.unwrap_or_else(|error| panic!("espeak-ng is needed, ./dev test installs it: {error}"));
    EngineSpeech::new(clock, engine, place(folder)).unwrap()
}

/// An operator's program: a line of shell that says what it likes, in English and German.
pub fn shell(script: &str) -> CommandLine {
    let words = ["sh", "-c", script, "sh", "{language}", "{gender}", "{pitch}", "{rate}"];
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    CommandLine { words: owned(&words), languages: owned(&["en", "de-DE"]), raw: None }
}

pub fn command(folder: &Folder, line: CommandLine) -> EngineSpeech {
    let clock = wall();
    let engine = Engine::command(line, runner(&clock));
    EngineSpeech::new(clock, engine, place(folder)).unwrap()
}

pub fn voice(language: &str, gender: Gender, pitch: u8, rate: u8) -> Arc<Voice> {
    Arc::new(Voice { language: language.into(), gender, pitch, rate })
}

pub fn says(text: &str, voice: &Arc<Voice>) -> Utterance {
    Utterance::Text { text: text.into(), voice: Arc::clone(voice) }
}

/// What is said in English, as it usually is.
pub fn english(text: &str) -> Utterance {
    says(text, &voice("en", Gender::Female, 5, 5))
}

pub async fn prepare(speech: &EngineSpeech, utterance: &Utterance) -> Result<Audio, SpeechError> {
    speech.prepare(utterance).await
}

/// The file that a telephony server opens.
pub fn file(audio: &Audio) -> PathBuf {
    let stem = audio.reference.strip_prefix("sound:").unwrap();
    assert!(stem.starts_with('/') && !stem.ends_with(".wav"), "{stem}");
    PathBuf::from(format!("{stem}.wav"))
}

/// What it hears.
pub fn heard(audio: &Audio) -> Sound {
    let bytes = std::fs::read(file(audio)).unwrap();
    assert_eq!(bytes[20..24], [1, 0, 1, 0], "whole numbers, one channel");
    assert_eq!(bytes[34..36], [16, 0], "sixteen bits");
    let sound = read_wav(&bytes).unwrap();
    assert_eq!(sound.rate, 8_000);
    assert_eq!(audio.length, Duration::from_micros(sound.samples.len() as u64 * 125));
    sound
}

/// A WAV file of so many channels, all of them the same tone.
pub fn wav(rate: u32, channels: u16, samples: u32) -> Vec<u8> {
    let data = samples * u32::from(channels) * 2;
    let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * 2 * u32::from(channels)).to_le_bytes());
    bytes.extend((2 * channels).to_le_bytes());
    bytes.extend(b"\x10\0data");
    bytes.extend(data.to_le_bytes());
    for sample in 0..samples {
        let tone = (f64::from(sample) * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin() * 8_000.0;
        for _ in 0..channels {
            bytes.extend((tone as i16).to_le_bytes());
        }
    }
    bytes
}
