//! The end of a worker that was told to drain: what is still live goes to others, what was told goes out, and its names
//! are let go.
//!
//! Every wait here has a bound: whatever does not come about in time is what a crash would leave, and is made good by
//! others as after one.

use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::insist::insist;
use super::shared::Shared;
use crate::ports::Clock;
use crate::ports::store::Held;

/// How long the tasks of calls may take to write down what is not written yet. Their callees hear nothing meanwhile.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);

/// How long the store may take to hear that calls, or names, are free; after a time to live they are anyway.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// How long events may take to leave; others publish what has not left.
const OUT_WITHIN: Duration = Duration::from_secs(10);

/// Ends the tasks of the calls that are still live, and hands those over to other workers. Their leases must be renewed
/// until this has ended the tasks, and not by this worker afterwards: so it ends `renewing`, too.
pub async fn hand_over(shared: &Arc<Shared>, calling: &mut JoinSet<()>, renewing: &mut JoinSet<()>) {
    let clock = &*shared.ports.clock;
    let held = shared.roster.let_go();
    if !held.is_empty() {
        tracing::info!(calls = held.len(), "the time of grace is over: calls are handed over");
    }
    within(clock, LET_GO_WITHIN, async { while calling.join_next().await.is_some() {} }).await;
    shared.roster.fence_all();
    calling.shutdown().await;
    renewing.shutdown().await;
    tell(shared, &held).await;
}

/// Tells the store which calls are another's to take, if there are any.
async fn tell(shared: &Shared, held: &[Held]) {
    if held.is_empty() {
        return;
    }
    let (store, worker) = (&shared.ports.store, &shared.settings.id);
    let clock = &*shared.ports.clock;
    let told = within(clock, TOLD_WITHIN, insist(clock, || store.hand_over(worker, held))).await;
    if told != Some(Ok(())) {
        tracing::warn!(
            calls = held.len(),
            "the store was not told of calls to hand over: others wait for their leases"
        );
    }
}

/// Lets go of every name in which this worker has listened.
pub async fn let_names_go(shared: &Shared) {
    let clock = &*shared.ports.clock;
    let names = std::mem::take(&mut *shared.names.lock().unwrap_or_else(PoisonError::into_inner));
    let all = async {
        for name in &names {
            // What is refused now is free after a time to live.
            let _ = insist(clock, || shared.ports.store.unlock_app(name, shared.settings.process)).await;
        }
    };
    within(clock, TOLD_WITHIN, all).await;
}

/// Lets the last events out: `publishing` ends when all are confirmed and nobody can hand more in.
pub async fn let_events_out(clock: &dyn Clock, publishing: &mut JoinSet<()>) {
    if within(clock, OUT_WITHIN, publishing.join_next()).await.is_none() {
        tracing::warn!("events were not confirmed in time: others publish them again");
    }
}

/// What comes of something that may take so long at most.
async fn within<T>(clock: &dyn Clock, length: Duration, act: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = act => Some(done),
        () = clock.sleep_until(clock.now() + length) => None,
    }
}
