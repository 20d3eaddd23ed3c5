//! Makes a program's messages ready for one destination.
//!
//! What is the same for everybody was made ready when the flow was compiled, and is shared.

use std::sync::Arc;

use super::document::is_speakable;
use super::program::{Content, Message, MessageIndex, Program, Utterance, Voice};
use super::template::{RenderError, Template};
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

/// Every message of a program as one destination hears it.
#[derive(Clone, Debug)]
pub struct Utterances {
    messages: Arc<[Message]>,
    /// Those that differ from destination to destination, in order.
    own: Vec<(MessageIndex, Utterance)>,
}

impl Utterances {
    /// A message as this destination hears it; none if the program has no such message.
    pub fn get(&self, message: MessageIndex) -> Option<&Utterance> {
        let own = self.own.iter().find(|(place, _)| *place == message);
        own.map(|(_, utterance)| utterance).or_else(|| self.messages.get(usize::from(message))?.shared.as_ref())
    }

    /// All of them, in the order of [`Program::messages`].
    pub fn iter(&self) -> impl Iterator<Item = &Utterance> {
        (0..self.messages.len()).filter_map(|place| self.get(MessageIndex::try_from(place).ok()?))
    }
}

impl Message {
    /// A message that stands at `path`.
    pub fn new(path: Box<str>, content: Content, voice: Arc<Voice>) -> Self {
        let shared = match &content {
            Content::Media(name) => Some(Utterance::Media(Arc::clone(name))),
            Content::Text(template) => template
                .as_plain()
                .filter(|text| is_speakable(text))
                .map(|text| Utterance::Text { text: Arc::clone(text), voice: Arc::clone(&voice) }),
        };
        Self { path, content, voice, shared }
    }
}

impl Program {
    /// Every message as this destination hears it.
    ///
    /// # Errors
    /// With the first message that has a placeholder without a value, is too long, or has nothing to speak in it.
    pub fn prepare(&self, destination: &Destination) -> Result<Utterances, Unspeakable> {
        let mut own = Vec::new();
        // Most messages fit; a longer one makes room for itself.
        let mut text = String::with_capacity(256);
        for (place, message) in self.messages.iter().enumerate() {
            let (None, Content::Text(template)) = (&message.shared, &message.content) else { continue };
            // A flow has at most as many messages as steps, which fit.
            let place = MessageIndex::try_from(place).unwrap_or(MessageIndex::MAX);
            speak(template, destination, &mut text).map_err(|(status, detail)| Unspeakable {
                status,
                message: place,
                detail: detail.into(),
            })?;
            let voice = Arc::clone(&message.voice);
            own.push((place, Utterance::Text { text: Arc::from(text.as_str()), voice }));
        }
        Ok(Utterances { messages: Arc::clone(&self.messages), own })
    }
}

/// Fills `text` with a message as a destination hears it, or says why it cannot be spoken.
fn speak(template: &Template, destination: &Destination, text: &mut String) -> Result<(), (StepStatus, String)> {
    text.clear();
    template.render_into(text, |name| destination.property(name)).map_err(|error| {
        let status = match error {
            RenderError::Missing(_) => StepStatus::ErrorMissingProperty,
            RenderError::TooLong => StepStatus::ErrorMsgTooLong,
        };
        (status, error.to_string())
    })?;
    if is_speakable(text) {
        return Ok(());
    }
    let detail = "nothing is left to speak with its placeholders filled in".to_owned();
    Err((StepStatus::ErrorMsgCannotConvertText, detail))
}
