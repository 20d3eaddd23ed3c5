//! Every field of a request but its destinations.

use std::time::Duration;

use super::*;
use crate::model::request::{Hook, MachineDetection, Part, WindowZone};
use crate::model::{CallType, CallingWindow, DispositionResult, RetryPolicy, Timestamp};

#[test]
fn a_request_that_says_little_gets_the_defaults_of_the_contracts() {
    let header = header_of(json!({}));
    assert_eq!((header.organisation.as_str(), header.id.as_str()), ("bank", "r1"));
    assert_eq!((header.caller, header.recording), (None, false));
    assert_eq!((header.scheduled_at, header.expires_at), (None, None));
    assert_eq!(header.ring_timeout, Duration::from_secs(30));
    assert_eq!(header.max_call_duration, Duration::from_secs(600));
    assert_eq!(header.retry, RetryPolicy::default());
    assert_eq!((header.calling_window, header.machine_detection), (None, MachineDetection::Off));
    assert_eq!((header.priority, header.hooks, header.part), (5, vec![], None));
    assert!(!header.skip_invalid && !header.allow_duplicates);
    assert_eq!((header.parent, header.call_type), (None, CallType::Campaign));
    assert_eq!(&*header.flow, r#"{"steps":[{"name":"hangup"}]}"#);
}

#[test]
fn a_request_may_say_what_it_follows_from() {
    let call = "0123456789abcdef0123-7";
    for (word, meaning) in [
        ("campaign", CallType::Campaign),
        ("callOut", CallType::CallOut),
        ("scheduled", CallType::Scheduled),
        ("callback", CallType::Callback),
    ] {
        let header = header_of(json!({"parentId": call, "callType": word}));
        assert_eq!((header.parent.unwrap().to_string().as_str(), header.call_type), (call, meaning));
        assert_eq!(serde_json::to_value(meaning).unwrap(), json!(word));
    }
    assert_eq!(
        complaints_about(json!({"parentId": "r1", "callType": "callout"})),
        [
            format!("parentId: not a callId: it must match {}", crate::model::CallId::PATTERN),
            "callType: must be one of: campaign, callOut, scheduled, callback; did you mean `callOut`?".to_owned(),
        ]
    );
}

#[test]
fn a_request_that_says_everything_is_understood() {
    let header = header_of(json!({
        "caller": "6582674904", "enableCallRecording": "true",
        "scheduledAt": "2026-01-05T17:00:00+08:00", "expiresAt": "2026-01-05T10:00:00.001Z",
        "ringTimeoutSecs": 120, "maxCallDurationSecs": 7200,
        "retry": {"maxAttempts": 10, "on": ["congestion", "busy", "busy"], "delaySecs": [1, 604_800]},
        "callingWindow": {"timeZone": "asia/singapore", "days": ["sun", "mon"], "from": "21:00", "to": "24:00"},
        "machineDetection": "waitForBeep", "priority": 9,
        "hooks": [{"url": "https://example.com/a?b=c", "events": ["robocall.call.ended", "call.answered", "call.ended"]},
                  {"url": "HTTP://[::1]:8080"}],
        "part": {"index": 9_999, "count": 10_000}, "skipInvalid": "false", "allowDuplicates": true,
    }));
    assert_eq!(header.caller.unwrap().to_string(), "+6582674904");
    assert!(header.recording && header.allow_duplicates && !header.skip_invalid);
    assert_eq!(header.scheduled_at, Some(Timestamp::VIRTUAL_START));
    assert_eq!(header.expires_at.unwrap().to_string(), "2026-01-05T10:00:00.001Z");
    assert_eq!(header.ring_timeout, Duration::from_secs(120));
    assert_eq!(header.max_call_duration, Duration::from_secs(7200));
    let on = vec![DispositionResult::Busy, DispositionResult::Congestion];
    let delays = vec![Duration::from_secs(1), Duration::from_secs(604_800)];
    assert_eq!(header.retry, RetryPolicy { max_attempts: 10, on, delays });
    let time_zone = WindowZone::Named("Asia/Singapore".into());
    let window = CallingWindow { time_zone, days: 0b100_0001, from_minute: 21 * 60, to_minute: 24 * 60 };
    assert_eq!(header.calling_window, Some(window));
    assert_eq!(header.machine_detection, MachineDetection::WaitForBeep);
    assert_eq!(
        header.hooks,
        [
            Hook { url: "https://example.com/a?b=c".into(), events: vec!["call.answered".into(), "call.ended".into()] },
            Hook { url: "HTTP://[::1]:8080".into(), events: vec![] },
        ]
    );
    assert_eq!(header.part, Some(Part { index: 9_999, count: 10_000 }));
}

#[test]
fn every_rule_has_its_path_and_its_words() {
    let window = |changes: Value| {
        let mut window = json!({"timeZone": "Asia/Tokyo", "from": "09:00", "to": "21:00"});
        window.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({"callingWindow": window})
    };
    let one_hook = |url: &str| json!({"hooks": [{"url": url}]});
    for (changes, complaint) in [
        (json!({"requestId": null}), "requestId: is missing"),
        (json!({"requestId": 10}), "requestId: must be a string, not a number"),
        (json!({"requestId": "a b"}), "requestId: not a requestId: it must match ^[A-Za-z0-9._:-]{1,128}$"),
        (json!({"requestId": ""}), "requestId: not a requestId: it must match ^[A-Za-z0-9._:-]{1,128}$"),
        (json!({"destinations": null}), "destinations: is missing"),
        (json!({"destinations": []}), "destinations: must hold at least one destination"),
        (json!({"destinations": {}}), "destinations: must be an array, not an object"),
        (json!({"callFlow": null}), "callFlow: is missing"),
        (json!({"callFlow": {"stepz": []}}), "callFlow.steps: no steps in an object"),
        (json!({"caller": 6582674904_u64}), "caller: must be a string, not a number: put it in quotes"),
        (json!({"caller": []}), "caller: must be a string, not an array"),
        (json!({"enableCallRecording": 1}), "enableCallRecording: must be true or false"),
        (
            json!({"scheduledAt": "2026-01-05T09:00:00"}),
            "scheduledAt: not a date and time with an offset, such as 2026-01-05T09:00:00+08:00, up to the year 9999",
        ),
        (json!({"expiresAt": 1_767_603_600}), "expiresAt: must be a string, not a number"),
        (
            json!({"scheduledAt": "2026-01-05T09:00:00Z", "expiresAt": "2026-01-05T17:00:00+08:00"}),
            "expiresAt: must be later than scheduledAt",
        ),
        (json!({"ringTimeoutSecs": 0}), "ringTimeoutSecs: must be a whole number from 1 to 120"),
        (json!({"ringTimeoutSecs": 121}), "ringTimeoutSecs: must be a whole number from 1 to 120"),
        (json!({"ringTimeoutSecs": "30"}), "ringTimeoutSecs: must be a whole number from 1 to 120"),
        (json!({"maxCallDurationSecs": 7201}), "maxCallDurationSecs: must be a whole number from 1 to 7200"),
        (json!({"maxCallDurationSecs": 0.5}), "maxCallDurationSecs: must be a whole number from 1 to 7200"),
        (json!({"retry": 3}), "retry: must be an object, not a number"),
        (json!({"retry": {"maxAttempts": 0}}), "retry.maxAttempts: must be a whole number from 1 to 10"),
        (json!({"retry": {"maxAttempts": 11}}), "retry.maxAttempts: must be a whole number from 1 to 10"),
        (json!({"retry": {"attempts": 2}}), "retry.attempts: unknown field, did you mean `maxAttempts`?"),
        (json!({"retry": {"on": []}}), "retry.on: must name at least one result"),
        (json!({"retry": {"on": "busy"}}), "retry.on: must be an array, not a string"),
        (
            json!({"retry": {"on": ["busy", "answered"]}}),
            "retry.on[1]: `answered` is never retried: somebody picked up",
        ),
        (
            json!({"retry": {"on": ["rejected"]}}),
            "retry.on[0]: `rejected` is never retried: a person or device declined",
        ),
        (
            json!({"retry": {"on": ["invalidNumber"]}}),
            "retry.on[0]: `invalidNumber` is never retried: the network does not know the number",
        ),
        (
            json!({"retry": {"on": ["unknown"]}}),
            "retry.on[0]: `unknown` is never retried: the person may have been reached already",
        ),
        (
            json!({"retry": {"on": ["Busy"]}}),
            "retry.on[0]: must be one of: busy, unanswered, unreachable, congestion; did you mean `busy`?",
        ),
        (json!({"retry": {"on": [null]}}), "retry.on[0]: must be one of: busy, unanswered, unreachable, congestion"),
        (json!({"retry": {"delaySecs": []}}), "retry.delaySecs: must hold 1 to 10 waits"),
        (json!({"retry": {"delaySecs": [1,1,1,1,1,1,1,1,1,1,1]}}), "retry.delaySecs: must hold 1 to 10 waits"),
        (json!({"retry": {"delaySecs": 300}}), "retry.delaySecs: must be an array, not a number"),
        (json!({"retry": {"delaySecs": [300, 0]}}), "retry.delaySecs[1]: must be a whole number from 1 to 604800"),
        (json!({"retry": {"delaySecs": [604_801]}}), "retry.delaySecs[0]: must be a whole number from 1 to 604800"),
        (window(json!({"timeZone": null})), "callingWindow.timeZone: is missing"),
        (
            window(json!({"timeZone": "Mars/Olympus"})),
            "callingWindow.timeZone: is not a known IANA time zone: write it like Asia/Singapore, or \"recipient\" for each recipient's own",
        ),
        (window(json!({"days": []})), "callingWindow.days: must name at least one day"),
        (
            window(json!({"days": ["mon", "Tue"]})),
            "callingWindow.days[1]: must be one of: mon, tue, wed, thu, fri, sat, sun; did you mean `tue`?",
        ),
        (
            window(json!({"timeZone": "Asia/Singapor"})),
            "callingWindow.timeZone: is not a known IANA time zone; did you mean `Asia/Singapore`?",
        ),
        (
            window(json!({"timeZone": "recipients"})),
            "callingWindow.timeZone: is not a known IANA time zone; did you mean `recipient`?",
        ),
        (
            json!({"machineDetection": "waitforbeep"}),
            "machineDetection: must be one of: off, hangup, continue, waitForBeep; did you mean `waitForBeep`?",
        ),
        (window(json!({"from": null})), "callingWindow.from: is missing"),
        (window(json!({"from": "24:00"})), "callingWindow.from: must be a time of day as HH:MM, from 00:00 to 23:59"),
        (window(json!({"from": "9:00"})), "callingWindow.from: must be a time of day as HH:MM, from 00:00 to 23:59"),
        (window(json!({"to": "24:01"})), "callingWindow.to: must be a time of day as HH:MM, from 00:00 to 24:00"),
        (window(json!({"to": "21:60"})), "callingWindow.to: must be a time of day as HH:MM, from 00:00 to 24:00"),
        (window(json!({"to": "09:00"})), "callingWindow.to: must differ from `from`; whole days are 00:00 to 24:00"),
        (window(json!({"timezone": "x"})), "callingWindow.timezone: unknown field, did you mean `timeZone`?"),
        (json!({"machineDetection": "on"}), "machineDetection: must be one of: off, hangup, continue, waitForBeep"),
        (json!({"priority": 10}), "priority: must be a whole number from 0 to 9"),
        (json!({"priority": -1}), "priority: must be a whole number from 0 to 9"),
        (json!({"hooks": {}}), "hooks: must be an array, not an object"),
        (
            json!({"hooks": ["https://example.com"]}),
            "hooks[0]: must be an object, not a string: write {\"url\": \"https://example.com\"}",
        ),
        (json!({"hooks": vec![json!({"url": "https://example.com"}); 11]}), "hooks: must hold at most 10 hooks"),
        (json!({"hooks": [{}]}), "hooks[0].url: is missing"),
        (one_hook("ftp://example.com"), "hooks[0].url: must begin with https:// or http://"),
        (one_hook("example.com"), "hooks[0].url: must begin with https:// or http://"),
        (one_hook("https://"), "hooks[0].url: must name a host"),
        (one_hook("https:///path"), "hooks[0].url: must name a host"),
        (one_hook("https://user:secret@example.com/"), "hooks[0].url: must not carry a user name or password"),
        (one_hook("https://example.com/a b"), "hooks[0].url: must be ASCII without spaces: encode what else it holds"),
        (one_hook(&format!("https://e/{}", "x".repeat(2040))), "hooks[0].url: is longer than 2048 bytes"),
        (
            json!({"hooks": [{"url": "https://e", "events": ["call.end"]}]}),
            "hooks[0].events[0]: unknown event type, did you mean `call.ended`?",
        ),
        (
            json!({"hooks": [{"url": "https://e", "events": ["zzz"]}]}),
            "hooks[0].events[0]: unknown event type, such as `call.ended`",
        ),
        (json!({"hooks": [{"url": "https://e", "events": [1]}]}), "hooks[0].events[0]: must be a string, not a number"),
        (json!({"part": {"index": 0}}), "part.count: is missing"),
        (json!({"part": {"count": 2}}), "part.index: is missing"),
        (json!({"part": {"index": 2, "count": 2}}), "part.index: must be less than count: parts are numbered from 0"),
        (json!({"part": {"index": 0, "count": 10_001}}), "part.count: must be a whole number from 1 to 10000"),
        (json!({"skipInvalid": "yes"}), "skipInvalid: must be true or false"),
        (json!({"allowDuplicates": []}), "allowDuplicates: must be true or false"),
        (json!({"requestID": "r"}), "requestID: unknown field, did you mean `requestId`?"),
        (json!({"zzz": {}}), "zzz: unknown field"),
        (json!({"a.b[0]": 1}), "a.b[0]: unknown field"),
    ] {
        assert_eq!(complaints_about(changes.clone()), [complaint], "{changes}");
    }
}

#[test]
fn all_problems_of_all_fields_come_at_once_with_the_name_of_the_request() {
    let refused = refused(
        r#"{"requestId":"r9","retries":1,"destinations":[{"phone":"x"}],"priority":99,"callFlow":[],"caller":{}}"#,
    );
    let told: Vec<&str> = refused.problems.first().iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(told, ["retries", "caller", "callFlow.steps", "priority", "destinations[0].phone"]);
    assert_eq!(refused.request_id.unwrap().as_str(), "r9");
}

#[test]
fn a_window_may_pass_midnight_and_end_with_it() {
    let window = |from: &str, to: &str| {
        let window =
            header_of(json!({"callingWindow": {"timeZone": "recipient", "from": from, "to": to}})).calling_window;
        let window = window.unwrap();
        assert_eq!((window.time_zone, window.days), (WindowZone::Recipient, 0b111_1111));
        (window.from_minute, window.to_minute)
    };
    assert_eq!(window("21:30", "06:00"), (1290, 360));
    assert_eq!(window("00:00", "24:00"), (0, 1440));
    assert_eq!(window("09:00", "00:00"), (540, 0));
}

#[test]
fn null_counts_as_absent() {
    let nulls: Vec<String> = super::super::header::NAMES[2..]
        .iter()
        .filter(|name| **name != "callFlow")
        .map(|name| format!(r#","{name}":null"#))
        .collect();
    let document = around(r#"{"phone":"+6588893322"}"#, &nulls.concat());
    assert_eq!(accepted(document).header, accepted(around(r#"{"phone":"+6588893322"}"#, "")).header);
    assert_eq!(
        complaints(r#"{"requestId":null,"destinations":null,"callFlow":null}"#),
        ["requestId: is missing", "destinations: is missing", "callFlow: is missing"]
    );
}
