//! Holding on to what this worker holds.
//!
//! One batch renews every lease each ten seconds. A lease lives for thirty after the store heard of it; backend
//! commands are sent only within the first twenty counted from the *sending* of the last renewal that was answered,
//! so a worker that stood still, or lost the store, asks again before it touches a call that may be another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::roster::Roster;
use super::worker::Ports;
use crate::model::{Timestamp, WorkerId};
use crate::ports::Bell;

/// How often everything is renewed.
const RENEWAL: Duration = Duration::from_secs(10);

/// How long a lease lives after a renewal.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(30);

/// How long after the sending of an answered renewal commands may be given.
const AUTHORITY: Duration = Duration::from_secs(20);

/// How soon an unanswered renewal is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Until when this worker may give commands to the telephony backend.
#[derive(Debug)]
pub struct Fence {
    valid_until: AtomicI64,
    asked: Notify,
    renewals: Bell,
}

impl Fence {
    /// A fence that is open for the first while: a worker begins with nothing to lose.
    pub fn new(now: Timestamp) -> Self {
        Self {
            valid_until: AtomicI64::new((now + AUTHORITY).as_millis()),
            asked: Notify::new(),
            renewals: Bell::default(),
        }
    }

    /// Until when commands may be given.
    pub fn valid_until(&self) -> Timestamp {
        Timestamp::from_millis(self.valid_until.load(Ordering::Acquire))
    }

    /// Completes when commands may be given, and answers until when: at once as a rule, after a renewal if the last
    /// one is too long ago.
    pub async fn pass(&self, ports: &Ports) -> Timestamp {
        let open = || Some(self.valid_until()).filter(|until| ports.clock.now() < *until);
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

    fn renewed(&self, sent_at: Timestamp) {
        self.valid_until.fetch_max((sent_at + AUTHORITY).as_millis(), Ordering::AcqRel);
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
        let held = roster.held();
        match ports.store.renew(&worker, &held).await {
            Ok(lost) => {
                for held in lost {
                    tracing::warn!(attempt = %held.attempt, "another worker has taken the call over");
                    roster.fence(&held);
                }
                fence.renewed(sent_at);
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
