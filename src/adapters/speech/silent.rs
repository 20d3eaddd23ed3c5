//! Speech that takes its time and makes no sound, for the simulated network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::languages::Languages;
use crate::callflow::program::Utterance;
use crate::model::StepStatus;
use crate::ports::{Audio, Speech, SpeechError};

/// Words a minute at rate 0 to 9, as espeak-ng is told to speak.
const WORDS_A_MINUTE: [u64; 10] = [90, 105, 120, 140, 157, 175, 200, 230, 265, 300];

/// Characters a word, the space behind it included.
const CHARACTERS_A_WORD: u64 = 6;

/// Nothing is said faster than this.
const SHORTEST: Duration = Duration::from_millis(300);

/// How long every recorded file plays.
const MEDIA: Duration = Duration::from_secs(3);

/// What espeak-ng speaks, by the names of its language files without regions and scripts, and `zh` for its `cmn`. Good
/// enough to simulate with; a real engine is asked itself. Sorted.
const LANGUAGES: &[&str] = &[
    "af", "am", "an", "ar", "as", "az", "ba", "be", "bg", "bn", "bpy", "bs", "ca", "chr", "cmn", "cs", "cv", "cy",
    "da", "de", "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "ga", "gd", "gn", "grc", "gu", "hak", "haw",
    "he", "hi", "hr", "ht", "hu", "hy", "ia", "id", "io", "is", "it", "ja", "jbo", "ka", "kk", "kl", "kn", "ko", "kok",
    "ku", "ky", "la", "lb", "lfn", "lt", "ltg", "lv", "mi", "mk", "ml", "mr", "ms", "mt", "mto", "my", "nb", "nci",
    "ne", "nl", "no", "nog", "om", "or", "pa", "pap", "piqd", "pl", "pt", "py", "qdb", "qu", "quc", "qya", "ro", "ru",
    "sd", "shn", "si", "sjn", "sk", "sl", "smj", "sq", "sr", "sv", "sw", "ta", "te", "th", "tk", "tn", "tr", "tt",
    "ug", "uk", "ur", "uz", "vi", "yue", "zh",
];

/// Speech that takes its time and makes no sound: text takes as long as its characters, every recorded file 3 s.
#[derive(Clone, Debug)]
pub struct SilentSpeech {
    reference: Arc<str>,
    /// What is spoken; none: the usual.
    languages: Option<Arc<Languages>>,
}

impl SilentSpeech {
    /// An engine that is ready.
    pub fn new() -> Self {
        Self { reference: "silence".into(), languages: None }
    }

    /// One that speaks these languages (BCP 47) only, as an engine that lists them does.
    pub fn speaking(languages: &[String]) -> Self {
        Self { languages: Some(Arc::new(Languages::listed(languages))), ..Self::new() }
    }
}

impl Default for SilentSpeech {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a tag, cut at its hyphens until something known is left, names a language. Case does not count.
fn spoken(tag: &str) -> bool {
    let base = tag.split('-').next().unwrap_or_default();
    // As nearly everybody writes it.
    if LANGUAGES.binary_search(&base).is_ok() {
        return true;
    }
    let folded = base.bytes().map(|letter| letter.to_ascii_lowercase());
    LANGUAGES.binary_search_by(|language| language.bytes().cmp(folded.clone())).is_ok()
}

fn length(text: &str, rate: u8) -> Duration {
    let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    let words_a_minute = WORDS_A_MINUTE[usize::from(rate.min(9))];
    Duration::from_millis(characters.saturating_mul(60_000) / (CHARACTERS_A_WORD * words_a_minute)).max(SHORTEST)
}

#[async_trait]
impl Speech for SilentSpeech {
    fn speaks(&self, language: &str) -> bool {
        self.languages.as_ref().map_or_else(|| spoken(language), |listed| listed.voice(language).is_some())
    }

    fn is_ready(&self, _: &Utterance) -> bool {
        true
    }

    async fn prepare(&self, utterance: &Utterance) -> Result<Audio, SpeechError> {
        let length = match utterance {
            Utterance::Media(_) => MEDIA,
            Utterance::Text { voice, .. } if !self.speaks(&voice.language) => {
                return Err(SpeechError::Refused {
                    status: StepStatus::ErrorMsgInvalidLanguage,
                    reason: format!("nobody here speaks {}", voice.language),
                });
            }
            Utterance::Text { text, voice } => length(text, voice.rate),
        };
        Ok(Audio { reference: Arc::clone(&self.reference), length })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::callflow::program::{Gender, Voice};

    fn say(text: &str, language: &str, rate: u8) -> Result<Audio, SpeechError> {
        let voice = Arc::new(Voice { language: language.into(), gender: Gender::Female, pitch: 5, rate });
        SilentSpeech::new().prepare(&Utterance::Text { text: text.into(), voice }).now_or_never().unwrap()
    }

    #[test]
    fn text_takes_as_long_as_its_words() {
        // 35 words of six characters at 175 a minute.
        assert_eq!(say(&"words ".repeat(35), "en", 5).unwrap().length, Duration::from_secs(12));
        assert_eq!(say(&"words ".repeat(90), "en", 0).unwrap().length, Duration::from_secs(60));
        assert_eq!(say(&"words ".repeat(300), "en", 9).unwrap().length, Duration::from_secs(60));
        assert_eq!(say("日本語日本語", "ja", 5).unwrap().length, say("abcdef", "en", 5).unwrap().length);
        assert_eq!(say("", "en", 5).unwrap().length, SHORTEST);
        assert_eq!(say("Hi.", "en", 255).unwrap().length, SHORTEST);
    }

    #[test]
    fn recorded_files_take_three_seconds() {
        let audio = SilentSpeech::new().prepare(&Utterance::Media("jingle.wav".into())).now_or_never().unwrap();
        assert_eq!(audio.unwrap().length, Duration::from_secs(3));
    }

    #[test]
    fn every_language_is_found() {
        assert!(LANGUAGES.is_sorted());
        assert!(LANGUAGES.iter().all(|language| spoken(language)));
    }

    #[test]
    fn languages_are_known_by_their_longest_known_prefix() {
        let speech = SilentSpeech::new();
        for known in ["en", "en-GB", "EN-us", "zh-Hant-TW", "pt-BR", "yue", "no", "es-419"] {
            assert!(speech.speaks(known), "{known}");
        }
        for unknown in ["", "xx", "english", "e", "-en", "en_GB", "eng"] {
            assert!(!speech.speaks(unknown), "{unknown}");
        }
        assert!(matches!(
            say("Hello", "tlh", 5),
            Err(SpeechError::Refused { status: StepStatus::ErrorMsgInvalidLanguage, .. })
        ));
    }
}
