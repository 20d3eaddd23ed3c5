//! Calls that outlive their worker go on at the same step.

use super::*;

#[test]
fn a_prompt_is_repeated_under_a_number_nobody_used() {
    Call::answered(vec![play(0, Some(1)), play(1, None)])
        .adopted_after(40.0)
        .after(1.0, over(1))
        .after(1.0, over(4097))
        .reads(
            "40s adopted
                stop #1
                play #4097 message 0
            41s #1 over
            42s #4097 over
                record step 0 success_ok
                record step 1 begins
                play #4098 message 1",
        );
}

#[test]
fn a_gather_asks_again_and_gives_fresh_time_to_answer() {
    let steps = vec![Step { action: Action::Gather(gather(0, 1)), next: None }, play(1, None)];
    let mut call = Call::answered(steps);
    call.after(2.0, over(1)).adopted_after(60.0).after(1.0, over(4097)).expire().after(1.0, digit('1')).reads(
        "2s #1 over
        62s adopted
            play #4097 message 0 for a key
        63s #4097 over
        68s deadline
            play #4098 message 0 for a key
        69s key 1
            stop #4098
            record step 0 success_ok keys \"1\"
            record step 1 begins
            play #4099 message 1",
    );
}

#[test]
fn a_recording_is_as_the_step_wants_it() {
    let recorded = CallTerms { recording: true, ..TERMS };
    let mut sensitive = gather(0, 1);
    sensitive.sensitive = true;
    let steps = vec![Step { action: Action::Gather(sensitive), next: None }, play(1, None)];
    Call::answered_on(steps, recorded).adopted_after(1.0).reads(
        "1s adopted
            start recording
            pause recording
            stop #1
            play #4097 message 0 for a key",
    );
    Call::answered_on(vec![play(0, None)], recorded).adopted_after(1.0).reads(
        "1s adopted
            start recording
            resume recording
            stop #1
            play #4097 message 0",
    );
}

#[test]
fn a_ringing_call_is_given_a_moment_and_never_dialled_again() {
    Call::of(vec![play(0, None)]).adopted_after(60.0).expire().reads(
        "60s adopted
        65s deadline
            hang up",
    );
    Call::of(vec![play(0, None)]).adopted_after(60.0).after(0.1, CallInput::Answered).reads(
        "60s adopted
        60.1s answered
            record answered
            record step 0 begins
            play #4097 message 0",
    );
}

#[test]
fn a_leg_being_dialled_is_waited_for_and_never_dialled_again() {
    let steps = || vec![Step { action: Action::Transfer(transfer("1000")), next: None }];
    Call::answered(steps()).adopted_after(45.0).expire().after(0.0, leg_ended(1, 16, 487)).reads(
        "45s adopted
        50s deadline
            hang up t1
        50s t1 ended 16/487
            record t1 failed unanswered by us
            record step 0 error_timeout transfer unanswered
            hang up",
    );
    Call::answered(steps()).adopted_after(45.0).after(1.0, CallInput::LegAnswered { leg: leg(1) }).reads(
        "45s adopted
        46s t1 answered
            record t1 answered
            bridge t1",
    );
    let lost = CallInput::LegEnded { leg: leg(1), end: LOST };
    Call::answered(steps()).adopted_after(45.0).after(1.0, lost).reads(
        "45s adopted
        46s t1 ended lost
            record t1 failed unknown by nobody knows whom
            record step 0 error_session_ended transfer failed
            hang up",
    );
}

#[test]
fn a_slot_is_asked_for_again_and_a_bridge_made_again() {
    let steps = vec![Step { action: Action::Transfer(transfer("+6512345678")), next: None }];
    let mut call = Call::answered(steps);
    call.adopted_after(30.0).after(1.0, CallInput::SlotGranted { leg: leg(1) });
    call.after(1.0, CallInput::LegAnswered { leg: leg(1) }).adopted_after(60.0).reads(
        "30s adopted
            acquire slot for t1
        31s slot for t1
            record t1 added +6512345678
            dial t1 +6512345678 for 20s
        32s t1 answered
            record t1 answered
            bridge t1
        92s adopted
            bridge t1",
    );
}

#[test]
fn an_end_under_way_is_asked_for_again() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.after(1.0, over(1));
    call.lines.clear();
    call.adopted_after(30.0).after(0.0, CallInput::Ended(LOST)).reads(
        "31s adopted
            hang up
        31s ended lost
            finish answered by us",
    );
    let steps = vec![Step { action: Action::OptOut { message: None }, next: None }];
    Call::answered(steps).adopted_after(1.0).after(0.0, ended(16, 0)).adopted_after(2.0).reads(
        "1s adopted
            put on the list
        1s ended 16
            record step 0 error_session_ended
        3s adopted
            put on the list",
    );
}

#[test]
fn a_call_whose_time_ran_out_meanwhile_is_hung_up_and_hears_nothing_more() {
    Call::answered(vec![play(0, None)]).adopted_after(700.0).reads(
        "700s adopted
            record step 0 error_session_ended
            hang up",
    );
}

#[test]
fn a_call_that_was_over_but_not_settled_is_settled() {
    let mut call = Call::of(vec![play(0, None)]);
    call.after(1.0, ended(17, 486));
    call.lines.clear();
    call.adopted_after(30.0).reads(
        "31s adopted
            finish busy by callee",
    );
}

#[test]
fn detection_is_begun_again() {
    let terms = CallTerms { machine_detection: MachineDetection::WaitForBeep, ..TERMS };
    let mut call = Call::answered_on(vec![play(0, None)], terms);
    call.adopted_after(30.0)
        .after(9.0, CallInput::PartyDetected(AnsweredBy::Machine))
        .adopted_after(60.0)
        .expire()
        .reads(
            "30s adopted
            detect machine and beep
        39s machine
            record machine
        99s adopted
            detect machine and beep
        104s deadline
            record step 0 begins
            play #8193 message 0",
        );
}

#[test]
fn a_state_that_does_not_belong_to_the_flow_ends_the_call() {
    let gathering = Call::answered(vec![Step { action: Action::Gather(gather(0, 0)), next: None }]);
    for other in [vec![play(0, None)], vec![]] {
        let mut call = Call::of(other);
        let state = gathering.machine.state().clone();
        call.machine = CallMachine::resume(Arc::clone(&call.program), TERMS, state, call.now);
        call.drain().reads("record step 0 error_internal\nhang up");
    }
}

#[test]
fn a_state_is_small() {
    let steps = vec![Step { action: Action::Transfer(transfer("+6512345678")), next: None }];
    let mut call = Call::answered(steps);
    call.after(0.0, CallInput::SlotGranted { leg: leg(1) }).adopted_after(1.0);
    let stored = postcard::to_allocvec(call.machine.state()).unwrap();
    assert!(stored.len() < 64, "{} bytes", stored.len());
}

#[test]
fn a_phase_has_a_name_for_logs() {
    let mut call = Call::of(vec![play(0, None)]);
    let mut names = vec![call.machine.phase_name()];
    for input in [CallInput::Ringing, CallInput::Answered, over(1), ended(16, 0)] {
        call.after(1.0, input);
        names.push(call.machine.phase_name());
    }
    assert_eq!(names, ["dialing", "ringing", "play", "hangingUp", "finished"]);
}
