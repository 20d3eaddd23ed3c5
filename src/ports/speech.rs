//! Text made audible.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::callflow::program::Utterance;
use crate::model::StepStatus;

/// Something that can be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// How the telephony backend finds it.
    pub reference: Arc<str>,
    /// How long it plays.
    pub length: Duration,
}

/// Why an utterance cannot be spoken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// The engine refused the text, or does not know the language or file: asking again will not help.
    #[error("cannot be spoken: {reason}")]
    Refused {
        /// What a step says of it.
        status: StepStatus,
        /// In words.
        reason: String,
    },
    /// The engine did not answer.
    #[error("the speech engine does not answer: {0}")]
    Unavailable(String),
}

/// Text made audible.
#[async_trait]
pub trait Speech: Send + Sync + 'static {
    /// Whether the engine speaks a language (BCP 47).
    fn speaks(&self, language: &str) -> bool;

    /// Whether [`prepare`](Self::prepare) would answer at once, as it does for what was made before.
    fn is_ready(&self, utterance: &Utterance) -> bool;

    /// Makes an utterance playable; at once if it was made before.
    ///
    /// # Errors
    /// When it cannot be spoken, or the engine does not answer.
    async fn prepare(&self, utterance: &Utterance) -> Result<Audio, SpeechError>;
}
