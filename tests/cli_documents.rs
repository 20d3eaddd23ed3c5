//! Documents and files as people hand them in, seen from outside: what is shown of them, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use support::{Scratch, robocall, robocall_given};

fn with(changes: Value) -> String {
    let mut request = json!({
        "requestId": "r1",
        "destinations": [{"phone": "+9991000001", "properties": {"name": "Alex"}}],
        "callFlow": {"steps": [{"name": "play", "message": {"msg": "Hello {{name}}"}}]},
    });
    request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    request.to_string()
}

/// What a document makes every command say.
fn all_said(text: &str) -> Vec<(i32, String)> {
    let commands = [
        &["run", "-", "--instant"][..],
        &["request", "check", "-"],
        &["flow", "check", "-"],
        &["flow", "play", "-"],
        &["flow", "render", "-"],
    ];
    commands.map(|args| robocall_given(text, args)).into_iter().map(|said| (said.code, said.out + &said.err)).collect()
}

#[test]
fn nothing_of_a_document_acts_on_the_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{1b}[31m\u{202e}\u{9b}\u{0}";
    for document in [
        with(json!({evil: 1})),
        with(json!({"requestId": evil})),
        with(json!({"callFlow": {"steps": [{"name": evil}]}})),
        with(json!({"callFlow": {"steps": [{"name": "play", "message": {"msg": evil}}]}})),
        with(json!({"callFlow": {"steps": [{"name": "play", "message": {"msg": "{{a\u{202e}b}}"}}]}})),
        with(json!({"callFlow": {"steps": [{"name": "play", "message": {"msg": "left\u{202e}right"}}]}})),
        with(json!({"callFlow": {"steps": [{"name": "play", "message": {"msg": format!("{{{{#{evil}}}}}")}}]}})),
        with(json!({"callFlow": {"flow": evil}})),
        with(json!({"destinations": [{"phone": evil, "timeZone": evil, evil: 1}]})),
        with(json!({"skipInvalid": true, "destinations": [{"phone": evil}, {"phone": "+9991000001"}]})),
        with(json!({"callingWindow": {"timeZone": evil, "from": evil}, "machineDetection": evil})),
        format!("{{\"requestId\": {evil}}}"),
    ] {
        for (code, said) in all_said(&document) {
            let acts = said.chars().find(|c| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c));
            assert_eq!(acts, None, "{code} {document:?}: {said:?}");
        }
    }
}

#[test]
fn control_characters_cannot_be_spoken_and_their_place_is_told() {
    let message = |msg: &str| with(json!({"callFlow": {"steps": [{"name": "play", "message": {"msg": msg}}]}}));
    let said = robocall_given(&message("Dear \u{0}Alex"), &["request", "check", "-"]);
    assert_eq!(said.code, 2);
    let told = "callFlow.steps[0].message.msg: cannot be spoken: character 6 is U+0000, a control character";
    assert!(said.out.contains(told), "{}", said.out);
    let property = with(json!({"destinations": [{"phone": "+9991000001", "properties": {"name": "A\u{1b}[31m"}}]}));
    let said = robocall_given(&property, &["request", "check", "-"]);
    assert_eq!(said.code, 2);
    assert!(
        said.out.contains("destinations[0].properties.name: cannot be spoken: character 2 is U+001B"),
        "{}",
        said.out
    );
    let said = robocall_given(&message("one\ttwo\nthree\r\nfour"), &["request", "check", "-"]);
    assert_eq!(said.code, 0, "{}", said.out);
}

#[test]
fn the_last_second_of_the_calendar_is_a_date() {
    let said = robocall_given(&with(json!({"expiresAt": "9999-12-31T23:59:59Z"})), &["run", "-", "--instant"]);
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let pipe = Scratch::with("pipe", "");
    std::fs::remove_file(pipe.name()).unwrap();
    assert!(Command::new("mkfifo").arg(pipe.name()).status().unwrap().success());
    for (name, what) in [(pipe.name(), "a pipe"), ("/dev/null", "a device"), ("src", "a directory"), ("/dev/stdin", "")]
    {
        for args in [&["run", name, "--instant"][..], &["request", "check", name], &["flow", "check", name]] {
            let said = robocall_given("{}", args);
            assert_eq!(said.code, 2, "{args:?}");
            let told = said.out + &said.err;
            assert!(told.contains(&format!("is {what}")) && told.contains("not a regular file"), "{told}");
        }
    }
    let said = robocall(&["run", "tests/data/reference_request.json", "--network", pipe.name()]);
    assert_eq!((said.code, said.err.contains("is a pipe")), (2, true), "{}", said.err);
}

#[test]
fn stdin_leaves_no_file_behind() {
    let folder = std::env::temp_dir().join(format!("robocall-spool-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (text, code) in [(with(json!({})), 0), ("{".to_owned(), 2)] {
        let file = Scratch::with("spooled", &text);
        let mut command = support::program(&["run", "-", "--instant"]);
        command.env("TMPDIR", &folder).stdin(std::fs::File::open(file.name()).unwrap());
        assert_eq!(support::said(command.output().unwrap()).code, code);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }
    let said = support::said(
        support::program(&["run", "-"])
            .env("TMPDIR", "/no/such/folder")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap(),
    );
    assert_eq!((said.code, said.err.contains("/no/such/folder")), (1, true), "{}", said.err);
    std::fs::remove_dir(folder).unwrap();
}

#[test]
fn missing_values_are_warned_of_by_placeholder() {
    let request = with(json!({"destinations": [
        {"phone": "+6581234501"}, {"phone": "+6581234501"}, {"phone": "+6581234502", "properties": {"name": "A"}},
        {"phone": "+6581234503"}, {"phone": "+6581234504"}, {"phone": "+6581234505"},
    ]}));
    let said = robocall_given(&request, &["request", "check", "-"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let told = "warning: 4 destinations have no value for {{name}} and will fail undialled: \
        destinations[0].properties.name, destinations[3].properties.name, destinations[4].properties.name, …";
    assert!(said.out.contains(told), "{}", said.out);
    assert_eq!(robocall_given(&request, &["request", "check", "-", "--deny-warnings"]).code, 2);
    let said = robocall_given(&request, &["request", "check", "-", "--json"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&answer["warnings"][0]["placeholder"], &answer["warnings"][0]["destinations"]),
        (&json!("name"), &json!(4))
    );
    let ran = robocall_given(&request, &["run", "-", "--instant"]);
    let line = |words: &str| ran.out.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == words);
    assert!(line("failed undialled 4 80.0 %"), "{}", ran.out);
    assert!(line("no value for a placeholder (error_missing_property) 4 80.0 %"), "{}", ran.out);
}

#[test]
fn one_document_taken_for_another_is_told_and_the_right_command_named() {
    for args in [&["run", "flows/survey.json"][..], &["request", "check", "flows/survey.json"]] {
        let said = robocall(args);
        let told = said.out + &said.err;
        assert_eq!(said.code, 2);
        assert!(
            told.contains("is a flow, not a request") && told.contains("robocall flow check flows/survey.json"),
            "{told}"
        );
    }
    let said = robocall(&["flow", "check", "flows/samples/survey.request.json"]);
    assert!(said.out.contains("robocall request check flows/samples/survey.request.json"), "{}", said.out);
}

#[test]
fn what_was_meant_is_proposed() {
    let message = json!({"steps": [{"name": "play", "message": {"msg": "Hi", "lang": "english"}}]});
    for (changes, told) in [
        (json!({"machineDetection": "hang-up"}), "did you mean `hangup`?"),
        (json!({"retry": {"on": ["bussy"]}}), "did you mean `busy`?"),
        (
            json!({"callingWindow": {"timeZone": "Asia/Singapor", "from": "09:00", "to": "10:00"}}),
            "did you mean `Asia/Singapore`?",
        ),
        (json!({"destinations": [{"phone": "+6581234567", "timeZone": "Berlin"}]}), "did you mean `Europe/Berlin`?"),
        (json!({"callFlow": message}), "did you mean `en`?"),
    ] {
        let said = robocall_given(&with(changes), &["request", "check", "-"]);
        assert!(said.code == 2 && said.out.contains(told), "{told}: {}", said.out);
    }
    let said = robocall(&["run", "x.json", "--org", "Acme Inc"]);
    assert!(said.code == 2 && said.err.contains("did you mean `acme-inc`?"), "{}", said.err);
}

#[test]
fn a_text_in_the_place_of_an_object_is_shown_as_the_object() {
    let step = |step: Value| json!({"callFlow": {"steps": [step]}});
    let branch = json!([{"digit": "1", "callFlow": "bye"}]);
    for (changes, told) in [
        (
            json!({"callFlow": "survey"}),
            "callFlow: must be an object, not a string: write {\"steps\": […]}, or {\"flow\": \"survey\"}",
        ),
        (
            json!({"callFlow": [{"name": "hangup"}]}),
            "callFlow: must be an object, not an array: write {\"steps\": […]}",
        ),
        (
            step(json!({"name": "play", "message": "hello"})),
            "message: must be an object, not a string: write {\"msg\": \"hello\"}",
        ),
        (step(json!({"name": "play", "message": "x".repeat(65)})), "not a string: write {\"msg\": \"…\"}"),
        (
            step(json!({"name": "gather", "message": {"msg": "1?"}, "branches": branch})),
            "branches[0].callFlow: must be an object, not a string: write {\"steps\": […]}",
        ),
        (
            json!({"destinations": ["+6581234567"]}),
            "destinations[0]: must be an object, not a string: write {\"phone\": \"+6581234567\"}",
        ),
        (
            step(json!({"type": "play", "message": {"msg": "hi"}})),
            "steps[0].name: is missing: `type` is called `name` here",
        ),
        (step(json!({"verb": "hangup"})), "steps[0].name: is missing: `verb` is called `name` here"),
        (step(json!({"action": "hangup"})), "steps[0].name: is missing: `action` is called `name` here"),
    ] {
        let said = robocall_given(&with(changes), &["request", "check", "-"]);
        assert!(said.code == 2 && said.out.contains(told), "{told}: {}", said.out);
    }
}

#[test]
fn outputs_that_cannot_be_written_follow_one_rule() {
    let flow = "flows/survey.json";
    let reference = "tests/data/reference_request.json";
    for args in [
        &["run", reference, "--instant", "--events", "/no/such/folder/x"][..],
        &["demo", "--write", "/no/such/folder/x"],
        &["flow", "render", flow, "-o", "/no/such/folder/x"],
        &["flow", "render", flow, "-o", "src"],
    ] {
        let said = robocall(args);
        assert!(said.code == 2 && said.err.contains("cannot be written: "), "{args:?}: {} {}", said.code, said.err);
    }
    if PathBuf::from("/dev/full").exists() {
        for args in [
            &["run", reference, "--instant", "--events", "/dev/full"][..],
            &["demo", "--write", "/dev/full"],
            &["flow", "render", flow, "-o", "/dev/full"],
        ] {
            let said = robocall(args);
            assert!(said.code == 1 && said.err.contains("/dev/full: cannot be written: "), "{args:?}: {}", said.err);
        }
        for args in
            [&["run", reference, "--instant"][..], &["run", reference, "--instant", "--json"], &["schema", "flow"]]
        {
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let mut command = support::program(args);
            let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
            let said = support::said(child.wait_with_output().unwrap());
            assert!(said.code == 1 && said.err.contains("stdout: cannot be written"), "{args:?}: {}", said.err);
        }
    }
}

#[test]
fn options_say_what_they_take() {
    for (option, value, told) in [
        ("--ring", "5", "for always 5 write 5,5"),
        ("--ring", "a,b", "must be two numbers of seconds"),
        ("--seed", "abc", "must be a whole number from 0 to 18446744073709551615"),
        ("--seed", "-1", "must be a whole number from 0 to 18446744073709551615"),
        ("--limit", "-1", "must be a whole number from 1 to 1000000"),
        ("--external", "-1", "must be a whole number from 0 to 1000000"),
        ("--rate", "-1", "must be a whole number from 1 to 1000000"),
        ("--workers", "-1", "must be a whole number from 1 to 64"),
        ("--speed", "-0.5", "must be a number from 0.001 to 100000"),
        ("--busy", "-1", "must be a number from 0 to 1000"),
        ("--presses", "-1", "must be a number from 0 to 1"),
        ("--ring", "-5", "must be two numbers of seconds"),
        ("--ring", "-5,2", "a span is two numbers of seconds"),
        ("--limit", "0", "must be a whole number from 1 to 1000000"),
        ("--speed", "fast", "must be a number from 0.001 to 100000"),
        ("--answer", "NaN", "must be a number from 0 to 1000"),
        ("--presses", "2", "must be a number from 0 to 1"),
    ] {
        let said = robocall(&["run", "x.json", option, value]);
        assert!(said.code == 2 && said.err.contains(told), "{option} {value}: {}", said.err);
        let said = robocall(&["run", "x.json", option, value, "--json"]);
        let answer: Value = serde_json::from_str(&said.out).unwrap();
        assert!(said.code == 2 && answer["message"].as_str().unwrap().contains(told), "{answer}");
    }
}

#[test]
fn every_answer_for_programs_is_one_line() {
    let reference = "tests/data/reference_request.json";
    for args in [
        &["run", reference, "--instant", "--json"][..],
        &["run", "no-such-file", "--json"],
        &["run", "flows/survey.json", "--instant", "--json"],
        &["request", "check", reference, "--json"],
        &["flow", "check", reference, "--json"],
        &["flow", "play", reference, "--keys", "1", "--json"],
        &["nonsense", "--json"],
    ] {
        let said = robocall(args);
        assert_eq!((said.out.lines().count(), said.err.as_str()), (1, ""), "{args:?}: {}", said.out);
        serde_json::from_str::<Value>(&said.out).unwrap();
    }
}

#[test]
fn no_line_of_help_is_wider_than_a_page() {
    let all = [
        &[][..],
        &["run"],
        &["demo"],
        &["request"],
        &["request", "check"],
        &["flow"],
        &["flow", "check"],
        &["flow", "render"],
        &["flow", "play"],
        &["schema"],
        &["completions"],
    ];
    for args in all {
        for help in ["-h", "--help"] {
            let said = robocall(&[args, &[help]].concat());
            assert_eq!(said.code, 0);
            for line in said.out.lines() {
                assert!(line.chars().count() <= 100, "{args:?} {help}: {line}");
            }
        }
    }
}

#[test]
fn run_and_check_tell_an_error_in_the_same_words() {
    for (document, told) in [
        ("{".to_owned(), "\n  (document): "),
        (with(json!({"priority": 10})), "\n  priority: must be a whole number from 0 to 9\n"),
    ] {
        let [ran, checked] = [&["run", "-", "--instant"][..], &["request", "check", "-"]]
            .map(|args| robocall_given(&document, args))
            .map(|said| said.out + &said.err);
        let errors = |text: &str| text.split_once('\n').unwrap().1.to_owned();
        assert!(ran.contains(told), "{ran}");
        assert_eq!(errors(&ran), errors(&checked));
    }
}

#[test]
fn nothing_is_written_over_what_was_read() {
    let request = Scratch::with("kept-request.json", &with(json!({})));
    let network = Scratch::with("kept-network.json", r#"{"seed": 7}"#);
    let link = std::env::temp_dir().join(format!("robocall-test-{}-kept-link.json", std::process::id()));
    let _gone_already = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(request.name(), &link).unwrap();
    let (before, link) = (request.text(), link.to_str().unwrap());
    for (args, what) in [
        (&["run", request.name(), "--instant", "--events", request.name()][..], "the request itself"),
        (&["run", request.name(), "--instant", "--events", link], "the request itself"),
        (&["flow", "render", request.name(), "-o", request.name()], "the flow's file itself"),
        (
            &["run", request.name(), "--instant", "--network", network.name(), "--events", network.name()],
            "the network's settings itself",
        ),
    ] {
        let said = robocall(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        assert!(said.err.contains(what), "{args:?}: {}", said.err);
    }
    assert_eq!((request.text(), network.text()), (before, r#"{"seed": 7}"#.to_owned()));
    std::fs::remove_file(link).unwrap();
}

#[test]
fn nothing_is_written_over_the_file_that_stdin_comes_from() {
    let request = Scratch::with("redirected.json", &with(json!({})));
    let events = Scratch::with("redirected-events.jsonl", "");
    let redirected = |args: &[&str]| {
        let mut command = support::program(args);
        support::said(command.stdin(std::fs::File::open(request.name()).unwrap()).output().unwrap())
    };
    for args in
        [&["run", "-", "--instant", "--events", request.name()][..], &["flow", "render", "-", "-o", request.name()]]
    {
        let said = redirected(args);
        assert!(said.code == 2 && said.err.contains("read from stdin, which would be written over"), "{}", said.err);
        assert_eq!(request.text(), with(json!({})));
    }
    let said = redirected(&["run", "-", "--instant", "--events", events.name()]);
    assert_eq!((said.code, events.text().is_empty()), (0, false), "{}", said.err);
}

#[test]
fn a_file_that_is_no_document_passes_no_check() {
    let sound = with(json!({}));
    for (document, complaint) in [
        (format!("{},\n}}", sound.strip_suffix('}').unwrap()), "expected another field after the comma"),
        (format!("\u{feff}{sound}"), "begins with a byte order mark"),
        (format!("{sound}{sound}"), "expected nothing after the last `}`"),
    ] {
        for (code, said) in all_said(&document) {
            assert!(said.contains(complaint) || said.contains("\n└─ play"), "{code} {document}: {said}");
        }
        let said = robocall_given(&document, &["flow", "check", "-"]);
        assert_eq!(said.code, 2, "{document}: {}", said.out);
        assert!(said.out.contains("(document)") && said.out.contains("1 error, 0 warnings"), "{}", said.out);
    }
    let elsewhere = robocall_given(&with(json!({"priority": 10})), &["flow", "check", "-"]);
    assert_eq!(elsewhere.code, 0, "the flow is sound: {}", elsewhere.out);
    assert!(elsewhere.out.contains("the request has 1 error elsewhere"), "{}", elsewhere.out);
}
