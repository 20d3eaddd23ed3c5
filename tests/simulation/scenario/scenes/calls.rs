//! Accidents of single calls.

use super::*;

#[test]
fn a_second_leg_whose_dial_was_not_answered_is_followed_all_the_same() {
    play(|mut world| async move {
        let fate = world.worker(2);
        fate.prepare("dial second leg", Accident::LoseReply);
        world.ask(&[ANSWERS], transfer_to(AGENT), json!({})).await;
        let calls = world.until_over().await;
        assert!(has(&calls[0].1, |what| matches!(what, Happening::LegAnswered { .. })), "{calls:?}");
        assert!(fate.all_happened());
        assert_eq!(world.second_legs_dialled(), 1);
        world
    });
}

#[test]
fn a_second_leg_is_not_dialled_on_a_grant_of_yesterday() {
    play(|mut world| async move {
        let fate = world.worker(2);
        world.limit(2).await;
        // The store takes nothing down for a while after it has granted the slot, and somebody else takes it.
        for _ in 0..6 {
            fate.prepare("checkpoint of a second leg", Accident::LoseRequest);
        }
        world.ask(&[ANSWERS], transfer_to(AGENT), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        world.pass(2).await;
        world.limit(1).await;
        let calls = world.until_over().await;
        assert!(fate.all_happened());
        assert!(has(&calls[0].1, |what| matches!(what, Happening::LegFailed { .. })), "{calls:?}");
        assert_eq!(world.second_legs_dialled(), 0);
        world
    });
}

#[test]
fn a_call_whose_recording_cannot_be_paused_is_ended_before_a_secret_is_keyed_in() {
    play(|mut world| async move {
        let fate = world.worker(1);
        let gather = json!([{"name": "gather", "message": {"msg": "your number, please"}, "sensitive": true, "branches": [
            {"digit": "1", "callFlow": {"steps": [{"name": "play", "message": {"msg": "thank you"}}]}},
            {"default": "true", "callFlow": {"steps": [{"name": "hangup"}]}},
        ]}]);
        fate.prepare("record", Accident::LoseReply);
        for _ in 0..2 {
            fate.prepare("record", Accident::LoseRequest);
        }
        world.checker.keeps_secrets(&key());
        world.ask(&[PRESSES_ONE], gather, json!({"enableCallRecording": true})).await;
        let calls = world.until_over().await;
        let (_, history) = &calls[0];
        assert!(fate.all_happened());
        let Some(Happening::Ended { disposition, .. }) = history.last().map(|fact| &fact.what) else {
            panic!("{history:?}")
        };
        assert_eq!((disposition.result, disposition.by), (DispositionResult::Answered, Some(Party::Us)));
        assert!(!has(history, |what| matches!(what, Happening::StepStarted { step: 1.. })), "{history:?}");
        world
    });
}

#[test]
fn forbidden_prefixes_hold_for_transfers() {
    play(|mut world| async move {
        world.worker(2);
        world.settle(|settings| settings.denied_prefixes = vec!["9991077".to_owned()]).await;
        world.ask(&[ANSWERS], transfer_to(AGENT), json!({})).await;
        let calls = world.until_over().await;
        assert!(has(&calls[0].1, |what| matches!(what, Happening::LegFailed { .. })), "{calls:?}");
        assert_eq!(world.second_legs_dialled(), 0);
        world
    });
}

#[test]
fn a_step_that_was_stored_and_not_answered_is_no_reason_to_let_a_call_go() {
    play(|mut world| async move {
        let fate = world.worker(1);
        // For some seconds what is stored is not answered, and meanwhile more happens.
        for _ in 0..6 {
            fate.prepare("checkpoint", Accident::LoseReply);
        }
        world.ask(&[ANSWERS], json!([says("one"), says("two"), says("three")]), json!({})).await;
        let calls = world.until_over().await;
        assert!(fate.all_happened());
        assert!(!has(&calls[0].1, |what| matches!(what, Happening::Adopted { .. })), "{calls:?}");
        assert_eq!(calls[0].0, CallStatus::Completed);
        world
    });
}

#[test]
fn a_prompt_that_was_not_answered_is_played_once_whether_or_not_it_reached_the_backend() {
    for accident in [Accident::LoseRequest, Accident::LoseReply] {
        play(move |mut world| async move {
            let fate = world.worker(1);
            fate.prepare("play", accident);
            world.ask(&[ANSWERS], json!([says("one"), says("two")]), json!({})).await;
            let calls = world.until_over().await;
            assert!(fate.all_happened());
            let finished = calls[0].1.iter().filter(|fact| matches!(fact.what, Happening::StepFinished { .. }));
            assert_eq!(finished.count(), 2, "the callee heard all of it: {calls:?}");
            assert_eq!(world.checker.network().counters().playbacks, 2, "{accident:?}");
            world
        });
    }
}

#[test]
fn nobody_is_told_that_a_call_was_hung_up_which_was_not_dialled_yet() {
    play(|mut world| async move {
        let fate = world.worker(1);
        fate.prepare("create", Accident::Hang);
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        world.pass(1).await;
        let call = CallId::new(&key().organisation, &key().request, 0);
        let kind = CommandKind::HangUp(call);
        let reply = world.commands.send(Command {
            id: "h".into(),
            organisation: key().organisation,
            actor: None,
            expect: None,
            trace: None,
            kind,
        });
        assert_eq!(reply.await.unwrap(), CommandReply::Adopting, "whoever wants it asks again");
        world.workers.remove(0).task.abort();
        world.worker(1);
        assert_eq!(world.until_over().await[0].0, CallStatus::Completed);
        world
    });
}

#[test]
fn a_call_that_was_hung_up_before_its_dial_was_sent_is_not_tried_again() {
    play(|mut world| async move {
        let fate = world.worker(1);
        // The commitment stands, and its answers are lost for so long that the dial comes too late.
        for _ in 0..6 {
            fate.prepare("begin_dial", Accident::LoseReply);
        }
        fate.prepare("dial", Accident::Stand(Duration::from_millis(100)));
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        world.until(|what| matches!(what, Happening::Dialing { .. })).await;
        let kind = CommandKind::HangUp(CallId::new(&key().organisation, &key().request, 0));
        let reply = loop {
            let id = world.clock.now().to_string().into();
            let reply = world.commands.send(Command {
                id,
                organisation: key().organisation,
                actor: None,
                expect: None,
                trace: None,
                kind: kind.clone(),
            });
            match reply.await.unwrap() {
                CommandReply::Adopting => world.clock.sleep_until(world.clock.now() + Duration::from_millis(10)).await,
                reply => break reply,
            }
        };
        let calls = world.until_over().await;
        assert!(fate.all_happened());
        assert_eq!((reply, calls[0].0), (CommandReply::Done, CallStatus::Failed), "{calls:?}");
        assert!(world.checker.network().dial_log().is_empty());
        world
    });
}

#[test]
fn a_message_whose_end_was_not_reported_counts_as_heard_when_it_is_surely_over() {
    play(|mut world| async move {
        let fate = world.worker(1);
        fate.prepare("end of a playback", Accident::LoseRequest);
        fate.prepare("end of a playback", Accident::LoseRequest);
        let gather = json!({"name": "gather", "message": {"msg": "press one"}, "branches": [
            {"digit": "1", "callFlow": {"steps": [says("thank you")]}},
            {"default": "true", "callFlow": {"steps": [says("bye then")]}},
        ]});
        world.ask(&[ANSWERS], json!([says("one"), gather]), json!({})).await;
        world.until(|what| matches!(what, Happening::Answered)).await;
        let answered_at = world.clock.now();
        let calls = world.until_over().await;
        assert!(fate.all_happened());
        let ends: Vec<_> = calls[0]
            .1
            .iter()
            .filter_map(|fact| match &fact.what {
                Happening::StepFinished { status, .. } => Some(*status),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [StepStatus::SuccessOk; 3], "{calls:?}");
        let lasted = world.clock.now().since(answered_at);
        assert!(lasted < Duration::from_secs(40), "ten seconds more for each, and some for the key: {lasted:?}");
        world
    });
}

#[test]
fn two_who_were_not_joined_at_once_are_joined_at_last() {
    play(|mut world| async move {
        let fate = world.worker(2);
        fate.prepare("bridge", Accident::LoseRequest);
        world.ask(&[ANSWERS], transfer_to(AGENT), json!({"maxCallDurationSecs": 60})).await;
        world.until_over().await;
        assert!(fate.all_happened());
        let mut tally = crate::summary::Summary::default();
        world.checker.sum_up(&mut tally);
        assert_eq!(tally.of("attended transfers joined"), 1);
        world
    });
}

#[test]
fn a_store_away_for_two_seconds_at_the_commitment_loses_nobody() {
    play(|mut world| async move {
        let fate = world.worker(1);
        // Asked again after 50, 100, 200, 400, 800 and 1000 milliseconds.
        for _ in 0..6 {
            fate.prepare("begin_dial", Accident::LoseReply);
        }
        world.ask(&[ANSWERS], json!([says("one")]), json!({})).await;
        let calls = world.until_over().await;
        assert!(fate.all_happened());
        // The commitment stood and its answers were lost: too late for this dial, not for the person.
        assert!(has(&calls[0].1, |what| matches!(what, Happening::RetryScheduled { .. })), "{calls:?}");
        assert_eq!(calls[0].0, CallStatus::Completed, "{calls:?}");
        world
    });
}
