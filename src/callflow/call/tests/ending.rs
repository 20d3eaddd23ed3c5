//! Ends from outside, and ends that do not come.

use super::*;

#[test]
fn a_call_cancelled_while_it_rings_was_cancelled() {
    Call::of(vec![play(0, None)])
        .after(1.0, CallInput::Ringing)
        .after(1.0, CallInput::HangUpRequested)
        .after(0.0, CallInput::HangUpRequested)
        .after(0.1, ended(16, 0))
        .reads(
            "1s ringing
                record ringing
            2s hang up!
                hang up
            2s hang up!
            2.1s ended 16
                finish cancelled by us",
        );
}

#[test]
fn a_call_hung_up_in_a_step_ends_the_step_first() {
    Call::answered(vec![play(0, Some(1)), play(1, None)])
        .after(2.0, CallInput::HangUpRequested)
        .after(0.0, over(1))
        .after(0.1, ended(16, 0))
        .after(0.0, ended(16, 0))
        .reads(
            "2s hang up!
                record step 0 error_session_ended
                hang up
            2s #1 over
            2.1s ended 16
                finish answered by us
            2.1s ended 16",
        );
}

#[test]
fn a_hang_up_that_nobody_confirms_is_asked_for_again_and_again() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.after(1.0, over(1));
    call.lines.clear();
    for _ in 0..30 {
        call.expire();
    }
    assert_eq!(call.lines.iter().filter(|line| *line == "hang up").count(), 30);
    call.lines.clear();
    call.after(0.0, CallInput::Ended(LOST)).reads("301s ended lost\nfinish answered by us");
}

#[test]
fn the_longest_duration_counts_from_the_answer() {
    let terms = CallTerms { max_call_duration: Duration::from_secs(60), ..TERMS };
    let mut call = Call::on(vec![play(0, None)], terms);
    call.after(20.0, CallInput::Answered);
    call.lines.clear();
    call.expire().after(0.1, ended(16, 0)).reads(
        "80s deadline
            record step 0 error_session_ended
            hang up
        80.1s ended 16
            finish answered by us",
    );
}

#[test]
fn a_backend_that_ends_the_call_at_its_limit_did_so_for_us() {
    Call::answered(vec![play(0, None)]).after(2.0, over(9)).after(597.0, ended(0, 0)).reads(
        "2s #9 over
        599s ended 0
            record step 0 error_session_ended
            finish answered by us",
    );
}

#[test]
fn a_hangup_step_ends_the_call_by_itself() {
    let steps = vec![Step { action: Action::Hangup, next: Some(1) }, play(0, None)];
    Call::of(steps).after(0.0, CallInput::Answered).after(0.0, ended(16, 0)).reads(
        "0s answered
            record answered
            record step 0 begins
            record step 0 success_ok
            hang up
        0s ended 16
            finish answered by us",
    );
}

#[test]
fn nothing_comes_after_the_end() {
    let mut call = Call::of(vec![play(0, None)]);
    call.after(1.0, ended(17, 486));
    call.lines.clear();
    for input in [CallInput::Ringing, CallInput::Answered, digit('1'), ended(16, 0), CallInput::HangUpRequested] {
        call.after(1.0, input);
    }
    assert!(call.machine.is_finished() && call.machine.next_timeout().is_none());
    assert!(call.lines.iter().all(|line| line.contains("s ")), "{:?}", call.lines);
    call.machine.handle_timeout(call.now);
    assert_eq!(call.machine.next_command(), None);
}

#[test]
fn a_deadline_that_has_not_come_does_nothing() {
    let mut call = Call::answered(vec![play(0, None)]);
    let before = call.machine.state().clone();
    call.machine.handle_timeout(call.now + Duration::from_secs(10));
    assert_eq!((call.machine.next_command(), call.machine.state()), (None, &before));
}
