//! Blind transfers asked for from outside: the callee is handed over, and the flow ends with it.

use super::diverting::{flow_of, picks_up, slot, talking};
use super::*;

#[test]
fn a_blind_transfer_ends_the_flow_and_the_call_ends_with_it() {
    let mut call = Call::answered(vec![play(0, None)]);
    assert_eq!(call.blind("+6512345678"), Ok(leg(1)));
    call.after(1.0, slot(1));
    assert_eq!(call.attended("2000"), Err(Refusal::TransferUnderWay));
    call.after(3.0, picks_up(1));
    assert_eq!(call.attended("2000"), Err(Refusal::HandedOver));
    call.after(6.0, leg_ended(1, 16, 0)).after(0.0, ended(16, 0)).reads(
        "0s blind transfer to +6512345678!
         acquire slot for t1
         1s slot for t1
         stop #1
         record step 0 error_session_ended
         record t1 added +6512345678
         hand over to t1 +6512345678
         1s attended transfer to 2000!
         4s t1 answered
         record t1 answered
         4s attended transfer to 2000!
         10s t1 ended 16
         record t1 removed
         release slot of t1
         hang up
         10s ended 16
         finish answered by us",
    );
}

#[test]
fn a_blind_transfer_that_reaches_nobody_ends_the_call_as_one_of_the_flow_does() {
    let mut call = talking();
    assert_eq!(call.blind("2000"), Ok(leg(2)));
    call.after(0.0, leg_ended(1, 16, 0)).after(4.0, leg_ended(2, 17, 486)).reads(
        "1s blind transfer to 2000!
         record step 0 success_ok transfer answered
         hang up t1
         record t2 added 2000
         hand over to t2 2000
         1s t1 ended 16
         record t1 removed
         5s t2 ended 17/486
         record t2 failed busy by callee
         hang up",
    );
}

#[test]
fn without_a_slot_a_blind_transfer_changes_nothing() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.blind("+6512345678").unwrap();
    call.lines.clear();
    call.expire().after(0.0, over(1)).reads(
        "30s deadline
         record t1 failed congestion by us
         release slot of t1
         30s #1 over
         record step 0 success_ok
         hang up",
    );
}

#[test]
fn nobody_is_transferred_after_the_flow_has_handed_the_callee_over() {
    let mut call = Call::answered(flow_of(|own| own.kind = TransferKind::Blind));
    call.after(1.0, picks_up(1));
    assert_eq!(call.attended("2000"), Err(Refusal::HandedOver));
    // And whoever rings when it does rings no more.
    let blind = Transfer { kind: TransferKind::Blind, ..transfer("1000") };
    let mut call = Call::answered(vec![play(0, Some(1)), Step { action: Action::Transfer(blind), next: None }]);
    call.attended("2000").unwrap();
    call.lines.clear();
    call.after(1.0, over(1)).after(0.0, picks_up(1)).after(0.0, leg_ended(1, 16, 487)).after(1.0, picks_up(2)).reads(
        "1s #1 over
         record step 0 success_ok
         record step 1 begins
         record t2 added 1000
         hang up t1
         hand over to t2 1000
         1s t1 answered
         1s t1 ended 16/487
         record t1 failed cancelled by us
         2s t2 answered
         record t2 answered
         record step 1 success_ok transfer answered",
    );
}
