use super::*;
use crate::model::status::LiveState;
use crate::model::{AttemptId, Phone, RequestStatus, SessionType};
use crate::reading::Problems;
use serde_json::{Value, json};

fn call() -> CallId {
    CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 7)
}

fn supervisor() -> LegId {
    LegId { attempt: AttemptId { call: call(), claim: 3 }, role: LegRole::Supervisor, ordinal: 1 }
}

fn invite(role: LegRole, target: &str, caller: Option<Phone>, session: SessionType) -> CommandKind {
    CommandKind::Invite {
        call: call(),
        invitation: Invitation { role, target: target.parse().unwrap(), caller, session },
    }
}

fn transfer(target: &str, kind: TransferKind) -> CommandKind {
    CommandKind::Transfer { call: call(), target: target.parse().unwrap(), kind }
}

fn kinds() -> Vec<CommandKind> {
    let request: RequestId = "r".parse().unwrap();
    vec![
        CommandKind::Pause(request.clone()),
        CommandKind::Resume(request.clone()),
        CommandKind::Cancel { request: request.clone(), hang_up: false },
        CommandKind::Cancel { request, hang_up: true },
        CommandKind::HangUp(call()),
        invite(LegRole::Supervisor, "Ext:1000", None, SessionType::Coaching),
        invite(LegRole::Supervisor, "+6591234567", None, SessionType::BargeIn),
        invite(LegRole::Participant, "Queue:sales", "+6531234567".parse().ok(), SessionType::BargeIn),
        invite(LegRole::Participant, "sip:ann@example.org", None, SessionType::Monitor),
        transfer("Ext:1000", TransferKind::Attended),
        transfer("+6591234567", TransferKind::Blind),
        CommandKind::EndSession { call: call(), session: SessionName::Leg(supervisor()) },
        CommandKind::EndSession { call: call(), session: SessionName::Target("Ext:1000".parse().unwrap()) },
        CommandKind::Record { call: call(), on: true },
        CommandKind::Record { call: call(), on: false },
    ]
}

fn reading(name: &str, body: &Value) -> Result<CommandKind, Vec<String>> {
    let mut problems = Problems::default();
    let read = read(name, body, &mut problems);
    assert_eq!(read.is_none(), !problems.is_empty());
    read.map(|(kind, _)| kind).ok_or_else(|| problems.first().iter().map(ToString::to_string).collect())
}

/// What is wrong with a body to the call.
fn wrong(name: &str, mut body: Value) -> Vec<String> {
    body["callId"] = call().to_string().into();
    reading(name, &body).unwrap_err()
}

#[test]
fn every_command_is_read_as_it_was_written() {
    for kind in kinds() {
        let expected = match kind.request() {
            Some(_) => Standing::Request(RequestStatus::OnProgress),
            None => Standing::Call(LiveState::Transferring),
        };
        for expect in [None, Some(expected)] {
            let body = body(&kind, expect).unwrap();
            assert_eq!(body.get("expect").is_some(), expect.is_some());
            assert_eq!(read(kind.name(), &body, &mut Problems::default()), Some((kind.clone(), expect)));
        }
    }
}

#[test]
fn what_is_expected_is_a_word_of_what_the_command_is_to() {
    let expecting = |expect: &str| json!({"requestId": "r", "expect": expect});
    assert!(reading("pause", &expecting("onProgress")).is_ok());
    let wrong_of_request = reading("pause", &expecting("ringing")).unwrap_err();
    assert!(wrong_of_request[0].starts_with("expect: must be one of: submitted, scheduled, onProgress, paused"));
    let wrong_of_call = wrong("hangup", json!({"expect": "paused"}));
    assert_eq!(wrong_of_call, ["expect: must be one of: dialing, ringing, answered, transferring, transferred"]);
}

#[test]
fn commands_of_one_name_are_told_apart_by_what_is_to_be_done() {
    let mut seen = std::collections::BTreeMap::new();
    for kind in kinds() {
        assert_ne!(kind.digest(), 0);
        assert_eq!(seen.insert((kind.name(), kind.digest()), kind.clone()), None);
    }
    // Histories outlive the program that wrote them.
    let invited = invite(LegRole::Supervisor, "Ext:1000", None, SessionType::Coaching);
    assert_eq!((CommandKind::HangUp(call()).digest(), invited.digest()), (0xe3b0_c442, 0xc630_6252));
}

#[test]
fn every_name_is_listed_once() {
    let mut names: Vec<&str> = kinds().iter().map(CommandKind::name).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    let mut listed = [&REQUEST_COMMANDS[..], &CALL_COMMANDS].concat();
    listed.sort_unstable();
    assert_eq!(names, listed);
}

#[test]
fn a_cancel_without_a_mode_lets_calls_go_on() {
    let cancel = CommandKind::Cancel { request: "r".parse().unwrap(), hang_up: false };
    assert_eq!(reading("cancel", &json!({"requestId": "r"})), Ok(cancel));
}

#[test]
fn a_transfer_is_attended_unless_it_is_said_to_be_blind_and_read_as_the_older_interface_writes_it() {
    let to = json!({"type": "queue", "number": "sales", "alias": "Sales"});
    for (r#type, kind) in [
        (None, TransferKind::Attended),
        (Some("attended"), TransferKind::Attended),
        (Some("attendend"), TransferKind::Attended),
        (Some("blind"), TransferKind::Blind),
    ] {
        let body = json!({"callId": call().to_string(), "to": to, "transferType": r#type, "fromUserId": "4711"});
        assert_eq!(reading("transfer", &body), Ok(transfer("Queue:sales", kind)));
    }
    assert_eq!(wrong("transfer", json!({"now": 1})), ["to: is missing", "now: unknown field"]);
    assert_eq!(
        wrong(
            "transfer",
            json!({"to": {"type": "external", "number": "1000"}, "transferType": "warm", "fromUserId": 7})
        ),
        [
            r#"to.number: "1000" is not E.164, +6591234567"#,
            "transferType: must be one of: attended, attendend, blind",
            "fromUserId: must be a string, not a number",
        ]
    );
    let long = json!({"to": to, "fromUserId": "u".repeat(129)});
    assert_eq!(wrong("transfer", long), ["fromUserId: has more than 128 characters"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_path() {
    assert_eq!(
        reading(
            "addParticipant",
            &json!({"from": {"type": "external", "number": "x"}, "to": {"typ": "queue"}, "spy": 1})
        ),
        Err(vec![
            "callId: is missing".to_owned(),
            "from.number: not an E.164 phone number: it must match ^\\+?[1-9]\\d{1,14}$".to_owned(),
            "to.type: is missing".to_owned(),
            "to.number: is missing".to_owned(),
            "to.typ: unknown field, did you mean `type`?".to_owned(),
            "spy: unknown field, did you mean `spyCall`?".to_owned(),
        ])
    );
    let external = wrong("addParticipant", json!({"to": {"type": "external", "number": "911"}}));
    assert_eq!(external, [r#"to.number: "911" is not E.164, +6591234567"#]);
    assert!(
        wrong("supervise", json!({"destination": "1000", "sessionType": "MONITOR"}))[0]
            .contains("did you mean `Ext:1000`")
    );
    assert_eq!(
        wrong("supervise", json!({"destination": "Ext:1", "sessionType": "MONITORS"})),
        ["sessionType: must be one of: MONITOR, COACHING, BARGEIN; did you mean `MONITOR`?"]
    );
    assert_eq!(wrong("supervise", json!({})), ["destination: is missing", "sessionType: is missing"]);
    assert!(wrong("endSession", json!({"session": "somebody"}))[0].starts_with("session: \"somebody\" is neither"));
    assert_eq!(wrong("record", json!({"record": "maybe"})), ["record: must be true or false"]);
    assert_eq!(wrong("record", json!({})), ["record: is missing"]);
    assert_eq!(wrong("hangup", json!({"now": true})), ["now: unknown field"]);
    assert_eq!(
        reading("pause", &json!({"requestId": "r", "mode": "drain"})),
        Err(vec!["mode: unknown field".to_owned()])
    );
    assert_eq!(reading("cancel", &json!({"requestId": "a b", "mode": "now"})).unwrap_err().len(), 2);
    assert!(reading("stop", &json!({})).unwrap_err()[0].starts_with("no such command"));
    assert_eq!(reading("pause", &json!([])), Err(vec!["must be an object, not an array".to_owned()]));
}

#[test]
fn what_had_ended_is_done_to_whoever_does_not_know_of_that() {
    let ended = CommandReply::Ended(RequestStatus::Expired);
    assert_eq!(serde_json::to_value(ReplyBody::of(ended)).unwrap(), json!({"status": "done", "found": "expired"}));
}
