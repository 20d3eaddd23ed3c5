//! Participants, supervisors, and what else is asked of a call from outside.

use super::*;

fn supervisor(ordinal: u16) -> LegId {
    LegId { attempt: attempt(), role: LegRole::Supervisor, ordinal }
}

fn come(leg: LegId) -> CallInput {
    CallInput::LegAnswered { leg }
}

fn go(leg: LegId) -> CallInput {
    CallInput::LegEnded { leg, end: end(16, 0) }
}

impl Call {
    fn invite(&mut self, role: LegRole, target: &str, session: SessionType) -> Result<LegId, Refusal> {
        self.say(&format!("{role:?} {target} {session:?}").to_lowercase());
        let target = transfer(target).target;
        let invited = self.machine.invite(self.now, Invitation { role, target, caller: None, session });
        self.drain();
        invited
    }

    fn supervise(&mut self, target: &str, session: SessionType) -> Result<LegId, Refusal> {
        self.invite(LegRole::Supervisor, target, session)
    }

    fn add(&mut self, target: &str, spies: bool) -> LegId {
        let session = if spies { SessionType::Monitor } else { SessionType::BargeIn };
        self.invite(LegRole::Participant, target, session).expect("comes")
    }

    fn dismiss(&mut self, leg: LegId) -> Option<LegId> {
        self.say(&format!("{} is sent away", leg_name(&leg)));
        let dismissed = self.machine.dismiss(self.now, |theirs, _| theirs == leg);
        self.drain();
        dismissed
    }

    fn record(&mut self, on: bool) -> Result<(), Refusal> {
        self.say(if on { "record" } else { "record no more" });
        let set = self.machine.set_recording(self.now, on);
        self.drain();
        set
    }
}

/// A call in which the callee talks with whom they were transferred to.
fn talking() -> Call {
    let mut call = Call::answered(vec![Step { action: Action::Transfer(transfer("1000")), next: None }]);
    call.after(1.0, CallInput::LegAnswered { leg: leg(1) });
    call.lines.clear();
    call
}

#[test]
fn a_supervisor_listens_coaches_and_barges_in_with_one_leg() {
    let mut call = talking();
    assert_eq!(call.supervise("2000", SessionType::Monitor), Ok(supervisor(1)));
    call.after(2.0, come(supervisor(1)));
    for session in [SessionType::Coaching, SessionType::Coaching, SessionType::BargeIn, SessionType::Monitor] {
        assert_eq!(call.supervise("2000", session), Ok(supervisor(1)), "the same leg");
    }
    assert_eq!(call.dismiss(supervisor(1)), Some(supervisor(1)));
    call.after(0.0, go(supervisor(1))).reads(
        "1s supervisor 2000 monitor
         record s1 added 2000
         dial s1 2000 for 30s
         3s s1 answered
         record s1 answered
         s1 listens in
         3s supervisor 2000 coaching
         s1 listens in and whispers to t1
         3s supervisor 2000 coaching
         3s supervisor 2000 bargein
         bridge s1
         3s supervisor 2000 monitor
         s1 listens in
         3s s1 is sent away
         hang up s1
         3s s1 ended 16
         record s1 removed",
    );
    assert_eq!(call.machine.phase_name(), "transfer", "the call goes on");
}

#[test]
fn nobody_is_coached_before_a_person_has_joined() {
    let mut call = Call::answered(vec![play(0, None)]);
    assert_eq!(call.supervise("2000", SessionType::Coaching), Err(Refusal::NobodyToCoach));
    assert_eq!(call.machine.next_command(), None);
    assert_eq!(call.supervise("2000", SessionType::Monitor), Ok(supervisor(1)));
    call.after(1.0, come(supervisor(1)));
    assert_eq!(call.supervise("2000", SessionType::Coaching), Err(Refusal::NobodyToCoach));
    let other = call.add("3000", false);
    call.after(1.0, come(other));
    assert_eq!(call.supervise("2000", SessionType::Coaching), Ok(supervisor(1)));
    call.lines.clear();
    call.after(1.0, go(other)).reads(
        "3s p1 ended 16
         record p1 removed
         s1 listens in",
    );
}

#[test]
fn a_call_that_is_not_answered_or_is_ending_takes_nobody_in() {
    let mut call = Call::of(vec![play(0, None)]);
    assert_eq!(call.supervise("2000", SessionType::Monitor), Err(Refusal::NotAnswered));
    assert_eq!(call.record(true), Err(Refusal::NotAnswered));
    call.after(1.0, CallInput::HangUpRequested);
    assert_eq!(call.supervise("2000", SessionType::Monitor), Err(Refusal::Ending));
    assert_eq!(call.dismiss(supervisor(1)), None);
}

#[test]
fn what_plays_begins_anew_for_whoever_joins() {
    let mut call = Call::answered(vec![Step { action: Action::Gather(gather(0, 1)), next: None }, play(1, None)]);
    let added = call.add("3000", false);
    call.after(1.0, come(added));
    let another = call.add("3001", false);
    call.after(1.0, come(another)).after(1.0, over(1)).after(1.0, over(2)).reads(
        "0s participant 3000 bargein
         record p1 added 3000
         dial p1 3000 for 30s
         1s p1 answered
         record p1 answered
         stop #1
         bridge p1
         play #2 message 0 for a key
         1s participant 3001 bargein
         record p2 added 3001
         dial p2 3001 for 30s
         2s p2 answered
         record p2 answered
         bridge p2
         3s #1 over
         4s #2 over",
    );
}

#[test]
fn the_end_of_the_flow_waits_for_those_who_talk() {
    let mut call = Call::answered(vec![play(0, None)]);
    let (talker, spy) = (call.add("3000", false), call.add("3001", true));
    call.after(1.0, come(talker)).after(0.0, come(spy));
    call.lines.clear();
    call.after(1.0, over(2)).after(9.0, go(talker)).after(0.0, ended(16, 0)).after(1.0, go(spy)).reads(
        "2s #2 over
         record step 0 success_ok
         11s p1 ended 16
         record p1 removed
         hang up p2
         hang up
         11s ended 16
         12s p2 ended 16
         record p2 removed
         finish answered by us",
    );
}

#[test]
fn the_calls_limit_holds_for_third_parties_too() {
    let mut call = Call::answered(vec![play(0, None)]);
    let talker = call.add("3000", false);
    call.after(1.0, come(talker)).after(1.0, over(2));
    call.lines.clear();
    call.expire().reads(
        "600s deadline
         hang up p1
         hang up",
    );
}

#[test]
fn an_external_participant_waits_for_a_slot_and_gives_it_back() {
    let mut call = talking();
    let added = call.add("+6512345678", false);
    assert_eq!(call.machine.state().slots(), [added]);
    call.after(1.0, CallInput::SlotGranted { leg: added });
    call.after(1.0, CallInput::LegEnded { leg: added, end: end(17, 486) }).reads(
        "1s participant +6512345678 bargein
         acquire slot for p1
         2s slot for p1
         record p1 added +6512345678
         dial p1 +6512345678 for 30s
         3s p1 ended 17/486
         record p1 failed busy by callee
         release slot of p1",
    );
    call.add("+6512345678", false);
    call.expire().reads(
        "3s participant +6512345678 bargein
         acquire slot for p2
         33s deadline
         record p2 failed congestion by us
         release slot of p2",
    );
    assert_eq!(call.machine.state().slots(), []);
}

#[test]
fn whoever_does_not_pick_up_is_hung_up_until_they_are_gone() {
    let mut call = talking();
    let (late, _) = (call.add("3000", false), call.lines.clear());
    call.expire().expire().after(0.0, come(late)).after(0.0, go(late)).reads(
        "34s deadline
         hang up p1
         44s deadline
         hang up p1
         44s p1 answered
         44s p1 ended 16
         record p1 failed unanswered by us",
    );
}

#[test]
fn an_adopter_lets_them_in_again_and_dials_nobody() {
    let mut call = Call::answered(vec![play(0, None)]);
    let (talker, waits) = (call.add("3000", false), call.add("+6512345678", true));
    call.after(1.0, come(talker));
    let dialled = call.add("3001", true);
    call.lines.clear();
    assert_eq!(call.machine.state().other_legs(), [talker, dialled]);
    call.adopted_after(40.0).reads(
        "41s adopted
         bridge p1
         acquire slot for p2
         stop #2
         play #4097 message 0",
    );
    assert_eq!(call.machine.state().slots(), [waits]);
    call.expire();
    assert_eq!(call.machine.state().other_legs(), [talker, dialled], "still on its way out");
}

#[test]
fn there_is_room_for_eight() {
    let mut call = talking();
    for ordinal in 1..=8 {
        assert_eq!(call.supervise(&format!("{}", 2000 + ordinal), SessionType::Monitor), Ok(supervisor(ordinal)));
    }
    assert_eq!(call.supervise("3000", SessionType::Monitor), Err(Refusal::TooMany));
    call.after(1.0, go(supervisor(3)));
    assert_eq!(call.supervise("3000", SessionType::Monitor), Ok(supervisor(9)));
}

#[test]
fn recording_is_turned_on_and_off() {
    let mut call = Call::answered(vec![play(0, None)]);
    for on in [true, true, false, false, true] {
        assert_eq!(call.record(on), Ok(()));
    }
    call.reads(
        "0s record
         start recording
         0s record
         0s record no more
         stop recording
         0s record no more
         0s record
         start recording",
    );
    call.record(false).unwrap();
    call.lines.clear();
    call.adopted_after(1.0).reads(
        "1s adopted
         stop recording
         stop #1
         play #4097 message 0",
    );
}

#[test]
fn a_secret_is_not_recorded_whoever_turns_recording_on() {
    let secret = Gather { sensitive: true, ..gather(0, 1) };
    let mut call = Call::answered(vec![Step { action: Action::Gather(secret), next: None }, play(1, None)]);
    call.record(true).unwrap();
    call.after(1.0, digit('1')).reads(
        "0s record
         1s key 1
         stop #1
         resume recording
         record step 0 success_ok
         record step 1 begins
         play #2 message 1",
    );
}

#[test]
fn whoever_coached_somebody_who_has_left_coaches_another_or_listens() {
    let mut call = talking();
    let (other, supervisor) = (call.add("3000", false), call.supervise("2000", SessionType::Coaching).unwrap());
    call.after(1.0, come(other)).after(0.0, come(supervisor));
    call.lines.clear();
    call.after(1.0, leg_ended(1, 16, 0)).reads(
        "3s t1 ended 16
         record t1 removed
         record step 0 success_ok transfer answered
         s1 listens in and whispers to p1",
    );
    call.lines.clear();
    let barges = call.add("3001", false);
    call.after(1.0, come(barges));
    call.lines.clear();
    assert_eq!(call.add("3000", true), other);
    call.reads(
        "4s participant 3000 monitor
         p1 listens in
         s1 listens in and whispers to p2",
    );
}

#[test]
fn a_secret_is_not_recorded_although_recording_was_turned_off() {
    let secret = Gather { sensitive: true, ..gather(0, 2) };
    let steps = vec![play(0, Some(1)), Step { action: Action::Gather(secret), next: None }, play(1, None)];
    let mut call = Call::answered_on(steps, CallTerms { recording: true, ..TERMS });
    call.record(false).unwrap();
    // The backend may not have heard of it.
    call.after(1.0, over(1)).reads(
        "0s record no more
         stop recording
         1s #1 over
         record step 0 success_ok
         record step 1 begins
         pause recording
         play #2 message 0 for a key",
    );
    call.lines.clear();
    call.adopted_after(40.0).reads(
        "41s adopted
         stop recording
         pause recording
         stop #2
         play #4097 message 0 for a key",
    );
    call.lines.clear();
    call.after(1.0, digit('1')).reads(
        "42s key 1
         stop #4097
         record step 1 success_ok
         record step 2 begins
         play #4098 message 1",
    );
}
