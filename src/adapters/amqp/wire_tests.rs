use super::*;
use crate::model::AttemptId;

fn call() -> CallId {
    CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 7)
}

fn kinds() -> Vec<CommandKind> {
    let request: RequestId = "r".parse().unwrap();
    vec![
        CommandKind::Pause(request.clone()),
        CommandKind::Resume(request.clone()),
        CommandKind::Cancel { request: request.clone(), hang_up: false },
        CommandKind::Cancel { request, hang_up: true },
        CommandKind::HangUp(call()),
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
