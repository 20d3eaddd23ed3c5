//! `robocall flow`, `request check`, `schema` and `completions`, from outside; and the golden transcripts of the
//! flows that come with the program.
//!
//! With `ROBOCALL_BLESS=1` the golden files are written instead of compared: look at what changed before you keep it.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use support::{Scratch, robocall, robocall_given, root};

/// Compares with a golden file, or writes it.
fn golden(path: &str, found: &str) {
    let file = root().join(path);
    if std::env::var_os("ROBOCALL_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        return fs::write(file, found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(found, expected, "{path}");
}

/// Every transcript: flow, case, and what the callee does.
const TRANSCRIPTS: &[(&str, &str, &[&str])] = &[
    ("appointment-confirmation", "confirms", &["--keys", "1"]),
    ("appointment-confirmation", "silent", &["--keys", ""]),
    ("emergency-notice", "acknowledges", &["--keys", "1"]),
    ("emergency-notice", "silent", &["--keys", "timeout,timeout,timeout"]),
    ("opt-out", "opts-out", &["--keys", "9"]),
    ("opt-out", "stays", &["--keys", "1"]),
    ("payment-reminder", "will-pay", &["--keys", "1"]),
    ("payment-reminder", "fourteen-days", &["--keys", "7,2,2"]),
    ("payment-reminder", "put-through", &["--keys", "0"]),
    ("payment-reminder", "nobody-free", &["--keys", "0", "--transfer", "busy"]),
    ("payment-reminder", "silent", &["--keys", "timeout"]),
    ("payment-reminder", "hangs-up", &["--keys", "hangup"]),
    ("queue-transfer", "joins", &["--keys", "1"]),
    ("queue-transfer", "unanswered", &["--keys", "1", "--transfer", "unanswered"]),
    ("survey", "happy", &["--keys", "1,3,1"]),
    ("survey", "unhappy", &["--keys", "3,1,1,1,2"]),
    ("survey", "declines", &["--keys", "2"]),
];

/// What the sample request's first person is told.
fn properties(flow: &str) -> Vec<String> {
    let sample = fs::read_to_string(root().join(format!("flows/samples/{flow}.request.json"))).unwrap();
    let sample: Value = serde_json::from_str(&sample).unwrap();
    let properties = sample["destinations"][0]["properties"].as_object().cloned().unwrap_or_default();
    let given = properties.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
    given.flat_map(|pair| ["--property".to_owned(), pair]).collect()
}

#[test]
fn every_flow_says_what_its_transcripts_say() {
    for (flow, case, keys) in TRANSCRIPTS {
        let file = format!("flows/{flow}.json");
        let properties = properties(flow);
        let mut args = vec!["flow", "play", &file];
        args.extend(*keys);
        args.extend(properties.iter().map(String::as_str));
        let said = robocall(&args);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{flow}.{case}");
        golden(&format!("flows/transcripts/{flow}.{case}.txt"), &said.out);
    }
}

#[test]
fn every_flow_has_at_least_two_transcripts_and_every_transcript_its_test() {
    let mut cases: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(root().join("flows/transcripts")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (flow, case) = name.strip_suffix(".txt").and_then(|name| name.split_once('.')).unwrap();
        assert!(TRANSCRIPTS.iter().any(|(f, c, _)| (*f, *c) == (flow, case)), "{name} is compared with nothing");
        *cases.entry(flow.to_owned()).or_default() += 1;
    }
    for entry in fs::read_dir(root().join("flows")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(flow) = name.strip_suffix(".json") {
            assert!(cases.get(flow).is_some_and(|cases| *cases >= 2), "{flow}");
        }
    }
}

#[test]
fn every_sample_request_runs_to_completion() {
    for entry in fs::read_dir(root().join("flows/samples")).unwrap() {
        let path = entry.unwrap().path();
        let said = robocall(&["run", path.to_str().unwrap(), "--instant", "--json"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", path.display());
        let status: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(status["status"], "completed");
        let said = robocall(&["flow", "check", path.to_str().unwrap(), "--deny-warnings"]);
        assert_eq!(said.code, 0, "{}", said.out);
    }
}

#[test]
fn every_flow_can_be_drawn_in_every_form() {
    for (format, begins) in [("text", ""), ("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg")] {
        for entry in fs::read_dir(root().join("flows")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let said = robocall(&["flow", "render", path.to_str().unwrap(), "--format", format]);
                assert_eq!(said.code, 0, "{}", said.err);
                assert!(said.out.contains(begins), "{format}: {}", said.out);
            }
        }
    }
}

#[test]
fn a_diagnostic_names_file_line_and_column_and_shows_the_place() {
    let flow = "{\n  \"steps\": [\n    {\"name\": \"play\", \"message\": {\"msg\": \"Dear {{nam}}\"}}\n  ]\n}\n";
    let file = Scratch::with("flow.json", flow);
    let said = robocall(&["flow", "check", file.name(), "--properties", "name,amount"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains(&format!("{}:3:41", file.name())), "{}", said.out);
    assert!(said.out.contains("did you mean {{name}}?"), "{}", said.out);
    assert!(said.out.contains("───"), "{}", said.out);
    assert_eq!(robocall(&["flow", "check", file.name(), "--properties", "name", "--deny-warnings"]).code, 2);
    let said = robocall(&["flow", "check", file.name(), "--properties", "name", "--json"]);
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let first = &found["diagnostics"][0];
    assert_eq!(
        (first["severity"].as_str(), first["line"].as_u64(), first["column"].as_u64()),
        (Some("warning"), Some(3), Some(41))
    );
}

#[test]
fn the_flow_of_a_whole_request_is_shown_where_it_stands_in_the_file() {
    let request = "{\"requestId\": \"r\",\n\"destinations\": [{\"phone\": \"+6581234567\"}],\n\n  \"callFlow\": {\"steps\": [{\"name\": \"plai\"}]}}\n";
    let file = Scratch::with("request.json", request);
    let said = robocall(&["flow", "check", file.name()]);
    assert_eq!(said.code, 2);
    assert!(said.out.contains(&format!("{}:4:", file.name())), "{}", said.out);
    assert!(said.out.contains("callFlow.steps[0].name"), "{}", said.out);
}

#[test]
fn destinations_that_cannot_be_spoken_to_are_counted_and_the_first_ten_are_shown() {
    let destinations: Vec<String> = (0..30)
        .map(|number| match number % 3 {
            0 => format!(r#"{{"phone": "+65812345{number:02}", "properties": {{"name": "Alex"}}}}"#),
            1 => format!(r#"{{"phone": "+65812345{number:02}"}}"#),
            _ => format!(r#"{{"phone": "+65812345{number:02}", "properties": {{"name": "{}"}}}}"#, "x".repeat(999)),
        })
        .collect();
    let request = format!(
        r#"{{"requestId": "r", "callFlow": {{"steps": [{{"name": "play", "message": {{"msg": "Dear {{{{name}}}}"}}}}]}}, "destinations": [{}]}}"#,
        destinations.join(",")
    );
    let said = robocall_given(&request, &["flow", "check", "-"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("warning: 20 of 30 destinations will fail before they are dialled"), "{}", said.out);
    assert!(said.out.contains(": no errors, 1 warning\n"), "{}", said.out);
    assert!(said.out.contains("… and 10 more"), "{}", said.out);
    assert!(said.out.contains("destinations[1] +6581234501: error_missing_property"), "{}", said.out);
    let said = robocall_given(&request, &["flow", "check", "-", "--json", "--deny-warnings"]);
    assert_eq!(said.code, 2);
    let found: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(found["destinations"]["byStatus"]["error_msg_too_long"], 10);
    assert_eq!(found["destinations"]["first"].as_array().unwrap().len(), 10);
}

#[test]
fn a_message_without_its_property_is_not_played() {
    let said = robocall(&["flow", "play", "flows/payment-reminder.json", "--keys", "1"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--property"), "{}", said.err);
}

#[test]
fn a_call_can_be_played_from_stdin_key_by_key() {
    let mut args = vec!["flow", "play", "flows/payment-reminder.json", "--json"];
    let properties = properties("payment-reminder");
    args.extend(properties.iter().map(String::as_str));
    let said = robocall_given("x\n2\n\n1\n", &args);
    assert_eq!(said.code, 0, "{}", said.err);
    let played: Value = serde_json::from_str(&said.out).unwrap();
    let what: Vec<&str> =
        played["transcript"].as_array().unwrap().iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(what.iter().filter(|what| **what == "key").count(), 2, "{what:?}");
    assert_eq!(what.iter().filter(|what| **what == "noKey").count(), 1, "{what:?}");
    assert_eq!(played["disposition"]["result"], "answered");
}

#[test]
fn a_valid_request_is_summed_up() {
    let said = robocall(&["request", "check", "tests/data/reference_request.json"]);
    assert_eq!(said.code, 0);
    assert!(
        said.out
            .starts_with("tests/data/reference_request.json: valid\n  request       request_10\n  destinations  2\n"),
        "{}",
        said.out
    );
    let said = robocall(&["request", "check", "tests/data/reference_request.json", "--json"]);
    let summary: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((summary["total"].as_u64(), summary["status"].as_str()), (Some(2), Some("valid")));
}

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    for document in ["request", "status", "event", "flow", "asyncapi"] {
        let said = robocall(&["schema", document]);
        assert_eq!(said.code, 0);
        golden(&format!("docs/schema/{document}.json"), &said.out);
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = robocall(&["completions", shell]);
        assert_eq!((said.code, said.out.contains("robocall")), (0, true), "{shell}");
    }
}
