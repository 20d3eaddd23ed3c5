//! One message being played, as part of whatever step wants it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::callflow::call::{CallCommand, CallInput, Turn};
use crate::callflow::program::MessageIndex;
use crate::model::StepStatus;

/// How long a playback may take. A thousand characters at the slowest rate take less than three minutes.
const LONGEST: Duration = Duration::from_secs(300);

/// A callee who hangs up makes the playback fail first; the end of the call follows within a moment.
const HANG_UP_FOLLOWS: Duration = Duration::from_millis(500);

/// A message being played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) struct Prompt {
    playback: u32,
    /// It could not be played; only the end of the call may still come.
    failed: bool,
}

impl Prompt {
    /// Plays a message.
    pub fn begin(turn: &mut Turn<'_>, message: MessageIndex, expects_key: bool) -> Self {
        let playback = turn.play(message, expects_key);
        turn.wait(LONGEST);
        Self { playback, failed: false }
    }

    /// True once the callee has heard the message to its end. Ends of other playbacks are not its business.
    pub fn heard(&mut self, turn: &mut Turn<'_>, input: &CallInput) -> bool {
        match input {
            CallInput::PlaybackFinished { playback, played } if *playback == self.playback && !self.failed => {
                if !played {
                    self.failed = true;
                    turn.wait(HANG_UP_FOLLOWS);
                }
                *played
            }
            _ => false,
        }
    }

    /// Whether the callee may be hearing it now.
    pub const fn is_playing(&self) -> bool {
        !self.failed
    }

    /// Ends it early.
    pub fn stop(&self, turn: &mut Turn<'_>) {
        turn.push(CallCommand::StopPlayback { playback: self.playback });
    }

    /// Ends it early, if the callee may be hearing it.
    pub fn silence(&self, turn: &mut Turn<'_>) {
        if self.is_playing() {
            self.stop(turn);
        }
    }

    /// Its deadline has passed: why its step fails. Nobody is asked for anything after a message they have not heard.
    pub fn timed_out(&self, turn: &mut Turn<'_>) -> StepStatus {
        if self.failed {
            return StepStatus::ErrorMsgCannotConvertText;
        }
        self.stop(turn);
        StepStatus::ErrorInternal
    }

    /// Does something that must not be done while it plays, and plays it anew.
    pub fn interrupted_by(
        &mut self,
        turn: &mut Turn<'_>,
        message: MessageIndex,
        expects_key: bool,
        act: impl FnOnce(&mut Turn<'_>),
    ) {
        if self.failed {
            return act(turn);
        }
        self.stop(turn);
        act(turn);
        *self = Self::begin(turn, message, expects_key);
    }

    /// Plays it from its beginning, for a callee who may have heard some of it from the last owner.
    pub fn replay(&mut self, turn: &mut Turn<'_>, message: MessageIndex, expects_key: bool) {
        self.stop(turn);
        *self = Self::begin(turn, message, expects_key);
    }
}
