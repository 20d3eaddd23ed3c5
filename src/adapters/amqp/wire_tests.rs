use super::*;
use crate::callflow::call::Invitation;
use crate::model::CallId;
use crate::model::{AttemptId, LegId, LegRole, Phone, SessionType};
use crate::ports::SessionName;

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
        CommandKind::EndSession { call: call(), session: SessionName::Leg(supervisor()) },
        CommandKind::EndSession { call: call(), session: SessionName::Target("Ext:1000".parse().unwrap()) },
        CommandKind::Record { call: call(), on: true },
        CommandKind::Record { call: call(), on: false },
    ]
}

#[test]
fn every_command_is_read_as_it_was_written() {
    let bank: OrganisationId = "bank".parse().unwrap();
    for kind in kinds() {
        let (key, body) = (command_key(&bank, &kind), command_body(&kind).unwrap());
        assert_eq!(read_command(&key, &body).unwrap(), (bank.clone(), kind));
    }
}

#[test]
fn a_cancel_without_a_mode_lets_calls_go_on() {
    let read = read_command("bank.cancel", br#"{"requestId":"r"}"#).unwrap();
    assert_eq!(read.1, CommandKind::Cancel { request: "r".parse().unwrap(), hang_up: false });
}

#[test]
fn bodies_are_those_of_the_http_interface() {
    let read = |key: &str, body: String| read_command(key, body.as_bytes()).map(|(_, kind)| kind);
    let (id, leg) = (call(), supervisor());
    assert_eq!(
        read("bank.supervise", format!(r#"{{"callId":"{id}","destination":"+6591234567","sessionType":"COACHING"}}"#)),
        Ok(invite(LegRole::Supervisor, "+6591234567", None, SessionType::Coaching))
    );
    let (to, from) =
        (r#"{"type":"internal","number":"1000","alias":"Ann"}"#, r#"{"type":"external","number":"+6531234567"}"#);
    assert_eq!(
        read("bank.addParticipant", format!(r#"{{"callId":"{id}","from":{from},"to":{to},"spyCall":"true"}}"#)),
        Ok(invite(LegRole::Participant, "Ext:1000", "+6531234567".parse().ok(), SessionType::Monitor))
    );
    assert_eq!(
        read("bank.endSession", format!(r#"{{"callId":"{id}","session":"{leg}"}}"#)),
        Ok(CommandKind::EndSession { call: id, session: SessionName::Leg(leg) })
    );
    assert_eq!(
        read("bank.record", format!(r#"{{"callId":"{id}","record":false}}"#)),
        Ok(CommandKind::Record { call: id, on: false })
    );
    let refused = |key: &str, rest: &str| read(key, format!(r#"{{"callId":"{id}",{rest}}}"#)).unwrap_err().to_string();
    assert!(
        refused("bank.supervise", r#""destination":"1000","sessionType":"MONITOR""#)
            .contains("did you mean `Ext:1000`")
    );
    assert!(refused("bank.supervise", r#""destination":"Ext:1","sessionType":"LISTEN""#).contains("MONITOR"));
    assert!(refused("bank.addParticipant", r#""to":{"type":"external","number":"911"}"#).contains("to.number"));
    assert!(
        refused(
            "bank.addParticipant",
            r#""from":{"type":"external","number":"x"},"to":{"type":"internal","number":"1"}"#
        )
        .contains("from.number")
    );
    assert!(refused("bank.endSession", r#""session":"somebody""#).contains("session"));
    assert!(refused("bank.record", r#""record":"maybe""#).contains("true or false"));
}

#[test]
fn answers_are_read_as_they_were_written() {
    use crate::callflow::call::Refusal;
    let replies = [
        CommandReply::Done,
        CommandReply::Invited(supervisor()),
        CommandReply::Refused(Refusal::NobodyToCoach),
        CommandReply::NotFound,
        CommandReply::Adopting,
        CommandReply::Unavailable,
    ];
    for reply in replies {
        assert_eq!(Answer::read(&serde_json::to_vec(&Answer::of(reply)).unwrap()), Ok(reply));
    }
    let refused = serde_json::to_value(Answer::of(CommandReply::Refused(Refusal::NobodyToCoach))).unwrap();
    assert_eq!((&refused["status"], &refused["reason"]), (&"conflict".into(), &"nobodyToCoach".into()));
}

#[test]
fn what_is_no_command_is_refused_with_a_word() {
    let refused = |key: &str, body: &str| read_command(key, body.as_bytes()).unwrap_err().to_string();
    assert!(refused("bank", "{}").contains("organisation.command"));
    assert!(refused("Bank.pause", "{}").contains("an organisation"));
    assert!(refused("bank.stop", r#"{"requestId":"r"}"#).contains("no such command"));
    assert!(refused("bank.pause", "{").contains("EOF"));
    assert!(refused("bank.pause", r#"{"requestId":"a b"}"#).contains("a requestId"));
    assert!(refused("bank.pause", r#"{"requestId":"r","mode":"drain"}"#).contains("no mode"));
    assert!(refused("bank.pause", r#"{"requestId":"r","when":1}"#).contains("unknown field"));
    assert!(refused("bank.hangup", r#"{"callId":"7"}"#).contains("a callId"));
}

#[test]
fn an_order_is_read_as_it_was_written() {
    for kind in kinds() {
        let command = Command { id: "c/1".into(), organisation: "bank".parse().unwrap(), kind };
        let held = Held {
            organisation: "bank".parse().unwrap(),
            request: "r".parse().unwrap(),
            attempt: AttemptId { call: call(), claim: 3 },
            token: Token(u64::MAX),
        };
        let order = Order { command, held, not_after: Timestamp::VIRTUAL_START };
        assert_eq!(read_order(&order_body(&order).unwrap()).unwrap(), order);
    }
    assert!(read_order(b"{}").is_err());
}

#[test]
fn every_answer_is_read_as_it_was_written() {
    for reply in [CommandReply::Done, CommandReply::NotFound, CommandReply::Adopting, CommandReply::Unavailable] {
        let body = serde_json::to_vec(&Answer::of(reply)).unwrap();
        assert_eq!(Answer::read(&body), Ok(reply));
    }
    let body = serde_json::to_vec(&Answer::invalid(&Malformed("why".to_owned()))).unwrap();
    assert_eq!(Answer::read(&body), Err(Malformed("why".to_owned())));
}
