//! Second legs: slots, dials, bridges, and who leaves first.

use super::*;

fn steps(change: impl FnOnce(&mut Transfer)) -> Vec<Step> {
    let mut transfer = transfer("+6512345678");
    change(&mut transfer);
    vec![Step { action: Action::Transfer(transfer), next: Some(1) }, play(0, None)]
}

fn granted() -> CallInput {
    CallInput::SlotGranted { leg: leg(1) }
}

fn picked_up() -> CallInput {
    CallInput::LegAnswered { leg: leg(1) }
}

/// A transfer to the outside whose leg was dialled at 0 s.
fn dialled(change: impl FnOnce(&mut Transfer)) -> Call {
    let mut call = Call::answered(steps(change));
    call.after(0.0, granted());
    call.lines.clear();
    call
}

/// The same, joined at 4 s.
fn joined() -> Call {
    let mut call = dialled(|_| ());
    call.after(4.0, picked_up());
    call.lines.clear();
    call
}

#[test]
fn a_transfer_outside_waits_for_a_slot_writes_the_leg_down_dials_and_joins() {
    Call::of(steps(|transfer| transfer.message = Some(3)))
        .after(0.0, CallInput::Answered)
        .after(2.0, over(1))
        .after(1.0, granted())
        .after(4.0, picked_up())
        .after(60.0, leg_ended(1, 16, 0))
        .after(0.0, ended(16, 0))
        .reads(
            "0s answered
                record answered
                record step 0 begins
                play #1 message 3
            2s #1 over
                acquire slot for t1
            3s slot for t1
                record t1 added +6512345678
                dial t1 +6512345678 for 20s
            7s t1 answered
                record t1 answered
                bridge t1
            67s t1 ended 16
                record t1 removed
                release slot of t1
                record step 0 success_ok transfer answered
                hang up
            67s ended 16
                finish answered by us",
        );
}

#[test]
fn a_transfer_inside_needs_no_slot() {
    Call::of(steps(|transfer| transfer.target = Target::Queue("sales".into())))
        .after(0.0, CallInput::Answered)
        .after(1.0, picked_up())
        .after(1.0, leg_ended(1, 16, 0))
        .reads(
            "0s answered
                record answered
                record step 0 begins
                record t1 added Queue:sales
                dial t1 Queue:sales for 20s
            1s t1 answered
                record t1 answered
                bridge t1
            2s t1 ended 16
                record t1 removed
                record step 0 success_ok transfer answered
                hang up",
        );
}

#[test]
fn without_a_slot_in_time_the_transfer_fails_and_the_flow_goes_on_if_it_may() {
    Call::answered(steps(|transfer| transfer.on_failure = OnFailure::Continue)).expire().after(0.0, granted()).reads(
        "20s deadline
            release slot of t1
            record step 0 error_concurrent_call_limit_reached transfer failed
            record step 1 begins
            play #1 message 0
        20s slot for t1",
    );
}

#[test]
fn a_target_that_is_not_reached_is_told_in_the_transfers_words() {
    for (cause, sip, failed, step) in [
        (17, 486, "busy by callee", "error_session_ended transfer busy"),
        (19, 480, "unanswered by us", "error_timeout transfer unanswered"),
        (21, 603, "rejected by callee", "error_session_ended transfer failed"),
        (1, 404, "invalidnumber by network", "error_dest_invalid transfer failed"),
    ] {
        dialled(|_| ()).after(5.0, leg_ended(1, cause, sip)).reads(&format!(
            "5s t1 ended {cause}/{sip}
                record t1 failed {failed}
                release slot of t1
                record step 0 {step}
                hang up"
        ));
    }
}

#[test]
fn a_target_that_rings_too_long_is_hung_up_and_its_slot_is_held_until_it_is_gone() {
    dialled(|transfer| transfer.on_failure = OnFailure::Continue)
        .expire()
        .expire()
        .after(0.0, picked_up())
        .after(1.0, leg_ended(1, 16, 487))
        .reads(
            "23s deadline
                hang up t1
            33s deadline
                hang up t1
            33s t1 answered
            34s t1 ended 16/487
                record t1 failed unanswered by us
                release slot of t1
                record step 0 error_timeout transfer unanswered
                record step 1 begins
                play #1 message 0",
        );
}

#[test]
fn a_callee_who_leaves_while_the_target_rings_takes_the_target_along() {
    dialled(|_| ()).after(2.0, ended(16, 0)).after(0.1, leg_ended(1, 16, 487)).reads(
        "2s ended 16
            record step 0 error_session_ended transfer unanswered
            hang up t1
        2.1s t1 ended 16/487
            record t1 failed cancelled by us
            release slot of t1
            finish answered by callee",
    );
}

#[test]
fn a_callee_who_leaves_the_bridge_ends_a_transfer_that_succeeded() {
    joined().after(10.0, ended(16, 0)).expire().after(0.1, leg_ended(1, 16, 0)).reads(
        "14s ended 16
            record step 0 success_ok transfer answered
            hang up t1
        24s deadline
            hang up t1
        24.1s t1 ended 16
            record t1 removed
            release slot of t1
            finish answered by callee",
    );
}

#[test]
fn a_callee_who_leaves_while_a_slot_is_waited_for_leaves_nothing_behind() {
    Call::answered(steps(|_| ())).after(1.0, ended(16, 0)).reads(
        "1s ended 16
            record step 0 error_session_ended transfer failed
            release slot of t1
            finish answered by callee",
    );
}

#[test]
fn a_bridge_ends_with_the_calls_longest_duration() {
    joined().expire().after(0.0, leg_ended(1, 16, 0)).after(0.0, ended(16, 0)).reads(
        "600s deadline
            record step 0 success_ok transfer answered
            hang up t1
            hang up
        600s t1 ended 16
            record t1 removed
            release slot of t1
        600s ended 16
            finish answered by us",
    );
}

#[test]
fn a_blind_transfer_hands_the_callee_over_and_waits_for_the_end() {
    Call::answered(steps(|transfer| transfer.kind = TransferKind::Blind))
        .after(0.0, granted())
        .after(3.0, picked_up())
        .after(60.0, leg_ended(1, 16, 0))
        .after(0.0, ended(16, 0))
        .reads(
            "0s slot for t1
                record t1 added +6512345678
                hand over to t1 +6512345678
            3s t1 answered
                record t1 answered
                record step 0 success_ok transfer answered
            63s t1 ended 16
                record t1 removed
                release slot of t1
                hang up
            63s ended 16
                finish answered by us",
        );
}

#[test]
fn a_callee_who_leaves_after_a_blind_transfer_holds_the_slot_until_the_other_leg_is_gone() {
    let mut call = dialled(|transfer| transfer.kind = TransferKind::Blind);
    call.after(3.0, picked_up());
    call.lines.clear();
    call.after(5.0, ended(16, 0)).after(0.0, CallInput::LegEnded { leg: leg(1), end: LOST }).reads(
        "8s ended 16
            hang up t1
        8s t1 ended lost
            record t1 removed
            release slot of t1
            finish answered by callee",
    );
}

#[test]
fn events_of_other_legs_change_nothing() {
    let other = leg(2);
    dialled(|_| ())
        .after(0.0, CallInput::LegAnswered { leg: other })
        .after(0.0, leg_ended(2, 16, 0))
        .after(0.0, granted())
        .after(0.0, CallInput::LegAnswered { leg: LegId::callee(attempt()) })
        .reads("0s t2 answered\n0s t2 ended 16\n0s slot for t1\n0s callee answered");
}

#[test]
fn each_transfer_of_a_call_has_a_leg_of_its_own() {
    let mut first = transfer("1000");
    first.on_failure = OnFailure::Continue;
    let steps = vec![
        Step { action: Action::Transfer(first), next: Some(1) },
        Step { action: Action::Transfer(transfer("2000")), next: None },
    ];
    Call::answered(steps).after(1.0, leg_ended(1, 17, 486)).reads(
        "1s t1 ended 17/486
            record t1 failed busy by callee
            record step 0 error_session_ended transfer busy
            record step 1 begins
            record t2 added 2000
            dial t2 2000 for 20s",
    );
}
