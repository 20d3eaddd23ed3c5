use super::*;
use serde_json::json;

fn told(flow: Value) -> Vec<String> {
    told_knowing(flow, None)
}

fn told_knowing(flow: Value, properties: Option<&[&str]>) -> Vec<String> {
    let found = check(&flow, "callFlow", &|_| true, properties);
    let line = |d: Diagnostic| format!("{:?} {}: {}", d.severity, d.path.trim_start_matches("callFlow."), d.message);
    found.into_iter().map(line).collect()
}

fn play(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

fn branch(digit: &str, default: bool, steps: Value) -> Value {
    json!({"digit": digit, "default": default, "callFlow": {"steps": steps}})
}

fn gather(text: &str, branches: Value) -> Value {
    json!({"steps": [{"name": "gather", "message": {"msg": text}, "branches": branches}]})
}

#[test]
fn steps_that_are_never_reached_are_told_once_a_list() {
    assert_eq!(
        told(json!({"steps": [{"name": "hangup"}, play("a"), play("b")]})),
        ["Warning steps[1]: is never reached: a hangup step ends the call"]
    );
    assert_eq!(
        told(json!({"steps": [{"name": "optOut"}, {"name": "hangup"}]})),
        ["Warning steps[1]: is never reached: an optOut step ends the call"]
    );
    assert_eq!(
        told(json!({"steps": [{"name": "transfer", "destination": "Ext:1"}, play("sorry")]})),
        ["Warning steps[1]: is never reached: the flow ends with the transfer before it"]
    );
    assert_eq!(
        told(json!({"steps": [{"name": "transfer", "destination": "Ext:1", "onFailure": "continue"}, play("sorry")]})),
        [""; 0]
    );
    let end = json!([{"name": "hangup"}]);
    let mut flow = gather("1 or 2", json!([branch("1", true, end.clone()), branch("2", false, end.clone())]));
    flow["steps"].as_array_mut().unwrap().push(play("never"));
    assert_eq!(told(flow), ["Warning steps[1]: is never reached: every branch of the gather before it ends the call"]);
    let mut flow = gather("1 or 2", json!([branch("1", true, end), branch("2", false, json!([play("on")]))]));
    flow["steps"].as_array_mut().unwrap().push(play("reached"));
    assert_eq!(told(flow), [""; 0]);
}

#[test]
fn a_gather_without_default_or_without_keys_is_told() {
    assert_eq!(
        told(gather("Press 1", json!([branch("1", false, json!([play("x")]))]))),
        [
            "Warning steps[0].branches: no branch is the default: after 3 tries without a known key the flow ends with error_timeout"
        ]
    );
    let only_default = json!([{"default": "true", "callFlow": {"steps": [play("x")]}}]);
    assert_eq!(
        told(gather("Well?", only_default)),
        [
            "Warning steps[0].branches: no key leads anywhere: the message is spoken 3 times before the default branch is taken"
        ]
    );
}

#[test]
fn keys_that_are_offered_and_keys_that_lead_somewhere_are_compared() {
    let branches = json!([branch("1", true, json!([play("x")])), branch("2", false, json!([play("x")]))]);
    assert_eq!(told(gather("Press 1 to pay, or 2 to talk.", branches.clone())), [""; 0]);
    assert_eq!(told(gather("Press one to pay, or two to talk.", branches.clone())), [""; 0]);
    assert_eq!(told(gather("Do you want to pay?", branches.clone())), [""; 0]);
    assert_eq!(
        told(gather("Press 1 to pay 200.", branches.clone())),
        ["Note steps[0].branches[1].digit: the message speaks of other keys, but not of 2"]
    );
    assert_eq!(
        told(gather("Press 1, 2 or press star. Press nine, press 9!", branches)),
        [
            "Warning steps[0].message.msg: offers key *, but no branch has it",
            "Warning steps[0].message.msg: offers key 9, but no branch has it"
        ]
    );
}

#[test]
fn placeholders_are_compared_with_what_destinations_have() {
    let flow = json!({"steps": [play("Dear {{nmae}}, {{amount}} {{nmae}} {{zzz}}")]});
    assert_eq!(
        told_knowing(flow.clone(), Some(&["name", "amount"])),
        [
            "Warning steps[0].message.msg: no destination has a property `nmae`: calls fail with error_missing_property",
            "Warning steps[0].message.msg: no destination has a property `zzz`: calls fail with error_missing_property",
        ]
    );
    assert_eq!(
        check(&flow, "", &|_| true, Some(&["name", "amount"]))[0].help.as_deref(),
        Some("did you mean {{name}}?")
    );
    assert_eq!(told(flow), [""; 0]);
}

#[test]
fn long_texts_and_single_braces_are_told() {
    assert_eq!(
        told(json!({"steps": [play(&format!("{}{{{{name}}}}", "x".repeat(960)))]})),
        ["Warning steps[0].message.msg: leaves 40 of 1000 characters for its values"]
    );
    assert_eq!(told(json!({"steps": [play(&"x".repeat(1000))]})), [""; 0]);
    assert_eq!(
        told(json!({"steps": [play("Dear {name}")]})),
        ["Warning steps[0].message.msg: has single braces, which are spoken as they stand"]
    );
}

#[test]
fn a_flow_with_errors_is_told_its_errors_only() {
    assert_eq!(
        told(json!({"steps": [{"name": "hangup"}, {"name": "nap"}]})),
        ["Error steps[1].name: must be one of: play, gather, transfer, hangup, optOut"]
    );
}
