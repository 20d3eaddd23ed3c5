//! The checker bites: a history that keeps every promise is passed, and each promise that is then broken is named.

use std::collections::BTreeMap;

use robocall::model::status::{Counts, RequestSummary};
use robocall::model::{
    CallId, CallStatus, Disposition, DispositionResult, Fact, Happening, RequestStatus, Timestamp, WorkerId,
};
use robocall::ports::store::SlotUse;
use serde_json::json;

use crate::checker::broken;
use crate::deployment::organisation;
use crate::evidence::{Call, Drained, Evidence, Forbidden, Kept, Line, Logged};
use crate::requests::key;

const T: i64 = 1_700_000_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(T + millis)
}

fn call(index: u32) -> CallId {
    let key = key("bank", "r");
    CallId::new(&key.organisation, &key.request, index)
}

fn line(millis: i64, event: &str, leg: String) -> Line {
    Line { at: T + millis, event: event.to_owned(), leg, app: "w".to_owned(), external: true, ..Line::default() }
}

fn dialing(millis: i64, claim: u32, attempt: u32) -> Fact {
    let worker: WorkerId = "w".parse().unwrap();
    Fact { at: at(millis), what: Happening::Dialing { claim, attempt, caller: None, trunk: None, worker } }
}

fn end(millis: i64, result: DispositionResult) -> Fact {
    let (status, disposition) = (CallStatus::after(result), Disposition::new(result, None));
    Fact { at: at(millis), what: Happening::Ended { status, disposition, refusal: None } }
}

fn event(index: u32, claim: u32, seq: u32, kind: &str) -> Logged {
    let id = format!("{}.{claim}.{seq}", call(index));
    let subject = format!("r/{}", call(index));
    let body = json!({"id": id, "type": format!("robocall.{kind}"), "subject": subject, "data": {"seq": seq}});
    Logged::read(id, body.to_string().as_bytes())
}

/// Two calls, one of which was busy at first; one at a time is allowed.
fn kept_promises() -> Evidence {
    let retry =
        Happening::RetryScheduled { disposition: Disposition::new(DispositionResult::Busy, None), due: at(900) };
    let first =
        vec![dialing(0, 1, 1), Fact { at: at(100), what: Happening::Answered }, end(500, DispositionResult::Answered)];
    let second = vec![
        dialing(600, 1, 1),
        Fact { at: at(700), what: retry },
        dialing(2_000, 3, 2),
        end(2_500, DispositionResult::Unanswered),
    ];
    let counts = Counts { completed: 1, failed: 1, ..Counts::default() };
    let summary = RequestSummary {
        request_id: "r".parse().unwrap(),
        status: RequestStatus::Completed,
        total: 2,
        duplicates: 0,
        counts,
        flow_hash: None,
        errors: Vec::new(),
        error_count: 0,
        reason: None,
        trace: None,
    };
    let calls = vec![
        Call { id: call(0), status: CallStatus::Completed, facts: first },
        Call { id: call(1), status: CallStatus::Failed, facts: second },
    ];
    let name = |index: u32, claim: u32| format!("{}.{claim}", call(index));
    Evidence {
        dials: vec![
            line(10, "invite", name(0, 1)),
            line(490, "ended", name(0, 1)),
            line(610, "invite", name(1, 1)),
            line(690, "ended", name(1, 1)),
            line(2_010, "invite", name(1, 3)),
            line(2_490, "ended", name(1, 3)),
        ],
        events: vec![
            event(0, 1, 1, "call.dialing"),
            event(0, 1, 2, "call.answered"),
            event(0, 1, 2, "call.answered"),
            event(0, 1, 3, "call.ended"),
            event(1, 1, 1, "call.dialing"),
            event(1, 1, 2, "call.retryScheduled"),
            event(1, 3, 3, "call.dialing"),
            event(1, 3, 4, "call.ended"),
        ],
        requests: vec![Kept { key: key("bank", "r"), known: Some((summary.clone(), calls)) }],
        limits: [(organisation("bank"), 1)].into(),
        slots: vec![(organisation("bank"), SlotUse { limit: 1, leased: 1, ..SlotUse::default() })],
        sums: vec![summary],
        at_rest: BTreeMap::from([(organisation("bank"), Some(at(3_000)))]),
        forbidden: vec![Forbidden { key: key("bank", "r"), from: at(700), until: Some(at(1_900)) }],
        drained: vec![Drained { app: "w".to_owned(), told_at: at(2_600), grace_secs: 1, code: Some(0) }],
        emptied_at: None,
    }
}

/// What the checker says once something was changed.
fn said(doctor: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = kept_promises();
    doctor(&mut evidence);
    broken(&evidence).join("\n")
}

fn calls(evidence: &mut Evidence) -> &mut Vec<Call> {
    &mut evidence.requests[0].known.as_mut().unwrap().1
}

fn summary(evidence: &mut Evidence) -> &mut RequestSummary {
    &mut evidence.requests[0].known.as_mut().unwrap().0
}

#[track_caller]
fn names(promise: &str, said: &str) {
    assert!(said.contains(promise), "{promise} is not named: {said:?}");
}

#[test]
fn what_keeps_every_promise_is_passed() {
    assert_eq!(said(|_| {}), "");
}

#[test]
fn a_second_dial_of_an_attempt_is_named() {
    names("I1: ", &said(|seen| seen.dials.insert(2, seen.dials[0].clone())));
    let twice = said(|seen| {
        seen.emptied_at = Some(at(0));
        let again = Line { leg: format!("{}.2", call(0)), ..seen.dials[0].clone() };
        seen.dials.push(Line { at: T + 2_600, ..again });
    });
    names("was dialled 2 times, 1 were granted", &twice);
}

#[test]
fn a_dial_that_nobody_committed_to_or_that_comes_late_is_named() {
    names("without a commitment", &said(|seen| drop(calls(seen)[0].facts.remove(0))));
    names("after its commitment", &said(|seen| seen.dials[0].at += 1_900));
    names("nobody asked for it", &said(|seen| seen.dials[0].leg = "00112233445566778899-0.1".to_owned()));
}

#[test]
fn another_attempt_without_a_retryable_end_is_named() {
    names("before its attempt had ended", &said(|seen| drop(calls(seen)[1].facts.remove(1))));
    let rejected = Disposition::new(DispositionResult::Rejected, None);
    let after = Happening::RetryScheduled { disposition: rejected, due: at(900) };
    names("is tried again after Rejected", &said(|seen| calls(seen)[1].facts[1].what = after));
}

#[test]
fn sums_that_do_not_add_up_and_ends_that_are_missing_are_named() {
    names("I2: ", &said(|seen| seen.sums[0].counts.failed = 0));
    names("says 2", &said(|seen| summary(seen).counts = Counts { completed: 2, ..Counts::default() }));
    names("is at rest", &said(|seen| summary(seen).status = RequestStatus::OnProgress));
    names("with 0 ends", &said(|seen| drop(calls(seen)[0].facts.pop())));
    names("with 2 ends", &said(|seen| calls(seen)[0].facts.push(end(501, DispositionResult::Answered))));
}

#[test]
fn a_leg_beyond_the_limit_is_named() {
    names("is external leg 2", &said(|seen| seen.dials.swap(1, 2)));
}

#[test]
fn leases_beyond_the_limit_are_named() {
    names("I3: bank has", &said(|seen| seen.slots[0].1.leased = 2));
    names("I3: bank has", &said(|seen| seen.slots[0].1.external = 1));
}

#[test]
fn a_lease_that_stays_is_named() {
    names("I4: bank has leases left", &said(|seen| seen.at_rest = [(organisation("bank"), None)].into()));
    names("after its last leg", &said(|seen| seen.at_rest = [(organisation("bank"), Some(at(60_000)))].into()));
}

#[test]
fn a_leg_that_nobody_ends_is_named() {
    names("is live, and nobody's", &said(|seen| drop(seen.dials.pop())));
}

#[test]
fn a_dial_while_paused_is_named() {
    names("I7: ", &said(|seen| seen.forbidden[0].until = None));
}

#[test]
fn events_that_are_missing_doubled_or_different_are_named() {
    names("came after", &said(|seen| drop(seen.events.remove(0))));
    names("was told", &said(|seen| drop(seen.events.pop())));
    names("says another thing", &said(|seen| seen.events[2].body.push(' ')));
    names("ended twice", &said(|seen| seen.events.push(event(1, 3, 5, "call.ended"))));
    names("I8: ", &said(|seen| seen.events.swap(0, 1)));
}

#[test]
fn a_request_that_nobody_knows_is_named() {
    names("I9: ", &said(|seen| seen.requests[0].known = None));
}

#[test]
fn a_drain_that_cuts_dials_or_dawdles_is_named() {
    names("I10: w ended with", &said(|seen| seen.drained[0].code = Some(1)));
    names("was dialled while draining", &said(|seen| seen.drained[0].told_at = at(500)));
    let cut = said(|seen| {
        seen.drained[0].told_at = at(2_200);
        calls(seen)[1].status = CallStatus::Unknown;
    });
    names("was cut", &cut);
    let late = said(|seen| {
        seen.drained[0].told_at = at(2_200);
        let taken = Happening::Adopted { worker: "v".parse().unwrap() };
        calls(seen)[1].facts.insert(3, Fact { at: at(20_000), what: taken });
    });
    names("was taken over", &late);
}

#[test]
fn what_a_flushed_database_forgot_is_forgiven_and_nothing_else() {
    let flushed = |seen: &mut Evidence| {
        seen.emptied_at = Some(at(550));
        seen.requests[0].known = None;
        seen.events.truncate(6);
    };
    assert_eq!(said(flushed), "");
    let accepted = json!({"source": "/robocall/bank", "type": "robocall.request.accepted", "subject": "r"});
    let accepted = Logged::read("r.r.1".to_owned(), accepted.to_string().as_bytes());
    names(
        "ms after all was lost",
        &said(|seen| {
            flushed(seen);
            seen.emptied_at = Some(at(-2_500));
        }),
    );
    let forgotten = said(|seen| {
        flushed(seen);
        // The second leg is live when all is forgotten.
        seen.emptied_at = Some(at(650));
        seen.events.push(accepted);
    });
    names("I9: /robocall/bank r was lost, and nobody was told", &forgotten);
    names(
        "I3: ",
        &said(|seen| {
            flushed(seen);
            seen.dials.swap(1, 2);
        }),
    );
}
