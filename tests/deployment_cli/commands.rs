//! What is told to the workers, and what they do about it.

use serde_json::{Value, json};

use crate::world::{STAYS, World, request};

fn live(world: &World) -> Vec<Value> {
    world.answer(&["calls"])["calls"].as_array().unwrap().clone()
}

#[test]
fn a_limit_takes_effect_at_once() {
    let world = World::start("20");
    let set = world.answer(&["org", "set", "--limit", "0", "--rate", "100", "--order", "first-come"]);
    assert_eq!((&set["settings"]["limit"], &set["settings"]["requestOrder"]), (&json!(0), &json!("firstCome")));
    world.submit(&request("r", &[crate::world::BUSY]));
    assert_eq!(world.answer(&["status", "r"])["status"], "submitted");
    assert_eq!(world.answer(&["org", "set", "--limit", "3"])["slots"]["limit"], 3);
    world.wait_for("r", "request.completed", 1);
    let shown = world.answer(&["org", "show"]);
    assert_eq!((&shown["settings"]["callsPerSecond"], &shown["slots"]["leased"]), (&json!(100), &json!(0)));
    let words = world.run(&["org", "show"]);
    assert!(words.out.contains("limit            3\n"), "{}", words.out);
}

#[test]
fn settings_of_a_file_come_in_and_wrong_ones_do_not() {
    let world = World::without_worker("20");
    let file = crate::support::Scratch::with("org.json", r#"{"limit": 4, "callerIds": ["+6531580000"]}"#);
    let set = world.answer(&["org", "set", "--file", file.name(), "--limit", "5"]);
    assert_eq!((&set["settings"]["limit"], &set["settings"]["callerIds"]), (&json!(5), &json!(["+6531580000"])));
    let wrong = crate::support::Scratch::with("wrong.json", r#"{"limits": 4}"#);
    let said = world.run(&["org", "set", "--file", wrong.name()]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("unknown field `limits`"), "{}", said.err);
    for (wrong, text) in [
        (r#"{"retentionSecs": 1}"#, "retentionSecs: must be a whole number from 60 to 31536000"),
        (r#"{"callsPerSecond": 0}"#, "callsPerSecond: must be a whole number from 1 to 1000000"),
        (r#"{"limit": 1000001}"#, "limit: must be a whole number from 0 to 1000000"),
        (r#"{"weight": 0}"#, "weight: must be a whole number from 1 to 1000000"),
    ] {
        let file = crate::support::Scratch::with("bounds.json", wrong);
        let said = world.run(&["org", "set", "--file", file.name()]);
        assert!(said.code == 2 && said.err.contains(text), "{wrong}: {}", said.err);
    }
    assert_eq!(world.answer(&["org", "show"])["settings"]["limit"], 5);
    assert_eq!(world.run(&["org", "set", "--weight", "0"]).code, 2);
}

#[test]
fn a_blocked_number_is_not_dialled() {
    let world = World::start("20");
    assert_eq!(world.answer(&["org", "block", STAYS[0]])["blocked"], 1);
    world.submit(&request("r", &[STAYS[0]]));
    world.wait_for("r", "request.completed", 1);
    assert_eq!(world.answer(&["status", "r"])["counts"]["blocked"], 1);
    assert_eq!(world.answer(&["org", "blocked"]), json!({"blocked": [STAYS[0]]}));
    let unblocked = world.run(&["org", "unblock", STAYS[0], STAYS[1]]).out;
    assert_eq!(unblocked, format!("1 number unblocked for default\n  {}\n", STAYS[0]));
    assert_eq!(world.run(&["org", "blocked"]).out, "");
}

#[test]
fn what_is_changed_while_no_worker_lives_is_told_when_one_does() {
    let mut world = World::without_worker("20");
    world.answer(&["org", "block", "--org", "bank", STAYS[0], STAYS[1]]);
    world.answer(&["org", "set", "--org", "bank", "--limit", "3"]);
    // On the list already, off it already, and as it was.
    world.answer(&["org", "block", "--org", "bank", STAYS[0]]);
    world.answer(&["org", "unblock", "--org", "bank", STAYS[2]]);
    world.answer(&["org", "set", "--org", "bank", "--limit", "3"]);
    world.answer(&["org", "unblock", "--org", "bank", STAYS[0]]);
    world.add_worker("w1");
    let of = ["--org", "bank", "--from", "first", "--types", "command.executed", "--count", "4"];
    let said = world.run(&[&["tail", "--json"], &of[..]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let events: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [("doNotCall", "numberAdded"), ("doNotCall", "numberAdded"), ("organisation", "limit")];
    let expected = expected.into_iter().chain([("doNotCall", "numberRemoved")]);
    for ((event, (name, changed)), seq) in events.iter().zip(expected).zip(1..) {
        let id = event["id"].as_str().unwrap();
        assert!(id.starts_with("bank.") && id.ends_with(&format!(".o.{seq}")), "{id}");
        assert_eq!(event["data"]["seq"], seq);
        let command = &event["data"]["command"];
        assert_eq!((&command["name"], &command["actor"]), (&json!(name), &json!("command line")));
        assert_eq!(event["data"]["changed"], json!([changed]));
    }
    assert!(STAYS.iter().all(|phone| !said.out.contains(&phone[4..])), "{}", said.out);
    let words = world.run(&[&["tail"], &of[..]].concat()).out;
    assert!(words.lines().next().unwrap().ends_with("  organisation  doNotCall  numberAdded"), "{words}");
}

#[test]
fn a_paused_request_dials_nothing_more_until_it_is_resumed() {
    let world = World::start("1");
    world.answer(&["org", "set", "--limit", "1"]);
    world.submit(&request("r", &STAYS));
    world.wait_for("r", "call.answered", 1);
    assert_eq!(world.answer(&["request", "pause", "r"]), json!({"status": "done"}));
    assert_eq!(world.answer(&["status", "r"])["status"], "paused");
    let [call] = &live(&world)[..] else { panic!("one call lives on") };
    assert_eq!((&call["state"], &call["worker"], &call["attempt"]), (&json!("answered"), &json!("w1"), &json!(1)));
    assert_eq!(call["destination"], "+99******01", "its middle is hidden");
    let id = call["callId"].as_str().unwrap();
    let said = world.run(&["call", "hangup", id]);
    assert_eq!((said.code, said.out), (0, format!("call {id}: hung up\n")));
    let ended = world.wait_for("r", "call.ended", 1);
    assert_eq!(ended["data"]["disposition"]["by"], "us");
    assert_eq!(world.run(&["call", "hangup", id]).code, 2, "it has ended");
    assert!(live(&world).is_empty(), "nothing more is dialled");
    assert_eq!(world.run(&["calls"]).out, "No live calls.\n");
    world.answer(&["request", "resume", "r"]);
    world.wait_for("r", "call.answered", 2);
}

#[test]
fn a_cancelled_request_may_have_its_live_calls_hung_up() {
    let world = World::start("1");
    world.answer(&["org", "set", "--limit", "2"]);
    world.submit(&request("r", &STAYS));
    world.wait_for("r", "call.answered", 2);
    assert_eq!(live(&world).len(), 2);
    assert_eq!(world.run(&["request", "cancel", "r", "--hang-up"]).out, "request r: cancelled\n");
    let watched = world.run(&["status", "r", "--watch", "--json"]);
    assert_eq!(watched.code, 3);
    let counts = &serde_json::from_str::<Value>(&watched.out).unwrap()["counts"];
    assert_eq!((&counts["completed"], &counts["cancelled"]), (&json!(2), &json!(1)));
    let unknown = world.run(&["request", "cancel", "nothing"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("has no request nothing"), "{}", unknown.err);
}

#[test]
fn of_a_request_that_has_ended_nobody_is_told_that_anything_was_done_to_it() {
    let world = World::start("20");
    world.submit(&request("r", &[crate::world::BUSY]));
    world.wait_for("r", "request.completed", 1);
    for command in ["pause", "resume", "cancel"] {
        let said = world.run(&["request", command, "r"]);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{command}");
        assert!(said.err.contains("request r had already ended: completed"), "{command}: {}", said.err);
    }
    let said = world.run(&["request", "cancel", "r", "--hang-up", "--json"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &answer["status"]), (2, &json!("conflict")), "{answer}");
    assert_eq!(world.answer(&["status", "r"])["status"], "completed");
    world.answer(&["org", "set", "--limit", "0"]);
    world.submit(&request("s", &[crate::world::BUSY]));
    for _ in 0..2 {
        assert_eq!(world.run(&["request", "cancel", "s"]).out, "request s: cancelled\n", "it is so");
    }
    assert!(world.run(&["request", "pause", "s"]).err.contains("had already ended: cancelled"));
    let missing = |args: &[&str]| {
        let said = world.run(args);
        assert_eq!(said.code, 2, "{args:?}");
        said.err.trim_end().to_owned()
    };
    assert!(missing(&["request", "pause", "nope"]).ends_with("organisation default has no request nope"));
    let call = "1f2e3d4c5b6a79880102-7";
    let live = format!("organisation default has no live call {call}");
    assert!(missing(&["call", "hangup", call]).ends_with(&format!("{live}: ended, perhaps")));
    let session = missing(&["call", "end-session", call, "Ext:1000"]);
    assert!(session.ends_with(&format!("{live}, or no such session in it: ended, perhaps")), "{session}");
}

#[test]
fn a_number_is_shown_as_it_was_understood_not_as_it_was_written() {
    let world = World::without_worker("20");
    let said = world.run(&["org", "block", "81234567", "+6581234567"]);
    assert_eq!(said.out, "2 numbers blocked for default\n  +81234567\n  +6581234567\n");
    let answer = world.answer(&["org", "unblock", "81234567", "+6590000000"]);
    assert_eq!(answer, json!({"status": "done", "unblocked": 1, "numbers": ["+81234567"]}));
}
