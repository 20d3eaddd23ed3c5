//! Names: one process listens in each, and whoever comes back under its own waits for it.

use super::*;
use robocall::ports::store::ProcessId;

impl World {
    fn namesake(&mut self) -> usize {
        let name = self.workers[0].id.clone();
        self.start(name, 8, Duration::ZERO, (0, 0));
        self.workers.len() - 1
    }
}

#[test]
fn a_live_namesake_is_left_its_name_and_its_calls() {
    play(|mut world| async move {
        world.worker(8);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let second = world.namesake();
        world.pass(120).await;
        assert!(!world.workers[0].task.is_finished() && !world.workers[second].task.is_finished());
        let calls = world.until_over().await;
        assert_eq!(calls[0].0, CallStatus::Completed);
        assert!(!has(&calls[0].1, |what| matches!(what, Happening::Adopted { .. })), "{calls:?}");
        world.drain(0);
        world.until_gone(0, Duration::from_secs(5)).await;
        world.ask_for(&key_of("next"), &[ANSWERS], json!([says("one")]), json!({})).await;
        assert_eq!(world.until_over_for(&key_of("next")).await[0].0, CallStatus::Completed, "by the one that waited");
        assert!(!world.workers[second].task.is_finished());
        world
    });
}

#[test]
fn a_worker_that_comes_back_waits_until_its_name_is_free() {
    play(|mut world| async move {
        world.worker(8);
        world.pass(15).await;
        world.workers[0].task.abort();
        let second = world.namesake();
        let began_at = world.clock.now();
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        let waited = world.clock.now().since(began_at);
        assert!(!world.workers[second].task.is_finished());
        assert!(waited > Duration::from_secs(15) && waited < Duration::from_secs(45), "{waited:?}");
        world
    });
}

#[test]
fn whoever_waits_for_its_name_can_be_told_to_stop() {
    play(|mut world| async move {
        world.worker(8);
        let second = world.namesake();
        world.pass(5).await;
        world.workers[second].shutdown.stop.cancel();
        world.until_gone(second, Duration::from_millis(100)).await;
        let third = world.namesake();
        world.pass(5).await;
        world.drain(third);
        world.until_gone(third, Duration::from_millis(100)).await;
        world
    });
}

#[test]
fn a_worker_whose_name_is_anothers_ends_and_others_carry_its_calls_on() {
    play(|mut world| async move {
        let first = world.worker(8);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        // It stands still for longer than its lock lives, and somebody takes the name without listening in it yet.
        first.freeze(Duration::from_secs(45));
        world.pass(44).await;
        assert!(world.store.lock_app(&world.workers[0].id, ProcessId(u128::MAX)).await.unwrap());
        world.pass(2).await;
        assert!(world.workers[0].task.is_finished(), "what it holds is about to be another's");
        world.worker(8);
        let calls = world.until_over().await;
        assert_eq!(calls[0].0, CallStatus::Completed);
        assert!(has(&calls[0].1, |what| matches!(what, Happening::Adopted { .. })), "{calls:?}");
        world
    });
}

#[test]
fn a_worker_holds_on_to_its_name_while_nothing_can_be_swept() {
    play(|mut world| async move {
        let first = world.worker(8);
        // Its reaper hangs; its renewals do not.
        first.prepare("sweep", Accident::Hang);
        world.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.pass(60).await;
        let second = world.namesake();
        world.pass(120).await;
        assert!(!world.workers[0].task.is_finished() && !world.workers[second].task.is_finished());
        let calls = world.until_over().await;
        assert!(!has(&calls[0].1, |what| matches!(what, Happening::Adopted { .. })), "{calls:?}");
        world
    });
}
