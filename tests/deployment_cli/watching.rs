//! Looking on: `--watch`, status, tail.

use serde_json::{Value, json};

use crate::support::{Scratch, robocall};
use crate::world::{BUSY, PRESSES, STAYS, World, request};

/// What a status document says, times and ids left out: those differ from run to run.
fn essence(status: &Value) -> Value {
    let calls = status["details"].as_array().unwrap().iter().map(|call| {
        let steps = call["callFlowSteps"].as_array().unwrap().iter().map(|step| {
            let info = &step["info"];
            json!([
                step["stepName"],
                step["path"],
                info["status"],
                info["keys"],
                info["call_status"],
                info["call_state"]
            ])
        });
        json!([
            call["callId"],
            call["destination"],
            call["status"],
            call["attempt"],
            call["disposition"],
            call["answered_by"],
            steps.collect::<Vec<_>>()
        ])
    });
    json!([status["requestId"], status["status"], status["counts"], status["flowHash"], calls.collect::<Vec<_>>()])
}

#[test]
fn a_watched_request_ends_as_run_ends_it_and_its_status_is_the_same() {
    let world = World::start("20");
    let document = request("w", &[PRESSES, BUSY, PRESSES]);
    let file = Scratch::with("watched.json", &document.to_string());
    let run = robocall(&["run", file.name(), "--instant", "--json"]);
    let run: Value = serde_json::from_str(&run.out).unwrap();
    let watched = world.run(&["submit", file.name(), "--watch", "--json"]);
    assert_eq!(watched.code, 0, "{}", watched.err);
    let watched: Value = serde_json::from_str(&watched.out).unwrap();
    assert_eq!(essence(&watched), essence(&run));
    assert_eq!(world.answer(&["status", "w", "--all"]), watched);
    let words = world.run(&["status", "w", "--watch"]);
    assert_eq!(words.code, 0);
    assert!(words.out.starts_with("w completed: 2 calls, 1 duplicate left out, 2 dials in "), "{}", words.out);
}

#[test]
fn what_ends_otherwise_is_told_by_the_exit_code() {
    let world = World::start("20");
    let mut document = request("late", &[PRESSES]);
    document["scheduledAt"] = json!("9999-01-01T00:00:00Z");
    world.submit(&document);
    assert_eq!(world.answer(&["request", "cancel", "late"]), json!({"status": "done"}));
    let watched = world.run(&["status", "late", "--watch"]);
    assert_eq!(watched.code, 3);
    assert!(watched.out.starts_with("late cancelled: 1 call\n"), "{}", watched.out);
}

#[test]
fn tail_shows_events_of_one_request_by_type_and_from_the_first() {
    let world = World::start("20");
    world.submit(&request("other", &[BUSY]));
    world.submit(&request("mine", &[PRESSES, BUSY]));
    world.wait_for("mine", "request.completed", 1);
    world.wait_for("other", "request.completed", 1);
    let tail = |more: &[&str]| world.run(&[&["tail", "--from", "first", "--request", "mine"], more].concat()).out;
    let ended = tail(&["--types", "call.ended", "--count", "2", "--json"]);
    for line in ended.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["type"], &event["data"]["requestId"]), (&json!("robocall.call.ended"), &json!("mine")));
    }
    assert_eq!(ended.lines().count(), 2);
    let words = tail(&["--types", "request", "--count", "3"]);
    let said: Vec<Vec<&str>> = words.lines().map(|line| line.split_whitespace().skip(1).collect()).collect();
    assert_eq!(said[0], ["request.accepted", "mine", "submitted,", "2", "calls"]);
    assert_eq!(said[2], ["request.completed", "mine", "completed,", "2", "calls"]);
    let late = world.run(&["tail", "--from", "yesterday"]);
    assert_eq!(late.code, 2);
    let wrong = world.run(&["tail", "--types", "call.endet"]);
    assert!(wrong.err.contains("did you mean `call.ended`?"), "{}", wrong.err);
}

#[test]
fn requests_are_listed_newest_first_and_those_that_have_ended_can_be_left_out() {
    let world = World::start("20");
    assert_eq!(world.run(&["request", "list", "--live"]).out, "default has no live requests.\n");
    world.submit(&request("first", &[BUSY]));
    world.wait_for("first", "request.completed", 1);
    world.answer(&["org", "set", "--limit", "0"]);
    world.submit(&request("second", &STAYS));
    world.answer(&["request", "pause", "second"]);
    let names = |listed: &Value| -> Vec<String> {
        let requests = listed["requests"].as_array().unwrap().iter();
        requests.map(|request| request["requestId"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.answer(&["request", "list"]);
    assert_eq!((names(&all), &all["nextCursor"]), (vec!["second".to_owned(), "first".to_owned()], &Value::Null));
    assert_eq!((&all["requests"][0]["status"], &all["requests"][0]["counts"]["queued"]), (&json!("paused"), &json!(3)));
    assert_eq!(names(&world.answer(&["request", "list", "--live"])), ["second"]);
    assert_eq!(names(&world.answer(&["request", "list", "--org", "bank"])), [""; 0]);
    let page = world.answer(&["request", "list", "--limit", "1"]);
    let cursor = page["nextCursor"].as_str().unwrap();
    assert_eq!(names(&world.answer(&["request", "list", "--cursor", cursor])), ["first"]);
    let words = world.run(&["request", "list", "--limit", "1"]).out;
    let row: Vec<&str> = words.lines().nth(2).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["second", "paused", "0", "3", "0"], "{words}");
    assert!(words.ends_with(&format!("\n1 request; more with --cursor {cursor}\n")), "{words}");
}

#[test]
fn who_has_not_been_called_is_told_apart_and_why_nobody_is_dialled() {
    let world = World::start("1");
    world.answer(&["org", "set", "--limit", "1"]);
    let mut asked = request("r", &[BUSY, STAYS[0], STAYS[1], STAYS[2]]);
    asked["retry"] = json!({"maxAttempts": 2, "on": ["busy"], "delaySecs": [3600]});
    world.submit(&asked);
    world.wait_for("r", "call.answered", 1);
    let words = |request: &str| {
        let said = world.run(&["status", request]);
        assert_eq!(said.code, 0, "{}", said.err);
        said.out
    };
    let rows = |text: &str| -> Vec<Vec<String>> {
        let rows = text.lines().skip_while(|line| !line.contains("not ended"));
        rows.take_while(|line| !line.is_empty())
            .map(|row| row.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let live = words("r");
    let expected = ["not ended 4 100.0 %", "queued 2 50.0 %", "live 1 25.0 %", "to retry 1 25.0 %"];
    assert_eq!(rows(&live), expected.map(|row| row.split(' ').map(str::to_owned).collect::<Vec<_>>()), "{live}");
    assert!(!live.contains("waiting:"), "somebody is dialled as soon as the call is over: {live}");
    world.answer(&["org", "set", "--limit", "0"]);
    assert!(words("r").ends_with("\nwaiting: the organisation's limit is 0\n"));
    world.answer(&["request", "pause", "r"]);
    assert!(words("r").ends_with("\nwaiting: it is paused\n"));
    world.answer(&["org", "set", "--limit", "5"]);
    // Half an hour on the other side of the clock, by what the events say.
    let paused = world.wait_for("r", "request.paused", 1);
    let hour: u32 = paused["time"].as_str().unwrap()[11..13].parse().unwrap();
    let opens = (hour + 12) % 24;
    let mut tonight = request("tonight", &STAYS[..1]);
    let hours = (format!("{opens:02}:00"), format!("{opens:02}:30"));
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    tonight["callingWindow"] = json!({"days": days, "from": hours.0, "to": hours.1, "timeZone": "UTC"});
    world.submit(&tonight);
    let text = words("tonight");
    let opens = format!(" {opens:02}:00:00 UTC, in ");
    assert!(text.contains("\nwaiting: the calling window opens 2") && text.contains(&opens), "{text}");
}
