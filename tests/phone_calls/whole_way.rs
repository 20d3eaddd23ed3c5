//! From a request to what is known of it afterwards.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::scene::{bed, deployment, details, name, number, recorded, request, says, steps};
use crate::world::World;

#[test]
fn a_callee_presses_a_key_and_is_put_through() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    world.add_worker(&name());
    let callee = number("70", "1");
    let flow = json!([{
        "name": "gather",
        "message": {"msg": "Hello. Press one to talk to us, or two if you would rather not. Take all the time you need."},
        "branches": [
            {"digit": "1", "callFlow": {"steps": [
                says("One moment please."),
                {"name": "transfer", "destination": "Ext:1000", "ringTimeoutSecs": 20},
            ]}},
            {"default": true, "callFlow": {"steps": [says("Goodbye.")]}},
        ],
    }]);
    let mut document = request("whole-way", &callee, &flow);
    document["maxCallDurationSecs"] = json!(20);
    document["enableCallRecording"] = json!(true);
    world.submit(&document);
    let ended = world.wait_for("whole-way", "call.ended", 1);

    let call = details(&world, "whole-way");
    assert_eq!((&call["status"], &call["disposition"]["by"]), (&json!("completed"), &json!("us")), "{call:#}");
    let gone_through = steps(&call);
    let done = |name: &str| (name.to_owned(), "success_ok".to_owned());
    assert_eq!(gone_through, [done("gather"), done("play"), done("transfer")], "{call:#}");
    let info = |place: usize| &call["callFlowSteps"][place]["info"];
    assert_eq!((&info(0)["userPressedDigits"], &info(2)["transfer_status"]), (&json!("1"), &json!("answered")));
    assert_eq!(ended["data"]["status"], "completed");

    // Recorded, and fetched from where the status says.
    let place = call["recordingUrl"].as_str().unwrap_or_else(|| panic!("{call:#}"));
    let path = place.strip_prefix(&bed.url()).unwrap();
    let recorded = bed.ari("GET", path);
    assert!(recorded.status == 200 && recorded.body.len() > 100_000, "{} bytes", recorded.body.len());

    // And over HTTP, whole and in part, by its name.
    let file = std::env::temp_dir().join(format!("robocall-recording-{}.wav", std::process::id()));
    let base = world.serve();
    let made = world.answer(&["org", "key", "add", "--org", "default", "--label", "x", "--scopes", "read,supervise"]);
    let curl = |more: &[&str], path: &str| {
        let key = format!("x-credential-api-key: {}", made["apiKey"].as_str().unwrap());
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-w", "%{http_code}", "-H", &key, "-o"]).arg(&file).args(more);
        let said = curl.arg(format!("{base}{path}")).output().unwrap();
        (String::from_utf8_lossy(&said.stdout).into_owned(), std::fs::read(&file).unwrap())
    };
    let (_, shown) = curl(&[], &format!("/v1/calls/{}", call["callId"].as_str().unwrap()));
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let recording =
        format!("/v1/recordings/{}", shown["recordings"][0]["id"].as_str().unwrap_or_else(|| panic!("{shown:#}")));
    let (code, whole) = curl(&[], &recording);
    assert!(code == "200" && whole.starts_with(b"RIFF") && whole.len() > 100_000, "{code}: {} bytes", whole.len());
    assert_eq!(curl(&["-r", "8-11"], &recording), ("206".to_owned(), b"WAVE".to_vec()));
    std::fs::remove_file(&file).unwrap();

    // What the phone network saw: each dialled once, the key pressed, the callee spoken to.
    assert_eq!((bed.carrier.invites(&callee), bed.carrier.pressed(&callee)), (1, "1".to_owned()));
    let heard = bed.carrier.heard(&callee);
    assert!(heard.louder_than(-40.0) > Duration::from_secs(2), "two messages: {:?}", heard.louder_than(-40.0));
    assert!(bed.carrier.heard("1000").length() > Duration::from_secs(3), "the agent was on the line");

    // The events, in order.
    let order = [
        "call.dialing",
        "call.ringing",
        "call.answered",
        "step.started",
        "step.finished",
        "step.started",
        "step.finished",
        "step.started",
        "leg.added",
        "step.finished",
        "leg.removed",
        "call.ended",
    ];
    let told = told(&world, "whole-way", "request.completed");
    let types: Vec<&str> = told.iter().map(kind).collect();
    for once in ["recording.started", "recording.stopped", "request.accepted", "request.started", "call.ended"] {
        assert_eq!(types.iter().filter(|kind| **kind == once).count(), 1, "{once} in {types:?}");
    }
    let mut rest = types.iter();
    for kind in order {
        assert!(rest.any(|seen| *seen == kind), "{kind} is not where it should be in {types:?}");
    }
}

#[test]
fn whoever_cannot_be_reached_is_told_apart() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    world.add_worker(&name());
    let kinds =
        [("20", "busy"), ("40", "invalidNumber"), ("50", "rejected"), ("80", "congestion"), ("90", "unreachable")];
    let phones: Vec<_> = kinds.iter().map(|(kind, _)| json!({"phone": number(kind, "")})).collect();
    let mut document = request("outcomes", "+9991", &json!([says("Hello.")]));
    document["destinations"] = json!(phones);
    world.submit(&document);
    world.wait_for("outcomes", "request.completed", 1);
    let status = world.answer(&["status", "outcomes"]);
    for (call, (_, result)) in status["details"].as_array().unwrap().iter().zip(kinds) {
        assert_eq!(call["disposition"]["result"], result, "{call:#}");
        assert_eq!(call["attempts"][0]["trunk"], "carrier");
    }
}

/// A request's events, in order, up to one that comes last.
fn told(world: &World, request: &str, last: &str) -> Vec<serde_json::Value> {
    // How many there are is known when the last one is there.
    for count in 1.. {
        let count = count.to_string();
        let said = world.run(&["tail", "--from", "first", "--request", request, "--count", &count, "--json"]);
        let events: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if events.last().is_some_and(|event| kind(event) == last) {
            return events;
        }
    }
    Vec::new()
}

fn kind(event: &serde_json::Value) -> &str {
    event["type"].as_str().unwrap().trim_start_matches("robocall.")
}

#[test]
fn a_secret_key_is_in_nothing_that_is_told_stored_or_recorded() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    world.add_worker(&name());
    let callee = number("70", "1");
    let flow = json!([{
        "name": "gather",
        "sensitive": true,
        "timeoutSecs": 30,
        "message": {"msg": "Please press the digit we sent you by letter, and take your time."},
        "branches": [
            {"digit": "1", "callFlow": {"steps": [says("Thank you. That was right, and this is what you hear then.")]}},
            {"default": true, "callFlow": {"steps": [says("Goodbye.")]}},
        ],
    }]);
    let mut document = request("secret", &callee, &flow);
    document["enableCallRecording"] = json!(true);
    world.submit(&document);
    world.wait_for("secret", "call.ended", 1);
    let call = details(&world, "secret");
    let pressed = bed.carrier.pressed(&callee);
    assert!(pressed == "1", "pressed `{pressed}`: {call} {:?}", bed.carrier.steps_of(&callee));
    let done = |name: &str| (name.to_owned(), "success_ok".to_owned());
    assert_eq!(steps(&call), [done("gather"), done("play")], "the right branch: {call:#}");
    let gather = &call["callFlowSteps"][0]["info"];
    assert!(gather["keys"].is_null() && gather["userPressedDigits"].is_null(), "{call:#}");
    let path = call["callFlowSteps"][1]["path"].as_str().unwrap();
    assert!(path.contains('*'), "which branch it was tells the key: {path}");
    // Every event, as it went out.
    let told = told(&world, "secret", "request.completed");
    let gathers = told.iter().filter_map(|event| event["data"]["callFlowSteps"].as_array()).flatten();
    let gathers: Vec<_> = gathers.filter(|step| step["stepName"] == "gather").collect();
    assert!(gathers.iter().any(|step| step["info"]["status"] == "success_ok"), "{told:#?}");
    let says_nothing =
        |step: &&serde_json::Value| step["info"]["keys"].is_null() && step["info"]["userPressedDigits"].is_null();
    assert!(gathers.iter().all(says_nothing), "{gathers:#?}");
    // The thanks are recorded, the question and what was keyed in after it are not.
    let recorded = recorded(bed, &call);
    let heard = bed.carrier.heard(&callee);
    let (kept, all) = (recorded.louder_than(-45.0), heard.louder_than(-45.0));
    assert!(kept > Duration::from_secs(1) && kept + Duration::from_secs(1) < all, "{kept:?} of {all:?}");
}
