//! When a call is surely over, whoever may be silent: its backend ends every leg by itself.

use std::time::Duration;

use super::legs::lost_leg;
use super::live_call::LiveCall;
use crate::callflow::call::CallInput;
use crate::model::{Fact, Happening, RequestHeader, Timestamp};

/// How long preparing a dial may take; part of how long the backend lets a leg live.
pub const PREPARATION: Duration = Duration::from_secs(10);

/// What the backend adds to the longest a call may last before it ends the leg by itself.
pub const MARGIN: Duration = Duration::from_secs(30);

/// How much later than its backend should have ended it a call counts as over: clocks differ, and leases are renewed.
const AND_A_WHILE: Duration = Duration::from_secs(60);

/// How long a callee's leg may live, from its making on.
pub fn lives_at_most(header: &RequestHeader) -> Duration {
    PREPARATION + header.ring_timeout + header.max_call_duration + MARGIN
}

/// When no leg of a call's last dial can live any more: a second leg begins no later than the callee's may end. None if
/// it was never dialled.
pub fn surely_over_at(history: &[Fact], header: &RequestHeader) -> Option<Timestamp> {
    let dialled = history.iter().rev().find(|fact| matches!(fact.what, Happening::Dialing { .. }))?;
    let second = header.max_call_duration + MARGIN;
    Some(dialled.at + lives_at_most(header) + second + AND_A_WHILE)
}

impl LiveCall<'_> {
    /// When this call is surely over.
    pub(super) fn surely_over_at(&self) -> Option<Timestamp> {
        surely_over_at(self.ledger.history(), &self.ledger.context.header)
    }

    /// Counts a call as over whose backend says nothing any more and has surely ended it: its slots are not held for ever.
    pub(super) async fn end_what_is_surely_over(&mut self, now: Timestamp) {
        if self.surely_over_at().is_none_or(|at| now < at) {
            return;
        }
        if let Ok(Some(_)) = self.shared.ports.telephony.inspect(self.leg).await {
            // It lives all the same: a backend that does not keep time. Its hang-up is asked for until it goes.
            return;
        }
        tracing::warn!(leg = %self.leg, "nothing was heard of its end, which must have come long ago");
        for leg in self.machine.state().other_legs() {
            self.tell(CallInput::LegEnded { leg, end: lost_leg() });
        }
        self.tell(CallInput::Ended(lost_leg()));
    }
}
