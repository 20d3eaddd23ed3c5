//! Supervisors and participants, and what befalls their workers meanwhile.

use robocall::callflow::call::{Invitation, Refusal};
use robocall::callflow::program::Target;
use robocall::command::SessionName;
use robocall::model::{LegId, SessionType, Timestamp};

use super::*;

pub const SECOND: Duration = Duration::from_secs(1);

impl World {
    /// Asks something of the first call until somebody answers for it.
    pub async fn tell(&self, id: &str, kind: impl Fn(CallId) -> CommandKind) -> CommandReply {
        let organisation = key().organisation;
        let kind = kind(CallId::new(&organisation, &key().request, 0));
        loop {
            let command = Command {
                id: id.into(),
                organisation: organisation.clone(),
                actor: None,
                expect: None,
                trace: None,
                kind: kind.clone(),
            };
            let late = self.clock.sleep_until(self.clock.now() + Duration::from_secs(5));
            tokio::select! {
                biased;
                reply = self.commands.send(command) => match reply {
                    Ok(CommandReply::Adopting) | Err(_) => self.pass(1).await,
                    Ok(reply) => return reply,
                },
                // It was passed on to a worker that is dead.
                () = late => {}
            }
        }
    }

    async fn supervise(&self, id: &str, session: SessionType) -> CommandReply {
        self.tell(id, |call| invite(call, LegRole::Supervisor, "Ext:2000", session)).await
    }

    pub fn dialled(&self, leg: LegId) -> usize {
        self.checker.network().dial_log().iter().filter(|invite| invite.leg == leg).count()
    }
}

fn invite(call: CallId, role: LegRole, target: &str, session: SessionType) -> CommandKind {
    let target: Target = target.parse().unwrap();
    CommandKind::Invite { call, invitation: Invitation { role, target, caller: None, session } }
}

/// Eight messages of half a minute.
pub fn chat() -> Value {
    (0..8).map(|_| json!({"name": "play", "message": {"msg": "a long story. ".repeat(40)}})).collect()
}

pub fn leg_of(reply: &CommandReply) -> LegId {
    match reply {
        CommandReply::Invited(leg) => *leg,
        other => panic!("{other:?}"),
    }
}

pub fn joined(leg: LegId) -> impl Fn(&Happening) -> bool {
    move |what| *what == Happening::LegAnswered { leg }
}

pub fn left(leg: LegId) -> impl Fn(&Happening) -> bool {
    move |what| *what == Happening::LegRemoved { leg }
}

#[test]
fn a_supervisor_comes_changes_sides_and_leaves_and_the_call_goes_on() {
    play(|mut world| async move {
        world.worker(2);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let refused = world.supervise("a", SessionType::Coaching).await;
        assert_eq!(refused, CommandReply::Refused(Refusal::NobodyToCoach));
        let leg = leg_of(&world.supervise("b", SessionType::Monitor).await);
        world.until(joined(leg)).await;
        assert_eq!(world.supervise("c", SessionType::BargeIn).await, CommandReply::Invited(leg));
        assert_eq!(world.supervise("d", SessionType::Monitor).await, CommandReply::Invited(leg));
        let ended = world.tell("e", |call| CommandKind::EndSession { call, session: SessionName::Leg(leg) }).await;
        assert_eq!(ended, CommandReply::Done);
        world.until(left(leg)).await;
        let again = world.tell("f", |call| CommandKind::EndSession { call, session: SessionName::Leg(leg) }).await;
        assert_eq!(again, CommandReply::NotFound);
        let (status, history) = world.until_over().await.remove(0);
        assert_eq!((status, world.dialled(leg)), (CallStatus::Completed, 1));
        let steps = history.iter().filter(|fact| matches!(fact.what, Happening::StepFinished { .. })).count();
        assert_eq!(steps, 8, "every message was heard: {history:?}");
        let executed = |id: &str| {
            has(&history, |what| matches!(what, Happening::CommandExecuted { id: known, .. } if **known == *id))
        };
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(executed), [false, true, true, true, true, false]);
        world
    });
}

#[test]
fn whoever_was_called_in_stays_when_the_worker_dies_and_nobody_is_dialled_again() {
    play(|mut world| async move {
        world.worker(2);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let participant = |call| invite(call, LegRole::Participant, AGENT, SessionType::BargeIn);
        let leg = leg_of(&world.tell("a", participant).await);
        let supervisor = leg_of(&world.supervise("b", SessionType::Monitor).await);
        world.until(joined(supervisor)).await;
        world.until(joined(leg)).await;
        world.workers.remove(0).task.abort();
        world.worker(2);
        assert_eq!(world.tell("a", participant).await, CommandReply::Invited(leg), "it was carried out before");
        let coaches = world.supervise("c", SessionType::Coaching).await;
        assert_eq!(coaches, CommandReply::Invited(supervisor), "the participant can be coached");
        let (status, history) = world.until_over().await.remove(0);
        assert_eq!(status, CallStatus::Completed, "{history:?}");
        assert_eq!((world.dialled(leg), world.dialled(supervisor)), (1, 1));
        world
    });
}

#[test]
fn a_participant_for_whom_there_is_no_slot_is_not_dialled() {
    play(|mut world| async move {
        world.worker(2);
        world.limit(1).await;
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let leg =
            leg_of(&world.tell("a", |call| invite(call, LegRole::Participant, AGENT, SessionType::BargeIn)).await);
        world.until(|what| matches!(what, Happening::LegFailed { leg: failed, .. } if *failed == leg)).await;
        assert_eq!(world.second_legs_dialled(), 0);
        // A supervisor needs none.
        let supervises = |call| invite(call, LegRole::Supervisor, AGENT, SessionType::Monitor);
        let supervisor = leg_of(&world.tell("b", supervises).await);
        world.until(joined(supervisor)).await;
        world.until_over().await;
        world
    });
}

#[test]
fn forbidden_prefixes_and_foreign_numbers_hold_for_those_called_in() {
    play(|mut world| async move {
        world.worker(2);
        world
            .settle(|settings| {
                settings.denied_prefixes = vec!["9991077".to_owned()];
                settings.caller_ids = vec!["+6531234567".parse().unwrap()];
            })
            .await;
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let denied = world.tell("a", |call| invite(call, LegRole::Supervisor, AGENT, SessionType::Monitor)).await;
        assert_eq!(denied, CommandReply::Refused(Refusal::Forbidden));
        let foreign = |call| {
            let invitation = Invitation {
                role: LegRole::Participant,
                target: "Ext:1".parse().unwrap(),
                caller: "+6539999999".parse().ok(),
                session: SessionType::BargeIn,
            };
            CommandKind::Invite { call, invitation }
        };
        assert_eq!(world.tell("b", foreign).await, CommandReply::Refused(Refusal::CallerIdInvalid));
        assert_eq!(world.second_legs_dialled(), 0);
        world.until_over().await;
        world
    });
}

#[test]
fn that_nothing_is_recorded_any_more_is_said_when_it_is_so() {
    play(|mut world| async move {
        let fate = world.worker(1);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        assert_eq!(world.tell("a", |call| CommandKind::Record { call, on: true }).await, CommandReply::Done);
        (0..2).for_each(|_| fate.prepare("record", Accident::LoseRequest));
        let asked_at = world.clock.now();
        assert_eq!(world.tell("b", |call| CommandKind::Record { call, on: false }).await, CommandReply::Done);
        assert!(fate.all_happened() && world.clock.now().since(asked_at) >= 2 * SECOND, "two tries came to nothing");
        let (_, history) = world.until_over().await.remove(0);
        let stopped = happened_at(&history, |what| matches!(what, Happening::RecordingStopped { .. }));
        assert!(stopped.len() == 1 && stopped[0].since(asked_at) >= 2 * SECOND, "{history:?}");
        world
    });
}

#[test]
fn recording_is_turned_on_and_off_and_both_are_told() {
    play(|mut world| async move {
        world.worker(1);
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        for (id, on) in [("a", true), ("b", true), ("c", false), ("d", true)] {
            assert_eq!(world.tell(id, |call| CommandKind::Record { call, on }).await, CommandReply::Done);
        }
        let (_, history) = world.until_over().await.remove(0);
        let told: Vec<bool> = history
            .iter()
            .filter_map(|fact| match &fact.what {
                Happening::RecordingStarted { .. } => Some(true),
                Happening::RecordingStopped { .. } => Some(false),
                _ => None,
            })
            .collect();
        assert_eq!(told, [true, false, true, false], "{history:?}");
        world
    });
}

/// Eight messages of a few seconds.
pub fn small_talk() -> Value {
    (0..8).map(|_| json!({"name": "play", "message": {"msg": "a short story. ".repeat(3)}})).collect()
}

pub fn happened_at(history: &[Fact], what: impl Fn(&Happening) -> bool) -> Vec<Timestamp> {
    history.iter().filter(|fact| what(&fact.what)).map(|fact| fact.at).collect()
}

fn begins(what: &Happening) -> bool {
    matches!(what, Happening::StepStarted { .. })
}

#[test]
fn a_callee_hears_on_while_the_store_is_away_and_somebody_is_called_in() {
    play(|mut world| async move {
        let fate = world.worker(1);
        world.ask(&[ANSWERS], small_talk(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let refused = world.supervise("a", SessionType::Coaching).await;
        assert_eq!(refused, CommandReply::Refused(Refusal::NobodyToCoach));
        fate.cut_off(true);
        let away_from = world.clock.now();
        let supervises = |call| invite(call, LegRole::Supervisor, "Ext:2000", SessionType::Monitor);
        let kind = supervises(CallId::new(&key().organisation, &key().request, 0));
        let reply = world.commands.send(Command {
            id: "b".into(),
            organisation: key().organisation,
            actor: None,
            expect: None,
            trace: None,
            kind,
        });
        world.pass(12).await;
        fate.cut_off(false);
        assert_eq!(reply.await, Ok(CommandReply::Unavailable), "nothing is known to be stored");
        let leg = leg_of(&world.tell("b", supervises).await);
        let (status, history) = world.until_over().await.remove(0);
        let meanwhile = happened_at(&history, begins).into_iter().filter(|at| at.since(away_from) > SECOND);
        let meanwhile = meanwhile.filter(|at| at.since(away_from) < 12 * SECOND).count();
        assert!(meanwhile > 1, "the callee waited: {history:?}");
        assert_eq!((status, world.dialled(leg)), (CallStatus::Completed, 0));
        assert!(has(&history, |what| matches!(what, Happening::LegFailed { leg: failed, .. } if *failed == leg)));
        world
    });
}

#[test]
fn a_participant_who_cannot_be_joined_keeps_nobody() {
    play(|mut world| async move {
        let fate = world.worker(1);
        (0..10).for_each(|_| fate.prepare("bridge", Accident::LoseRequest));
        world.ask(&[ANSWERS], small_talk(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let participant = |call| invite(call, LegRole::Participant, "Ext:3000", SessionType::BargeIn);
        let leg = leg_of(&world.tell("a", participant).await);
        let (_, history) = world.until_over().await.remove(0);
        assert!(has(&history, left(leg)), "{history:?}");
        let there = happened_at(&history, left(leg))[0].since(happened_at(&history, joined(leg))[0]);
        assert!(there < 15 * SECOND, "the callee was kept: {history:?}");
        world
    });
}

#[test]
fn a_callee_does_not_wait_for_somebody_who_is_to_listen_in() {
    play(|mut world| async move {
        let fate = world.worker(1);
        (0..9).for_each(|_| fate.prepare("listen_in", Accident::LoseRequest));
        world.ask(&[ANSWERS], small_talk(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let leg = leg_of(&world.supervise("a", SessionType::Monitor).await);
        let (_, history) = world.until_over().await.remove(0);
        assert!(fate.all_happened() && has(&history, left(leg)), "{history:?}");
        let steps = happened_at(&history, begins);
        let longest = steps.windows(2).map(|pair| pair[1].since(pair[0])).max();
        assert!(longest < Some(7 * SECOND), "the callee waited: {history:?}");
        world
    });
}

#[test]
fn whoever_asks_again_is_told_again_who_waits_for_a_slot() {
    play(|mut world| async move {
        world.worker(1);
        world.limit(1).await;
        world.ask(&[ANSWERS], chat(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let participant = |call| invite(call, LegRole::Participant, AGENT, SessionType::BargeIn);
        let invited = world.tell("a", participant).await;
        leg_of(&invited);
        assert_eq!(world.tell("a", participant).await, invited);
        world.until_over().await;
        world
    });
}
