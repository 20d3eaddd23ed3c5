//! The claim loop: takes destinations whenever there is room, and starts a task for each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::adoption;
use super::assignment::{Assignment, Fresh};
use super::call_task;
use super::publisher::HIGH_WATER;
use super::restraint::Restraint;
use super::shared::Shared;
use crate::model::Timestamp;
use crate::telemetry::dispatch as telemetry;

/// Most destinations claimed at once.
const BATCH: usize = 64;

/// How long to leave the store alone after it did not answer, or commands may not be given, or events pile up.
const PAUSE: Duration = Duration::from_millis(250);

/// The claim loop of one worker.
pub struct Claimer {
    shared: Arc<Shared>,
    incoming: UnboundedReceiver<Assignment>,
    drain: CancellationToken,
    calls: JoinSet<()>,
    restraint: Restraint,
}

/// What to do after an attempt to claim.
enum Next {
    /// There may be more at once.
    Again,
    /// Wait for a wake-up, for room, or for this instant.
    Wait(Option<Timestamp>),
}

impl Claimer {
    /// A claim loop that also carries what is handed to it, until it is told to drain.
    pub fn new(shared: Arc<Shared>, incoming: UnboundedReceiver<Assignment>, drain: CancellationToken) -> Self {
        let restraint = Restraint::of(shared.settings.process);
        Self { shared, incoming, drain, calls: JoinSet::new(), restraint }
    }

    /// Claims until told to drain, then waits for the last call to end.
    pub async fn run(mut self) {
        let mut wakeups = self.shared.ports.store.wakeups();
        loop {
            self.rest().await;
            wakeups.forget();
            if self.drain.is_cancelled() {
                break;
            }
            let wait_until = match self.claim().await {
                Next::Again => continue,
                Next::Wait(until) => until,
            };
            let clock = &self.shared.ports.clock;
            let due = async {
                match wait_until {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.drain.cancelled() => break,
                Some(assignment) = self.incoming.recv() => self.start(assignment),
                Some(ended) = self.calls.join_next(), if !self.calls.is_empty() => tell_of(ended),
                () = self.shared.room.notified() => {}
                () = wakeups.rung() => {}
                () = due => {}
            }
        }
        self.drain_calls().await;
    }

    /// Leaves the store alone for as long as claims in vain ask for.
    async fn rest(&mut self) {
        let clock = Arc::clone(&self.shared.ports.clock);
        while let Some(until) = self.restraint.until(clock.now()) {
            tokio::select! {
                biased;
                () = self.drain.cancelled() => return,
                Some(assignment) = self.incoming.recv() => self.start(assignment),
                Some(ended) = self.calls.join_next(), if !self.calls.is_empty() => tell_of(ended),
                () = clock.sleep_until(until) => {}
            }
        }
    }

    async fn claim(&mut self) -> Next {
        while self.calls.try_join_next().is_some() {}
        while let Ok(assignment) = self.incoming.try_recv() {
            self.start(assignment);
        }
        let shared = &self.shared;
        let now = shared.ports.clock.now();
        let live = shared.live.load(Ordering::Acquire);
        let room = shared.settings.capacity.saturating_sub(live);
        if room == 0 {
            return Next::Wait(None);
        }
        let room = room.min(shared.ports.telephony.most_calls().saturating_sub(live));
        if room == 0 {
            // Others' legs come and go without a word.
            return Next::Wait(Some(now + PAUSE));
        }
        if shared.publisher.waiting() > HIGH_WATER || now >= shared.fence.valid_until() {
            return Next::Wait(Some(now + PAUSE));
        }
        let want = u32::try_from(room.min(BATCH)).unwrap_or(u32::MAX);
        match shared.ports.store.claim(&shared.settings.id, want).await {
            Ok(claims) if claims.claims.is_empty() => {
                telemetry::claimed(0);
                self.restraint.in_vain(shared.ports.clock.now());
                Next::Wait(claims.again_at)
            }
            Ok(claims) => {
                telemetry::claimed(claims.claims.len());
                for claim in claims.claims {
                    self.start(Assignment::Fresh(Box::new(Fresh { claim, asked_at: now })));
                }
                Next::Again
            }
            Err(error) => {
                tracing::warn!(%error, "nothing could be claimed");
                telemetry::claim_failed();
                Next::Wait(Some(self.shared.ports.clock.now() + PAUSE))
            }
        }
    }

    fn start(&mut self, assignment: Assignment) {
        telemetry::live(self.shared.live.fetch_add(1, Ordering::AcqRel) + 1);
        let place = Place(Arc::clone(&self.shared));
        match assignment {
            Assignment::Fresh(fresh) => {
                self.calls.spawn(async move {
                    call_task::carry(&place.0, fresh).await;
                    drop(place);
                });
            }
            Assignment::Adopted(adoption) => {
                self.calls.spawn(async move {
                    adoption::carry_on(&place.0, adoption).await;
                    drop(place);
                });
            }
        }
    }

    /// Calls go on to their end; those handed in meanwhile, too.
    async fn drain_calls(&mut self) {
        loop {
            while let Ok(assignment) = self.incoming.try_recv() {
                self.start(assignment);
            }
            if self.calls.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(assignment) = self.incoming.recv() => self.start(assignment),
                _ = self.calls.join_next() => {}
            }
        }
    }
}

/// Tells of the task of a call that did not end as it should.
fn tell_of(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        // Where it was has been told when it happened; why may quote what it was about.
        tracing::error!(
            panicked = error.is_panic(),
            "the task of a call failed; its lease runs out and others look after it"
        );
    }
}

/// A place among the live calls, free again when dropped.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        telemetry::live(self.0.live.fetch_sub(1, Ordering::AcqRel) - 1);
        self.0.room.notify_one();
    }
}
