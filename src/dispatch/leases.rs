//! Holding on to what this worker holds.
//!
//! One batch renews every lease each ten seconds. A lease lives for thirty after the store heard of it; backend
//! commands are sent only within the first twenty counted from the *sending* of the last renewal that was answered and
//! that named the call, so a worker that stood still, or lost the store, asks again before it touches a call that may
//! be another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::roster::{Mail, Roster, Seat};
use super::worker::Ports;
use crate::callflow::call::CallInput;
use crate::model::{Timestamp, WorkerId};
use crate::ports::Bell;

/// How often everything is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// How long a lease lives after a renewal.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How long after the sending of an answered renewal commands may be given.
pub const AUTHORITY: Duration = Duration::from_secs(20);

/// How soon an unanswered renewal is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Until when this worker may give commands to the telephony backend.
#[derive(Debug)]
pub struct Fence {
    valid_until: AtomicI64,
    /// The number of the last listing whose renewal was answered.
    answered: AtomicU64,
    asked: Notify,
    renewals: Bell,
}

impl Fence {
    /// A fence that is open for the first while: a worker begins with nothing to lose.
    pub fn new(now: Timestamp) -> Self {
        Self {
            valid_until: AtomicI64::new((now + AUTHORITY).as_millis()),
            answered: AtomicU64::new(0),
            asked: Notify::new(),
            renewals: Bell::default(),
        }
    }

    /// Until when something new may be taken on, and what every answered renewal has named may be acted upon.
    pub fn valid_until(&self) -> Timestamp {
        Timestamp::from_millis(self.valid_until.load(Ordering::Acquire))
    }

    /// Whether a renewal was answered that came after so many listings.
    pub fn has_answered_after(&self, listings: u64) -> bool {
        self.answered.load(Ordering::Acquire) > listings
    }

    /// Completes when commands may be given for a call, and answers until when: at once as a rule, after a renewal if
    /// the last one is too long ago. Look at [`Seat::is_lost`] afterwards.
    pub async fn pass(&self, ports: &Ports, seat: &Seat) -> Timestamp {
        let open = || Some(seat.valid_until(self)).filter(|until| ports.clock.now() < *until);
        if let Some(until) = open() {
            return until;
        }
        let mut renewals = self.renewals.listen();
        loop {
            renewals.forget();
            if let Some(until) = open() {
                return until;
            }
            self.asked.notify_one();
            renewals.rung().await;
        }
    }

    fn renewed(&self, listing: u64, sent_at: Timestamp) {
        // In this order: whoever sees the listing answered sees how long that holds.
        self.valid_until.fetch_max((sent_at + AUTHORITY).as_millis(), Ordering::AcqRel);
        self.answered.fetch_max(listing, Ordering::AcqRel);
        self.renewals.ring();
    }
}

/// Renews everything the roster holds, for as long as the worker lives.
pub async fn renew_for_ever(ports: Arc<Ports>, worker: WorkerId, roster: Arc<Roster>, fence: Arc<Fence>) {
    let mut next = ports.clock.now() + RENEWAL;
    loop {
        tokio::select! {
            biased;
            () = fence.asked.notified() => {}
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
