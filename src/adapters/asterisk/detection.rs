//! Who picked up: a detour through the dialplan, which comes back with the verdict.

use serde_json::json;

use super::Inner;
use super::ari::http::{Answer, Ask};
use super::dialling::{Outcome, unavailable};
use crate::model::{LegId, Timestamp};
use crate::ports::TelephonyError;

/// Where a person is told from a machine.
pub(super) const DETECTION: &str = "robocall-amd";

/// Where a machine's beep is waited for.
pub(super) const BEEP: &str = "robocall-beep";

impl Inner {
    /// Finds out who picked up.
    pub(super) async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome {
        if let Some(known) = self.table().get(leg) {
            known.wants_beep = wait_for_beep;
        }
        self.enter(leg, DETECTION, not_after).await
    }

    /// Sends a leg on a detour. One that is on one already comes back by itself.
    pub(super) async fn enter(&self, leg: LegId, context: &str, not_after: Timestamp) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        let path = format!("channels/{leg}/continue");
        let body = json!({"context": context, "extension": "s", "priority": 1});
        match self.nodes[node].http.ask(Ask::post(path, body, not_after)).await? {
            // Not in the app's hands: a former owner has sent it.
            Answer::Done(_) | Answer::Refused(409, _) => Ok(()),
            Answer::Missing => Err(TelephonyError::NoSuchLeg),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }
}
