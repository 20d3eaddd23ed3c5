//! What goes on inside one step of a flow: one file for each kind.
//!
//! A step is begun, told of every event, woken at its deadline, and says when it is over. It never decides about the
//! call: who is hung up and what is settled is the call's business.

mod gather;
mod hangup;
mod opt_out;
mod play;
mod prompt;
mod transfer;

use serde::{Deserialize, Serialize};

use super::call::{CallInput, Turn};
use super::program::{Action, StepIndex, Transfer};
use crate::model::{StepStatus, TransferStatus};
use gather::Gathering;
pub(super) use opt_out::OPT_OUT_AGAIN;
use opt_out::OptingOut;
use prompt::Prompt;
use transfer::Transferring;

/// The state of the step that is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StepState {
    Play(Prompt),
    Gather(Gathering),
    Transfer(Transferring),
    OptOut(OptingOut),
}

/// What a step is after its beginning.
pub(super) enum Begun {
    /// It waits for something.
    Waits(StepState),
    /// It is over already.
    Over(Outcome),
}

/// How a step ended.
pub(super) struct Outcome {
    pub status: StepStatus,
    /// Keys of all tries, where they are shown.
    pub keys: Option<Box<str>>,
    /// How the transfer ended, if it was one.
    pub transfer: Option<TransferStatus>,
    pub after: After,
}

/// What follows a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Whatever the flow says.
    Next,
    /// A branch.
    Branch(StepIndex),
    /// The flow ends, and the call with it.
    End,
    /// The flow ends; the call goes on elsewhere.
    HandOver,
}

impl After {
    /// The step that follows, if `next` stands behind the one that ended.
    pub fn next(self, next: Option<StepIndex>) -> Option<StepIndex> {
        match self {
            After::Next => next,
            After::Branch(step) => Some(step),
            After::End | After::HandOver => None,
        }
    }
}

impl Outcome {
    /// A step that did what it should.
    pub const fn success(after: After) -> Self {
        Self { status: StepStatus::SuccessOk, keys: None, transfer: None, after }
    }

    /// A step that ends the flow.
    pub const fn end(status: StepStatus) -> Self {
        Self { status, keys: None, transfer: None, after: After::End }
    }
}

impl StepState {
    /// Begins a step.
    pub fn begin(turn: &mut Turn<'_>, action: &Action) -> Begun {
        match action {
            Action::Play { message } => Begun::Waits(Self::Play(Prompt::begin(turn, *message, false))),
            Action::Gather(gather) => Begun::Waits(Self::Gather(Gathering::begin(turn, gather))),
            Action::Transfer(transfer) => Transferring::begin(turn, transfer),
            Action::Hangup => Begun::Over(hangup::run()),
            Action::OptOut { .. } => Begun::Waits(Self::OptOut(OptingOut::begin(turn))),
        }
    }

    /// Tells a step of an event; some: it is over.
    pub fn handle(&mut self, turn: &mut Turn<'_>, action: &Action, input: &CallInput) -> Option<Outcome> {
        match (self, action) {
            (Self::Play(prompt), Action::Play { .. }) => play::handle(prompt, turn, input),
            (Self::Gather(gathering), Action::Gather(gather)) => gathering.handle(turn, gather, input),
            (Self::Transfer(state), Action::Transfer(transfer)) => state.handle(turn, transfer, input),
            (Self::OptOut(state), Action::OptOut { message }) => state.handle(turn, *message, input),
            _ => Some(Outcome::end(StepStatus::ErrorInternal)),
        }
    }

    /// The step's deadline has passed; some: it is over.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>, action: &Action) -> Option<Outcome> {
        match (self, action) {
            (Self::Play(prompt), Action::Play { .. }) => Some(Outcome::end(prompt.timed_out(turn))),
            (Self::Gather(gathering), Action::Gather(gather)) => gathering.handle_timeout(turn, gather),
            (Self::Transfer(state), Action::Transfer(transfer)) => state.handle_timeout(turn, transfer),
            (Self::OptOut(state), Action::OptOut { .. }) => state.handle_timeout(turn),
            _ => Some(Outcome::end(StepStatus::ErrorInternal)),
        }
    }

    /// Asks again for what the step waits for: another worker owns the call now.
    pub fn resume(&mut self, turn: &mut Turn<'_>, action: &Action) {
        match (self, action) {
            (Self::Play(prompt), Action::Play { message }) => prompt.replay(turn, *message, false),
            (Self::Gather(gathering), Action::Gather(gather)) => gathering.resume(turn, gather),
            (Self::Transfer(state), Action::Transfer(transfer)) => state.resume(turn, transfer),
            (Self::OptOut(state), Action::OptOut { message }) => state.resume(turn, *message),
            // Ends with its next event or deadline.
            _ => {}
        }
    }

    /// Does something that must not be done while a message plays: what plays is stopped before and played anew.
    pub fn interrupted_by(&mut self, turn: &mut Turn<'_>, action: &Action, act: impl FnOnce(&mut Turn<'_>)) {
        match (self, action) {
            (Self::Play(prompt), Action::Play { message }) => prompt.interrupted_by(turn, *message, false, act),
            (Self::Gather(gathering), Action::Gather(gather)) => gathering.interrupted_by(turn, gather, act),
            (
                Self::Transfer(Transferring::Announcing(prompt)),
                Action::Transfer(Transfer { message: Some(message), .. }),
            )
            | (Self::OptOut(OptingOut::Telling(prompt)), Action::OptOut { message: Some(message) }) => {
                prompt.interrupted_by(turn, *message, false, act)
            }
            _ => act(turn),
        }
    }

    /// The flow is over before the step is: what plays stops.
    pub fn silence(&self, turn: &mut Turn<'_>, action: &Action) {
        match (self, action) {
            (Self::Gather(gathering), Action::Gather(gather)) => gathering.silence(turn, gather),
            (Self::Play(prompt), _)
            | (Self::Transfer(Transferring::Announcing(prompt)), _)
            | (Self::OptOut(OptingOut::Telling(prompt)), _) => prompt.silence(turn),
            _ => {}
        }
    }

    /// How the step ends when the call does.
    pub fn interrupt(&self, turn: &Turn<'_>) -> Outcome {
        let cut_off = Outcome::end(StepStatus::ErrorSessionEnded);
        match self {
            Self::Play(_) | Self::OptOut(_) => cut_off,
            Self::Gather(gathering) => Outcome { keys: gathering.keys(), ..cut_off },
            Self::Transfer(_) => Transferring::interrupt(turn),
        }
    }

    /// Whether it is the state of such a step.
    pub fn belongs_to(&self, action: &Action) -> bool {
        matches!(
            (self, action),
            (Self::Play(_), Action::Play { .. })
                | (Self::Gather(_), Action::Gather(_))
                | (Self::Transfer(_), Action::Transfer(_))
                | (Self::OptOut(_), Action::OptOut { .. })
        )
    }

    /// Whether nothing may be recorded meanwhile.
    pub fn is_sensitive(&self, action: &Action) -> bool {
        matches!((self, action), (Self::Gather(_), Action::Gather(gather)) if gather.sensitive)
    }

    /// The step's name in the contracts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Play(_) => "play",
            Self::Gather(_) => "gather",
            Self::Transfer(_) => "transfer",
            Self::OptOut(_) => "optOut",
        }
    }
}
