//! The do-not-call list has the number before anything else happens to it.

use super::*;

fn opt_out(message: Option<MessageIndex>) -> Vec<Step> {
    vec![Step { action: Action::OptOut { message }, next: None }]
}

#[test]
fn the_list_has_the_number_before_the_callee_is_told() {
    Call::of(opt_out(Some(0)))
        .after(0.0, CallInput::Answered)
        .expire()
        .after(1.0, CallInput::OptOutRecorded)
        .after(2.0, over(1))
        .after(0.0, ended(16, 0))
        .reads(
            "0s answered
                record answered
                record step 0 begins
                put on the list
            5s deadline
                put on the list
            6s on the list
                record optedout
                play #1 message 0
            8s #1 over
                record step 0 success_ok
                hang up
            8s ended 16
                finish answered by us",
        );
}

#[test]
fn without_a_message_the_call_ends_at_once() {
    Call::answered(opt_out(None)).after(0.0, CallInput::OptOutRecorded).after(0.0, CallInput::OptOutRecorded).reads(
        "0s on the list
            record optedout
            record step 0 success_ok
            hang up
        0s on the list",
    );
}

#[test]
fn whoever_hangs_up_right_after_asking_is_still_put_on_the_list() {
    Call::answered(opt_out(Some(0))).after(0.1, ended(16, 0)).expire().after(0.0, CallInput::OptOutRecorded).reads(
        "0.1s ended 16
                record step 0 error_session_ended
            5.1s deadline
                put on the list
            5.1s on the list
                record optedout
                finish answered by callee",
    );
}

#[test]
fn a_list_that_never_answers_does_not_hold_the_slot_for_ever() {
    let mut call = Call::answered(opt_out(None));
    call.after(0.0, ended(16, 0));
    while !call.machine.is_finished() {
        call.expire();
    }
    assert_eq!(call.now.since(Timestamp::VIRTUAL_START), Duration::from_secs(660));
    assert_eq!(call.lines.last().unwrap(), "finish answered by callee");
}
