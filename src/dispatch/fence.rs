//! Until when a worker may act.
//!
//! A lease lives for thirty seconds after the store heard of it; backend commands are sent only within the first twenty
//! counted from the *sending* of the last renewal that was answered and that named the call, so a worker that stood
//! still, or lost the store, asks again before it touches a call that may be another's.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::model::Timestamp;
use crate::ports::{Bell, Listener};

/// How long after the sending of an answered renewal commands may be given.
pub const AUTHORITY: Duration = Duration::from_secs(20);

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

    /// Completes at the next answered renewal, after asking for it; at once if one was answered since `renewals` was
    /// last told to forget.
    pub async fn next_renewal(&self, renewals: &mut Listener) {
        self.asked.notify_one();
        renewals.rung().await;
    }

    /// Hears of answered renewals.
    pub fn renewals(&self) -> Listener {
        self.renewals.listen()
    }

    /// Completes when somebody asks for a renewal.
    pub async fn is_asked(&self) {
        self.asked.notified().await;
    }

    /// Notes that the renewal of a listing, sent at `sent_at`, was answered.
    pub fn renewed(&self, listing: u64, sent_at: Timestamp) {
        // In this order: whoever sees the listing answered sees how long that holds.
        self.valid_until.fetch_max((sent_at + AUTHORITY).as_millis(), Ordering::AcqRel);
        self.answered.fetch_max(listing, Ordering::AcqRel);
        self.renewals.ring();
    }
}
