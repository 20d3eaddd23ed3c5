//! Records come back, and stay what they are from version to version.

use super::*;
use crate::model::{
    AnsweredBy, AttemptId, CallStatus, Disposition, DispositionResult, LegId, LegRole, Party, StepStatus,
    TransferStatus, Via,
};

#[test]
fn a_dial_is_put_together_around_its_number() {
    let worker = "worker-1".parse().unwrap();
    let caller = "+6531234567".parse().ok();
    let (before, after) = dialing(300, &Via { caller, trunk: Some("t".into()) }, &worker).unwrap();
    for attempt in [1_u32, 7, 127] {
        let joined = [&before[..], &[u8::try_from(attempt).unwrap()], &after].concat();
        let what: Happening = read(&joined).unwrap();
        assert_eq!(
            what,
            Happening::Dialing { claim: 300, attempt, caller, trunk: Some("t".into()), worker: worker.clone() }
        );
    }
}

#[test]
fn destinations_come_back() {
    for number in [Number::Valid("+999999999999999".parse().unwrap()), Number::Invalid("call me".into())] {
        let before = Destination {
            index: 7,
            number,
            caller: "+6531234567".parse().ok(),
            external_id: Some("x".into()),
            time_zone: None,
            properties: vec![("name".into(), "Ann".into())],
        };
        let mut bytes = Vec::new();
        destination(&mut bytes, &before).unwrap();
        assert_eq!(read_destination(7, &bytes).unwrap(), before);
    }
}

#[test]
fn facts_come_back_and_halves_are_refused() {
    let at = Timestamp::VIRTUAL_START;
    let before = [Fact { at, what: Happening::Ringing }, Fact { at, what: Happening::StepStarted { step: 3 } }];
    let bytes = facts(&before).unwrap();
    assert_eq!(read_facts(&bytes).unwrap(), before);
    for cut in 1..bytes.len() {
        assert!(read_facts(&bytes[..cut]).is_ok_and(|facts| facts.len() == 1) || read_facts(&bytes[..cut]).is_err());
    }
}

#[test]
fn another_versions_record_is_refused_and_named() {
    let mut bytes = happening(&Happening::Ringing).unwrap();
    bytes[0] = 2;
    let refused = read::<Happening>(&bytes).unwrap_err().to_string();
    assert!(refused.contains("format 2, not 1"), "{refused}");
    assert!(read::<Happening>(&[]).is_err());
}

/// One of each, in the order in which they are declared.
fn happenings() -> Vec<Happening> {
    let call = crate::model::CallId::new(&"acme".parse().unwrap(), &"r".parse().unwrap(), 7);
    let leg = LegId { attempt: AttemptId { call, claim: 3 }, role: LegRole::Transfer, ordinal: 1 };
    let disposition = Disposition::new(DispositionResult::Busy, Some(Party::Callee));
    let worker: crate::model::WorkerId = "w".parse().unwrap();
    let caller = "+6531234567".parse().ok();
    vec![
        Happening::Dialing { claim: 3, attempt: 1, caller, trunk: Some("t".into()), worker: worker.clone() },
        Happening::Ringing,
        Happening::Answered,
        Happening::PartyDetected(AnsweredBy::Machine),
        Happening::StepStarted { step: 300 },
        Happening::StepFinished {
            step: 300,
            status: StepStatus::ErrorDestInvalid,
            keys: Some("1".into()),
            transfer: Some(TransferStatus::Busy),
        },
        Happening::LegAdded { leg, dest: "1000".into() },
        Happening::LegAnswered { leg },
        Happening::LegFailed { leg, disposition },
        Happening::LegRemoved { leg },
        Happening::RecordingStarted { recording: "r".into() },
        Happening::RecordingStopped { url: Some("u".into()) },
        Happening::OptedOut,
        Happening::Adopted { worker },
        Happening::CommandExecuted { command: "c".into(), id: "i".into(), actor: None, digest: 300 },
        Happening::RetryScheduled { disposition, due: Timestamp::from_millis(1_000) },
        Happening::Ended { status: CallStatus::Failed, disposition, refusal: Some(StepStatus::ErrorCallerIdInvalid) },
    ]
}

#[test]
fn what_was_written_is_read_by_later_versions() {
    let hex = |what: &Happening| happening(what).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let written: Vec<String> = happenings().iter().map(hex).collect();
    let known: Vec<&str> = include_str!("codec_tests.format1").lines().collect();
    assert_eq!(written, known, "a change of these needs another format, and a way to read this one");
    for (line, before) in known.iter().zip(happenings()) {
        let bytes: Vec<u8> =
            (0..line.len() / 2).map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).unwrap()).collect();
        assert_eq!(read::<Happening>(&bytes).unwrap(), before);
    }
}

#[test]
fn a_command_from_before_there_were_actors_or_digests_is_read_and_one_with_both_by_those_who_know_neither() {
    let command = |actor: Option<&str>, digest| Happening::CommandExecuted {
        command: "record".into(),
        id: "c-1".into(),
        actor: actor.map(|actor| actor.parse().unwrap()),
        digest,
    };
    let now = happening(&command(None, 0)).unwrap();
    let before = now.strip_suffix(&[0, 0]).expect("nobody, and nothing known");
    assert_eq!(read_happening(before).unwrap(), command(None, 0));
    for actor in [None, Some("crm")] {
        let now = happening(&command(actor, 0)).unwrap();
        assert_eq!(read_happening(&now[..now.len() - 1]).unwrap(), command(actor, 0));
    }
    assert!(read_happening(&before[..before.len() - 1]).is_err(), "half a command");
    let at = Timestamp::VIRTUAL_START;
    let history = [Fact { at, what: Happening::Answered }, Fact { at, what: command(Some("Team München"), u32::MAX) }];
    assert_eq!(read_facts(&facts(&history).unwrap()).unwrap(), history);
    // As a version reads it that knows only the first two.
    let bytes = happening(&command(Some("crm"), 7)).unwrap();
    assert!(bytes.starts_with(before));
    let known: (u8, Box<str>, Box<str>) = postcard::from_bytes(&bytes[1..]).unwrap();
    assert_eq!((&*known.1, &*known.2), ("record", "c-1"));
    let cut = happening(&Happening::Adopted { worker: "w".parse().unwrap() }).unwrap();
    assert!(read_happening(&cut[..cut.len() - 1]).is_err(), "nothing else is made up");
}

#[test]
fn a_header_from_before_requests_said_what_they_follow_from_is_read_and_those_that_say_nothing_are_as_they_were() {
    let known = include_str!("codec_tests.header").trim_end();
    let header = crate::conformance::store::scene::header("r");
    assert_eq!(serde_json::to_string(&header).unwrap(), known, "its hash tells parts and redeliveries");
    assert_eq!(serde_json::from_str::<crate::model::RequestHeader>(known).unwrap(), header);
    let parent = Some(crate::model::CallId::new(&header.organisation, &header.id, 7));
    let next = crate::model::RequestHeader { parent, call_type: crate::model::CallType::CallOut, ..header };
    let text = serde_json::to_string(&next).unwrap();
    assert_eq!(serde_json::from_str::<crate::model::RequestHeader>(&text).unwrap(), next);
}

#[test]
fn a_state_from_before_there_were_third_parties_or_transfers_from_outside_is_read() {
    let call = crate::model::CallId::new(&"acme".parse().unwrap(), &"r".parse().unwrap(), 7);
    let program = crate::callflow::Program::from_canonical(r#"{"steps":[{"name":"hangup"}]}"#).unwrap();
    let terms = crate::callflow::call::CallTerms {
        ring_timeout: std::time::Duration::from_secs(30),
        max_call_duration: std::time::Duration::from_secs(600),
        machine_detection: crate::model::MachineDetection::Off,
        recording: true,
    };
    let attempt = AttemptId { call, claim: 3 };
    let machine = crate::callflow::call::CallMachine::start(program.into(), terms, attempt, Timestamp::VIRTUAL_START);
    let now = state(machine.state()).unwrap();
    let before = now.strip_suffix(&[0; 5]).expect("nothing yet");
    let with_third_parties = now.strip_suffix(&[0]).expect("no transfer from outside");
    for known in [before, with_third_parties, &now] {
        assert_eq!(read_state(known).unwrap().as_ref(), Some(machine.state()));
    }
    assert!(read_state(&before[..before.len() - 1]).is_err(), "half a state");
}

#[test]
fn what_is_wrong_with_a_record_is_told_without_what_stands_in_it() {
    let damaged = [
        unfit(&redis::Value::BulkString(b"canary".to_vec()), "where a list should be"),
        unfit(&redis::Value::Array(vec![redis::Value::SimpleString("canary".to_owned())]), "for a number"),
        from_json::<u32>(br#""canary""#, "settings").expect_err("it is no number"),
        from_json::<crate::model::ApiKeyRecord>(br#"{"canary": 1}"#, "a key").expect_err("it is none"),
    ];
    for error in damaged.map(|error| error.to_string()) {
        assert!(!error.contains("canary") && error.contains("does not understand: "), "{error}");
    }
}
