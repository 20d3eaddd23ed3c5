//! From the dial to the first step.

use super::*;

fn detecting(machine_detection: MachineDetection) -> Call {
    let mut call = Call::on(vec![play(0, None)], CallTerms { machine_detection, ..TERMS });
    call.after(2.0, CallInput::Answered);
    call
}

#[test]
fn a_call_rings_is_answered_speaks_and_ends() {
    Call::of(vec![play(0, Some(1)), play(1, None)])
        .after(1.0, CallInput::Ringing)
        .after(4.0, CallInput::Answered)
        .after(3.0, over(1))
        .after(3.0, over(2))
        .after(0.0, ended(16, 0))
        .reads(
            "1s ringing
                record ringing
            5s answered
                record answered
                record step 0 begins
                play #1 message 0
            8s #1 over
                record step 0 success_ok
                record step 1 begins
                play #2 message 1
            11s #2 over
                record step 1 success_ok
                hang up
            11s ended 16
                finish answered by us",
        );
}

#[test]
fn ringing_and_answer_are_written_down_once_and_ringing_is_no_condition() {
    Call::of(vec![play(0, None)])
        .after(1.0, CallInput::Ringing)
        .after(0.0, CallInput::Ringing)
        .after(1.0, CallInput::Answered)
        .after(0.0, CallInput::Answered)
        .after(0.0, CallInput::Ringing)
        .reads(
            "1s ringing
                record ringing
            1s ringing
            2s answered
                record answered
                record step 0 begins
                play #1 message 0
            2s answered
            2s ringing",
        );
    Call::of(vec![play(0, None)]).after(1.0, CallInput::Answered).reads(
        "1s answered
            record answered
            record step 0 begins
            play #1 message 0",
    );
}

#[test]
fn a_phone_that_rings_too_long_is_hung_up_and_was_not_answered() {
    let mut call = Call::of(vec![play(0, None)]);
    call.after(1.0, CallInput::Ringing).expire().after(0.2, ended(16, 487)).reads(
        "1s ringing
            record ringing
        33s deadline
            hang up
        33.2s ended 16/487
            finish unanswered by us",
    );
}

#[test]
fn a_phone_that_never_rang_was_out_of_reach() {
    Call::of(vec![play(0, None)]).expire().after(0.0, ended(19, 480)).reads(
        "33s deadline
            hang up
        33s ended 19/480
            finish unreachable by us",
    );
}

#[test]
fn an_end_before_the_answer_is_told_as_the_network_told_it() {
    for (rings, cause, sip, line) in [
        (true, 17, 486, "finish busy by callee"),
        (true, 19, 480, "finish unanswered by us"),
        (false, 19, 480, "finish unreachable by network"),
        (false, 1, 404, "finish invalidnumber by network"),
        (true, 21, 603, "finish rejected by callee"),
        (false, 34, 503, "finish congestion by network"),
    ] {
        let mut call = Call::of(vec![play(0, None)]);
        if rings {
            call.after(1.0, CallInput::Ringing);
        }
        call.after(1.0, ended(cause, sip));
        assert_eq!(call.lines.last().unwrap(), line);
    }
}

#[test]
fn a_call_whose_fate_nobody_knows_is_unknown() {
    Call::of(vec![play(0, None)]).after(1.0, CallInput::Ringing).after(5.0, CallInput::Ended(LOST)).reads(
        "1s ringing
            record ringing
        6s ended lost
            finish unknown by nobody knows whom",
    );
}

#[test]
fn whoever_picks_up_while_we_give_up_was_reached() {
    Call::of(vec![play(0, None)])
        .after(1.0, CallInput::HangUpRequested)
        .after(0.1, CallInput::Answered)
        .after(0.1, ended(16, 0))
        .reads(
            "1s hang up!
                hang up
            1.1s answered
                record answered
            1.2s ended 16
                finish answered by us",
        );
}

#[test]
fn a_machine_is_hung_up_on_if_the_request_says_so() {
    detecting(MachineDetection::Hangup)
        .after(3.0, CallInput::PartyDetected(AnsweredBy::Machine))
        .after(0.0, ended(16, 0))
        .reads(
            "2s answered
                record answered
                detect machine
            5s machine
                record machine
                hang up
            5s ended 16
                finish answered by us",
        );
}

#[test]
fn a_person_hears_the_flow_whatever_is_done_about_machines() {
    for mode in [MachineDetection::Hangup, MachineDetection::Continue, MachineDetection::WaitForBeep] {
        let mut call = detecting(mode);
        call.lines.clear();
        call.after(1.0, CallInput::PartyDetected(AnsweredBy::Human)).reads(
            "3s human
                record human
                record step 0 begins
                play #1 message 0",
        );
    }
}

#[test]
fn detection_that_says_nothing_is_not_waited_for_for_ever() {
    detecting(MachineDetection::Hangup).expire().after(1.0, CallInput::PartyDetected(AnsweredBy::Machine)).reads(
        "2s answered
            record answered
            detect machine
        12s deadline
            record unknown
            record step 0 begins
            play #1 message 0
        13s machine",
    );
}

#[test]
fn a_machine_is_spoken_to_after_its_beep_or_after_half_a_minute() {
    let mut call = detecting(MachineDetection::WaitForBeep);
    call.after(3.0, CallInput::PartyDetected(AnsweredBy::Machine)).after(8.0, CallInput::BeepHeard).reads(
        "2s answered
            record answered
            detect machine and beep
        5s machine
            record machine
        13s beep
            record step 0 begins
            play #1 message 0",
    );
    let mut call = detecting(MachineDetection::WaitForBeep);
    call.after(3.0, CallInput::PartyDetected(AnsweredBy::Machine));
    call.lines.clear();
    call.expire().after(0.0, CallInput::BeepHeard).reads(
        "35s deadline
            record step 0 begins
            play #1 message 0
        35s beep",
    );
    let mut call = detecting(MachineDetection::WaitForBeep);
    call.lines.clear();
    call.after(3.0, CallInput::BeepHeard).reads(
        "5s beep
            record machine
            record step 0 begins
            play #1 message 0",
    );
}

#[test]
fn recording_begins_with_the_answer() {
    let terms = CallTerms { recording: true, machine_detection: MachineDetection::Continue, ..TERMS };
    Call::on(vec![play(0, None)], terms).after(1.0, CallInput::Answered).reads(
        "1s answered
            record answered
            start recording
            detect machine",
    );
}
