//! What the log says of calls: what each line is about, and nothing of who was called, what was said and what is secret.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::scene::{bed, deployment, details, name, number, says};
use crate::support::Scratch;

/// What stands in a request and must not stand in a log.
const WORDS: &str = "canaryword";
const PROPERTY: &str = "canaryproperty";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const HOOK: &str = "https://127.0.0.1:1/canaryhook";

#[test]
fn every_line_says_what_it_is_about_and_none_whom_and_what() {
    let bed = bed();
    let log = Scratch::with("log", "");
    let mut world = deployment(bed, &bed.url())
        .with([("ROBOCALL_LOG", "trace".to_owned()), ("ROBOCALL_LOG_FORMAT", "json".to_owned())])
        .logging_to(Path::new(log.name()));
    world.add_worker(&name());
    let base = world.serve();
    let made = world.answer(&["org", "key", "add", "--label", "crm", "--scopes", "submit,read,supervise,admin"]);
    let key = made["apiKey"].as_str().unwrap();
    let secret = world.run(&["hook", "secret", "add"]).out;
    let ask = |method: &str, path: &str, body: &Value| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-X", method, "-H", &format!("x-credential-api-key: {key}")]);
        curl.args(["-H", "content-type: application/json", "-H", &format!("traceparent: {TRACE}")]);
        curl.args(["--data", &body.to_string()]);
        String::from_utf8(curl.arg(format!("{base}{path}")).output().unwrap().stdout).unwrap()
    };

    let (typist, busy, blocked, caller) = (number("70", "1"), number("20", ""), number("15", ""), number("98", ""));
    let (unknown, colleague) = (number("40", ""), number("10", ""));
    let blocking = ask("PUT", &format!("/v1/do-not-call/{blocked}"), &json!({}));
    let flow = json!([{
        "name": "gather", "sensitive": true, "timeoutSecs": 30,
        "message": {"msg": format!("Good day, {{{{who}}}}, this is {WORDS}. Please press one.")},
        "branches": [
            {"digit": "1", "callFlow": {"steps": [{"name": "transfer", "destination": &colleague}]}},
            {"default": true, "callFlow": {"steps": [says("Goodbye.")]}},
        ],
    }]);
    let people: Vec<_> = [&typist, &busy, &blocked, &unknown]
        .map(|phone| json!({"phone": phone, "properties": {"who": PROPERTY}}))
        .into();
    let document = json!({
        "requestId": "logged", "caller": caller, "maxCallDurationSecs": 60, "destinations": people,
        "enableCallRecording": true, "hooks": [{"url": HOOK}], "callFlow": {"steps": flow},
    });
    let submitted = ask("POST", "/v1/call", &document);
    let refused =
        ask("POST", "/v1/call", &json!({"requestId": "wrong", "destinations": [{"phone": &typist}, 7], "x": WORDS}));
    assert!(submitted.contains(r#""status":"submitted""#), "{submitted}");
    world.wait_for("logged", "leg.added", 1);
    let call = details(&world, "logged");
    let id = call["callId"].as_str().unwrap();
    let ended = ask("POST", &format!("/v1/calls/{id}/hangup"), &json!({}));
    for kind in ["request.accepted", "call.answered", "call.ended", "request.completed"] {
        assert_eq!(world.wait_for("logged", kind, 1)["traceparent"], TRACE, "{kind}");
    }

    let text = log.text();
    let context = format!("{blocking}\n{submitted}\n{refused}\n{ended}\n{text}");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    for line in &lines {
        let ours = line["target"].as_str().unwrap().starts_with("robocall");
        assert!(ours || line["level"] == "ERROR", "a library says what may go over the wire: {line}");
        assert!(!ours || ["timestamp", "message"].iter().all(|name| line[name].is_string()), "{line}");
    }
    let about = |message: &str, span: &str| {
        let found = lines.iter().find(|line| line["message"] == message && line["span"]["name"] == span);
        found.unwrap_or_else(|| panic!("no {message:?} of a {span}: {context}"))["span"].clone()
    };
    let answered = about("call.answered", "call");
    assert_eq!((&answered["call"], &answered["request"]), (&json!(id), &json!("logged")));
    assert_eq!((&answered["organisation"], &answered["attempt"]), (&json!("default"), &json!(1)));
    assert_eq!(answered["trace"], TRACE[3..35]);
    assert_eq!(about("accepted", "intake")["request"], "logged");
    let asked = lines.iter().find(|line| line["span"]["operation"] == "hangUpCall" && line["message"] == "answered");
    assert_eq!(asked.unwrap_or_else(|| panic!("{context}"))["span"]["call"], id);
    // A number that has to be shown is masked.
    let masked = lines.iter().find(|line| line["phone"].is_string()).unwrap_or_else(|| panic!("{context}"));
    assert!(masked["phone"].as_str().unwrap().contains("**"), "{masked}");

    let secret = secret.trim().trim_start_matches("whsec_");
    let digits = |phone: &String| phone[3..].to_owned();
    let numbers = [&typist, &busy, &blocked, &caller, &unknown, &colleague].map(digits);
    let told = [WORDS, PROPERTY, "canaryhook", key, secret, bed.password(), "Please press"];
    for canary in told.iter().copied().chain(numbers.iter().map(String::as_str)) {
        let told: Vec<_> = text.lines().filter(|line| line.contains(canary)).collect();
        assert!(told.is_empty(), "{canary}: {told:#?}");
    }
}
