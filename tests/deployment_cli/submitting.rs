//! Requests on their way in, and what becomes of those that are not taken.

use serde_json::{Value, json};

use crate::support::{Scratch, robocall};
use crate::world::{BUSY, PRESSES, World, request};

#[test]
fn a_request_is_accepted_then_known_and_with_other_content_a_conflict() {
    let world = World::start("20");
    let document = request("r1", &[PRESSES, BUSY]);
    let said = world.given(&document, &["submit", "-"]);
    assert_eq!((said.code, said.out.as_str()), (0, "r1: accepted, 2 destinations, submitted\n"), "{}", said.err);
    let again = world.given(&document, &["submit", "-", "--json"]);
    let answer: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((again.code, &answer["status"], &answer["request"]["total"]), (0, &json!("known"), &json!(2)));
    let other = world.given(&request("r1", &[PRESSES]), &["submit", "-", "--json"]);
    let answer: Value = serde_json::from_str(&other.out).unwrap();
    assert_eq!((other.code, &answer["status"]), (2, &json!("conflict")), "{answer}");
    assert_eq!(world.answer(&["status", "r1"])["total"], 2, "the request is untouched");
}

#[test]
fn what_is_wrong_is_told_before_anybody_is_asked() {
    let world = World::of_servers("amqp://127.0.0.1:1/%2f", "redis://127.0.0.1:1/", "127.0.0.1:1");
    let said = world.given(&request("r1", &["12"]), &["submit", "-"]);
    assert_eq!(said.code, 4, "a request that is sound is to be sent");
    let said = world.given(&request("r1", &["0123"]), &["submit", "-"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("destinations[0].phone: not an E.164 phone number"), "{}", said.err);
}

#[test]
fn a_rejected_request_is_a_dead_letter_that_can_be_shown_and_retried() {
    let world = World::start("20");
    assert_eq!(world.answer(&["dead", "list"])["deadLetters"], json!([]));
    let document = request("bad", &["0123"]);
    let said = world.given(&document, &["submit", "-", "--no-check"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("destinations[0].phone: not an E.164 phone number"), "{}", said.err);
    let letters = world.answer(&["dead", "list"]);
    let letter = &letters["deadLetters"][0];
    assert_eq!((&letter["requestId"], &letter["reason"]), (&json!("bad"), &json!("invalid")));
    let id = letter["id"].as_str().unwrap();
    let shown = world.run(&["dead", "show", id]);
    assert_eq!(serde_json::from_str::<Value>(&shown.out).unwrap(), document, "it is as it was submitted");
    assert_eq!(world.answer(&["dead", "retry", id])["status"], "submitted");
    world.wait_for("bad", "request.rejected", 2);
    let unknown = world.run(&["dead", "retry", "nothing"]);
    assert_eq!((unknown.code, unknown.err.as_str()), (2, "error: no dead letter is called nothing\n"));
    let status = world.answer(&["status", "bad"]);
    assert_eq!(
        (&status["status"], &status["reason"], &status["details"]),
        (&json!("failed"), &json!("invalid"), &json!([]))
    );
}

#[test]
fn dead_letters_are_let_go_all_that_are_named_or_none() {
    let world = World::start("20");
    for name in ["bad1", "bad2", "bad3"] {
        assert_eq!(world.given(&request(name, &["0123"]), &["submit", "-", "--no-check"]).code, 2);
    }
    let listed = || -> Vec<(String, String)> {
        let letters = world.answer(&["dead", "list"])["deadLetters"].take();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        letters.as_array().unwrap().iter().map(|letter| (text(&letter["requestId"]), text(&letter["id"]))).collect()
    };
    let all = listed();
    let [(_, first), (_, second), _] = &all[..] else { panic!("{all:?}") };
    let said = world.run(&["dead", "drop", first, "nothing"]);
    assert_eq!((said.code, said.err.as_str()), (2, "error: no dead letter is called nothing\n"));
    assert_eq!(listed(), all, "none is let go");
    let said = world.run(&["dead", "drop", first, second]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("bad1") && said.out.ends_with("\n2 dead letters: let go\n"), "{}", said.out);
    assert_eq!(listed(), all[2..]);
    let dropped = world.answer(&["dead", "drop", "--all"]);
    assert_eq!((&dropped["status"], &dropped["deadLetters"][0]["requestId"]), (&json!("dropped"), &json!("bad3")));
    assert_eq!(world.run(&["dead", "drop", "--all"]).out, "No dead letters.\n");
    for wrong in [&["dead", "drop"][..], &["dead", "drop", "--all", first]] {
        assert_eq!(world.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn a_large_request_goes_in_parts_each_number_once_and_is_known_again() {
    let world = World::start("20");
    world.answer(&["org", "set", "--limit", "0"]);
    let mut document = request("large", &[]);
    let note = "x".repeat(700);
    let mut people: Vec<Value> =
        (0..3_000).map(|n| json!({"phone": format!("+658{n:07}"), "properties": {"note": note}})).collect();
    people.push(people[0].clone());
    document["destinations"] = Value::from(people);
    let file = Scratch::with("large.json", &document.to_string());
    let submit = ["submit", file.name(), "--part-size", "1"];
    let first = world.answer(&submit);
    assert_eq!((&first["status"], &first["parts"], &first["duplicates"]), (&json!("accepted"), &json!(3), &json!(1)));
    let status = world.answer(&["status", "large", "--limit", "2", "--cursor", "2998"]);
    assert_eq!((&status["total"], &status["status"]), (&json!(3_000), &json!("submitted")));
    assert_eq!((&status["details"][1]["destination"], &status["nextCursor"]), (&json!("+6580002999"), &Value::Null));
    assert_eq!(world.answer(&["status", "large", "--limit", "2"])["nextCursor"], "2");
    assert_eq!(world.answer(&submit)["status"], "known");
    let whole = world.run(&["submit", file.name()]);
    assert_eq!(whole.code, 2, "in one piece it is another request: {}", whole.err);
}

#[test]
fn without_a_worker_a_request_waits_at_the_broker() {
    let mut world = World::without_worker("20");
    let said = world.given(&request("early", &[BUSY]), &["submit", "-", "--wait", "1"]);
    assert_eq!(said.code, 5);
    assert!(
        said.err.starts_with("failed: no worker has answered within 1s; the request is with the broker"),
        "{}",
        said.err
    );
    assert_eq!(world.run(&["status", "early"]).code, 2, "nobody has looked at it");
    world.add_worker("late");
    world.wait_for("early", "request.completed", 1);
    assert_eq!(world.answer(&["status", "early"])["status"], "completed");
}

#[test]
fn help_tells_of_exit_codes_and_has_examples() {
    for command in [
        &["submit"][..],
        &["status"],
        &["tail"],
        &["calls"],
        &["org", "show"],
        &["org", "set"],
        &["org", "block"],
        &["dead", "list"],
        &["dead", "show"],
        &["dead", "retry"],
        &["dead", "drop"],
        &["request", "list"],
        &["request", "pause"],
        &["request", "resume"],
        &["request", "cancel"],
        &["call", "hangup"],
        &["doctor"],
    ] {
        let help = robocall(&[command, &["--help"]].concat()).out;
        for part in ["Exit codes:", "Examples:", "--config", "--org"] {
            let has_organisation = part != "--org" || command[0] != "dead";
            assert!(!has_organisation || help.contains(part), "{command:?} lacks {part}");
        }
    }
}
