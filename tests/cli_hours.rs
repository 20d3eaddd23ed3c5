//! Requests whose hours leave no time to call, seen from outside: sound, and warned of.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use serde_json::{Value, json};
use support::robocall_given;

/// A request with these hours for two people, one in Singapore, one in Honolulu.
fn with(hours: Value) -> String {
    let mut request = json!({
        "requestId": "hours",
        "destinations": [
            {"phone": "+6581234567"},
            {"phone": "+9991000001", "timeZone": "Pacific/Honolulu"},
        ],
        "callFlow": {"steps": [{"name": "play", "message": {"msg": "Hello"}}]},
    });
    request.as_object_mut().unwrap().extend(hours.as_object().unwrap().clone());
    request.to_string()
}

const PAST: &str = "2020-01-01T00:00:00Z";
/// An hour after virtual time begins.
const SOON: &str = "2026-01-05T10:00:00Z";

#[test]
fn a_request_that_has_expired_is_valid_with_a_warning() {
    let request = with(json!({"expiresAt": PAST}));
    let said = robocall_given(&request, &["request", "check", "-"]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("  warning: expiresAt: 2020-01-01T00:00:00.000Z is past, as it is 20"), "{}", said.out);
    assert_eq!(robocall_given(&request, &["request", "check", "-", "--deny-warnings"]).code, 2);
    let answer: Value =
        serde_json::from_str(&robocall_given(&request, &["request", "check", "-", "--json"]).out).unwrap();
    assert_eq!((&answer["status"], &answer["warnings"][0]["path"]), (&json!("valid"), &json!("expiresAt")));
    for far in ["9999-12-31T23:59:59Z", "2999-01-01T00:00:00Z"] {
        let said = robocall_given(&with(json!({"expiresAt": far})), &["request", "check", "-", "--deny-warnings"]);
        assert_eq!(said.code, 0, "{}", said.out);
    }
}

#[test]
fn a_run_warns_once_by_its_own_clock() {
    let warned = |hours: Value, args: &[&str]| {
        let said = robocall_given(&with(hours), &[&["run", "-"], args].concat());
        (
            said.code,
            said.err.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let (code, told) = warned(json!({"expiresAt": PAST}), &["--instant"]);
    assert_eq!(
        (code, told.as_slice()),
        (
            3,
            &["warning: expiresAt: 2020-01-01T00:00:00.000Z is past, as it is 2026-01-05T09:00:00.000Z: nobody is called"
                .to_owned()][..]
        )
    );
    for args in [&["--instant", "--json"][..], &[], &["--speed", "50"]] {
        let (code, told) = warned(json!({"expiresAt": PAST}), args);
        assert_eq!((code, told.len()), (3, 1), "{args:?} {told:?}");
    }
    let (_, told) = warned(json!({"expiresAt": SOON}), &["--instant"]);
    assert_eq!(told, Vec::<String>::new(), "virtual time is before it, whatever the wall says");
}

#[test]
fn a_window_that_never_opens_before_the_end_is_warned_of() {
    // 09:00 in UTC is 17:00 in Singapore and 23:00 the day before in Honolulu.
    let window = |zone: &str, from: &str, to: &str| json!({"expiresAt": SOON, "callingWindow": {"timeZone": zone, "from": from, "to": to}});
    for (hours, warning) in [
        (window("Asia/Singapore", "09:00", "12:00"), Some(": nobody is called")),
        (window("Asia/Singapore", "09:00", "18:00"), None),
        (window("Asia/Singapore", "17:59", "18:30"), None),
        (window("Asia/Singapore", "18:00", "18:30"), Some(": nobody is called")),
        (window("recipient", "16:00", "20:00"), Some(" for 1 of 2 destinations, which is not called")),
        (window("recipient", "09:00", "12:00"), Some(": nobody is called")),
        (window("recipient", "00:00", "24:00"), None),
    ] {
        let said = robocall_given(&with(hours.clone()), &["run", "-", "--instant"]);
        let told = warning.map(|what| {
            format!(
                "warning: callingWindow: never opens between 2026-01-05T09:00:00.000Z and expiresAt, \
                 2026-01-05T10:00:00.000Z{what}"
            )
        });
        assert_eq!(said.err.lines().find(|line| line.starts_with("warning: ")), told.as_deref(), "{hours}");
    }
    let scheduled = json!({
        "scheduledAt": "2999-01-05T09:00:00Z",
        "expiresAt": "2999-01-05T10:00:00Z",
        "callingWindow": {"timeZone": "UTC", "from": "11:00", "to": "12:00"},
    });
    let said = robocall_given(&with(scheduled), &["request", "check", "-"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("callingWindow: never opens between 2999-01-05T09:00:00.000Z"), "{}", said.out);
}

#[test]
fn a_schedule_after_the_end_is_no_request() {
    let hours = json!({"scheduledAt": "2999-01-02T00:00:00Z", "expiresAt": "2999-01-01T00:00:00Z"});
    let said = robocall_given(&with(hours), &["request", "check", "-"]);
    assert_eq!(said.code, 2);
    assert!(said.out.contains("expiresAt: must be later than scheduledAt"), "{}", said.out);
}
