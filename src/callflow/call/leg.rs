//! The second leg of a call: slot, dial, bridge, end.
//!
//! It outlives the step that wanted it: when the callee leaves, the leg still has to go, and its slot is held until the
//! backend says that it is gone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CallCommand, LegEnd, Turn};
use crate::callflow::program::{Transfer, TransferKind};
use crate::model::{AttemptId, Disposition, Happening, LegId, LegRole};
use crate::policy::disposition::{Asked, Seen, classify};

/// How often a leg that does not go is hung up again.
pub(super) const HANG_UP_AGAIN: Duration = Duration::from_secs(10);

/// How much longer than it may ring a leg is waited for: the backend's own timer should fire first.
pub(super) const RING_MARGIN: Duration = Duration::from_secs(3);

/// A second leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) struct Leg {
    /// Which transfer of the attempt, from 1.
    ordinal: u16,
    /// Whether it holds, or waits for, a slot.
    slot: bool,
    /// How far it is.
    pub stage: LegStage,
}

impl Leg {
    /// Its name within an attempt.
    pub fn id(self, attempt: AttemptId) -> LegId {
        LegId::transfer(attempt, self.ordinal)
    }

    /// Whether it holds, or waits for, a slot.
    pub const fn has_slot(&self) -> bool {
        self.slot
    }
}

/// How far a second leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::callflow) enum LegStage {
    /// It waits for a slot; nothing was written down or dialled.
    AwaitingSlot,
    /// It was written down and dialled.
    Dialling,
    /// It was answered.
    Joined,
    /// It is being hung up.
    Closing {
        /// Whether it had been answered.
        joined: bool,
        /// Why it is hung up.
        asked: Asked,
    },
}

/// How a second leg ended.
pub(in crate::callflow) enum LegOutcome {
    /// It had been answered.
    Left,
    /// It did not come about.
    Failed(Disposition),
}

impl Turn<'_> {
    /// Whether `leg` is the call's second leg now; then its stage.
    pub fn leg_stage(&self, leg: LegId) -> Option<LegStage> {
        let current = self.ledger.leg.filter(|current| self.leg_id(*current) == leg);
        current.map(|current| current.stage)
    }

    fn leg_id(&self, leg: Leg) -> LegId {
        leg.id(self.ledger.attempt)
    }

    fn set_stage(&mut self, stage: LegStage) {
        if let Some(leg) = &mut self.ledger.leg {
            leg.stage = stage;
        }
    }

    /// Begins a new leg: asks for its slot, or dials it if it needs none. False if the attempt has had all legs that
    /// can be numbered.
    pub fn open_leg(&mut self, transfer: &Transfer) -> bool {
        let Some(ordinal) = self.ledger.legs.checked_add(1) else { return false };
        self.ledger.legs = ordinal;
        let leg = Leg { ordinal, slot: transfer.target.needs_slot(LegRole::Transfer), stage: LegStage::AwaitingSlot };
        self.ledger.leg = Some(leg);
        if leg.slot {
            self.push(CallCommand::AcquireSlot { leg: self.leg_id(leg) });
            self.wait(transfer.ring_timeout);
        } else {
            self.dial_leg(transfer);
        }
        true
    }

    /// Dials the leg: written down first, so that no crash can lead to a second dial.
    pub fn dial_leg(&mut self, transfer: &Transfer) {
        let Some(current) = self.ledger.leg else { return };
        let (leg, target) = (self.leg_id(current), transfer.target.clone());
        self.set_stage(LegStage::Dialling);
        self.record(Happening::LegAdded { leg, dest: target.as_dialled().into() });
        if transfer.kind == TransferKind::Blind {
            self.cancel_transfer();
        }
        self.push(match transfer.kind {
            TransferKind::Attended => {
                CallCommand::DialLeg { leg, target, caller: None, ring_timeout: transfer.ring_timeout }
            }
            TransferKind::Blind => CallCommand::BlindTransfer { leg, target },
        });
        self.wait(transfer.ring_timeout + RING_MARGIN);
    }

    /// The leg was answered: joins it with the callee, unless the backend has done so by itself.
    pub fn join_leg(&mut self, kind: TransferKind) {
        let Some(current) = self.ledger.leg else { return };
        let leg = self.leg_id(current);
        self.set_stage(LegStage::Joined);
        self.record(Happening::LegAnswered { leg });
        if kind == TransferKind::Attended {
            self.push(CallCommand::Bridge { leg });
        }
        // From now on only the call's own limit bounds it.
        self.ledger.deadline = self.ledger.limit.unwrap_or(self.now);
    }

    /// Makes the leg go, however far it is. Nothing happens if there is none or it is going already.
    pub fn close_leg(&mut self, asked: Asked) {
        let Some(current) = self.ledger.leg else { return };
        let joined = match current.stage {
            LegStage::AwaitingSlot => {
                self.ledger.leg = None;
                self.push(CallCommand::ReleaseSlot { leg: self.leg_id(current) });
                return;
            }
            LegStage::Closing { .. } => return,
            LegStage::Dialling => false,
            LegStage::Joined => true,
        };
        self.set_stage(LegStage::Closing { joined, asked });
        self.hang_up_leg();
    }

    /// Hangs a leg that is going up, again or for the first time.
    pub fn hang_up_leg(&mut self) {
        let Some(current) = self.ledger.leg else { return };
        if let LegStage::Closing { .. } = current.stage {
            self.push(CallCommand::HangUpLeg { leg: self.leg_id(current) });
            self.wait(HANG_UP_AGAIN);
        }
    }

    /// The backend says that the leg is gone: writes it down and gives its slot back. None if it is not the call's
    /// second leg, or was never dialled.
    pub fn leg_ended(&mut self, leg: LegId, end: LegEnd) -> Option<LegOutcome> {
        let current = self.ledger.leg.filter(|current| self.leg_id(*current) == leg)?;
        // Nobody reports the ringing of second legs; one that was dialled is taken to have rung.
        let seen = |answered, asked| Seen { rang: true, answered, asked };
        let outcome = match current.stage {
            LegStage::AwaitingSlot => return None,
            LegStage::Joined | LegStage::Closing { joined: true, .. } => LegOutcome::Left,
            LegStage::Dialling => LegOutcome::Failed(classify(seen(false, None), end)),
            LegStage::Closing { joined: false, asked } => LegOutcome::Failed(classify(seen(false, Some(asked)), end)),
        };
        self.ledger.leg = None;
        self.record(match &outcome {
            LegOutcome::Left => Happening::LegRemoved { leg },
            LegOutcome::Failed(disposition) => Happening::LegFailed { leg, disposition: *disposition },
        });
        if current.slot {
            self.push(CallCommand::ReleaseSlot { leg });
        }
        Some(outcome)
    }

    /// After an adoption: asks again for whatever the leg waits for. It is never dialled again.
    pub fn resume_leg(&mut self, kind: TransferKind) {
        let Some(current) = self.ledger.leg else { return };
        let leg = self.leg_id(current);
        match current.stage {
            LegStage::AwaitingSlot => {
                self.push(CallCommand::AcquireSlot { leg });
                self.wait_on();
            }
            LegStage::Dialling => self.wait_on(),
            LegStage::Joined if kind == TransferKind::Attended => self.push(CallCommand::Bridge { leg }),
            LegStage::Joined => {}
            LegStage::Closing { .. } => self.hang_up_leg(),
        }
    }
}
