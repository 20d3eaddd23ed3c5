//! All there is to know of an attempt while it lasts: small, and stored with every fact.

use serde::{Deserialize, Serialize};

use super::third_party::ThirdParties;
use super::{Leg, LegStage};
use crate::callflow::program::{StepIndex, Target};
use crate::callflow::step::StepState;
use crate::model::{AttemptId, Disposition, LegId, LegRole, Timestamp};
use crate::policy::disposition::Asked;

/// The state of one attempt between two events. Opaque: stored and handed to
/// [`CallMachine::resume`](super::CallMachine::resume).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallState {
    pub(super) ledger: Ledger,
    pub(super) phase: Phase,
    pub(super) third_parties: ThirdParties,
    /// Whether the call is to be recorded, if somebody has said so meanwhile.
    pub(super) recording: Option<bool>,
    /// The number of the last transfer from outside, if the backend joins it by itself.
    pub(super) blind: Option<u16>,
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

    /// The legs besides the callee's that hold a slot, or wait for one.
    pub fn slots(&self) -> Vec<LegId> {
        let attempt = self.ledger.attempt;
        let second = self.ledger.leg.filter(Leg::has_slot).map(|leg| leg.id(attempt));
        second.into_iter().chain(self.third_parties.slots(attempt)).collect()
    }

    /// The legs besides the callee's that were dialled, or were to be, and have not ended.
    pub fn other_legs(&self) -> Vec<LegId> {
        let attempt = self.ledger.attempt;
        let second = self.ledger.leg.filter(|leg| leg.stage != LegStage::AwaitingSlot).map(|leg| leg.id(attempt));
        second.into_iter().chain(self.third_parties.dialled(attempt)).collect()
    }

    /// Who is in the call, or on the way, as this: be it that they wait for a slot.
    pub fn third_party(&self, role: LegRole, target: &Target) -> Option<LegId> {
        self.third_parties.find(self.ledger.attempt, role, target)
    }

    /// Whether the callee has nothing but a leg to wait for. For whoever is called in beside the flow nobody waits, until
    /// the backend is to join them by itself.
    pub fn waits_for(&self, leg: LegId) -> bool {
        let is_blind = leg.role == LegRole::Transfer && self.blind == Some(leg.ordinal);
        is_blind || !(leg.role.is_third_party() || self.third_parties.has(leg))
    }

    /// Whether a leg that was to be dialled still is.
    pub fn is_dialling(&self, leg: LegId) -> bool {
        if self.third_parties.is_dialling(leg) {
            return true;
        }
        let current = self.ledger.leg.filter(|current| current.id(self.ledger.attempt) == leg);
        current.is_some_and(|current| current.stage == LegStage::Dialling)
    }

    /// The legs that were dialled and should have been answered, or have ended, by now.
    pub fn overdue_dials(&self, now: Timestamp) -> Vec<LegId> {
        let Ledger { attempt, deadline, leg, .. } = &self.ledger;
        let mut overdue: Vec<LegId> = self.third_parties.overdue_dials(*attempt, now).collect();
        if now >= *deadline {
            let callee = matches!(self.phase, Phase::Dialing).then(|| LegId::callee(*attempt));
            let second = leg.filter(|leg| leg.stage == LegStage::Dialling).map(|leg| leg.id(*attempt));
            overdue.extend(callee.into_iter().chain(second));
        }
        overdue
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
    /// The flow is over, and the callee talks with somebody, or waits for whom they are to be transferred to.
    HandedOver,
    /// The call is being ended; `gone` once the callee's leg is.
    Ending { gone: Option<Disposition> },
    /// Settled. The disposition is kept, so that an adopter can settle again what a dead worker did not.
    Finished(Disposition),
}
