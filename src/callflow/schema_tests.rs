use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::callflow::compile;
use crate::reading::Problems;
use serde_json::{Value, json};

/// The names every kind of object may have after the schema: flow, branch, message, and steps by their kind.
fn names_by_schema() -> BTreeMap<String, BTreeSet<String>> {
    let schema = schemars::schema_for!(CallFlowDocument).to_value();
    let mut found = BTreeMap::new();
    let names = |object: &Value| -> BTreeSet<String> {
        object["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for variant in definition["oneOf"].as_array().into_iter().flatten() {
            if let Some(kind) = variant["properties"]["name"]["const"].as_str() {
                found.insert(kind.to_owned(), names(variant));
            }
        }
        if ["FlowDocument", "BranchDocument", "MessageDocument", "NamedFlowDocument"].contains(&name.as_str()) {
            found.insert(name.clone(), names(definition));
        }
    }
    found
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_schema_and_the_reader_know_the_same_names() {
    let mut known: BTreeMap<String, BTreeSet<String>> =
        STEP_FIELDS.iter().map(|(kind, fields)| ((*kind).to_owned(), set(fields))).collect();
    known.insert("FlowDocument".into(), set(&FLOW_FIELDS));
    known.insert("NamedFlowDocument".into(), set(&NAMED_FLOW_FIELDS));
    known.insert("BranchDocument".into(), set(&BRANCH_FIELDS));
    known.insert("MessageDocument".into(), set(&MESSAGE_FIELDS));
    assert_eq!(names_by_schema(), known);
}

fn problems_of(flow: &Value) -> Vec<String> {
    let mut problems = Problems::default();
    compile(flow, "", &mut problems);
    problems.first().iter().map(ToString::to_string).collect()
}

/// Puts something of no use into one field at a time: a reader that looks at the field must mind.
fn minds(name: &str, good: &Value, wrap: &dyn Fn(Value) -> Value, path: &str) {
    let mut bad = good.clone();
    bad[name] = json!([[]]);
    let words = problems_of(&wrap(bad));
    let here = format!("{path}{name}");
    let minds = |line: &String| line.strip_prefix(&here).is_some_and(|rest| rest.starts_with([':', '[']));
    assert!(words.iter().any(minds), "{name} is not read: {words:?}");
    assert!(words.iter().all(|line| !line.contains("unknown field") && !line.contains("belongs to")), "{words:?}");
}

#[test]
fn every_name_of_the_schema_is_read() {
    let end = json!({"steps": [{"name": "hangup"}]});
    let steps = |step: Value| json!({"steps": [step]});
    for (kind, fields) in STEP_FIELDS {
        let branches = json!([{"digit": "1", "callFlow": end}]);
        let mut good = json!({"name": kind});
        for (field, value) in
            [("message", json!({"msg": "x"})), ("branches", branches), ("destination", json!("Ext:1"))]
        {
            if fields.contains(&field) {
                good[field] = value;
            }
        }
        assert_eq!(problems_of(&steps(good.clone())), [""; 0]);
        for field in fields {
            minds(field, &good, &steps, "steps[0].");
        }
    }
    for field in MESSAGE_FIELDS {
        let other = if field == "media" { json!({}) } else { json!({"msg": "x"}) };
        minds(field, &other, &|message| steps(json!({"name": "play", "message": message})), "steps[0].message.");
    }
    for field in BRANCH_FIELDS {
        let branch = json!({"digit": "1", "default": true, "callFlow": end});
        let wrap = |branch| steps(json!({"name": "gather", "message": {"msg": "x"}, "branches": [branch]}));
        minds(field, &branch, &wrap, "steps[0].branches[0].");
    }
    minds("steps", &end, &|flow| flow, "");
}

#[test]
fn documents_written_from_the_types_are_read() {
    let message = MessageDocument { msg: Some("Hello {{name}}".into()), lang: Some("en".into()), ..Default::default() };
    let flow = FlowDocument {
        steps: vec![StepDocument::Play(PlayDocument { message }), StepDocument::Hangup(HangupDocument {})],
    };
    let written = serde_json::to_value(CallFlowDocument::Steps(flow)).unwrap();
    assert_eq!(
        written,
        json!({"steps": [{"name": "play", "message": {"msg": "Hello {{name}}", "lang": "en"}}, {"name": "hangup"}]})
    );
    assert_eq!(problems_of(&written), [""; 0]);
}
