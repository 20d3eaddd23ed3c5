//! Transfers asked for from outside, beside whatever the flow does.

use super::*;

impl Call {
    fn divert(&mut self, target: &str, kind: TransferKind) -> Result<LegId, Refusal> {
        self.say(&format!("{kind:?} transfer to {target}!").to_lowercase());
        let transferred = self.machine.transfer(self.now, transfer(target).target, kind);
        self.drain();
        transferred
    }

    pub(super) fn attended(&mut self, target: &str) -> Result<LegId, Refusal> {
        self.divert(target, TransferKind::Attended)
    }

    pub(super) fn blind(&mut self, target: &str) -> Result<LegId, Refusal> {
        self.divert(target, TransferKind::Blind)
    }

    /// Somebody who takes part, or a supervisor.
    fn comes(&mut self, role: LegRole, target: &str, session: SessionType) -> LegId {
        let invitation = Invitation { role, target: transfer(target).target, caller: None, session };
        let leg = self.machine.invite(self.now, invitation).expect("comes");
        self.drain().after(0.0, CallInput::LegAnswered { leg });
        self.lines.clear();
        leg
    }
}

pub(super) fn picks_up(ordinal: u16) -> CallInput {
    CallInput::LegAnswered { leg: leg(ordinal) }
}

pub(super) fn slot(ordinal: u16) -> CallInput {
    CallInput::SlotGranted { leg: leg(ordinal) }
}

pub(super) fn flow_of(change: impl FnOnce(&mut Transfer)) -> Vec<Step> {
    let mut transfer = transfer("1000");
    change(&mut transfer);
    vec![Step { action: Action::Transfer(transfer), next: Some(1) }, play(0, None)]
}

/// A callee who talks with whom the flow has transferred them to, since 1 s.
pub(super) fn talking() -> Call {
    let mut call = Call::answered(flow_of(|_| ()));
    call.after(1.0, picks_up(1));
    call.lines.clear();
    call
}

#[test]
fn the_callee_hears_on_until_the_target_answers_and_then_talks_with_them() {
    let mut call = Call::answered(vec![play(0, Some(1)), play(1, None)]);
    assert_eq!(call.attended("1000"), Ok(leg(1)));
    call.after(2.0, over(1)).after(3.0, picks_up(1)).after(0.0, over(2)).after(60.0, leg_ended(1, 16, 0)).reads(
        "0s attended transfer to 1000!
         record t1 added 1000
         dial t1 1000 for 30s
         2s #1 over
         record step 0 success_ok
         record step 1 begins
         play #2 message 1
         5s t1 answered
         record t1 answered
         stop #2
         record step 1 error_session_ended
         bridge t1
         5s #2 over
         65s t1 ended 16
         record t1 removed
         hang up",
    );
}

#[test]
fn a_callee_who_leaves_takes_the_target_along() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.attended("1000").unwrap();
    call.after(1.0, picks_up(1));
    call.lines.clear();
    call.after(9.0, ended(16, 0)).after(0.0, leg_ended(1, 16, 0)).reads(
        "10s ended 16
         hang up t1
         10s t1 ended 16
         record t1 removed
         finish answered by callee",
    );
}

#[test]
fn a_target_who_is_not_reached_changes_nothing() {
    for (cause, sip, failed) in [(17, 486, "busy by callee"), (19, 480, "unanswered by us")] {
        let mut call = Call::answered(vec![play(0, None)]);
        call.attended("1000").unwrap();
        call.lines.clear();
        call.after(5.0, leg_ended(1, cause, sip)).after(1.0, over(1)).reads(&format!(
            "5s t1 ended {cause}/{sip}
             record t1 failed {failed}
             6s #1 over
             record step 0 success_ok
             hang up"
        ));
    }
    let mut call = Call::answered(vec![play(0, None)]);
    call.attended("1000").unwrap();
    call.lines.clear();
    call.expire().after(0.0, picks_up(1)).after(0.0, leg_ended(1, 16, 487)).reads(
        "33s deadline
         hang up t1
         33s t1 answered
         33s t1 ended 16/487
         record t1 failed unanswered by us",
    );
    assert_eq!(call.machine.phase_name(), "play");
}

#[test]
fn an_external_target_waits_for_a_slot_and_without_one_nothing_changes() {
    let mut call = Call::answered(vec![play(0, None)]);
    assert_eq!(call.attended("+6512345678"), Ok(leg(1)));
    assert_eq!(call.machine.state().slots(), [leg(1)]);
    call.after(1.0, slot(1)).after(1.0, leg_ended(1, 21, 603));
    assert_eq!(call.machine.state().slots(), []);
    call.attended("+6512345678").unwrap();
    call.expire().reads(
        "0s attended transfer to +6512345678!
         acquire slot for t1
         1s slot for t1
         record t1 added +6512345678
         dial t1 +6512345678 for 30s
         2s t1 ended 21/603
         record t1 failed rejected by callee
         release slot of t1
         2s attended transfer to +6512345678!
         acquire slot for t2
         32s deadline
         record t2 failed congestion by us
         release slot of t2",
    );
    assert_eq!(call.machine.phase_name(), "play");
}

#[test]
fn the_end_of_the_flow_waits_for_whoever_rings() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.attended("1000").unwrap();
    call.lines.clear();
    call.after(1.0, over(1)).after(4.0, picks_up(1)).reads(
        "1s #1 over
         record step 0 success_ok
         5s t1 answered
         record t1 answered
         bridge t1",
    );
    // And no longer than that, be it for a phone or for a slot.
    for target in ["1000", "+6512345678"] {
        let mut call = Call::answered(vec![play(0, None)]);
        call.attended(target).unwrap();
        call.after(1.0, over(1)).expire();
        assert_eq!(call.lines.last().map(String::as_str), Some("hang up"), "{target}");
    }
}

#[test]
fn whom_the_callee_talked_with_before_leaves_when_the_next_one_answers() {
    let mut call = talking();
    assert_eq!(call.attended("2000"), Ok(leg(2)));
    call.after(3.0, picks_up(2)).after(0.1, leg_ended(1, 16, 0));
    assert_eq!(call.attended("3000"), Ok(leg(3)));
    call.after(3.0, picks_up(3)).after(0.9, leg_ended(2, 16, 0)).after(1.0, leg_ended(3, 16, 0)).reads(
        "1s attended transfer to 2000!
         record t2 added 2000
         dial t2 2000 for 30s
         4s t2 answered
         record t2 answered
         record step 0 success_ok transfer answered
         hang up t1
         bridge t2
         4.1s t1 ended 16
         record t1 removed
         4.1s attended transfer to 3000!
         record t3 added 3000
         dial t3 3000 for 30s
         7.1s t3 answered
         record t3 answered
         hang up t2
         bridge t3
         8s t2 ended 16
         record t2 removed
         9s t3 ended 16
         record t3 removed
         hang up",
    );
}

#[test]
fn whoever_transfers_may_leave_while_the_next_one_rings() {
    let mut call = talking();
    call.attended("2000").unwrap();
    call.lines.clear();
    call.after(1.0, leg_ended(1, 16, 0)).after(1.0, picks_up(2)).reads(
        "2s t1 ended 16
         record t1 removed
         record step 0 success_ok transfer answered
         3s t2 answered
         record t2 answered
         bridge t2",
    );
}

#[test]
fn one_before_who_does_not_go_is_hung_up_until_they_are_gone() {
    let mut call = talking();
    call.attended("2000").unwrap();
    call.after(1.0, picks_up(2));
    call.lines.clear();
    call.expire().after(0.0, leg_ended(1, 16, 0)).reads(
        "12s deadline
         hang up t1
         12s t1 ended 16
         record t1 removed",
    );
    call.expire().after(0.0, leg_ended(2, 16, 0)).after(0.0, ended(16, 0)).reads(
        "600s deadline
         hang up t2
         hang up
         600s t2 ended 16
         record t2 removed
         600s ended 16
         finish answered by us",
    );
}

#[test]
fn one_transfer_rings_at_a_time() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.attended("1000").unwrap();
    assert_eq!(call.attended("2000"), Err(Refusal::TransferUnderWay));
    assert_eq!(call.blind("2000"), Err(Refusal::TransferUnderWay));
    // The flow's own, be it that it waits for a slot.
    let mut call = Call::answered(flow_of(|_| ()));
    assert_eq!(call.attended("2000"), Err(Refusal::TransferUnderWay));
    let mut call = Call::answered(flow_of(|own| own.target = "+6512345678".parse().map(Target::External).unwrap()));
    assert_eq!(call.blind("2000"), Err(Refusal::TransferUnderWay));
    // A refusal leaves nothing behind.
    call.after(0.0, slot(1));
    assert_eq!(call.machine.state().other_legs(), [leg(1)]);
}

#[test]
fn a_call_that_is_not_answered_or_is_ending_is_not_transferred() {
    let mut call = Call::of(vec![play(0, None)]);
    assert_eq!(call.attended("1000"), Err(Refusal::NotAnswered));
    call.after(1.0, CallInput::HangUpRequested);
    assert_eq!(call.blind("1000"), Err(Refusal::Ending));
}

#[test]
fn of_the_flows_target_and_another_one_the_first_to_answer_talks_and_the_other_takes_over() {
    let mut call =
        Call::answered(vec![play(0, Some(1)), Step { action: Action::Transfer(transfer("1000")), next: None }]);
    call.attended("2000").unwrap();
    call.after(1.0, over(1));
    call.lines.clear();
    call.after(1.0, picks_up(1)).after(0.0, leg_ended(2, 16, 0)).reads(
        "2s t1 answered
         record t1 answered
         record step 1 error_session_ended transfer unanswered
         hang up t2
         bridge t1
         2s t2 ended 16
         record t2 failed cancelled by us",
    );
}

#[test]
fn supervisors_and_participants_stay_and_whoever_coached_coaches_the_next_one() {
    let mut call = talking();
    let coach = call.comes(LegRole::Supervisor, "3000", SessionType::Coaching);
    let other = call.comes(LegRole::Participant, "3001", SessionType::BargeIn);
    call.attended("2000").unwrap();
    call.lines.clear();
    call.after(1.0, picks_up(2)).after(0.0, leg_ended(1, 16, 0)).after(1.0, leg_ended(2, 16, 0)).reads(
        "2s t2 answered
         record t2 answered
         record step 0 success_ok transfer answered
         hang up t1
         bridge t2
         s1 listens in and whispers to t2
         2s t1 ended 16
         record t1 removed
         3s t2 ended 16
         record t2 removed
         s1 listens in and whispers to p1",
    );
    assert_eq!(call.machine.state().other_legs(), [coach, other], "the call goes on with the participant");
}

#[test]
fn what_was_secret_is_over_and_recording_goes_on() {
    let secret = Gather { sensitive: true, ..gather(0, 1) };
    let steps = vec![Step { action: Action::Gather(secret), next: None }, play(1, None)];
    let mut call = Call::answered_on(steps, CallTerms { recording: true, ..TERMS });
    call.attended("1000").unwrap();
    call.lines.clear();
    call.after(1.0, picks_up(1)).after(0.0, digit('1')).reads(
        "1s t1 answered
         record t1 answered
         stop #1
         resume recording
         record step 0 error_session_ended
         bridge t1
         1s key 1",
    );
}

#[test]
fn an_opt_out_that_is_not_recorded_yet_is_asked_for_until_it_is() {
    let mut call = Call::answered(vec![Step { action: Action::OptOut { message: None }, next: None }]);
    call.attended("1000").unwrap();
    call.after(1.0, picks_up(1));
    call.lines.clear();
    call.expire().adopted_after(1.0).after(0.0, CallInput::OptOutRecorded).after(60.0, ended(16, 0)).reads(
        "6s deadline
         put on the list
         7s adopted
         bridge t1
         put on the list
         7s on the list
         record optedout
         67s ended 16
         hang up t1",
    );
}

#[test]
fn an_adopter_goes_on_wherever_the_transfer_is() {
    let mut call = Call::answered(vec![play(0, None)]);
    call.attended("+6512345678").unwrap();
    call.lines.clear();
    call.adopted_after(5.0).after(0.0, slot(1)).adopted_after(5.0).after(1.0, picks_up(1)).adopted_after(5.0).reads(
        "5s adopted
         acquire slot for t1
         stop #1
         play #4097 message 0
         5s slot for t1
         record t1 added +6512345678
         dial t1 +6512345678 for 30s
         10s adopted
         stop #4097
         play #8193 message 0
         11s t1 answered
         record t1 answered
         stop #8193
         record step 0 error_session_ended
         bridge t1
         16s adopted
         bridge t1
         stop #8193",
    );
    let mut call = talking();
    call.blind("2000").unwrap();
    call.lines.clear();
    call.adopted_after(5.0).after(0.0, leg_ended(1, 16, 0)).after(1.0, picks_up(2)).adopted_after(5.0).reads(
        "6s adopted
         hang up t1
         6s t1 ended 16
         record t1 removed
         7s t2 answered
         record t2 answered
         12s adopted",
    );
    assert_eq!(call.machine.state().other_legs(), [leg(2)]);
}

#[test]
fn the_callee_waits_for_a_target_only_when_there_is_nothing_else_to_hear() {
    let mut call = Call::answered(flow_of(|_| ()));
    assert!(call.machine.state().waits_for(leg(1)), "the flow's own");
    call.after(1.0, picks_up(1));
    let attended = call.attended("2000").unwrap();
    assert!(!call.machine.state().waits_for(attended));
    call.after(1.0, leg_ended(2, 17, 486));
    let blind = call.blind("2000").unwrap();
    assert!(call.machine.state().waits_for(blind));
}
