//! `gather`: speaks a message and waits for one key.

use serde::{Deserialize, Serialize};

use super::prompt::Prompt;
use super::{After, Outcome};
use crate::callflow::call::{CallCommand, CallInput, Turn};
use crate::callflow::program::{Digit, Gather};
use crate::model::StepStatus;

/// A gather going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) struct Gathering {
    /// Tries that came to nothing so far.
    used: u32,
    /// Keys of all tries, none if they must not be kept.
    keys: Option<Vec<Digit>>,
    /// The message; none once it was heard.
    prompt: Option<Prompt>,
}

impl Gathering {
    pub fn begin(turn: &mut Turn<'_>, gather: &Gather) -> Self {
        if gather.sensitive && turn.may_record() {
            turn.push(CallCommand::PauseRecording);
        }
        let prompt = Some(Prompt::begin(turn, gather.message, true));
        Self { used: 0, keys: (!gather.sensitive).then(Vec::new), prompt }
    }

    pub fn handle(&mut self, turn: &mut Turn<'_>, gather: &Gather, input: &CallInput) -> Option<Outcome> {
        if let CallInput::Digit(digit) = input {
            return self.key(turn, gather, *digit);
        }
        if self.prompt.as_mut().is_some_and(|prompt| prompt.heard(turn, input)) {
            self.prompt = None;
            turn.wait(gather.timeout);
        }
        None
    }

    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>, gather: &Gather) -> Option<Outcome> {
        match &self.prompt {
            Some(prompt) => {
                let status = prompt.timed_out(turn);
                Some(self.over(turn, gather, status, After::End))
            }
            None => self.try_again(turn, gather),
        }
    }

    /// A repeated prompt with a fresh time to answer: what was keyed in meanwhile is lost.
    pub fn resume(&mut self, turn: &mut Turn<'_>, gather: &Gather) {
        match &mut self.prompt {
            Some(prompt) => prompt.replay(turn, gather.message, true),
            None => self.prompt = Some(Prompt::begin(turn, gather.message, true)),
        }
    }

    /// Does something that must not be done while the message plays.
    pub fn interrupted_by(&mut self, turn: &mut Turn<'_>, gather: &Gather, act: impl FnOnce(&mut Turn<'_>)) {
        match &mut self.prompt {
            Some(prompt) => prompt.interrupted_by(turn, gather.message, true, act),
            None => act(turn),
        }
    }

    /// The flow is over: nothing is asked any more, and nothing secret follows.
    pub fn silence(&self, turn: &mut Turn<'_>, gather: &Gather) {
        if let Some(prompt) = &self.prompt {
            prompt.silence(turn);
        }
        self.secret_is_over(turn, gather);
    }

    /// The keys of all tries, where they are shown.
    pub fn keys(&self) -> Option<Box<str>> {
        let keys = self.keys.as_ref()?;
        Some(keys.iter().map(|digit| digit.as_char()).collect())
    }

    fn key(&mut self, turn: &mut Turn<'_>, gather: &Gather, digit: Digit) -> Option<Outcome> {
        match &self.prompt {
            // They cannot know what they are asked.
            Some(prompt) if !prompt.is_playing() => return None,
            Some(prompt) => prompt.stop(turn),
            None => {}
        }
        if let Some(keys) = &mut self.keys {
            keys.push(digit);
        }
        match gather.branch(digit) {
            Some(branch) => Some(self.over(turn, gather, StepStatus::SuccessOk, After::Branch(branch))),
            None => self.try_again(turn, gather),
        }
    }

    fn try_again(&mut self, turn: &mut Turn<'_>, gather: &Gather) -> Option<Outcome> {
        self.used = self.used.saturating_add(1);
        if self.used < gather.tries {
            self.prompt = Some(Prompt::begin(turn, gather.message, true));
            return None;
        }
        let (status, after) = match gather.default {
            Some(branch) => (StepStatus::SuccessOk, After::Branch(branch)),
            None => (StepStatus::ErrorTimeout, After::End),
        };
        Some(self.over(turn, gather, status, after))
    }

    fn over(&self, turn: &mut Turn<'_>, gather: &Gather, status: StepStatus, after: After) -> Outcome {
        self.secret_is_over(turn, gather);
        Outcome { status, keys: self.keys(), transfer: None, after }
    }

    fn secret_is_over(&self, turn: &mut Turn<'_>, gather: &Gather) {
        if gather.sensitive && turn.records() {
            turn.push(CallCommand::ResumeRecording);
        }
    }
}
