//! One key, in as many tries as the flow gives.

use super::*;

/// Asks; 1 leads to message 1, then to message 2 behind the gather.
fn menu(change: impl FnOnce(&mut Gather)) -> Vec<Step> {
    let mut gather = gather(0, 1);
    change(&mut gather);
    vec![Step { action: Action::Gather(gather), next: Some(2) }, play(1, Some(2)), play(2, None)]
}

#[test]
fn a_key_after_the_message_takes_its_branch_and_goes_on_behind_the_gather() {
    Call::answered(menu(|_| ())).after(4.0, over(1)).after(1.0, digit('1')).after(2.0, over(2)).reads(
        "4s #1 over
        5s key 1
            record step 0 success_ok keys \"1\"
            record step 1 begins
            play #2 message 1
        7s #2 over
            record step 1 success_ok
            record step 2 begins
            play #3 message 2",
    );
}

#[test]
fn a_key_during_the_message_stops_it() {
    Call::answered(menu(|_| ())).after(1.0, digit('1')).after(0.1, over(1)).reads(
        "1s key 1
            stop #1
            record step 0 success_ok keys \"1\"
            record step 1 begins
            play #2 message 1
        1.1s #1 over",
    );
}

#[test]
fn no_key_and_unknown_keys_use_up_tries_and_then_the_flow_ends() {
    Call::answered(menu(|gather| gather.tries = 3))
        .after(4.0, over(1))
        .expire()
        .after(1.0, digit('7'))
        .after(0.1, over(2))
        .after(4.0, over(3))
        .after(1.0, digit('#'))
        .after(0.0, ended(16, 0))
        .reads(
            "4s #1 over
            9s deadline
                play #2 message 0 for a key
            10s key 7
                stop #2
                play #3 message 0 for a key
            10.1s #2 over
            14.1s #3 over
            15.1s key #
                record step 0 error_timeout keys \"7#\"
                hang up
            15.1s ended 16
                finish answered by us",
        );
}

#[test]
fn after_the_last_try_the_default_branch_is_a_success() {
    Call::answered(menu(|gather| (gather.tries, gather.default) = (1, Some(1)))).after(4.0, over(1)).expire().reads(
        "4s #1 over
        9s deadline
            record step 0 success_ok keys \"\"
            record step 1 begins
            play #2 message 1",
    );
}

#[test]
fn a_sensitive_key_is_in_no_fact_no_command_and_no_state() {
    let steps = menu(|gather| gather.sensitive = true);
    let mut call = Call::on(steps, CallTerms { recording: true, ..TERMS });
    call.after(0.0, CallInput::Answered);
    let mut other = CallMachine::resume(Arc::clone(&call.program), call.terms, call.machine.state().clone(), call.now);
    call.after(1.0, digit('7'));
    other.handle(call.now, digit('*'));
    while other.next_command().is_some() {}
    assert_eq!(call.machine.state(), other.state(), "no matter which key it was");
    call.after(1.0, digit('1')).reads(
        "0s answered
            record answered
            start recording
            record step 0 begins
            pause recording
            play #1 message 0 for a key
        1s key 7
            stop #1
            play #2 message 0 for a key
        2s key 1
            stop #2
            resume recording
            record step 0 success_ok
            record step 1 begins
            play #3 message 1",
    );
}

#[test]
fn a_recording_goes_on_after_a_sensitive_gather_without_a_key() {
    let steps = menu(|gather| (gather.sensitive, gather.tries) = (true, 1));
    let mut call = Call::answered_on(steps, CallTerms { recording: true, ..TERMS });
    call.after(1.0, over(1)).expire().reads(
        "1s #1 over
        6s deadline
            resume recording
            record step 0 error_timeout
            hang up",
    );
}

#[test]
fn keys_outside_a_gather_are_nobodys_answer() {
    let steps = vec![play(0, Some(1)), Step { action: Action::Gather(gather(1, 2)), next: None }, play(2, None)];
    Call::answered(steps).after(1.0, digit('1')).after(1.0, over(1)).after(1.0, over(2)).reads(
        "1s key 1
        2s #1 over
            record step 0 success_ok
            record step 1 begins
            play #2 message 1 for a key
        3s #2 over",
    );
}

#[test]
fn nobody_is_asked_after_a_message_that_could_not_be_played() {
    Call::answered(menu(|_| ())).after(0.0, unplayable(1)).after(0.1, digit('1')).expire().reads(
        "0s #1 failed
        0.1s key 1
        0.5s deadline
            record step 0 error_msg_cannot_convert_text keys \"\"
            hang up",
    );
}

#[test]
fn a_callee_who_hangs_up_during_the_message_is_not_blamed_on_the_message() {
    Call::answered(menu(|_| ())).after(2.0, unplayable(1)).after(0.1, ended(0, 0)).reads(
        "2s #1 failed
        2.1s ended 0
            record step 0 error_session_ended keys \"\"
            finish answered by callee",
    );
}

#[test]
fn a_playback_that_never_ends_is_stopped() {
    Call::answered(vec![play(0, Some(1)), play(1, None)]).expire().reads(
        "300s deadline
            stop #1
            record step 0 error_internal
            hang up",
    );
}
