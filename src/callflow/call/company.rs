//! What is asked of an attempt from outside: to let others in, to let them go, to record.

use super::moment::Moment;
use super::state::Phase;
use super::{CallCommand, CallInput, Invitation, LegEnd, LegStage, Refusal};
use crate::callflow::program::Target;
use crate::model::{LegId, LegRole};
use crate::policy::disposition::Asked;

impl Moment<'_> {
    /// Calls somebody in, or gives whoever is there another session.
    pub fn invite(&mut self, invitation: Invitation) -> Result<LegId, Refusal> {
        self.is_under_way()?;
        let (leg, joined) = self.turn.invite(invitation)?;
        if let Some(leg) = joined {
            self.let_in(leg);
            self.end_if_nobody_talks();
            self.turn.coach_somebody_else();
        }
        Ok(leg)
    }

    /// Ends a session, and nothing else.
    pub fn dismiss(&mut self, is_meant: impl Fn(LegId, &Target) -> bool) -> Option<LegId> {
        let leg = self.turn.dismiss(is_meant)?;
        self.end_if_nobody_talks();
        Some(leg)
    }

    /// Turns recording on or off; what is secret is left out all the same.
    pub fn set_recording(&mut self, on: bool) -> Result<(), Refusal> {
        self.is_under_way()?;
        if self.turn.records() == on {
            return Ok(());
        }
        *self.turn.recording = Some(on);
        match (on, self.is_secret()) {
            (true, false) => self.turn.push(CallCommand::StartRecording),
            // It begins when the secret is over.
            (true, true) => {}
            (false, _) => self.turn.push(CallCommand::StopRecording),
        }
        Ok(())
    }

    /// A third party may be dialled, or has picked up.
    pub(super) fn third_party_comes(&mut self, input: &CallInput, leg: LegId) {
        match input {
            CallInput::SlotGranted { .. } if self.turn.third_party_awaits_slot(leg) => self.may_ring(leg),
            CallInput::LegAnswered { .. } if self.turn.third_party_answered(leg) => {
                if leg.role == LegRole::Transfer {
                    self.give_way(leg);
                }
                self.let_in(leg);
                self.turn.coach_somebody_else();
            }
            _ => {}
        }
    }

    /// A third party's leg is gone.
    pub(super) fn third_party_ended(&mut self, leg: LegId, end: LegEnd) {
        if self.turn.third_party_ended(leg, end) {
            self.end_if_nobody_talks();
            self.settle();
        }
    }

    /// The flow has come to its end: the call ends, or goes on for as long as others talk with the callee, or somebody is
    /// called to whom they are to be transferred.
    pub(super) fn flow_is_over(&mut self) {
        if matches!(self.phase, Phase::Ending { .. } | Phase::Finished(_)) {
            return;
        }
        let others = &*self.turn.third_parties;
        if !others.talk() && others.coming_target(self.turn.ledger.attempt).is_none() {
            return self.end(Asked::Flow);
        }
        // Whom the callee was transferred to may have left.
        self.turn.coach_somebody_else();
        self.stay();
    }

    /// The call goes on without its flow. What that has left undone is asked for again until it is done.
    pub(super) fn stay(&mut self) {
        *self.phase = Phase::HandedOver;
        if self.has_loose_ends() {
            self.bound_ending();
        } else {
            self.turn.ledger.deadline = self.turn.ledger.limit.unwrap_or(self.turn.now);
        }
    }

    /// Whether an opt-out is not recorded yet, or a second leg does not go.
    pub(super) fn has_loose_ends(&self) -> bool {
        let ledger = &self.turn.ledger;
        ledger.opt_out || ledger.leg.is_some_and(|leg| matches!(leg.stage, LegStage::Closing { .. }))
    }

    /// Makes everybody but the callee go.
    pub(super) fn close_others(&mut self) {
        self.turn.close_leg(Asked::Requested);
        self.turn.close_third_parties();
    }

    fn let_in(&mut self, leg: LegId) {
        match &mut *self.phase {
            // What plays goes on for everybody, from its beginning: it cannot be moved.
            Phase::Step(index, state) if self.turn.begins_to_share(leg) => {
                let Some(step) = self.turn.program.steps.get(usize::from(*index)) else { return };
                state.interrupted_by(&mut self.turn, &step.action, |turn| turn.let_in(leg));
            }
            _ => self.turn.let_in(leg),
        }
    }

    /// After the flow nobody keeps a callee who has nobody to talk with.
    pub(super) fn end_if_nobody_talks(&mut self) {
        let transferred = self.turn.ledger.leg.is_some_and(|leg| leg.stage == LegStage::Joined);
        if matches!(self.phase, Phase::HandedOver) && !transferred {
            self.flow_is_over();
        }
    }

    pub(super) fn is_under_way(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Step(..) | Phase::HandedOver => Ok(()),
            Phase::Dialing | Phase::Detecting | Phase::AwaitingBeep => Err(Refusal::NotAnswered),
            Phase::Ending { .. } | Phase::Finished(_) => Err(Refusal::Ending),
        }
    }
}
