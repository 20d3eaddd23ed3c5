//! Transfers asked for from outside, beside whatever the flow does.
//!
//! Whom the callee is to talk with rings as a third party does, and nothing changes for the callee meanwhile. When they
//! answer, or when the backend is asked to join them by itself, the flow is over, and whoever the callee was transferred
//! to before leaves.

use super::moment::Moment;
use super::state::Phase;
use super::{LegStage, Refusal, Turn};
use crate::callflow::program::{Target, TransferKind};
use crate::model::{LegId, LegRole, SessionType};
use crate::policy::disposition::Asked;

impl Moment<'_> {
    /// Calls somebody to whom the callee is to be transferred.
    pub fn transfer(&mut self, target: Target, kind: TransferKind) -> Result<LegId, Refusal> {
        self.is_under_way()?;
        if self.is_handed_over() {
            return Err(Refusal::HandedOver);
        }
        let (leg, may_ring) = self.turn.begin_transfer(target, kind)?;
        if may_ring {
            self.may_ring(leg);
        }
        Ok(leg)
    }

    /// Somebody who was called in may ring now.
    pub(super) fn may_ring(&mut self, leg: LegId) {
        if self.turn.joins_by_itself(leg) {
            self.give_way(leg);
        }
        self.turn.dial_third_party(leg);
    }

    /// The flow is over for the sake of somebody: what plays stops, and whoever the callee was transferred to before goes.
    pub(super) fn give_way(&mut self, to: LegId) {
        if let Phase::Step(index, state) = &*self.phase
            && let Some(step) = self.turn.program.steps.get(usize::from(*index))
        {
            state.silence(&mut self.turn, &step.action);
        }
        self.interrupt();
        self.turn.close_leg(Asked::Requested);
        if let Some(before) = self.turn.third_parties.joined_target(self.turn.ledger.attempt).filter(|leg| *leg != to) {
            self.turn.close_third_party(before, Asked::Requested);
        }
        self.stay();
    }

    /// Whether the callee is, or is about to be, where the backend alone joins them.
    fn is_handed_over(&self) -> bool {
        let by_flow = self.turn.ledger.leg.is_some_and(|leg| leg.stage == LegStage::Joined);
        let attempt = self.turn.ledger.attempt;
        let by_command =
            self.turn.third_parties.joined_target(attempt).is_some_and(|leg| self.turn.joins_by_itself(leg));
        matches!(self.phase, Phase::HandedOver) && (by_flow || by_command)
    }
}

impl Turn<'_> {
    /// Whether the backend joins a leg with the callee by itself.
    pub fn joins_by_itself(&self, leg: LegId) -> bool {
        leg.role == LegRole::Transfer && *self.blind == Some(leg.ordinal)
    }

    /// Begins a transfer: answers with the leg, and whether it may ring without a slot.
    fn begin_transfer(&mut self, target: Target, kind: TransferKind) -> Result<(LegId, bool), Refusal> {
        let attempt = self.ledger.attempt;
        let rings = |stage| matches!(stage, LegStage::AwaitingSlot | LegStage::Dialling);
        if self.ledger.leg.is_some_and(|leg| rings(leg.stage)) || self.third_parties.coming_target(attempt).is_some() {
            return Err(Refusal::TransferUnderWay);
        }
        let ordinal = self.ledger.legs.checked_add(1).ok_or(Refusal::TooMany)?;
        self.ledger.legs = ordinal;
        *self.blind = (kind == TransferKind::Blind).then_some(ordinal);
        let leg = LegId::transfer(attempt, ordinal);
        let may_ring = self.call_in(leg, target, None, SessionType::BargeIn);
        Ok((leg, may_ring))
    }

    /// The flow sends the callee on by itself: nobody else is to be joined with them.
    pub fn cancel_transfer(&mut self) {
        if let Some(leg) = self.third_parties.coming_target(self.ledger.attempt) {
            self.close_third_party(leg, Asked::Requested);
        }
    }
}
