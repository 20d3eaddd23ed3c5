//! What people hear, and who makes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::settings::words;

/// What speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum SpeechEngine {
    /// Nothing: text takes its time and makes no sound, for the simulated network.
    #[default]
    Silent,
    /// espeak-ng.
    Espeak,
    /// The program of `speech.command`.
    Command,
}

/// What a program that speaks writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum SpeechOutput {
    /// A WAV file.
    #[default]
    Wav,
    /// Samples of sixteen bits, the lower byte first, and nothing else.
    Raw,
}

/// What people hear.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Speech {
    /// What speaks.
    pub engine: SpeechEngine,
    /// Folder in which prompts are kept; workers may share it.
    pub folder: PathBuf,
    /// Folder of recorded files; empty: there are none.
    pub media: PathBuf,
    /// How much `folder` may hold, in MiB.
    pub cache_mb: u64,
    /// A program and its arguments, for the engine `command`.
    #[serde(deserialize_with = "words")]
    pub command: Vec<String>,
    /// Languages (BCP 47) that the program speaks.
    #[serde(deserialize_with = "words")]
    pub languages: Vec<String>,
    /// What it writes.
    pub output: SpeechOutput,
    /// Samples a second of what is `raw`.
    pub sample_rate: u32,
    /// Channels of what is `raw`.
    pub channels: u16,
    /// Prompts that are made at a time.
    pub processes: u16,
    /// How long making one may take, in seconds.
    pub timeout_secs: u16,
    /// What stands before a prompt's name where the telephony server fetches it; empty: it opens the file.
    pub url: String,
    /// `host:port` at which prompts are served; empty: they are not.
    pub listen: String,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            engine: SpeechEngine::default(),
            folder: PathBuf::from("/var/cache/robocall/speech"),
            media: PathBuf::new(),
            cache_mb: 2048,
            command: Vec::new(),
            languages: Vec::new(),
            output: SpeechOutput::default(),
            sample_rate: 22_050,
            channels: 1,
            processes: 2,
            timeout_secs: 10,
            url: String::new(),
            listen: String::new(),
        }
    }
}
