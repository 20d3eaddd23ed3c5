//! One event's worth of work: what steps may look at and change while it is handled.

use std::collections::VecDeque;
use std::time::Duration;

use super::state::Ledger;
use super::third_party::ThirdParties;
use super::{CallCommand, CallTerms};
use crate::callflow::program::{MessageIndex, Program};
use crate::model::{Happening, Timestamp};

/// How long a taken-over call waits at least for what was due while nobody owned it.
const ADOPTION_GRACE: Duration = Duration::from_secs(5);

/// An adopter's playbacks are numbered from the next multiple of this: the last state that was stored does not know
/// of playbacks that were begun after it.
const PLAYBACKS_OF_ONE_OWNER: u32 = 4096;

/// One event being handled.
pub(in crate::callflow) struct Turn<'a> {
    pub now: Timestamp,
    pub program: &'a Program,
    pub terms: &'a CallTerms,
    pub ledger: &'a mut Ledger,
    pub third_parties: &'a mut ThirdParties,
    /// Whether the call is to be recorded, if somebody has said so meanwhile.
    pub recording: &'a mut Option<bool>,
    /// The number of the last transfer from outside, if the backend joins it by itself.
    pub blind: &'a mut Option<u16>,
    pub commands: &'a mut VecDeque<CallCommand>,
}

impl Turn<'_> {
    /// Asks for something to be done.
    pub fn push(&mut self, command: CallCommand) {
        self.commands.push_back(command);
    }

    /// Asks for something to be written down.
    pub fn record(&mut self, what: Happening) {
        self.push(CallCommand::Record(what));
    }

    /// Gives what is waited for now a bound.
    pub fn wait(&mut self, length: Duration) {
        self.ledger.deadline = self.now + length;
    }

    /// Keeps the bound, unless it is so near that whoever took the call over could not meet it.
    pub fn wait_on(&mut self) {
        self.ledger.deadline = self.ledger.deadline.max(self.after_adoption());
    }

    /// The soonest that whoever took the call over can be expected to have heard of anything.
    pub fn after_adoption(&self) -> Timestamp {
        self.now + ADOPTION_GRACE
    }

    /// Whether the call is to be recorded, secrets aside.
    pub fn records(&self) -> bool {
        self.recording.unwrap_or(self.terms.recording)
    }

    /// Whether something may be recorded now: also where the backend was told to record no more, and may not have heard.
    pub fn may_record(&self) -> bool {
        self.records() || self.recording.is_some()
    }

    /// Plays a message under a new number.
    pub fn play(&mut self, message: MessageIndex, expects_key: bool) -> u32 {
        self.ledger.playback = self.ledger.playback.wrapping_add(1);
        let playback = self.ledger.playback;
        self.push(CallCommand::Play { playback, message, expects_key });
        playback
    }

    /// Leaves out the numbers of playbacks that a former owner may have begun; answers with the last that is known.
    pub fn skip_playbacks(&mut self) -> Option<u32> {
        let last = self.ledger.playback;
        self.ledger.playback = (last / PLAYBACKS_OF_ONE_OWNER).wrapping_add(1).wrapping_mul(PLAYBACKS_OF_ONE_OWNER);
        (!last.is_multiple_of(PLAYBACKS_OF_ONE_OWNER)).then_some(last)
    }
}
