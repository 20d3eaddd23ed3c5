//! Holding on to what this worker holds: one batch renews every lease each ten seconds, and the lock of its own name.

use std::sync::Arc;
use std::time::Duration;

use super::roster::Mail;
use super::shared::Shared;
use crate::callflow::call::CallInput;
use crate::telemetry::spans;

/// How often everything is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// How long a lease lives after a renewal.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How soon an unanswered renewal is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Renews everything the roster holds for as long as the worker's name is its own: when it is another's, so are its
/// reports, and its calls are about to be.
pub async fn renew(shared: Arc<Shared>) {
    let Shared { ports, roster, fence, settings, .. } = &*shared;
    let worker = &settings.id;
    let mut next = ports.clock.now() + RENEWAL;
    loop {
        tokio::select! {
            biased;
            () = fence.is_asked() => {}
            () = ports.clock.sleep_until(next) => {}
        }
        let sent_at = ports.clock.now();
        let (listing, held) = roster.list();
        match ports.store.renew(worker, &held).await {
            Ok(renewed) => {
                for held in renewed.lost {
                    spans::call(&held).in_scope(|| tracing::warn!("another worker has taken the call over"));
                    roster.fence(&held);
                }
                for held in renewed.hang_up {
                    roster.send_to_holder(&held, Mail::Input(CallInput::HangUpRequested));
                }
                for held in renewed.forgotten {
                    // What was not dialled is nobody's loss.
                    if !roster.send_to_holder(&held, Mail::SayAgain) {
                        roster.fence(&held);
                    }
                }
                fence.renewed(listing, sent_at);
                next = sent_at + RENEWAL;
                match ports.store.lock_app(worker, settings.process).await {
                    Ok(true) => {}
                    Ok(false) => return tracing::error!(%worker, "another process listens in this worker's name"),
                    Err(error) => {
                        tracing::warn!(%error, "the worker's name could not be held on to");
                        next = next.min(ports.clock.now() + AGAIN);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "leases could not be renewed");
                next = ports.clock.now() + AGAIN;
                ports.clock.sleep_until(next).await;
            }
        }
    }
}
