//! Settings that are one of a few words.

use serde::{Deserialize as _, Deserializer};

use super::{Backend, SpeechEngine, SpeechOutput};
use crate::callflow::program::Gender;

/// The one of this name.
fn one_of<T: Copy>(known: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = known.iter().find(|(known, _)| *known == name);
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    found.map(|(_, known)| *known).ok_or_else(|| format!("{name:?} is not one of {}", names.join(", ")))
}

impl TryFrom<String> for Backend {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        one_of(&[("simulator", Self::Simulator), ("asterisk", Self::Asterisk)], &name)
    }
}

impl TryFrom<String> for SpeechEngine {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        one_of(&[("silent", Self::Silent), ("espeak", Self::Espeak), ("command", Self::Command)], &name)
    }
}

impl TryFrom<String> for SpeechOutput {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        one_of(&[("wav", Self::Wav), ("raw", Self::Raw)], &name)
    }
}

pub(super) fn gender<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Gender, D::Error> {
    let name = String::deserialize(deserializer)?;
    one_of(&[("female", Gender::Female), ("male", Gender::Male)], &name).map_err(serde::de::Error::custom)
}
