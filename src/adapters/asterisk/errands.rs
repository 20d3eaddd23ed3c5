//! What Asterisk is asked to do because of an event, without anybody waiting for it.

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::ari::http::Ask;
use super::table::Errand;
use crate::ports::TelephonyError;

/// How long an errand is worth its while.
const WORTH: Duration = Duration::from_secs(10);

/// How long to wait before trying again.
const AGAIN: Duration = Duration::from_millis(500);

/// Does it, trying again where no answer comes. What is asked for twice does no more than once.
pub async fn run(inner: Arc<Inner>, errand: Errand) {
    let clock = Arc::clone(&inner.settings.clock);
    let until = clock.now() + WORTH;
    loop {
        let done = match errand {
            Errand::AwaitBeep(leg) => inner.enter(leg, super::detection::BEEP, until).await,
            Errand::Join { leg, other } => inner.bridge(leg, other, until).await,
            Errand::HangUp(leg) => inner.hang_up(leg, until).await,
            Errand::Limit { leg, length } => inner.limit(leg, length, until).await,
            Errand::Hush(leg) => inner.ring(leg, false, until).await,
            Errand::TakeEars { listener, node } => inner.take_ears(listener, node, until).await,
            Errand::ClearBridge { leg, node } => {
                inner.nodes[node].http.ask(Ask::delete(format!("bridges/{leg}"), until)).await.map(drop)
            }
        };
        match done {
            Err(TelephonyError::Unavailable(reason)) if clock.now() + AGAIN < until => {
                tracing::debug!(?errand, reason, "trying again");
                clock.sleep_until(clock.now() + AGAIN).await;
            }
            Err(error @ (TelephonyError::Unavailable(_) | TelephonyError::TooLate | TelephonyError::Conflict)) => {
                tracing::warn!(?errand, %error, "not done");
                return;
            }
            // Whoever is gone needs nothing.
            Ok(()) | Err(TelephonyError::NoSuchLeg) => return,
        }
    }
}
