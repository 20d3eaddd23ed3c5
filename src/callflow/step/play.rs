//! `play`: speaks a message.

use super::prompt::Prompt;
use super::{After, Outcome};
use crate::callflow::call::{CallInput, Turn};

/// Over once the message was heard. Keys are nobody's business here.
pub(super) fn handle(prompt: &mut Prompt, turn: &mut Turn<'_>, input: &CallInput) -> Option<Outcome> {
    prompt.heard(turn, input).then(|| Outcome::success(After::Next))
}
