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
use super::roster::Roster;
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
/// until this has ended the tasks, and not by this worker afterwards: so it ends `renewing`, too. How many those were.
pub async fn hand_over(shared: &Arc<Shared>, calling: &mut JoinSet<()>, renewing: &mut JoinSet<()>) -> usize {
    let clock = &*shared.ports.clock;
    let held = shared.roster.let_go();
    if !held.is_empty() {
        tracing::info!(calls = held.len(), "the time of grace is over: calls are handed over");
    }
    end_all(clock, &shared.roster, calling, renewing).await;
    tell(shared, &held).await;
    held.len()
}

/// Ends the tasks of calls that were told to let go: those that do not end by themselves in time are fenced first, so
/// that none of them does anything more wherever it is found. Only then nobody needs their leases any more.
async fn end_all(clock: &dyn Clock, roster: &Roster, calling: &mut JoinSet<()>, renewing: &mut JoinSet<()>) {
    within(clock, LET_GO_WITHIN, async { while calling.join_next().await.is_some() {} }).await;
    roster.fence_all();
    calling.shutdown().await;
    renewing.shutdown().await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::super::roster::{Mail, Seat};
    use super::*;
    use crate::model::{AttemptId, CallId, OrganisationId, Timestamp};
    use crate::ports::store::Token;

    /// A clock on which every wait is over at once, for those who had something better to do until then.
    struct Hasty;

    impl Clock for Hasty {
        fn now(&self) -> Timestamp {
            Timestamp::VIRTUAL_START
        }
        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            async {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
            }
            .boxed()
        }
    }

    type Story = Arc<Mutex<Vec<String>>>;

    /// Tells of the end of a task, however it comes about.
    struct End {
        story: Story,
        who: &'static str,
        seat: Option<Seat>,
    }

    impl Drop for End {
        fn drop(&mut self) {
            let how = match &self.seat {
                Some(seat) if seat.is_lost() => ", fenced",
                _ => "",
            };
            self.story.lock().unwrap().push(format!("{}{how}", self.who));
        }
    }

    fn seat(roster: &Arc<Roster>, index: u32) -> Seat {
        let (organisation, request): (OrganisationId, _) = ("bank".parse().unwrap(), "r".parse().unwrap());
        let attempt = AttemptId { call: CallId::new(&organisation, &request, index), claim: 1 };
        roster.enter(&Held { organisation, request, attempt, token: Token(1) }, "w".parse().unwrap(), Hasty.now())
    }

    /// Drains calls that do as they are told, or do not; who ended, in order, and what is left.
    fn drained(obedient: bool) -> (Vec<String>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (roster, story) = (Arc::new(Roster::default()), Story::default());
        runtime.block_on(async {
            let (mut calling, mut renewing) = (JoinSet::new(), JoinSet::new());
            let mut call = End { story: Arc::clone(&story), who: "call", seat: Some(seat(&roster, 0)) };
            calling.spawn(async move {
                while let Some(seat) = &mut call.seat {
                    if matches!(seat.mail().await, Mail::LetGo) && obedient {
                        return;
                    }
                }
            });
            let end = End { story: Arc::clone(&story), who: "renewals", seat: None };
            renewing.spawn(async move {
                let _end = end;
                std::future::pending::<()>().await;
            });
            tokio::task::yield_now().await;
            assert_eq!(roster.let_go().len(), 1);
            end_all(&Hasty, &roster, &mut calling, &mut renewing).await;
            let story = story.lock().unwrap().clone();
            (story, calling.len() + renewing.len())
        })
    }

    #[test]
    fn a_call_that_lets_go_ends_by_itself_and_is_renewed_until_then() {
        assert_eq!(drained(true), (vec!["call".to_owned(), "renewals".to_owned()], 0));
    }

    #[test]
    fn a_call_that_does_not_let_go_in_time_is_fenced_before_it_is_ended_and_renewed_until_then() {
        assert_eq!(drained(false), (vec!["call, fenced".to_owned(), "renewals".to_owned()], 0));
    }
}
