//! Draining: within the time of grace nobody is cut off, and after it callees are soon spoken to by another worker.

use super::*;

/// How many times a call was taken over, and when last.
fn adopted(history: &[Fact]) -> (usize, Option<robocall::model::Timestamp>) {
    let mut adoptions = history.iter().filter(|fact| matches!(fact.what, Happening::Adopted { .. }));
    (adoptions.clone().count(), adoptions.next_back().map(|fact| fact.at))
}

/// How often a step was begun, by step.
fn begun(history: &[Fact]) -> Vec<u16> {
    let begun = history.iter().filter_map(|fact| match fact.what {
        Happening::StepStarted { step } => Some(step),
        _ => None,
    });
    begun.collect()
}

#[test]
fn within_the_time_of_grace_calls_go_on_to_their_end_with_their_worker() {
    play(|mut world| async move {
        world.worker_with_grace(Duration::from_secs(60));
        world.ask(&[ANSWERS, "+9991000002"], json!([says("one"), says("two")]), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.drain(0);
        let calls = world.until_over().await;
        for (status, history) in &calls {
            assert_eq!((*status, adopted(history).0), (CallStatus::Completed, 0), "{history:?}");
        }
        // It does not stay for the rest of its grace.
        world.until_gone(0, Duration::from_secs(15)).await;
        world
    });
}

#[test]
fn after_the_time_of_grace_another_worker_goes_on_at_the_same_step_within_a_round() {
    play(|mut world| async move {
        world.worker_with_grace(Duration::from_secs(20));
        world.ask(&[ANSWERS, "+9991000002", "+9991000003"], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::StepStarted { step: 1 })).await;
        world.worker(8);
        world.pass(1).await;
        world.drain(0);
        let drained_at = world.clock.now();
        world.until_gone(0, Duration::from_secs(21)).await;
        assert!(world.clock.now() >= drained_at + Duration::from_secs(20), "not before its grace is over");
        let over_at = world.clock.now();
        world.until(|what| matches!(what, Happening::Adopted { .. })).await;
        for (status, history) in &world.until_over().await {
            let (adoptions, at) = adopted(history);
            assert_eq!((*status, adoptions), (CallStatus::Completed, 1), "{history:?}");
            assert!(at.unwrap().since(over_at) <= Duration::from_secs(3), "after a round at most: {history:?}");
            assert_eq!(begun(history), (0..20).collect::<Vec<_>>(), "each step once, none left out");
        }
        world
    });
}

#[test]
fn handed_over_calls_are_taken_up_by_a_worker_that_has_just_begun() {
    play(|mut world| async move {
        world.worker_with_grace(Duration::ZERO);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.drain(0);
        world.until_gone(0, Duration::from_secs(1)).await;
        world.pass(10).await;
        let began_at = world.clock.now();
        world.worker(8);
        world.until(|what| matches!(what, Happening::Adopted { .. })).await;
        assert!(world.clock.now().since(began_at) <= Duration::from_secs(4), "it need not know the store for long");
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        world
    });
}

#[test]
fn a_worker_comes_back_under_its_name_at_once_and_takes_its_own_calls_up() {
    play(|mut world| async move {
        world.worker_with_grace(Duration::ZERO);
        let name = world.workers[0].id.clone();
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.drain(0);
        world.until_gone(0, Duration::from_secs(1)).await;
        let began_at = world.clock.now();
        world.start(name, 8, Duration::ZERO, (0, 0));
        world.until(|what| matches!(what, Happening::Adopted { .. })).await;
        assert!(world.clock.now().since(began_at) <= Duration::from_secs(4));
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        world
    });
}

#[test]
fn what_an_adopter_hands_over_goes_on_with_the_next() {
    play(|mut world| async move {
        world.worker_with_grace(Duration::ZERO);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.worker_with_grace(Duration::ZERO);
        world.drain(0);
        world.until(|what| matches!(what, Happening::Adopted { .. })).await;
        world.worker(8);
        world.pass(7).await;
        world.drain(1);
        world.until_gone(1, Duration::from_secs(1)).await;
        let over_at = world.clock.now();
        let calls = world.until_over().await;
        let (adoptions, at) = adopted(&calls[0].1);
        assert_eq!((calls[0].0, adoptions), (CallStatus::Completed, 2), "{calls:?}");
        assert!(at.unwrap().since(over_at) <= Duration::from_secs(3), "the name of the first was let go: {calls:?}");
        world
    });
}

#[test]
fn what_was_not_written_down_is_before_a_call_is_handed_over() {
    play(|mut world| async move {
        let fate = world.worker_with_grace(Duration::from_secs(1));
        world.ask(&[ANSWERS], json!([says("one"), talk()[0]]), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.worker(8);
        // The end of the first message, and the beginning of the second, wait for the store.
        for _ in 0..2 {
            fate.prepare("checkpoint", Accident::LoseRequest);
        }
        world.drain(0);
        let calls = world.until_over().await;
        assert!(fate.all_happened());
        assert_eq!((adopted(&calls[0].1).0, begun(&calls[0].1)), (1, vec![0, 1]), "{calls:?}");
        assert_eq!(world.checker.network().counters().playbacks, 3, "only the second was begun again: {calls:?}");
        world
    });
}

#[test]
fn a_backend_that_does_not_answer_does_not_keep_a_call_from_being_handed_over() {
    play(|mut world| async move {
        let fate = world.worker_with_grace(Duration::ZERO);
        fate.prepare("play", Accident::Hang);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.drain(0);
        world.until_gone(0, Duration::from_secs(3)).await;
        world.worker(8);
        let calls = world.until_over().await;
        assert_eq!((calls[0].0, adopted(&calls[0].1).0), (CallStatus::Completed, 1), "{calls:?}");
        world
    });
}

#[test]
fn what_is_claimed_and_not_dialled_is_given_back_by_a_worker_that_drains() {
    play(|mut world| async move {
        let fate = world.worker_with_grace(Duration::from_secs(600));
        fate.prepare("create", Accident::Stand(Duration::from_secs(2)));
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        world.pass(1).await;
        world.drain(0);
        world.until_gone(0, Duration::from_secs(3)).await;
        assert_eq!(world.checker.network().dial_log().len(), 0, "nothing new is dialled");
        let began_at = world.clock.now();
        world.worker(8);
        world.until(|what| matches!(what, Happening::Dialing { .. })).await;
        assert!(world.clock.now().since(began_at) <= Duration::from_secs(1), "it waits for nobody's lease");
        world.until_over().await;
        world
    });
}

/// A worker is told to drain whose last events nobody confirms.
async fn drains_unheard(world: &mut World) {
    let fate = world.worker_with_grace(Duration::from_secs(600));
    fate.prepare("publish", Accident::Hang);
    world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
    world.until_over().await;
    world.drain(0);
}

async fn another_publishes(mut world: World) -> World {
    world.worker(8);
    world.pass(70).await;
    assert!(world.checker.is_quiet(), "another has published what was left");
    world
}

#[test]
fn a_bus_that_does_not_confirm_does_not_keep_a_worker_from_ending() {
    play(|mut world| async move {
        drains_unheard(&mut world).await;
        world.until_gone(0, Duration::from_secs(11)).await;
        another_publishes(world).await
    });
}

#[test]
fn told_twice_a_worker_ends_at_once() {
    play(|mut world| async move {
        world.worker(8);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.drain(0);
        world.pass(5).await;
        assert!(!world.workers[0].task.is_finished());
        world.workers[0].shutdown.stop.cancel();
        world.until_gone(0, Duration::from_millis(100)).await;
        world.worker(8);
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed, "adopted after a time to live");
        world
    });
}

#[test]
fn told_twice_while_its_last_events_go_out_a_worker_ends_at_once() {
    play(|mut world| async move {
        drains_unheard(&mut world).await;
        world.pass(3).await;
        assert!(!world.workers[0].task.is_finished(), "nothing confirms them");
        world.workers[0].shutdown.stop.cancel();
        world.until_gone(0, Duration::from_millis(100)).await;
        another_publishes(world).await
    });
}

#[test]
fn what_was_handed_over_is_not_taken_back_however_long_it_takes_to_let_names_go() {
    play(|mut world| async move {
        let fate = world.worker_with_grace(Duration::ZERO);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        fate.prepare("unlock_app", Accident::Slow(Duration::from_millis(4_500)));
        world.drain(0);
        world.until_gone(0, Duration::from_secs(6)).await;
        assert!(fate.all_happened());
        world.worker(8);
        let calls = world.until_over().await;
        assert_eq!((calls[0].0, adopted(&calls[0].1).0), (CallStatus::Completed, 1), "{calls:?}");
        world
    });
}
