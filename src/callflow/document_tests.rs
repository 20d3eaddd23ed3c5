use super::*;
use serde_json::json;

fn problems_of(flow: &Value) -> Vec<String> {
    let mut problems = Problems::default();
    let read = Flow::read(flow, "callFlow", &|tag| !tag.starts_with("tlh"), &mut problems);
    assert_eq!(read.is_none(), !problems.is_empty());
    problems.first().iter().map(ToString::to_string).collect()
}

/// The problems of a single step, with paths from the step on.
fn step_problems(step: Value) -> Vec<String> {
    let words = problems_of(&json!({"steps": [step]}));
    words
        .into_iter()
        .map(|line| line.trim_start_matches("callFlow.steps[0]").trim_start_matches('.').to_owned())
        .collect()
}

fn say(text: &str) -> Value {
    json!({"msg": text})
}

fn ending() -> Value {
    json!({"steps": [{"name": "hangup"}]})
}

#[test]
fn the_example_of_the_reference_is_read() {
    let flow = json!({"steps": [
        {"name": "play", "message": {"msg": "thanks {{name}}", "lang": "en", "gender": "male"}},
        {"name": "gather", "message": say("Dear Mr {{name}}, the amount of {{amount}} will be due on {{dueDate}}"), "branches": [
            {"digit": "1", "default": "false", "callFlow": {"steps": [
                {"name": "gather", "message": {"msg": "a question", "lang": "en", "gender": "female"}, "branches": [
                    {"default": "true", "callFlow": {"steps": [{"name": "play", "message": say("an answer")}]}},
                ]},
            ]}},
            {"digit": "0", "default": "true", "callFlow": {"steps": [{"name": "transfer", "destination": "Ext:1000"}]}},
        ]},
    ]});
    assert_eq!(problems_of(&flow), [""; 0]);
}

#[test]
fn every_problem_is_found_at_once_where_it_stands() {
    let flow = json!({"steps": [
        {"name": "play", "message": {"msg": "Hi {{#if x}}", "rate": 11, "gendre": "male"}},
        {"name": "gater", "message": say("x")},
        {"name": "gather", "message": say("Press"), "maxRetries": 0, "timeoutSecs": "5", "branches": [
            {"digit": "12", "callFlow": ending()},
            {"digit": 1, "callFlow": ending()},
            {"digit": "2", "default": "maybe", "callFlow": {"steps": []}},
        ]},
        {"name": "transfer", "destination": "1000", "branches": []},
        {"message": say("x")},
    ], "step": []});
    assert_eq!(
        problems_of(&flow),
        [
            "callFlow.step: unknown field, did you mean `steps`?",
            "callFlow.steps[0].message.msg: `{{#if x}}` is a block: only plain text and placeholders like {{name}} are allowed",
            "callFlow.steps[0].message.rate: must be a whole number from 0 to 9",
            "callFlow.steps[0].message.gendre: unknown field, did you mean `gender`?",
            "callFlow.steps[1].name: must be one of: play, gather, transfer, hangup, optOut; did you mean `gather`?",
            "callFlow.steps[2].maxRetries: must be a whole number from 1 to 10",
            "callFlow.steps[2].timeoutSecs: must be a whole number from 1 to 60",
            "callFlow.steps[2].branches[0].digit: must be one key: \"0\" to \"9\", \"*\" or \"#\"",
            "callFlow.steps[2].branches[1].digit: must be one key, as a string: \"0\" to \"9\", \"*\" or \"#\"",
            "callFlow.steps[2].branches[2].default: must be true or false",
            "callFlow.steps[2].branches[2].callFlow.steps: must have at least one step",
            "callFlow.steps[3].destination: must be +E.164, Ext:1000, Queue:sales or sip:user@host: did you mean `Ext:1000`?",
            "callFlow.steps[3].branches: belongs to a gather step; a transfer step has no such field",
            "callFlow.steps[4].name: is missing",
        ]
    );
}

#[test]
fn branches_need_a_key_or_to_be_the_default_and_neither_twice() {
    let gather = |branches: Value| step_problems(json!({"name": "gather", "message": say("x"), "branches": branches}));
    assert_eq!(gather(json!([])), ["branches: must have at least one branch"]);
    assert_eq!(gather(json!({})), ["branches: must be an array, not an object"]);
    assert_eq!(
        gather(json!([{"callFlow": ending()}, {"default": "false", "callFlow": ending()}, {"default": true}, 7])),
        [
            "branches[0].digit: is missing: a branch needs a digit, or `default`: true",
            "branches[1].digit: is missing: a branch needs a digit, or `default`: true",
            "branches[2].callFlow: is missing",
            "branches[3]: must be an object, not a number",
        ]
    );
    assert_eq!(
        gather(json!([
            {"digit": "1", "default": true, "callFlow": ending()},
            {"digit": "1", "callFlow": ending()},
            {"digit": "#", "default": "true", "callFlow": ending()},
        ])),
        [
            "branches[1].digit: the key has a branch already: branches[0]",
            "branches[2].default: there is a default branch already: branches[0]",
        ]
    );
    assert_eq!(gather(json!([{"digit": "*", "default": "false", "callFlow": ending()}])), [""; 0]);
    assert_eq!(step_problems(json!({"name": "gather", "message": say("x")})), ["branches: is missing"]);
}

#[test]
fn a_message_is_a_text_or_a_recording_in_one_language() {
    let play = |message: Value| step_problems(json!({"name": "play", "message": message}));
    for good in [
        json!({"msg": "Hi", "language": "en-gb", "lang": "en-GB"}),
        json!({"msg": "Hi", "lang": null}),
        json!({"media": "greetings/welcome-2.wav"}),
        json!({"msg": "{{only}}"}),
        json!({"msg": "x".repeat(1000), "pitch": 0, "rate": 9}),
    ] {
        assert_eq!(play(good), [""; 0]);
    }
    assert_eq!(play(json!({})), ["message.msg: is missing"]);
    assert_eq!(play(json!("Hi")), ["message: must be an object, not a string: write {\"msg\": \"Hi\"}"]);
    assert_eq!(play(json!({"msg": " \n"})), ["message.msg: must have 1 to 1000 characters, and not only blanks"]);
    assert_eq!(play(json!({"msg": ""})), ["message.msg: must have 1 to 1000 characters, and not only blanks"]);
    assert_eq!(play(json!({"msg": "x".repeat(1001)})), ["message.msg: has 1001 characters, at most 1000 are allowed"]);
    assert_eq!(
        play(json!({"msg": "Hi", "media": "hi"})),
        ["message.media: stands beside `msg`: a message is a text or a recorded file, not both"]
    );
    assert_eq!(
        play(json!({"msg": "Hi", "language": "en", "lang": "de"})),
        ["message.lang: differs from `language`, which is `en`: they are two names for one thing"]
    );
    assert_eq!(
        play(json!({"msg": "Hi", "language": "en_US"})),
        ["message.language: must be a language tag (BCP 47) such as en, en-GB or zh-Hant; did you mean `en-US`?"]
    );
    assert_eq!(play(json!({"msg": "nuqneH", "lang": "tlh"})), ["message.lang: no voice speaks `tlh`"]);
    assert_eq!(
        play(json!({"msg": "Dear \u{1b}[31mAlex"})),
        [
            "message.msg: cannot be spoken: character 6 is U+001B, a control character; only tabs and line breaks are allowed"
        ]
    );
    assert_eq!(play(json!({"msg": "one\ttwo\nthree\r\nfour"})), [""; 0]);
    for media in ["../secret", "/etc/passwd", "a//b", ".hidden", "a/../b", "", "a b", "a\0b", "sound:http"] {
        assert_eq!(play(json!({"media": media})).len(), 1, "{media}");
    }
}

#[test]
fn transfers_have_bounds_too() {
    let transfer = |fields: Value| {
        let mut step = json!({"name": "transfer", "destination": "Queue:sales"});
        step.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        step_problems(step)
    };
    for kind in ["attended", "attendend", "blind"] {
        assert_eq!(transfer(json!({"transferType": kind, "onFailure": "continue", "ringTimeoutSecs": 120})), [""; 0]);
    }
    assert_eq!(transfer(json!({"ringTimeoutSecs": 121})), ["ringTimeoutSecs: must be a whole number from 1 to 120"]);
    assert_eq!(transfer(json!({"transferType": "warm"})), ["transferType: must be one of: attended, blind, attendend"]);
    assert_eq!(transfer(json!({"onFailure": true})), ["onFailure: must be one of: hangup, continue"]);
    assert_eq!(transfer(json!({"alias": "two\nlines"})), ["alias: must have 1 to 128 characters, without line breaks"]);
    assert_eq!(transfer(json!({"message": {"msg": 7}})), ["message.msg: must be a string, not a number"]);
    assert_eq!(step_problems(json!({"name": "transfer"})), ["destination: is missing"]);
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(ending(), |inner, _| {
        json!({"steps": [{"name": "gather", "message": say("x"), "branches": [{"digit": "1", "callFlow": inner}]}]})
    })
}

#[test]
fn flows_nest_sixteen_deep_and_no_deeper() {
    assert_eq!(problems_of(&nested(16)), [""; 0]);
    let words = problems_of(&nested(17));
    assert_eq!(words.len(), 1);
    assert!(words[0].ends_with("callFlow: flows are nested more than 16 deep"), "{}", words[0]);
    assert_eq!(problems_of(&nested(100)).len(), 1);
}

#[test]
fn a_flow_has_256_steps_and_no_more_wherever_they_stand() {
    let steps = |count: usize| json!({"steps": vec![json!({"name": "hangup"}); count]});
    assert_eq!(problems_of(&steps(256)), [""; 0]);
    assert_eq!(
        problems_of(&steps(100_000)),
        ["callFlow.steps[256]: is one step too many: a flow has at most 256, its branches counted"]
    );
    let branches: Vec<Value> =
        ["1", "2", "3"].into_iter().map(|digit| json!({"digit": digit, "callFlow": steps(100)})).collect();
    let words = problems_of(&json!({"steps": [{"name": "gather", "message": say("x"), "branches": branches}]}));
    assert_eq!(words.len(), 1);
    assert!(
        words[0].starts_with("callFlow.steps[0].branches[2].callFlow.steps[55]: is one step too many"),
        "{}",
        words[0]
    );
}

#[test]
fn a_flow_by_name_is_told_from_its_steps() {
    fn reference(value: &Value) -> Result<FlowReference<'_>, String> {
        let mut problems = Problems::default();
        FlowReference::of(value, "callFlow", &mut problems).ok_or_else(|| problems.first()[0].to_string())
    }
    assert_eq!(reference(&json!({"flow": "payment-reminder"})), Ok(FlowReference::Named("payment-reminder")));
    assert_eq!(reference(&json!({"steps": []})), Ok(FlowReference::Steps));
    assert_eq!(reference(&json!({})), Ok(FlowReference::Steps));
    for bad in [
        json!({"flow": "../x"}),
        json!({"flow": ""}),
        json!({"flow": 7}),
        json!({"flow": "x", "stps": 1}),
        json!({"flow": "x", "steps": []}),
        json!("x"),
    ] {
        assert!(reference(&bad).is_err(), "{bad}");
    }
    // A branch has steps of its own.
    let flow = json!({"steps": [{"name": "gather", "message": say("x"), "branches": [{"digit": "1", "callFlow": {"flow": "x"}}]}]});
    assert_eq!(problems_of(&flow).len(), 1);
}

#[test]
fn the_canonical_text_is_one_for_all_spellings_and_reads_back() {
    let terse = json!({"steps": [
        {"name": "gather", "message": {"msg": "Press {{ key }}"}, "branches": [{"digit": "1", "callFlow": ending()}, {"default": "true", "callFlow": ending()}]},
        {"name": "transfer", "destination": "+6591234567", "transferType": "attendend"},
        {"name": "optOut"},
    ]});
    let wordy = json!({"steps": [
        {"message": {"lang": "EN", "msg": "Press {{key}}", "gender": "female", "pitch": 5}, "sensitive": "false", "maxRetries": 3, "timeoutSecs": 5,
         "branches": [{"default": false, "digit": "1", "callFlow": ending()}, {"digit": null, "default": true, "callFlow": ending()}], "name": "gather"},
        {"name": "transfer", "destination": "+6591234567", "ringTimeoutSecs": 30, "onFailure": "hangup"},
        {"name": "optOut", "message": null},
    ]});
    let text = canonical(&terse);
    assert_eq!(text, canonical(&wordy));
    assert_eq!(canonical(&serde_json::from_str(&text).unwrap()), text);
    assert!(
        text.starts_with(
            r#"{"steps":[{"branches":[{"callFlow":{"steps":[{"name":"hangup"}]},"default":false,"digit":"1"}"#
        ),
        "{text}"
    );
    let other = json!({"steps": [{"name": "hangup"}, {"name": "hangup"}]});
    assert_ne!(canonical(&other), canonical(&ending()));
    // What is no flow has a canonical text as well.
    assert_eq!(
        canonical(&json!({"b": [1, {"d": null, "c": "\""}], "a": true})),
        r#"{"a":true,"b":[1,{"c":"\"","d":null}]}"#
    );
}
