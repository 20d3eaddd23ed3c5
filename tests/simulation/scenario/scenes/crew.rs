//! Accidents of workers, of the intake and of what leaves.

use super::*;

#[test]
fn a_worker_with_a_broken_part_ends_and_others_carry_its_calls_on() {
    play(|mut world| async move {
        let fate = world.worker(1);
        world.ask(&[ANSWERS], transfer_to(AGENT), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        fate.prepare("sweep", Accident::Panic);
        world.pass(5).await;
        assert!(world.workers[0].task.is_finished(), "rather no worker than half a one");
        assert!(world.checker.violation().is_some_and(|told| told.contains("a part of a worker failed")));
        world.checker.forgive();
        world.worker(1);
        let calls = world.until_over().await;
        assert!(has(&calls[0].1, |what| matches!(what, Happening::Adopted { .. })), "{calls:?}");
        world
    });
}

#[test]
fn one_adopter_listens_in_a_name_and_is_not_made_deaf_by_another() {
    play(|mut world| async move {
        world.worker(8);
        let talk: Vec<_> =
            (0..20).map(|_| json!({"name": "play", "message": {"msg": "a long story. ".repeat(40)}})).collect();
        world.ask(&[ANSWERS, "+9991000002", "+9991000003"], json!(talk), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.pass(30).await;
        world.workers.remove(0).task.abort();
        for _ in 0..3 {
            world.worker(8);
        }
        let calls = world.until_over().await;
        for (status, history) in &calls {
            assert_eq!(*status, CallStatus::Completed);
            let adoptions = history.iter().filter(|fact| matches!(fact.what, Happening::Adopted { .. })).count();
            assert_eq!(adoptions, 1, "whoever adopted it carried it to its end: {history:?}");
        }
        world
    });
}

#[test]
fn an_adopter_that_stood_still_lets_go_and_the_next_one_carries_on() {
    play(|mut world| async move {
        world.worker(8);
        let talk: Vec<_> =
            (0..20).map(|_| json!({"name": "play", "message": {"msg": "a long story. ".repeat(40)}})).collect();
        world.ask(&[ANSWERS], json!(talk), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.workers.remove(0).task.abort();
        let adopter = world.worker(8);
        world.until(|what| matches!(what, Happening::Adopted { .. })).await;
        world.worker(8);
        world.pass(40).await;
        adopter.freeze(Duration::from_secs(60));
        let calls = world.until_over().await;
        let adoptions = calls[0].1.iter().filter(|fact| matches!(fact.what, Happening::Adopted { .. })).count();
        assert_eq!((calls[0].0, adoptions), (CallStatus::Completed, 2), "{:?}", calls[0].1);
        world
    });
}

#[test]
fn a_cancelled_request_is_hung_up_although_the_order_to_the_owner_was_lost() {
    play(|mut world| async move {
        // The owner hears no commands but those that are passed on to it.
        let shared = std::mem::replace(&mut world.commands, Arc::new(MemoryCommandBus::new()));
        world.worker(1);
        world.commands = shared;
        let talk: Vec<_> =
            (0..20).map(|_| json!({"name": "play", "message": {"msg": "a long story. ".repeat(40)}})).collect();
        world.ask(&[ANSWERS], json!(talk), json!({"maxCallDurationSecs": 3600})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.limit(1).await;
        let other = world.worker(1);
        other.prepare("forward", Accident::LoseRequest);
        world.pass(15).await;
        let kind = CommandKind::Cancel { request: "r".parse().unwrap(), hang_up: true };
        let cancelled_at = world.clock.now();
        drop(world.commands.send(Command {
            id: "c".into(),
            organisation: "bank".parse().unwrap(),
            actor: None,
            expect: None,
            trace: None,
            kind,
        }));
        world.until_over().await;
        assert!(other.all_happened(), "the order was lost");
        assert!(world.clock.now().since(cancelled_at) <= Duration::from_secs(13), "a renewal tells of it");
        world
    });
}

#[test]
fn a_confirmation_that_never_comes_holds_nothing_up_for_long() {
    play(|mut world| async move {
        let fate = world.worker(1);
        fate.prepare("publish", Accident::Hang);
        world.ask(&[ANSWERS, PRESSES_ONE], json!([{"name": "hangup"}]), json!({})).await;
        world.until_over().await;
        world.pass(70).await;
        assert!(world.checker.is_quiet(), "everything is confirmed in the end");
        world
    });
}

#[test]
fn a_request_file_that_changes_while_it_is_loaded_is_rejected() {
    play(|mut world| async move {
        let path = std::env::temp_dir().join(format!("robocall-changing-{}.json", std::process::id()));
        let body = |phones: &[&str]| {
            let destinations: Vec<_> = phones.iter().map(|phone| json!({"phone": phone})).collect();
            json!({"requestId": "r", "destinations": destinations, "callFlow": {"steps": [{"name": "hangup"}]}})
                .to_string()
        };
        let mut reasons = Vec::new();
        let whole = body(&[ANSWERS, PRESSES_ONE]);
        for changed in [Some(body(&[ANSWERS])), Some("{".to_owned()), Some(whole.clone()), None] {
            std::fs::write(&path, &whole).unwrap();
            let fate = world.worker(1);
            // Between the check and the load.
            fate.prepare("open_request", Accident::Stand(Duration::from_secs(5)));
            let verdict = world.queue.publish_file("bank".parse().unwrap(), path.clone()).unwrap();
            world.pass(1).await;
            match changed {
                Some(text) => std::fs::write(&path, text).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let summary = verdict.await.unwrap();
            assert_eq!(summary.status, RequestStatus::Failed);
            reasons.push(summary.errors[0].message.clone());
            world.workers.pop().unwrap().task.abort();
            world.pass(1).await;
        }
        assert!(reasons[0].contains("changed") && reasons[1].contains("changed"), "{reasons:?}");
        assert!(
            reasons[2].contains("1 of 2 destinations"),
            "the store has a part of what it was at first: {reasons:?}"
        );
        assert!(reasons[3].contains("cannot be read"), "{reasons:?}");
        assert!(world.checker.network().dial_log().is_empty());
        world
    });
}

#[test]
fn a_request_that_does_not_tell_its_name_is_named_by_its_beginning() {
    play(|mut world| async move {
        world.worker(1);
        let mut names = Vec::new();
        for end in ["one", "another"] {
            let body = format!("{}{end}", "x".repeat(64 << 10));
            let summary = world.queue.publish("bank".parse().unwrap(), body.into_bytes()).unwrap().await.unwrap();
            names.push(summary.request_id);
        }
        assert_eq!(names[0], names[1], "what follows may be endless and is not read");
        assert!(names[0].as_str().starts_with("unreadable."));
        world
    });
}

#[test]
fn deliveries_that_came_again_meanwhile_do_not_block_the_intake() {
    play(|mut world| async move {
        let fate = world.worker(1);
        for number in 0..10 {
            let body = json!({"requestId": format!("r{number}"), "destinations": [{"phone": ANSWERS}], "callFlow": {"steps": [{"name": "hangup"}]}});
            let name = RequestKey { request: format!("r{number}").parse().unwrap(), ..key() };
            world.checker.expect_request(&name);
            let verdict = world.queue.publish("bank".parse().unwrap(), body.to_string().into_bytes()).unwrap();
            fate.prepare("open_request", Accident::Stand(Duration::from_secs(5)));
            world.pass(1).await;
            assert_eq!(world.queue.redeliver_unsettled(), 1);
            assert_ne!(verdict.await.unwrap().status, RequestStatus::Failed);
        }
        world
    });
}

#[test]
fn a_destination_that_is_no_number_fails_whatever_the_hours_of_the_others() {
    play(|mut world| async move {
        world.worker(1);
        let hours = json!({"timeZone": "recipient", "from": "08:00", "to": "20:00"});
        let more = json!({"skipInvalid": true, "callingWindow": hours});
        world.ask(&[ANSWERS, "12-not-a-number"], json!([says("one")]), more).await;
        let calls = world.until_over().await;
        assert_eq!([calls[0].0, calls[1].0], [CallStatus::Completed, CallStatus::Failed]);
        world
    });
}
