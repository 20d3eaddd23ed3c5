//! Guards that matter only when several things go wrong at once, or slowly: one scene for each.

use super::*;
use robocall::ports::telephony::LegState;
use robocall::ports::{CommandBus as _, Order};

impl World {
    /// A worker with a live call that talks for long.
    async fn talking(&mut self) -> Arc<Fate> {
        let fate = self.worker(8);
        self.ask(&[ANSWERS], talk(), json!({"maxCallDurationSecs": 3600})).await;
        self.until(|what| matches!(what, Happening::Answered)).await;
        fate
    }

    async fn adoptions(&self) -> usize {
        let calls = self.store.calls(&key(), 0, 1000).await.unwrap();
        let facts = calls.iter().flat_map(|call| &call.history);
        facts.filter(|fact| matches!(fact.what, Happening::Adopted { .. })).count()
    }

    /// Legs that were made and not dialled.
    fn undialled_legs(&self) -> usize {
        let legs = self.checker.network().live_legs();
        legs.iter().filter(|(_, state)| *state == LegState::Created).count()
    }
}

#[test]
fn after_an_outage_of_the_store_owners_renew_before_anybody_adopts() {
    play(|mut world| async move {
        let owner = world.talking().await;
        let other = world.worker(8);
        world.pass(40).await;
        for fate in [&owner, &other] {
            fate.cut_off(true);
        }
        world.pass(45).await;
        // The owner is the last to be answered again.
        other.cut_off(false);
        world.pass(10).await;
        owner.cut_off(false);
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert_eq!(world.adoptions().await, 0);
        world
    });
}

#[test]
fn after_a_standstill_of_everybody_owners_renew_before_anybody_adopts() {
    play(|mut world| async move {
        let owner = world.talking().await;
        let other = world.worker(8);
        world.pass(40).await;
        owner.freeze(Duration::from_secs(55));
        other.freeze(Duration::from_secs(45));
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert_eq!(world.adoptions().await, 0);
        world
    });
}

#[test]
fn a_worker_that_drains_takes_no_calls_of_the_dead_upon_itself() {
    play(|mut world| async move {
        for _ in 0..2 {
            world.worker(1);
        }
        world.ask(&[ANSWERS, "+9991000002"], talk(), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.pass(35).await;
        world.drain(1);
        world.workers[0].task.abort();
        world.pass(50).await;
        assert!(!world.workers[1].task.is_finished(), "it has a call of its own");
        assert_eq!(world.adoptions().await, 0);
        world.worker(8);
        world.pass(40).await;
        assert_eq!(world.adoptions().await, 1, "another does");
        world.until_over().await;
        world
    });
}

#[test]
fn an_adopter_that_carries_no_more_of_its_calls_lets_a_dead_workers_name_go() {
    play(|mut world| async move {
        world.worker(8);
        let name = world.workers[0].id.clone();
        let some = json!((0..4).map(|_| talk()[0].clone()).collect::<Vec<_>>());
        world.ask(&[ANSWERS], some, json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.worker(8);
        world.pass(5).await;
        world.workers[0].task.abort();
        world.until_over().await;
        assert_eq!(world.adoptions().await, 1);
        world.start(name, 8, Duration::ZERO, (0, 0));
        world.pass(60).await;
        assert!(!world.workers.last().unwrap().task.is_finished(), "its name is its own again");
        world
    });
}

#[test]
fn a_leg_that_is_not_to_be_dialled_does_not_linger() {
    play(|mut world| async move {
        let fate = world.worker(8);
        fate.prepare("begin_dial", Accident::Stand(Duration::from_secs(2)));
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        world.pass(1).await;
        assert_eq!(world.undialled_legs(), 1);
        world.store.control(&key(), robocall::ports::store::Control::Pause, None).await.unwrap();
        world.pass(2).await;
        assert_eq!(world.undialled_legs(), 0, "its claim was given back");
        world.store.control(&key(), robocall::ports::store::Control::Resume, None).await.unwrap();
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        world
    });
}

#[test]
fn a_leg_whose_making_was_not_answered_does_not_linger() {
    play(|mut world| async move {
        let fate = world.worker(8);
        fate.prepare("create", Accident::LoseReply);
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert_eq!(world.undialled_legs(), 0);
        world
    });
}

#[test]
fn a_leg_that_a_worker_left_undialled_does_not_linger() {
    play(|mut world| async move {
        let fate = world.worker(8);
        fate.prepare("begin_dial", Accident::Hang);
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        world.pass(1).await;
        assert_eq!(world.undialled_legs(), 1);
        world.workers[0].task.abort();
        world.worker(8);
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert_eq!(world.undialled_legs(), 0);
        world
    });
}

#[test]
fn an_adopted_call_can_be_hung_up() {
    play(|mut world| async move {
        world.talking().await;
        world.workers[0].task.abort();
        world.worker(8);
        world.until(|what| matches!(what, Happening::Adopted { .. })).await;
        world.pass(1).await;
        let kind = CommandKind::HangUp(CallId::new(&key().organisation, &key().request, 0));
        let reply = world.commands.send(Command {
            id: "h".into(),
            organisation: key().organisation,
            actor: None,
            expect: None,
            trace: None,
            kind,
        });
        assert_eq!(reply.await.unwrap(), CommandReply::Done);
        let began_at = world.clock.now();
        world.until_over().await;
        assert!(world.clock.now().since(began_at) <= Duration::from_secs(2));
        world
    });
}

#[test]
fn an_order_that_comes_late_is_not_carried_out() {
    play(|mut world| async move {
        world.talking().await;
        let call = CallId::new(&key().organisation, &key().request, 0);
        let command = Command {
            id: "h".into(),
            organisation: key().organisation,
            actor: None,
            expect: None,
            trace: None,
            kind: CommandKind::HangUp(call),
        };
        let (held, owner) = world.store.owner(&key().organisation, call).await.unwrap().unwrap();
        for (late, expected) in [(3, CommandReply::Adopting), (1, CommandReply::Done)] {
            let command = Command { id: format!("h{late}").into(), ..command.clone() };
            let order = Order {
                command: command.clone(),
                held: held.clone(),
                not_after: world.clock.now() + Duration::from_secs(2),
            };
            world.checker.forwarded(&order);
            world.pass(late).await;
            world.commands.forward(&owner, order).await;
            world.clock.sleep_until(world.clock.now() + Duration::from_millis(1)).await;
            assert_eq!(world.checker.answers_to(&command), [expected]);
        }
        world.until_over().await;
        world
    });
}

#[test]
fn what_the_last_events_confirmations_were_is_told_before_a_worker_ends() {
    play(|mut world| async move {
        world.worker(8);
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.drain(0);
        world.until_over().await;
        world.until_gone(0, Duration::from_secs(2)).await;
        let audit = world.store.audit();
        let request = &audit.organisations.iter().flat_map(|org| &org.requests).next().unwrap();
        assert_eq!(request.calls[0].confirmed, request.calls[0].events, "nobody need publish them again");
        world
    });
}

/// Sixty messages of a second or two each: the backend is given commands all the time.
fn chatter() -> Value {
    (0..60).map(|_| says("a short story, and then another")).collect()
}

#[test]
fn authority_counts_from_the_asking_when_a_claim_is_answered_late() {
    play(|mut world| async move {
        let fate = world.worker(8);
        world.pass(1).await;
        fate.prepare("claim", Accident::Slow(Duration::from_secs(15)));
        world.ask(&[ANSWERS], chatter(), json!({})).await;
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert!(fate.all_happened());
        world
    });
}

#[test]
fn authority_counts_from_the_asking_when_an_end_with_an_exchange_is_answered_late() {
    play(|mut world| async move {
        let fate = world.worker(8);
        world.limit(1).await;
        world.pass(1).await;
        fate.prepare("finish", Accident::Slow(Duration::from_secs(15)));
        world.ask(&[ANSWERS, "+9991000002", "+9991000003"], chatter(), json!({})).await;
        world.until_over().await;
        assert!(fate.all_happened());
        world
    });
}

#[test]
fn authority_counts_from_the_asking_when_a_renewal_is_answered_late() {
    play(|mut world| async move {
        let fate = world.worker(8);
        world.ask(&[ANSWERS], chatter(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        fate.prepare("renew", Accident::Slow(Duration::from_secs(15)));
        for _ in 0..12 {
            fate.prepare("renew", Accident::LoseRequest);
        }
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert!(fate.all_happened());
        world
    });
}

#[test]
fn authority_counts_from_the_asking_when_an_adoption_is_answered_late() {
    play(|mut world| async move {
        world.worker(8);
        world.ask(&[ANSWERS], chatter(), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let adopter = world.worker(8);
        world.workers[0].task.abort();
        adopter.prepare("adopt", Accident::Slow(Duration::from_secs(15)));
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        assert!(adopter.all_happened());
        world
    });
}
