//! Holding on to what this worker holds: one batch renews every lease each ten seconds.

use std::sync::Arc;
use std::time::Duration;

use super::fence::Fence;
use super::ports::Ports;
use super::roster::{Mail, Roster};
use crate::callflow::call::CallInput;
use crate::model::WorkerId;

/// How often everything is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// How long a lease lives after a renewal.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How soon an unanswered renewal is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Renews everything the roster holds, for as long as the worker lives.
pub async fn renew_for_ever(ports: Arc<Ports>, worker: WorkerId, roster: Arc<Roster>, fence: Arc<Fence>) {
    let mut next = ports.clock.now() + RENEWAL;
    loop {
        tokio::select! {
            biased;
            () = fence.is_asked() => {}
            () = ports.clock.sleep_until(next) => {}
        }
        let sent_at = ports.clock.now();
        let (listing, held) = roster.list();
        match ports.store.renew(&worker, &held).await {
            Ok(renewed) => {
                for held in renewed.lost {
                    tracing::warn!(attempt = %held.attempt, "another worker has taken the call over");
                    roster.fence(&held);
                }
                for held in renewed.hang_up {
                    roster.send_to_holder(&held, Mail::Input(CallInput::HangUpRequested));
                }
                fence.renewed(listing, sent_at);
                next = sent_at + RENEWAL;
            }
            Err(error) => {
                tracing::warn!(%error, "leases could not be renewed");
                next = ports.clock.now() + AGAIN;
                ports.clock.sleep_until(next).await;
            }
        }
    }
}
