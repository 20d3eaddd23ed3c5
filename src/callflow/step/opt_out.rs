//! `optOut`: puts the number on the do-not-call list, speaks its message and ends the call.
//!
//! A callee who hangs up right after asking has asked all the same: until the list has the number, the call's ledger
//! says so, and the call is not settled before.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::prompt::Prompt;
use super::{After, Outcome};
use crate::callflow::call::{CallCommand, CallInput, Turn};
use crate::callflow::program::MessageIndex;
use crate::model::Happening;

/// How often the list is tried again.
pub(in crate::callflow) const OPT_OUT_AGAIN: Duration = Duration::from_secs(5);

/// An opt-out going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) enum OptingOut {
    /// The list does not have the number yet.
    Recording,
    /// It does; the callee is told.
    Telling(Prompt),
}

impl OptingOut {
    pub fn begin(turn: &mut Turn<'_>) -> Self {
        turn.ledger.opt_out = true;
        ask(turn);
        Self::Recording
    }

    pub fn handle(&mut self, turn: &mut Turn<'_>, message: Option<MessageIndex>, input: &CallInput) -> Option<Outcome> {
        match (&mut *self, input) {
            (Self::Recording, CallInput::OptOutRecorded) => {
                turn.ledger.opt_out = false;
                turn.record(Happening::OptedOut);
                let Some(message) = message else { return Some(Outcome::success(After::End)) };
                *self = Self::Telling(Prompt::begin(turn, message, false));
                None
            }
            (Self::Recording, _) => None,
            (Self::Telling(prompt), input) => prompt.heard(turn, input).then(|| Outcome::success(After::End)),
        }
    }

    pub fn handle_timeout(&self, turn: &mut Turn<'_>) -> Option<Outcome> {
        match self {
            Self::Recording => {
                ask(turn);
                None
            }
            Self::Telling(prompt) => Some(Outcome::end(prompt.timed_out(turn))),
        }
    }

    pub fn resume(&mut self, turn: &mut Turn<'_>, message: Option<MessageIndex>) {
        match (self, message) {
            (Self::Telling(prompt), Some(message)) => prompt.replay(turn, message, false),
            (Self::Recording, _) => ask(turn),
            // A program without the message that was being played: its time runs out.
            (Self::Telling(_), None) => {}
        }
    }
}

fn ask(turn: &mut Turn<'_>) {
    turn.push(CallCommand::RecordOptOut);
    turn.wait(OPT_OUT_AGAIN);
}
