//! What is asked of a request or an organisation is in force within a second, over all workers.

use robocall::command::CommandReply;
use robocall::model::{Timestamp, WorkerId};

use super::third_parties::{SECOND, chat, small_talk};
use super::*;

/// How many calls a worker carries.
const EACH: usize = 4;

impl World {
    /// Two workers, and more people to call than they ever get to, each of whom listens to the end.
    async fn busy(&mut self, limit: u32, steps: Value) {
        self.limit(limit).await;
        for _ in 0..2 {
            self.worker(EACH);
        }
        let phones: Vec<String> = (0..400).map(|number| format!("+99910{number:05}")).collect();
        let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
        self.ask(&phones, steps, json!({})).await;
        self.pass(20).await;
    }

    /// Gives a command to the request until somebody has carried it out; when it was acknowledged.
    async fn order(&self, id: &str, kind: CommandKind) -> Timestamp {
        let command =
            Command { id: id.into(), organisation: key().organisation, actor: None, expect: None, trace: None, kind };
        assert_eq!(self.commands.send(command).await, Ok(CommandReply::Done));
        self.clock.now()
    }

    /// Every dial with who dialled it, and when its attempt was over.
    async fn dials(&self) -> Vec<(Timestamp, WorkerId, Option<Timestamp>)> {
        let mut dials = Vec::new();
        for call in self.store.calls(&key(), 0, 1000).await.unwrap() {
            for fact in call.history {
                match fact.what {
                    Happening::Dialing { worker, .. } => dials.push((fact.at, worker, None)),
                    what if what.ends_attempt() => {
                        if let Some((_, _, end)) = dials.last_mut() {
                            *end = Some(fact.at);
                        }
                    }
                    _ => {}
                }
            }
        }
        dials.sort();
        dials
    }

    /// Each worker's first dial after an instant.
    async fn first_dials_after(&self, after: Timestamp) -> Vec<(WorkerId, Duration)> {
        let mut first: Vec<(WorkerId, Duration)> = Vec::new();
        for (at, worker, _) in self.dials().await.into_iter().filter(|(at, ..)| *at >= after) {
            if first.iter().all(|(known, _)| *known != worker) {
                first.push((worker, at.since(after)));
            }
        }
        first
    }

    async fn assert_both_dial_within_a_second_of(&self, order: Timestamp) {
        let first = self.first_dials_after(order).await;
        assert!(first.len() == 2 && first.iter().all(|(_, after)| *after <= SECOND), "{first:?}");
    }

    fn live(&self) -> impl Future<Output = usize> {
        let store = Arc::clone(&self.store);
        async move { store.live_calls(&key().organisation, None).await.unwrap().len() }
    }

    async fn end(&self) {
        self.order("end", CommandKind::Cancel { request: key().request, hang_up: true }).await;
        self.until_over().await;
    }
}

#[test]
fn nobody_dials_after_a_pause_and_everybody_within_a_second_of_going_on() {
    play(|mut world| async move {
        world.busy(8, small_talk()).await;
        assert_eq!(world.live().await, 8);
        let paused_at = world.order("p", CommandKind::Pause(key().request)).await;
        world.pass(180).await;
        assert_eq!(world.live().await, 0, "those who were called have heard all");
        let last = world.dials().await.last().unwrap().0;
        assert!(last <= paused_at, "dialled {:?} after the pause", last.since(paused_at));
        let rang = world.checker.network().dial_log().iter().map(|invite| invite.at).max().unwrap();
        assert!(rang.since(paused_at) <= SECOND, "what was committed to before it left in time");
        let resumed_at = world.order("r", CommandKind::Resume(key().request)).await;
        world.pass(2).await;
        world.assert_both_dial_within_a_second_of(resumed_at).await;
        assert_eq!(world.live().await, 8);
        world.end().await;
        world
    });
}

#[test]
fn a_cancel_ends_dialling_at_once_and_live_calls_within_a_second_or_not_at_all() {
    for hang_up in [true, false] {
        play(move |mut world| async move {
            world.busy(8, small_talk()).await;
            let asked_at = world.clock.now();
            let cancelled_at = world.order("c", CommandKind::Cancel { request: key().request, hang_up }).await;
            world.clock.sleep_until(asked_at + SECOND).await;
            assert_eq!(world.live().await, if hang_up { 0 } else { 8 });
            world.until_over().await;
            let last = world.dials().await.last().unwrap().0;
            assert!(last <= cancelled_at, "dialled {:?} after the cancel", last.since(cancelled_at));
            world
        });
    }
}

#[test]
fn a_limit_that_is_raised_is_used_by_every_worker_within_a_second() {
    play(|mut world| async move {
        world.busy(0, chat()).await;
        for (limit, live) in [(1, 1), (8, 8)] {
            world.limit(limit).await;
            let raised_at = world.clock.now();
            world.clock.sleep_until(raised_at + SECOND).await;
            assert_eq!(world.live().await, live);
        }
        let by_worker = world.store.live_calls(&key().organisation, None).await.unwrap();
        let first = &by_worker[0].worker;
        assert_eq!(by_worker.iter().filter(|call| call.worker == *first).count(), EACH);
        world.end().await;
        world
    });
}

#[test]
fn a_limit_that_is_lowered_holds_from_the_next_dial_on() {
    play(|mut world| async move {
        world.busy(8, small_talk()).await;
        world.limit(2).await;
        let lowered_at = world.clock.now();
        world.pass(180).await;
        let dials = world.dials().await;
        let later: Vec<Timestamp> = dials.iter().map(|(at, ..)| *at).filter(|at| *at > lowered_at).collect();
        assert!(later.len() > 4, "it went on: {later:?}");
        for at in later {
            let live = dials.iter().filter(|(from, _, end)| *from <= at && end.is_none_or(|end| at < end)).count();
            assert!(live <= 2, "{live} at once {:?} after the limit was lowered", at.since(lowered_at));
        }
        world.end().await;
        world
    });
}
