//! All there is to know of an attempt while it lasts: small, and stored with every fact.

use serde::{Deserialize, Serialize};

use super::{Leg, LegStage};
use crate::callflow::program::StepIndex;
use crate::callflow::step::StepState;
use crate::model::{AttemptId, Disposition, LegId, Timestamp};
use crate::policy::disposition::Asked;

/// The state of one attempt between two events. Opaque: stored and handed to
/// [`CallMachine::resume`](super::CallMachine::resume).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallState {
    pub(super) ledger: Ledger,
    pub(super) phase: Phase,
}

impl CallState {
    /// The attempt it is the state of.
    pub const fn attempt(&self) -> AttemptId {
        self.ledger.attempt
    }

    /// Whether the callee has picked up.
    pub const fn is_answered(&self) -> bool {
        self.ledger.limit.is_some()
    }

    /// The second legs that hold a slot, or wait for one.
    pub fn slots(&self) -> Vec<LegId> {
        self.ledger.leg.filter(Leg::has_slot).map(|leg| leg.id(self.ledger.attempt)).into_iter().collect()
    }

    /// The second leg, if one was to be dialled and is not known to have ended.
    pub fn second_leg(&self) -> Option<LegId> {
        let dialled = self.ledger.leg.filter(|leg| leg.stage != LegStage::AwaitingSlot)?;
        Some(dialled.id(self.ledger.attempt))
    }

    /// Whether a second leg that was to be dialled still is.
    pub fn is_dialling(&self, leg: LegId) -> bool {
        let current = self.ledger.leg.filter(|current| current.id(self.ledger.attempt) == leg);
        current.is_some_and(|current| current.stage == LegStage::Dialling)
    }

    /// What the attempt is doing, for logs.
    pub fn phase_name(&self) -> &'static str {
        match &self.phase {
            Phase::Dialing if self.ledger.rang => "ringing",
            Phase::Dialing => "dialing",
            Phase::Detecting => "detectingMachine",
            Phase::AwaitingBeep => "waitingForBeep",
            Phase::Step(_, step) => step.name(),
            Phase::HandedOver => "handedOver",
            Phase::Ending { gone: None } => "hangingUp",
            Phase::Ending { gone: Some(_) } => "settling",
            Phase::Finished(_) => "finished",
        }
    }
}

/// What holds for the attempt whatever its phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) struct Ledger {
    pub attempt: AttemptId,
    /// The callee's phone was reported ringing.
    pub rang: bool,
    /// Why we hung up, if we did.
    pub asked: Option<Asked>,
    /// When the call must be over; set by the answer.
    pub limit: Option<Timestamp>,
    /// When the phase must be over, or what it waits for is asked for again.
    pub deadline: Timestamp,
    /// The last playback's number.
    pub playback: u32,
    /// The last second leg's ordinal.
    pub legs: u16,
    /// The second leg, from its slot to its end.
    pub leg: Option<Leg>,
    /// The number is on its way to the do-not-call list.
    pub opt_out: bool,
}

/// What the attempt waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) enum Phase {
    /// The callee has not picked up.
    Dialing,
    /// Who or what picked up is being found out.
    Detecting,
    /// A machine picked up, and its beep is waited for.
    AwaitingBeep,
    /// A step of the flow.
    Step(StepIndex, StepState),
    /// The callee was handed to somebody by a blind transfer; the flow is over.
    HandedOver,
    /// The call is being ended; `gone` once the callee's leg is.
    Ending { gone: Option<Disposition> },
    /// Settled. The disposition is kept, so that an adopter can settle again what a dead worker did not.
    Finished(Disposition),
}
