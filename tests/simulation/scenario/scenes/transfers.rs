//! Transfers of live calls from outside, and what befalls their workers meanwhile.

use robocall::callflow::call::Refusal;
use robocall::callflow::program::TransferKind;
use robocall::model::{LegId, Timestamp};

use super::third_parties::{SECOND, chat, happened_at, joined, left, leg_of, small_talk};
use super::*;

/// Somebody of our side, who hangs up after a talk.
const COLLEAGUE: &str = "Ext:2000";
const ANOTHER: &str = "Queue:sales";

/// Numbers that are busy, and that ring for ever.
const BUSY: &str = "+9992000001";
const RINGS: &str = "+9993000001";

fn transfer(target: &'static str, kind: TransferKind) -> impl Fn(CallId) -> CommandKind {
    move |call| CommandKind::Transfer { call, target: target.parse().unwrap(), kind }
}

fn attended(target: &'static str) -> impl Fn(CallId) -> CommandKind {
    transfer(target, TransferKind::Attended)
}

fn blind(target: &'static str) -> impl Fn(CallId) -> CommandKind {
    transfer(target, TransferKind::Blind)
}

fn rings(leg: LegId) -> impl Fn(&Happening) -> bool {
    move |what| matches!(what, Happening::LegAdded { leg: added, .. } if *added == leg)
}

fn failed(leg: LegId) -> impl Fn(&Happening) -> bool {
    move |what| matches!(what, Happening::LegFailed { leg: failed, .. } if *failed == leg)
}

/// How the steps ended, and when.
fn steps(history: &[Fact]) -> Vec<(StepStatus, Timestamp)> {
    let finished = history.iter().filter_map(|fact| match fact.what {
        Happening::StepFinished { status, .. } => Some((status, fact.at)),
        _ => None,
    });
    finished.collect()
}

fn all_were_heard(history: &[Fact]) {
    let steps = steps(history);
    assert!(steps.len() == 8 && steps.iter().all(|(status, _)| *status == StepStatus::SuccessOk), "{history:?}");
}

impl World {
    /// A call that has been answered.
    async fn answered(&self, steps: Value) {
        self.ask(&[ANSWERS], steps, json!({})).await;
        self.until(|what| matches!(what, Happening::Answered)).await;
    }
}

#[test]
fn a_callee_hears_on_while_the_target_rings_and_then_talks_with_them() {
    play(|mut world| async move {
        world.worker(2);
        world.answered(small_talk()).await;
        let reply = world.tell("a", attended(COLLEAGUE)).await;
        let leg = leg_of(&reply);
        world.until(rings(leg)).await;
        assert_eq!(world.tell("b", attended(ANOTHER)).await, CommandReply::Refused(Refusal::TransferUnderWay));
        world.until(joined(leg)).await;
        assert_eq!(world.tell("a", attended(COLLEAGUE)).await, reply, "it was carried out before");
        let (status, history) = world.until_over().await.remove(0);
        assert_eq!((status, world.dialled(leg)), (CallStatus::Completed, 1));
        let (came, went) = (happened_at(&history, joined(leg)), happened_at(&history, left(leg)));
        assert!(went[0].since(came[0]) > SECOND, "they talked: {history:?}");
        let (cut, before) = steps(&history).pop().map(|cut| (cut, steps(&history).len() - 1)).unwrap();
        assert_eq!(cut, (StepStatus::ErrorSessionEnded, came[0]), "{history:?}");
        assert!(before > 0, "the callee waited: {history:?}");
        let executed = |what: &Happening| match what {
            Happening::CommandExecuted { command, id, .. } => (&**command, &**id) == ("transfer", "a"),
            _ => false,
        };
        assert_eq!(happened_at(&history, executed).len(), 1, "{history:?}");
        world
    });
}

#[test]
fn a_target_who_is_not_reached_leaves_the_flow_as_it_was() {
    play(|mut world| async move {
        world.worker(2);
        world.answered(chat()).await;
        for (id, target) in [("a", BUSY), ("b", RINGS)] {
            let leg = leg_of(&world.tell(id, attended(target)).await);
            world.until(failed(leg)).await;
            assert_eq!(world.dialled(leg), 1);
        }
        let (status, history) = world.until_over().await.remove(0);
        assert_eq!(status, CallStatus::Completed);
        all_were_heard(&history);
        world
    });
}

#[test]
fn without_a_slot_or_where_a_rule_forbids_it_nobody_is_dialled_and_the_flow_goes_on() {
    play(|mut world| async move {
        world.worker(2);
        world.limit(1).await;
        world.settle(|settings| settings.denied_prefixes = vec!["9992".to_owned()]).await;
        world.answered(chat()).await;
        for kind in [TransferKind::Attended, TransferKind::Blind] {
            let forbidden = world.tell("a", transfer(BUSY, kind)).await;
            assert_eq!(forbidden, CommandReply::Refused(Refusal::Forbidden));
        }
        for (id, kind) in [("b", TransferKind::Attended), ("c", TransferKind::Blind)] {
            let invited = world.tell(id, transfer(AGENT, kind)).await;
            let leg = leg_of(&invited);
            assert_eq!(world.tell(id, transfer(AGENT, kind)).await, invited, "while it waits");
            world.until(failed(leg)).await;
        }
        let (_, history) = world.until_over().await.remove(0);
        assert_eq!(world.second_legs_dialled(), 0);
        all_were_heard(&history);
        world
    });
}

#[test]
fn a_callee_hears_on_while_the_store_is_away_and_nobody_is_dialled() {
    play(|mut world| async move {
        let fate = world.worker(1);
        world.answered(small_talk()).await;
        // The rules are known.
        assert_eq!(world.tell("a", attended(BUSY)).await, world.tell("a", attended(BUSY)).await);
        world.until(|what| matches!(what, Happening::LegFailed { .. })).await;
        fate.cut_off(true);
        let away_from = world.clock.now();
        let kind = attended(COLLEAGUE)(CallId::new(&key().organisation, &key().request, 0));
        let asked =
            Command { id: "b".into(), organisation: key().organisation, actor: None, expect: None, trace: None, kind };
        let reply = world.commands.send(asked);
        world.pass(12).await;
        fate.cut_off(false);
        assert_eq!(reply.await, Ok(CommandReply::Unavailable), "nothing is known to be stored");
        let leg = leg_of(&world.tell("b", attended(COLLEAGUE)).await);
        let (_, history) = world.until_over().await.remove(0);
        let begins = |what: &Happening| matches!(what, Happening::StepStarted { .. });
        let meanwhile = happened_at(&history, begins).into_iter().map(|at| at.since(away_from));
        let meanwhile = meanwhile.filter(|after| *after > SECOND && *after < 12 * SECOND).count();
        assert!(meanwhile > 1, "the callee waited: {history:?}");
        assert!(has(&history, failed(leg)) && world.dialled(leg) == 0, "{history:?}");
        all_were_heard(&history);
        world
    });
}

#[test]
fn whom_the_callee_talks_with_leaves_when_the_next_one_answers() {
    play(|mut world| async move {
        world.worker(2);
        world.answered(transfer_to(AGENT)).await;
        world.until(|what| matches!(what, Happening::LegAnswered { .. })).await;
        let next = leg_of(&world.tell("a", attended(COLLEAGUE)).await);
        world.until(joined(next)).await;
        let last = leg_of(&world.tell("b", attended("+9991088888")).await);
        let (_, history) = world.until_over().await.remove(0);
        let agent = LegId::transfer(next.attempt, 1);
        for (before, after) in [(agent, next), (next, last)] {
            let (gone, came) = (happened_at(&history, left(before)), happened_at(&history, joined(after)));
            let between = gone[0].since(came[0]);
            assert!(
                gone[0] >= came[0] && between < SECOND,
                "{before} left {between:?} after {after} came: {history:?}"
            );
        }
        assert_eq!(steps(&history).len(), 1, "the goodbye is not heard: {history:?}");
        assert_eq!([agent, next, last].map(|leg| world.dialled(leg)), [1, 1, 1]);
        world
    });
}

#[test]
fn a_worker_that_dies_at_any_point_of_a_transfer_leaves_it_to_another_and_nobody_is_dialled_twice() {
    for kind in [TransferKind::Attended, TransferKind::Blind] {
        play(move |mut world| async move {
            world.worker(2);
            world.answered(chat()).await;
            let leg = leg_of(&world.tell("a", transfer(AGENT, kind)).await);
            world.until(rings(leg)).await;
            world.workers.remove(0).task.abort();
            world.worker(2);
            world.until(joined(leg)).await;
            assert_eq!(world.tell("a", transfer(AGENT, kind)).await, CommandReply::Invited(leg));
            world.workers.remove(0).task.abort();
            world.worker(2);
            let (status, history) = world.until_over().await.remove(0);
            assert_eq!((status, world.dialled(leg)), (CallStatus::Completed, 1), "{history:?}");
            assert_eq!(steps(&history).len(), 1, "{history:?}");
            world
        });
    }
}

#[test]
fn a_worker_that_dies_while_a_slot_is_waited_for_leaves_the_wait_to_another() {
    play(|mut world| async move {
        world.worker(2);
        world.limit(1).await;
        world.ask(&[ANSWERS], talk(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let leg = leg_of(&world.tell("a", attended(AGENT)).await);
        world.workers.remove(0).task.abort();
        world.worker(2);
        // Until somebody has taken the call over.
        assert_eq!(world.tell("a", attended(AGENT)).await, CommandReply::Invited(leg));
        world.limit(2).await;
        world.until(|what| joined(leg)(what) || failed(leg)(what)).await;
        assert_eq!(world.tell("b", |call| CommandKind::Record { call, on: true }).await, CommandReply::Done);
        let (_, history) = world.until_over().await.remove(0);
        assert!(has(&history, joined(leg)) && world.dialled(leg) == 1, "{history:?}");
        world
    });
}

#[test]
fn a_blind_transfer_ends_the_flow_at_once_and_the_call_with_whom_it_led_to() {
    play(|mut world| async move {
        world.worker(2);
        world.answered(transfer_to(AGENT)).await;
        world.until(|what| matches!(what, Happening::LegAnswered { .. })).await;
        let leg = leg_of(&world.tell("a", blind(COLLEAGUE)).await);
        world.until(joined(leg)).await;
        assert_eq!(world.tell("b", attended(ANOTHER)).await, CommandReply::Refused(Refusal::HandedOver));
        let (status, history) = world.until_over().await.remove(0);
        assert_eq!((status, world.dialled(leg)), (CallStatus::Completed, 1));
        let ended = steps(&history);
        assert_eq!(ended, [(StepStatus::SuccessOk, happened_at(&history, rings(leg))[0])], "{history:?}");
        world
    });
}

#[test]
fn a_blind_transfer_that_reaches_nobody_ends_the_call() {
    play(|mut world| async move {
        world.worker(2);
        world.answered(chat()).await;
        let leg = leg_of(&world.tell("a", blind(BUSY)).await);
        let (status, history) = world.until_over().await.remove(0);
        let (rang, ended) = (happened_at(&history, rings(leg))[0], history.last().unwrap().at);
        assert!(status == CallStatus::Completed && ended.since(rang) < 10 * SECOND, "{history:?}");
        world
    });
}

#[test]
fn a_target_who_cannot_be_joined_keeps_nobody() {
    play(|mut world| async move {
        let fate = world.worker(1);
        (0..10).for_each(|_| fate.prepare("bridge", Accident::LoseRequest));
        world.answered(chat()).await;
        let leg = leg_of(&world.tell("a", attended(COLLEAGUE)).await);
        let (_, history) = world.until_over().await.remove(0);
        let there = happened_at(&history, left(leg))[0].since(happened_at(&history, joined(leg))[0]);
        assert!(fate.all_happened() && there < 15 * SECOND, "the callee was kept: {history:?}");
        world
    });
}
