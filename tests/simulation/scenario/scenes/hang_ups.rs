//! Hanging a call up: heard at any point, written down, done once.

use robocall::callflow::call::Refusal;
use robocall::callflow::program::TransferKind;
use robocall::command::Standing;
use robocall::model::status::LiveState;
use tokio::sync::oneshot;

use super::third_parties::{SECOND, chat};
use super::*;

impl World {
    fn give(&self, id: &str, kind: CommandKind) -> oneshot::Receiver<CommandReply> {
        let (organisation, actor) = (key().organisation, "crm".parse().ok());
        self.commands.send(Command { id: id.into(), organisation, actor, expect: None, trace: None, kind })
    }

    fn hang_up(&self, id: &str) -> oneshot::Receiver<CommandReply> {
        self.give(id, CommandKind::HangUp(first_call()))
    }

    /// A worker that has heard of no command yet, and the only one that hears of any from now on.
    fn newcomer(&mut self) {
        self.commands = Arc::new(MemoryCommandBus::new());
        self.worker(1);
    }
}

fn first_call() -> CallId {
    CallId::new(&key().organisation, &key().request, 0)
}

/// Name, id and giver of the commands that a call remembers.
fn executed(history: &[Fact]) -> Vec<(&str, &str, &str)> {
    let told = history.iter().filter_map(|fact| match &fact.what {
        Happening::CommandExecuted { command, id, actor, .. } => {
            Some((&**command, &**id, actor.as_ref().map_or("", |actor| actor.as_str())))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn a_call_that_was_given_very_many_commands_carries_no_more_out_but_those_that_end_something() {
    play(|mut world| async move {
        world.worker(1);
        // Half an hour of silence.
        let waits = json!({"name": "gather", "message": {"msg": "?"}, "timeoutSecs": 60, "maxRetries": 10, "branches": [
            {"default": true, "callFlow": {"steps": [{"name": "play", "message": {"msg": "Hm."}}]}},
        ]});
        world.ask(&[ANSWERS], json!([waits, waits, waits]), json!({"maxCallDurationSecs": 7200})).await;
        world.until(|what| *what == Happening::Answered).await;
        let record = |on| CommandKind::Record { call: first_call(), on };
        for number in 0..500 {
            let reply = world.give(&format!("r{number}"), record(number % 2 == 0)).await;
            assert_eq!(reply, Ok(CommandReply::Done), "{number}");
        }
        let refused = Ok(CommandReply::Refused(Refusal::TooManyCommands));
        assert_eq!(world.give("on", record(true)).await, refused);
        assert_eq!(world.give("r0", record(true)).await, Ok(CommandReply::Done), "it was carried out");
        assert_eq!(world.give("off", record(false)).await, Ok(CommandReply::Done));
        assert_eq!(world.hang_up("h").await, Ok(CommandReply::Done));
        let (_, history) = world.until_over().await.remove(0);
        assert_eq!(executed(&history).len(), 502);
        world
    });
}

#[test]
fn a_hang_up_is_written_down_before_it_is_answered_and_known_after_the_end() {
    for point in [Happening::Ringing, Happening::Answered] {
        play(|mut world| async move {
            world.worker(1);
            world.ask(&[ANSWERS], chat(), json!({})).await;
            world.until(|what| *what == point).await;
            let asked_at = world.clock.now();
            assert_eq!(world.hang_up("h").await, Ok(CommandReply::Done));
            let calls = world.store.calls(&key(), 0, 1).await.unwrap();
            assert_eq!(executed(&calls[0].history), [("hangup", "h", "crm")], "not before it is stored");
            assert!(world.clock.now().since(asked_at) < SECOND);
            // Whoever is asked next has not heard of it, and the call may just be ending.
            let second = world.hang_up("again");
            let (_, history) = world.until_over().await.remove(0);
            assert!(world.clock.now().since(asked_at) <= 2 * SECOND, "it did not go on: {history:?}");
            assert!(executed(&history).len() <= 2 && executed(&history)[0].1 == "h", "{history:?}");
            drop(second);
            world.newcomer();
            assert_eq!(world.hang_up("h").await, Ok(CommandReply::Done), "as at first, although it is over");
            assert_eq!(world.hang_up("late").await, Ok(CommandReply::NotFound));
            let other = world.give("h", CommandKind::Record { call: first_call(), on: true });
            assert_eq!(other.await, Ok(CommandReply::Refused(Refusal::IdTaken)));
            world
        });
    }
}

#[test]
fn what_a_command_expects_of_a_call_is_looked_at_by_the_call() {
    play(|mut world| async move {
        world.worker(1);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let expecting = |id: &str, state, kind| {
            let (organisation, actor) = (key().organisation, "crm".parse().ok());
            world.commands.send(Command {
                id: id.into(),
                organisation,
                actor,
                expect: Some(Standing::Call(state)),
                trace: None,
                kind,
            })
        };
        let unmet = |expected, found| {
            Ok(CommandReply::Unmet { expected: Standing::Call(expected), found: Standing::Call(found) })
        };
        let hang_up = || CommandKind::HangUp(first_call());
        let early = expecting("a", LiveState::Ringing, hang_up()).await;
        assert_eq!(early, unmet(LiveState::Ringing, LiveState::Answered));
        let record = || CommandKind::Record { call: first_call(), on: true };
        assert_eq!(expecting("b", LiveState::Answered, record()).await, Ok(CommandReply::Done));
        let transfer =
            CommandKind::Transfer { call: first_call(), target: AGENT.parse().unwrap(), kind: TransferKind::Attended };
        assert!(matches!(expecting("c", LiveState::Answered, transfer).await, Ok(CommandReply::Invited(_))));
        world.until(|what| matches!(what, Happening::LegAnswered { .. })).await;
        let late = expecting("d", LiveState::Answered, hang_up()).await;
        assert_eq!(late, unmet(LiveState::Answered, LiveState::Transferred));
        assert_eq!(expecting("b", LiveState::Answered, record()).await, Ok(CommandReply::Done), "as at first");
        assert_eq!(expecting("a", LiveState::Transferred, hang_up()).await, Ok(CommandReply::Done), "it was not done");
        let (_, history) = world.until_over().await.remove(0);
        let names: Vec<&str> = executed(&history).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["record", "transfer", "hangup"], "{history:?}");
        world
    });
}

#[test]
fn a_hang_up_waits_neither_for_a_store_that_is_away_nor_is_it_said_to_be_done_before_it_is_stored() {
    play(|mut world| async move {
        let fate = world.worker(1);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.pass(1).await;
        fate.cut_off(true);
        let mut reply = world.hang_up("h");
        world.pass(4).await;
        let leg = world.checker.network().dial_log()[0].leg;
        assert_eq!(world.telephony.inspect(leg).await.unwrap(), None, "it is hung up");
        assert_eq!(reply.try_recv(), Err(oneshot::error::TryRecvError::Empty), "and nothing is stored");
        fate.cut_off(false);
        assert_eq!(reply.await, Ok(CommandReply::Done), "it was stored with the end");
        let (_, history) = world.until_over().await.remove(0);
        assert_eq!(executed(&history), [("hangup", "h", "crm")]);
        world
    });
}

#[test]
fn a_call_that_is_busy_with_its_backend_hears_a_hang_up() {
    play(|mut world| async move {
        let fate = world.worker(1);
        for _ in 0..2 {
            fate.prepare("play", Accident::LoseRequest);
        }
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let asked_at = world.clock.now();
        assert_eq!(world.hang_up("h").await, Ok(CommandReply::Done));
        let (_, history) = world.until_over().await.remove(0);
        assert!(world.clock.now().since(asked_at) <= 4 * SECOND, "{history:?}");
        assert!(fate.all_happened());
        assert_eq!(executed(&history), [("hangup", "h", "crm")]);
        world
    });
}

impl World {
    /// Hangs up under the same id twice, as somebody does who has waited long enough for the first answer.
    async fn hang_up_twice(&self, id: &str) -> oneshot::Receiver<CommandReply> {
        drop(self.hang_up(id));
        self.clock.sleep_until(self.clock.now() + Duration::from_millis(10)).await;
        self.hang_up(id)
    }
}

#[test]
fn a_hang_up_that_comes_twice_while_the_dial_is_in_doubt_is_written_down_once() {
    play(|mut world| async move {
        let fate = world.worker(1);
        fate.prepare("dial", Accident::LoseRequest);
        fate.prepare("hang_up", Accident::LoseRequest);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Dialing { .. })).await;
        let reply = world.hang_up_twice("h").await;
        let other = world.give("h2", CommandKind::HangUp(first_call()));
        assert_eq!((reply.await, other.await), (Ok(CommandReply::Done), Ok(CommandReply::Done)));
        let (_, history) = world.until_over().await.remove(0);
        assert!(fate.all_happened());
        assert_eq!(executed(&history), [("hangup", "h", "crm"), ("hangup", "h2", "crm")], "{history:?}");
        world
    });
}

#[test]
fn a_hang_up_that_is_heard_too_late_at_a_dial_in_doubt_is_not_carried_out() {
    play(|mut world| async move {
        let fate = world.worker(1);
        fate.prepare("dial", Accident::LoseRequest);
        for _ in 0..15 {
            // One a second.
            fate.prepare("hang_up", Accident::LoseRequest);
        }
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Dialing { .. })).await;
        let reply = world.hang_up("h").await.unwrap();
        assert!(matches!(reply, CommandReply::Unavailable | CommandReply::Adopting), "{reply:?}");
        let (_, history) = world.until_over().await.remove(0);
        assert!(fate.all_happened());
        assert!(executed(&history).is_empty(), "{history:?}");
        world
    });
}

#[test]
fn a_hang_up_that_comes_twice_to_a_busy_call_is_written_down_once() {
    play(|mut world| async move {
        let fate = world.worker(1);
        for _ in 0..2 {
            fate.prepare("play", Accident::LoseRequest);
        }
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        assert_eq!(world.hang_up_twice("h").await.await, Ok(CommandReply::Done));
        let (_, history) = world.until_over().await.remove(0);
        assert!(fate.all_happened());
        assert_eq!(executed(&history), [("hangup", "h", "crm")], "{history:?}");
        world
    });
}

#[test]
fn the_calls_of_a_cancelled_request_are_hung_up_by_each_worker_and_remember_no_command_of_their_own() {
    play(|mut world| async move {
        for _ in 0..2 {
            world.worker(1);
        }
        world.ask(&[ANSWERS, "+9991000002"], chat(), json!({})).await;
        world.pass(15).await;
        let workers = world.store.live_calls(&key().organisation, None).await.unwrap();
        assert_ne!(workers[0].worker, workers[1].worker);
        let cancelled_at = world.clock.now();
        let cancel = CommandKind::Cancel { request: key().request, hang_up: true };
        assert_eq!(world.give("c", cancel).await, Ok(CommandReply::Done));
        for (_, history) in world.until_over().await {
            assert!(executed(&history).is_empty(), "{history:?}");
        }
        assert!(world.clock.now().since(cancelled_at) <= SECOND);
        world
    });
}
