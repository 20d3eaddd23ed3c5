//! `transfer`: joins the callee with somebody else.
//!
//! The step announces, then leaves the second leg to the call and reads from its stage how far the transfer is.

use serde::{Deserialize, Serialize};

use super::prompt::Prompt;
use super::{After, Begun, Outcome, StepState};
use crate::callflow::call::{CallInput, LegOutcome, LegStage, Turn};
use crate::callflow::program::{OnFailure, Transfer, TransferKind};
use crate::model::{DispositionResult, StepStatus, TransferStatus};
use crate::policy::disposition::Asked;

/// A transfer going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) enum Transferring {
    /// The callee is told.
    Announcing(Prompt),
    /// The second leg is under way.
    Connecting,
}

impl Transferring {
    pub fn begin(turn: &mut Turn<'_>, transfer: &Transfer) -> Begun {
        match transfer.message {
            Some(message) => {
                let prompt = Prompt::begin(turn, message, false);
                Begun::Waits(StepState::Transfer(Self::Announcing(prompt)))
            }
            None if turn.open_leg(transfer) => Begun::Waits(StepState::Transfer(Self::Connecting)),
            None => Begun::Over(failed(transfer, StepStatus::ErrorInternal, TransferStatus::Failed)),
        }
    }

    pub fn handle(&mut self, turn: &mut Turn<'_>, transfer: &Transfer, input: &CallInput) -> Option<Outcome> {
        match self {
            Self::Announcing(prompt) => {
                if prompt.heard(turn, input) {
                    *self = Self::Connecting;
                    if !turn.open_leg(transfer) {
                        return Some(failed(transfer, StepStatus::ErrorInternal, TransferStatus::Failed));
                    }
                }
                None
            }
            Self::Connecting => connecting(turn, transfer, input),
        }
    }

    pub fn handle_timeout(&self, turn: &mut Turn<'_>, transfer: &Transfer) -> Option<Outcome> {
        if let Self::Announcing(prompt) = self {
            let transfer = Some(TransferStatus::Failed);
            return Some(Outcome { transfer, ..Outcome::end(prompt.timed_out(turn)) });
        }
        match turn.ledger.leg.map(|leg| leg.stage) {
            Some(LegStage::AwaitingSlot) => {
                turn.close_leg(Asked::RingTimeout);
                Some(failed(transfer, StepStatus::ErrorConcurrentCallLimitReached, TransferStatus::Failed))
            }
            Some(LegStage::Dialling) => {
                turn.close_leg(Asked::RingTimeout);
                None
            }
            Some(LegStage::Closing { .. }) => {
                turn.hang_up_leg();
                None
            }
            // The call's own limit comes no later.
            Some(LegStage::Joined) => {
                turn.ledger.deadline = turn.ledger.limit.unwrap_or(turn.now);
                None
            }
            None => Some(failed(transfer, StepStatus::ErrorInternal, TransferStatus::Failed)),
        }
    }

    pub fn resume(&mut self, turn: &mut Turn<'_>, transfer: &Transfer) {
        match (self, transfer.message) {
            (Self::Announcing(prompt), Some(message)) => prompt.replay(turn, message, false),
            (Self::Connecting, _) => turn.resume_leg(transfer.kind),
            // A program without the message that was being played: its time runs out.
            (Self::Announcing(_), None) => {}
        }
    }

    /// How the step ends when the call does. The leg is the call's to close.
    pub fn interrupt(turn: &Turn<'_>) -> Outcome {
        let (status, transfer) = match turn.ledger.leg.map(|leg| leg.stage) {
            Some(LegStage::Joined | LegStage::Closing { joined: true, .. }) => {
                (StepStatus::SuccessOk, TransferStatus::Answered)
            }
            Some(LegStage::Dialling | LegStage::Closing { joined: false, .. }) => {
                (StepStatus::ErrorSessionEnded, TransferStatus::Unanswered)
            }
            Some(LegStage::AwaitingSlot) | None => (StepStatus::ErrorSessionEnded, TransferStatus::Failed),
        };
        Outcome { transfer: Some(transfer), ..Outcome::end(status) }
    }
}

fn connecting(turn: &mut Turn<'_>, transfer: &Transfer, input: &CallInput) -> Option<Outcome> {
    match input {
        CallInput::SlotGranted { leg } if turn.leg_stage(*leg) == Some(LegStage::AwaitingSlot) => {
            turn.dial_leg(transfer);
            None
        }
        CallInput::LegAnswered { leg } if turn.leg_stage(*leg) == Some(LegStage::Dialling) => {
            turn.join_leg(transfer.kind);
            let handed_over = transfer.kind == TransferKind::Blind;
            handed_over.then(|| answered(After::HandOver))
        }
        CallInput::LegEnded { leg, end } => match turn.leg_ended(*leg, *end)? {
            LegOutcome::Left => Some(answered(After::End)),
            LegOutcome::Failed(disposition) => {
                let (status, transfer_status) = as_shown(disposition.result);
                Some(failed(transfer, status, transfer_status))
            }
        },
        _ => None,
    }
}

fn answered(after: After) -> Outcome {
    Outcome { transfer: Some(TransferStatus::Answered), ..Outcome::success(after) }
}

fn failed(transfer: &Transfer, status: StepStatus, transfer_status: TransferStatus) -> Outcome {
    let after = match transfer.on_failure {
        OnFailure::Hangup => After::End,
        OnFailure::Continue => After::Next,
    };
    Outcome { status, keys: None, transfer: Some(transfer_status), after }
}

/// A leg that did not come about, in the contracts' words.
fn as_shown(result: DispositionResult) -> (StepStatus, TransferStatus) {
    match result {
        DispositionResult::Busy => (StepStatus::ErrorSessionEnded, TransferStatus::Busy),
        DispositionResult::Unanswered => (StepStatus::ErrorTimeout, TransferStatus::Unanswered),
        DispositionResult::InvalidNumber => (StepStatus::ErrorDestInvalid, TransferStatus::Failed),
        DispositionResult::Answered
        | DispositionResult::Rejected
        | DispositionResult::Unreachable
        | DispositionResult::Congestion
        | DispositionResult::Cancelled
        | DispositionResult::Blocked
        | DispositionResult::Expired
        | DispositionResult::Unknown => (StepStatus::ErrorSessionEnded, TransferStatus::Failed),
    }
}
