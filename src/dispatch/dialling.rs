//! The dial itself: sent once, and what became of it found out without sending it again.

use std::time::Duration;

use super::roster::Seat;
use super::shared::Shared;
use crate::model::{LegId, Timestamp};
use crate::ports::TelephonyError;
use crate::ports::telephony::LegState;

/// How long to wait before asking a backend again that did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// What came of trying to dial.
pub enum Dialled {
    /// It was, or may have been: its reports will tell.
    Follow,
    /// Nobody can tell: it ends here, and nobody is dialled again for it.
    Unknown,
    /// It surely was not.
    NotSent,
}

/// Dials a leg that was committed to, once. Doubt is cleared up by asking the backend, never by dialling again.
pub async fn dial(shared: &Shared, seat: &Seat, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Dialled {
    let ports = &shared.ports;
    match ports.telephony.dial(leg, ring_timeout, not_after).await {
        Ok(()) => return Dialled::Follow,
        Err(TelephonyError::Unavailable(reason)) => tracing::warn!(%leg, reason, "no answer to a dial"),
        Err(TelephonyError::TooLate) => {
            let _ = ports.telephony.hang_up(leg, shared.fence.valid_until()).await;
            return Dialled::NotSent;
        }
        Err(error) => {
            tracing::warn!(%leg, %error, "not dialled");
            take_down(shared, seat, leg).await;
            return Dialled::Unknown;
        }
    }
    let give_up_at = ports.clock.now() + ring_timeout;
    while ports.clock.now() < give_up_at {
        match ports.telephony.inspect(leg).await {
            Ok(Some(LegState::Dialled | LegState::Up)) => return Dialled::Follow,
            Ok(Some(LegState::Created)) => {
                take_down(shared, seat, leg).await;
                return Dialled::Unknown;
            }
            // It may have been dialled and have ended at once: its reports, if any came, say how.
            Ok(None) => return Dialled::Follow,
            Err(_) => ports.clock.sleep_until(ports.clock.now() + AGAIN).await,
        }
    }
    Dialled::Follow
}

/// Hangs a leg up whose dial may yet arrive at the backend, and waits until it is gone: its slot is held as long.
async fn take_down(shared: &Shared, seat: &Seat, leg: LegId) {
    let ports = &shared.ports;
    loop {
        let not_after = seat.authority(&shared.fence, &*ports.clock).await;
        if seat.is_lost() {
            return;
        }
        let _ = ports.telephony.hang_up(leg, not_after).await;
        if ports.telephony.inspect(leg).await == Ok(None) {
            return;
        }
        ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
    }
}
