//! Makes a program's messages ready for one destination.

use std::sync::Arc;

use super::document::is_speakable;
use super::program::{Content, MessageIndex, Program, Utterance};
use super::template::RenderError;
use crate::model::{Destination, StepStatus};

/// A message that cannot be spoken to a destination: the destination fails before it is dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message {message}: {detail}")]
pub struct Unspeakable {
    /// What Status says of it.
    pub status: StepStatus,
    /// Which message.
    pub message: MessageIndex,
    /// Why, for logs; placeholders are named, values are not shown.
    pub detail: Box<str>,
}

impl Program {
    /// Every message as this destination hears it, in the order of [`Program::messages`].
    ///
    /// # Errors
    /// With the first message that has a placeholder without a value, is too long, or has nothing to speak in it.
    pub fn prepare(&self, destination: &Destination) -> Result<Vec<Utterance>, Unspeakable> {
        let mut utterances = Vec::with_capacity(self.messages.len());
        let mut text = String::new();
        for (index, message) in self.messages.iter().enumerate() {
            let template = match &message.content {
                Content::Media(name) => {
                    utterances.push(Utterance::Media(Arc::clone(name)));
                    continue;
                }
                Content::Text(template) => template,
            };
            let unspeakable = |status, detail: String| Unspeakable {
                status,
                // A flow has at most as many messages as steps, which fit.
                message: MessageIndex::try_from(index).unwrap_or(MessageIndex::MAX),
                detail: detail.into(),
            };
            let text = match template.as_plain() {
                Some(text) => Arc::clone(text),
                None => {
                    text.clear();
                    template.render_into(&mut text, |name| destination.property(name)).map_err(|error| {
                        let status = match error {
                            RenderError::Missing(_) => StepStatus::ErrorMissingProperty,
                            RenderError::TooLong => StepStatus::ErrorMsgTooLong,
                        };
                        unspeakable(status, error.to_string())
                    })?;
                    Arc::from(text.as_str())
                }
            };
            if !is_speakable(&text) {
                let status = StepStatus::ErrorMsgCannotConvertText;
                return Err(unspeakable(status, "nothing is left to speak with its placeholders filled in".to_owned()));
            }
            utterances.push(Utterance::Text { text, voice: Arc::clone(&message.voice) });
        }
        Ok(utterances)
    }
}
