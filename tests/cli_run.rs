//! `robocall run`, from outside: what it prints, what it answers, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::{Scratch, robocall, robocall_given};

const REFERENCE: &str = "tests/data/reference_request.json";

fn request(destinations: &[&str]) -> String {
    let destinations: Vec<Value> = destinations.iter().map(|phone| json!({"phone": phone})).collect();
    let flow = json!({"steps": [{"name": "gather", "message": {"msg": "Press 1"}, "branches": [
        {"digit": "1", "callFlow": {"steps": [{"name": "play", "message": {"msg": "Thanks"}}]}},
        {"default": true, "callFlow": {"steps": [{"name": "hangup"}]}},
    ]}]});
    json!({"requestId": "r1", "destinations": destinations, "callFlow": flow}).to_string()
}

fn status_of(request: &str, args: &[&str]) -> Value {
    let said = robocall_given(request, &[&["run", "-", "--instant", "--json"], args].concat());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn the_reference_example_runs_to_completion_and_its_status_has_every_field() {
    let said = robocall(&["run", REFERENCE, "--instant", "--json", "--answer", "1"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let status: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&status["requestId"], &status["status"]), (&json!("request_10"), &json!("completed")));
    let details = status["details"].as_array().unwrap();
    assert_eq!(details.len(), 2);
    for call in details {
        for field in ["requestId", "caller", "destination", "status", "callFlowSteps", "monitorData"] {
            assert!(call.get(field).is_some(), "{field}: {call:#}");
        }
        let steps = call["callFlowSteps"].as_array().unwrap();
        assert!(!steps.is_empty());
        for step in steps {
            assert!(step["stepName"].is_string(), "{step:#}");
            for field in ["call_state", "call_status", "status", "userPressedDigits", "transfer_status"] {
                assert!(step["info"].get(field).is_some(), "{field}: {step:#}");
            }
        }
    }
}

#[test]
fn monitor_data_names_the_legs_while_a_call_lives() {
    let events = Scratch::with("monitor", "");
    let said = robocall(&[
        "run",
        REFERENCE,
        "--instant",
        "--answer",
        "1",
        "--press-keys",
        "0",
        "--presses",
        "1",
        "--events",
        events.name(),
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    let legs: BTreeSet<(String, String)> = events
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .flat_map(|event| event["data"]["monitorData"].as_array().cloned().unwrap_or_default())
        .map(|leg| (leg["type"].as_str().unwrap().to_owned(), leg["dest"].as_str().unwrap().to_owned()))
        .collect();
    let leg = |kind: &str, dest: &str| (kind.to_owned(), dest.to_owned());
    assert!(legs.contains(&leg("callee", "+84917660247")), "{legs:?}");
    assert!(legs.contains(&leg("transfer", "1000")), "{legs:?}");
}

#[test]
fn magic_numbers_do_what_is_said_of_them() {
    let numbers = [
        ("+9991000001", "answered"),
        ("+9992000001", "busy"),
        ("+9993000001", "unanswered"),
        ("+9994000001", "invalidNumber"),
        ("+9995000001", "rejected"),
        ("+9996000001", "answered"),
        ("+99970000011", "answered"),
        ("+9991300001", "answered"),
        ("+9998000001", "congestion"),
        ("+9999000001", "unreachable"),
    ];
    let phones: Vec<&str> = numbers.iter().map(|(phone, _)| *phone).collect();
    let status = status_of(&request(&phones), &[]);
    for (call, (phone, result)) in status["details"].as_array().unwrap().iter().zip(numbers) {
        assert_eq!((&call["destination"], &call["disposition"]["result"]), (&json!(phone), &json!(result)));
    }
    let typed = &status["details"][6]["callFlowSteps"];
    assert_eq!((&typed[0]["info"]["userPressedDigits"], &typed[1]["stepName"]), (&json!("1"), &json!("play")));
}

#[test]
fn one_seed_tells_one_story_and_another_seed_another() {
    let phones: Vec<String> = (0..200).map(|number| format!("+65{}", 81_000_000 + number)).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    let request = request(&phones);
    let run = |seed| robocall_given(&request, &["run", "-", "--instant", "--json", "--seed", seed]).out;
    let first = run("7");
    assert_eq!(first, run("7"));
    assert_ne!(first, run("8"));
}

#[test]
fn a_survey_among_thousands_is_told_alike_however_often_it_is_run() {
    let flow = std::fs::read_to_string(support::root().join("flows/survey.json")).unwrap();
    let flow: Value = serde_json::from_str(&flow).unwrap();
    let (names, days) = (["Ann", "Ben", "Chandra"], ["Monday", "Friday"]);
    let person = |number: usize| {
        let properties = json!({"name": names[number % 3], "branch": "Bedok", "day": days[number % 2]});
        json!({"phone": format!("+65{}", 80_000_000 + number), "properties": properties})
    };
    let people: Vec<Value> = (0..2_000).map(person).collect();
    let request = json!({"requestId": "survey", "callFlow": flow, "destinations": people}).to_string();
    let args = ["run", "-", "--instant", "--json", "--seed", "1", "--limit", "100"];
    let [one, two] = [(); 2].map(|()| robocall_given(&request, &args));
    assert_eq!((one.code, one.err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&one.out).unwrap()["details"].as_array().unwrap().len(), 2_000);
    // Too long to be shown side by side.
    assert!(one.out == two.out, "one seed told two stories");
}

#[test]
fn several_workers_share_the_slots() {
    let phones: Vec<String> = (0..60).map(|number| format!("+99970{number:05}1")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    let events = Scratch::with("workers", "");
    let status =
        status_of(&request(&phones), &["--workers", "3", "--limit", "6", "--external", "2", "--events", events.name()]);
    assert_eq!(status["counts"]["completed"], 60);
    let (mut live, mut most) = (0, 0);
    for line in events.text().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        match event["type"].as_str().unwrap() {
            "robocall.call.dialing" => live += 1,
            "robocall.call.ended" => live -= 1,
            _ => {}
        }
        most = most.max(live);
    }
    assert_eq!(most, 4, "6 slots, 2 in use elsewhere");
}

#[test]
fn events_are_written_in_order_and_without_gaps() {
    let events = Scratch::with("events", "");
    let said = robocall(&["run", REFERENCE, "--instant", "--events", events.name()]);
    assert_eq!(said.code, 0, "{}", said.err);
    let mut seqs: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for line in events.text().lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/robocall/default")));
        let last = seqs.entry(event["subject"].as_str().unwrap().to_owned()).or_default();
        *last += 1;
        assert_eq!(event["data"]["seq"], *last, "{event:#}");
    }
    assert_eq!(seqs.len(), 3, "one request and two calls: {seqs:?}");
    let first: Value = serde_json::from_str(events.text().lines().next().unwrap()).unwrap();
    let last: Value = serde_json::from_str(events.text().lines().last().unwrap()).unwrap();
    assert_eq!(
        (&first["type"], &last["type"]),
        (&json!("robocall.request.accepted"), &json!("robocall.request.completed"))
    );
}

#[test]
fn the_report_counts_outcomes_and_steps() {
    let said = robocall_given(&request(&["+99970000011", "+9991000001", "+9992000001"]), &["run", "-", "--instant"]);
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("r1 completed: 3 calls, 3 dials in "), "{}", said.out);
    let line = |words: &[&str]| said.out.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
    assert!(line(&["answered", "2", "66.7", "%"]), "{}", said.out);
    assert!(line(&["busy", "1", "33.3", "%"]), "{}", said.out);
    assert!(line(&["gather", "2", "100.0", "%", "2", "0", "1:", "1", "none:", "1"]), "{}", said.out);
}

#[test]
fn a_request_that_is_wrong_is_refused_with_everything_that_is_wrong_and_nothing_is_dialled() {
    let events = Scratch::with("refused", "");
    let wrong = json!({
        "requestId": "r 1",
        "priorty": 3,
        "destinations": [{"phone": "12ab"}, {"phone": "+6581234567", "properties": []}],
        "callFlow": {"steps": [{"name": "play", "message": {"msg": "{{#each x}}a{{/each}}"}}]},
    });
    let said = robocall_given(&wrong.to_string(), &["run", "-", "--instant", "--json", "--events", events.name()]);
    assert_eq!(said.code, 2);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(answer["status"], "invalid");
    let paths: BTreeSet<&str> =
        answer["errors"].as_array().unwrap().iter().map(|error| error["path"].as_str().unwrap()).collect();
    for path in
        ["requestId", "priorty", "destinations[0].phone", "destinations[1].properties", "callFlow.steps[0].message.msg"]
    {
        assert!(paths.contains(path), "{path}: {answer:#}");
    }
    assert!(events.text().lines().all(|line| !line.contains("call.dialing")), "{}", events.text());
    let said = robocall_given(&wrong.to_string(), &["run", "-", "--instant"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    assert!(said.err.contains("priorty: unknown field, did you mean `priority`?"), "{}", said.err);
}

#[test]
fn hostile_input_is_refused_with_a_reason_and_never_a_panic() {
    let deep = "[".repeat(200_000);
    let long = format!(
        r#"{{"requestId":"r","destinations":[{{"phone":"+{}"}}],"callFlow":{{"steps":[]}}}}"#,
        "1".repeat(10_000)
    );
    let bomb = format!(
        r#"{{"requestId":"r","destinations":[{{"phone":"+6581234567"}}],"callFlow":{}1{}}}"#,
        r#"{"steps":["#.repeat(5_000),
        "]}".repeat(5_000)
    );
    let hostile: [&str; 12] = [
        "",
        " ",
        "null",
        "[]",
        "42",
        "{",
        r#"{"requestId": "r", "destinations": [NaN]}"#,
        "{\"requestId\": \"\u{0}\"}",
        "\u{feff}{}",
        &deep,
        &long,
        &bomb,
    ];
    for text in hostile {
        for args in [
            &["run", "-", "--instant"][..],
            &["request", "check", "-"],
            &["flow", "check", "-"],
            &["flow", "play", "-"],
            &["flow", "render", "-"],
        ] {
            let said = robocall_given(text, args);
            let shown: String = text.chars().take(40).collect();
            assert_eq!(said.code, 2, "{args:?} {shown}: {}{}", said.out, said.err);
            assert!(!said.err.contains("panicked"), "{}", said.err);
            assert!(said.out.len() + said.err.len() > 10, "{args:?} {shown}");
            assert!(said.out.len() + said.err.len() < 5_000, "{args:?} {shown}");
        }
    }
}

#[test]
fn options_that_cannot_be_are_refused() {
    for args in [
        &["run", REFERENCE, "--instant", "--speed", "3"][..],
        &["run", REFERENCE, "--speed", "0"],
        &["run", REFERENCE, "--speed", "NaN"],
        &["run", REFERENCE, "--instant", "--limit", "2", "--external", "2"],
        &["run", REFERENCE, "--instant", "--limit", "-1"],
        &["run", REFERENCE, "--instant", "--org", "No.Dots"],
        &["run", REFERENCE, "--instant", "--answer", "nan"],
        &["run", REFERENCE, "--instant", "--json", "--events", "-"],
        &["run", REFERENCE, "--log", "robocall=loud"],
        &["run", REFERENCE, "--log-format", "xml"],
        &["run", "no-such-file.json"],
        &["run", "src"],
        &["run", REFERENCE, "--instant", "--network", "Cargo.toml"],
        &["run", REFERENCE, "--instant", "--flows", "no-such-folder"],
        &["run", REFERENCE, "--instant", "--ring", "9,1"],
        &["rum"],
    ] {
        let said = robocall(args);
        assert_eq!(said.code, 2, "{args:?}: {}{}", said.out, said.err);
        assert!(!said.err.is_empty() || said.out.contains("\"invalid\""), "{args:?}");
    }
}

#[test]
fn a_request_whose_time_is_over_ends_with_3() {
    let mut expired: Value = serde_json::from_str(&request(&["+9991000001"])).unwrap();
    expired["expiresAt"] = json!("2020-01-01T00:00:00Z");
    let said = robocall_given(&expired.to_string(), &["run", "-", "--instant", "--json"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["status"], "expired");
}

#[test]
fn the_demo_runs_at_once_where_that_is_asked_for() {
    let said = robocall(&["demo", "--instant", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&status["status"], &status["total"]), (&json!("completed"), &json!(100)));
}

#[cfg(unix)]
#[test]
fn the_demo_ends_with_commands_that_can_be_typed() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_robocall"));
    let folder = program.parent().unwrap();
    for (path, called) in [("/usr/bin:/bin", program.to_str().unwrap()), (folder.to_str().unwrap(), "robocall")] {
        let mut command = support::program(&["demo", "--instant", "--people", "3"]);
        let said = support::said(command.env("PATH", path).output().unwrap());
        let next: Vec<&str> = said.err.lines().skip_while(|line| *line != "What to try next:").skip(1).collect();
        assert!(next.len() > 3, "{}", said.err);
        for line in next {
            assert!(line.starts_with(&format!("  {called} ")), "{line}");
        }
    }
}

#[test]
fn the_first_interrupt_cancels_and_the_second_stops_at_once() {
    use std::process::{Command, Stdio};
    let interrupted = |times: usize| {
        let phones: Vec<String> = (0..50).map(|number| format!("+99910{number:05}")).collect();
        let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
        let file = Scratch::with(&format!("interrupt-{times}"), &request(&phones));
        let mut command = support::program(&["run", file.name(), "--speed", "10", "--log", "info", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
        // It is running once it says that the request is accepted.
        let mut line = String::new();
        while !line.contains("accepted") {
            line.clear();
            assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).unwrap(), 0, "it ended early");
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        for _ in 0..times {
            std::thread::sleep(std::time::Duration::from_millis(300));
            let id = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        }
        support::said(child.wait_with_output().unwrap())
    };
    let once = interrupted(1);
    assert_eq!(once.code, 3, "{}", once.out);
    let status: Value = serde_json::from_str(&once.out).unwrap();
    assert_eq!(status["status"], "cancelled");
    assert!(status["counts"]["cancelled"].as_u64().unwrap() > 0, "{:#}", status["counts"]);
    assert!(status["counts"]["completed"].as_u64().unwrap() > 0, "live calls went on: {:#}", status["counts"]);
    let twice = interrupted(2);
    assert_eq!((twice.code, twice.out.as_str()), (130, ""));
}
