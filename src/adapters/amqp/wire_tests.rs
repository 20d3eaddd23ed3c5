use super::*;
use crate::callflow::call::Invitation;
use crate::callflow::program::TransferKind;
use crate::command::{CommandReply, ReplyBody, SessionName};
use crate::model::status::LiveState;
use crate::model::{AttemptId, LegId, LegRole, Phone, SessionType};
use crate::model::{CallId, RequestStatus};

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

/// One to a request and one to a call: the bodies of all are `command`'s own.
fn kinds() -> Vec<CommandKind> {
    vec![
        CommandKind::Cancel { request: "r".parse().unwrap(), hang_up: true },
        invite(LegRole::Participant, "Queue:sales", "+6531234567".parse().ok(), SessionType::BargeIn),
    ]
}

#[test]
fn every_command_is_read_as_it_was_written() {
    let bank: OrganisationId = "bank".parse().unwrap();
    for kind in kinds() {
        let (key, body) = (command_key(&bank, &kind), command_body(&kind, None).unwrap());
        assert_eq!(read_command(&key, &body).unwrap(), (bank.clone(), (kind, None)));
    }
}

#[test]
fn bodies_are_those_of_the_http_interface() {
    let read = |key: &str, body: String| read_command(key, body.as_bytes()).map(|(_, (kind, _))| kind);
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
    let to = r#"{"type":"queue","number":"sales"}"#;
    assert_eq!(
        read("bank.transfer", format!(r#"{{"callId":"{id}","to":{to},"transferType":"attendend","fromUserId":"7"}}"#)),
        Ok(CommandKind::Transfer { call: id, target: "Queue:sales".parse().unwrap(), kind: TransferKind::Attended })
    );
    assert_eq!(
        read("bank.endSession", format!(r#"{{"callId":"{id}","session":"{leg}"}}"#)),
        Ok(CommandKind::EndSession { call: id, session: SessionName::Leg(leg) })
    );
    assert_eq!(
        read("bank.record", format!(r#"{{"callId":"{id}","record":false}}"#)),
        Ok(CommandKind::Record { call: id, on: false })
    );
}

#[test]
fn answers_are_read_as_they_were_written() {
    use crate::callflow::call::Refusal;
    let replies = [
        CommandReply::Done,
        CommandReply::Ended(RequestStatus::Completed),
        CommandReply::Invited(supervisor()),
        CommandReply::Refused(Refusal::NobodyToCoach),
        CommandReply::Refused(Refusal::TransferUnderWay),
        CommandReply::Refused(Refusal::HandedOver),
        CommandReply::Unmet {
            expected: Standing::Call(LiveState::Ringing),
            found: Standing::Call(LiveState::Answered),
        },
        CommandReply::Unmet {
            expected: Standing::Request(RequestStatus::Paused),
            found: Standing::Request(RequestStatus::Completed),
        },
        CommandReply::NotFound,
        CommandReply::Adopting,
        CommandReply::Unavailable,
    ];
    for reply in replies {
        assert_eq!(ReplyBody::read(&serde_json::to_vec(&ReplyBody::of(reply)).unwrap()), Ok(reply));
    }
    let refused = serde_json::to_value(ReplyBody::of(CommandReply::Refused(Refusal::NobodyToCoach))).unwrap();
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
    assert_eq!(refused("bank.pause", r#"{"requestId":"r","mode":1}"#), "mode: unknown field");
}

#[test]
fn an_order_is_read_as_it_was_written() {
    for (number, kind) in (0..).zip(kinds()) {
        // What an earlier version passes on names nobody.
        let actor = (number % 2 == 0).then(|| "Team München".parse().unwrap());
        let expect = (number % 3 == 0 && kind.request().is_none()).then_some(Standing::Call(LiveState::Answered));
        let command =
            Command { id: "c/1".into(), organisation: "bank".parse().unwrap(), actor, expect, trace: None, kind };
        let held = Held {
            organisation: "bank".parse().unwrap(),
            request: "r".parse().unwrap(),
            attempt: AttemptId { call: call(), claim: 3 },
            token: Token(u64::MAX),
        };
        let order = Order { command, held, not_after: Timestamp::VIRTUAL_START };
        assert_eq!(read_order(&order_body(&order).unwrap(), order.command.trace).unwrap(), order);
    }
    assert!(read_order(b"{}", None).is_err());
}

#[test]
fn every_answer_is_read_as_it_was_written() {
    for reply in [CommandReply::Done, CommandReply::NotFound, CommandReply::Adopting, CommandReply::Unavailable] {
        let body = serde_json::to_vec(&ReplyBody::of(reply)).unwrap();
        assert_eq!(ReplyBody::read(&body), Ok(reply));
    }
    let body = serde_json::to_vec(&ReplyBody::invalid(&Malformed("why".to_owned()))).unwrap();
    assert_eq!(ReplyBody::read(&body), Err("why".to_owned()));
}
