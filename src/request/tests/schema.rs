//! The schema and the reader know the same names.

use std::collections::BTreeSet;

use super::*;
use crate::request::{destination, header};

/// A request that uses every name there is.
fn everything() -> Value {
    request_with(json!({
        "destinations": [{"phone": "+6588893322", "caller": "+6582674904", "properties": {"name": "Alex", "amount": 200, "vip": true},
            "externalId": "7", "timeZone": "Asia/Singapore"}],
        "caller": "+6582674904", "enableCallRecording": "true", "scheduledAt": "2026-01-05T09:00:00Z",
        "expiresAt": "2026-01-06T09:00:00Z", "ringTimeoutSecs": 20, "maxCallDurationSecs": 60,
        "retry": {"maxAttempts": 3, "on": ["busy"], "delaySecs": [60]},
        "callingWindow": {"timeZone": "recipient", "days": ["mon"], "from": "09:00", "to": "24:00"},
        "machineDetection": "hangup", "priority": 3, "hooks": [{"url": "https://example.com", "events": ["call.ended"]}],
        "part": {"index": 0, "count": 1}, "skipInvalid": false, "allowDuplicates": "false",
        "parentId": "0123456789abcdef0123-7", "callType": "callOut",
    }))
}

fn names<'a>(object: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    object.into_iter().map(String::as_str).collect()
}

/// The names in the schema of the type `name`; empty: the request itself.
fn in_schema<'s>(schema: &'s Value, name: &str) -> BTreeSet<&'s str> {
    let object = if name.is_empty() { schema } else { &schema["$defs"][name] };
    assert_eq!(object["additionalProperties"], json!(false), "{name}");
    names(object["properties"].as_object().unwrap().keys())
}

#[test]
fn the_schema_and_the_reader_know_the_same_names() {
    let schema = schemars::schema_for!(CallRequestDocument).to_value();
    let request = everything();
    // The reader takes all of them, and would call any other unknown.
    assert_eq!(accepted(request.to_string()).total, 1);
    assert_eq!(in_schema(&schema, ""), header::NAMES.into_iter().collect());
    assert_eq!(in_schema(&schema, "DestinationDocument"), destination::NAMES.into_iter().collect());
    for (name, sample) in [
        ("", &request),
        ("DestinationDocument", &request["destinations"][0]),
        ("RetryDocument", &request["retry"]),
        ("CallingWindowDocument", &request["callingWindow"]),
        ("HookDocument", &request["hooks"][0]),
        ("PartDocument", &request["part"]),
    ] {
        assert_eq!(in_schema(&schema, name), names(sample.as_object().unwrap().keys()), "{name}");
    }
}

#[test]
fn the_schema_requires_what_the_reader_requires() {
    let schema = schemars::schema_for!(CallRequestDocument).to_value();
    let required = |name: &str| {
        let object = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let list = object["required"].as_array().cloned().unwrap_or_default();
        list.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let missed = |changes: Value, path: &str| {
        let all = complaints(changes.to_string()).into_iter();
        let missing = all.filter_map(|complaint| complaint.strip_suffix(": is missing").map(str::to_owned));
        missing.map(|found| found.trim_start_matches(path).to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(required(""), missed(json!({}), ""));
    for (name, changes, path) in [
        ("DestinationDocument", json!({"destinations": [{}]}), "destinations[0]."),
        ("RetryDocument", json!({"retry": {}, "priority": 10}), "retry."),
        ("CallingWindowDocument", json!({"callingWindow": {}}), "callingWindow."),
        ("HookDocument", json!({"hooks": [{}]}), "hooks[0]."),
        ("PartDocument", json!({"part": {}}), "part."),
    ] {
        assert_eq!(required(name), missed(request_with(changes), path), "{name}");
    }
}

#[test]
fn the_words_of_the_schema_are_the_words_of_the_reader() {
    let every = |words: &str, wrap: fn(&str) -> Value| {
        for word in words.split(' ') {
            assert_eq!(accepted(request_with(wrap(word)).to_string()).total, 1, "{word}");
        }
    };
    let words = |schema: schemars::Schema| {
        let value = schema.to_value();
        let list = value["oneOf"].as_array().or(value["enum"].as_array()).unwrap().clone();
        let words: Vec<String> = list
            .iter()
            .flat_map(|entry| match (&entry["const"], &entry["enum"]) {
                (Value::String(word), _) => vec![word.clone()],
                (_, Value::Array(words)) => words.iter().map(|word| word.as_str().unwrap().to_owned()).collect(),
                _ => vec![entry.as_str().unwrap().to_owned()],
            })
            .collect();
        words.join(" ")
    };
    every(
        &words(schemars::schema_for!(Weekday)),
        |day| json!({"callingWindow": {"timeZone": "UTC", "days": [day], "from": "09:00", "to": "10:00"}}),
    );
    every(&words(schemars::schema_for!(RetryableResult)), |result| json!({"retry": {"on": [result]}}));
    every(&words(schemars::schema_for!(crate::model::MachineDetection)), |word| json!({"machineDetection": word}));
    every(
        &words(schemars::schema_for!(crate::model::EventFilter)),
        |kind| json!({"hooks": [{"url": "https://example.com", "events": [kind]}]}),
    );
}

#[test]
fn a_document_built_from_the_types_is_accepted() {
    let destination = DestinationDocument {
        phone: "+6588893322".parse().unwrap(),
        caller: None,
        properties: [("amount".to_owned(), json!(5))].into(),
        external_id: None,
        time_zone: None,
    };
    let document = CallRequestDocument {
        request_id: "built".parse().unwrap(),
        destinations: vec![destination],
        caller: None,
        enable_call_recording: Some(Flag(true)),
        call_flow: json!({"steps": [{"name": "hangup"}]}).as_object().unwrap().clone(),
        scheduled_at: None,
        expires_at: None,
        ring_timeout_secs: Some(5),
        max_call_duration_secs: None,
        retry: Some(RetryDocument {
            max_attempts: Some(2),
            on: Some(vec![RetryableResult::Congestion]),
            delay_secs: None,
        }),
        calling_window: None,
        machine_detection: None,
        priority: Some(9),
        hooks: vec![HookDocument { url: "https://example.com".to_owned(), events: vec![] }],
        part: Some(PartDocument { index: 0, count: 1 }),
        skip_invalid: None,
        allow_duplicates: None,
        parent_id: Some("0123456789abcdef0123-7".to_owned()),
        call_type: Some(crate::model::CallType::Callback),
    };
    let judged = accepted(serde_json::to_vec(&document).unwrap());
    assert_eq!((judged.header.id.as_str(), judged.header.priority, judged.header.recording), ("built", 9, true));
    assert_eq!(judged.header.parent.unwrap().to_string(), "0123456789abcdef0123-7");
    assert_eq!(judged.header.call_type, crate::model::CallType::Callback);
}

/// Whether a value is what a schema describes, by the keywords that ours use; patterns are the reader's business.
fn describes(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str() {
        let target = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        if !describes(root, target.unwrap_or_else(|| panic!("{name} leads nowhere")), value) {
            return false;
        }
    }
    let kind = |name: &str| match name {
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        name => kind_of(value).ends_with(name),
    };
    let one_of = |names: &Value| match names {
        Value::String(name) => kind(name),
        Value::Array(names) => names.iter().any(|name| kind(name.as_str().unwrap())),
        _ => true,
    };
    let fits = |least: &str, most: &str, size: Option<u64>| {
        size.is_none_or(|size| {
            schema[least].as_u64().is_none_or(|least| least <= size)
                && schema[most].as_u64().is_none_or(|most| size <= most)
        })
    };
    let matching =
        |list: &Value| list.as_array().unwrap().iter().filter(|schema| describes(root, schema, value)).count();
    one_of(&schema["type"])
        && schema.get("const").is_none_or(|only| only == value)
        && schema.get("enum").is_none_or(|all| all.as_array().unwrap().contains(value))
        && schema.get("oneOf").is_none_or(|list| matching(list) == 1)
        && schema.get("anyOf").is_none_or(|list| matching(list) > 0)
        && fits("minimum", "maximum", value.as_u64())
        && fits("minLength", "maxLength", value.as_str().map(|text| text.chars().count() as u64))
        && fits("minItems", "maxItems", value.as_array().map(|list| list.len() as u64))
        && value.as_array().is_none_or(|list| list.iter().all(|item| describes(root, &schema["items"], item)))
        && schema["required"].as_array().into_iter().flatten().all(|name| value.get(name.as_str().unwrap()).is_some())
        && value.as_object().is_none_or(|fields| {
            fields.iter().all(|(name, value)| match &schema["properties"][name] {
                Value::Null => schema["additionalProperties"] != json!(false),
                field => describes(root, field, value),
            })
        })
}

#[test]
fn the_schema_describes_the_sample_requests_and_their_flows() {
    let schema = schemars::schema_for!(CallRequestDocument).to_value();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("flows");
    let read = |path: std::path::PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder.join("samples")).unwrap() {
        let request = read(entry.unwrap().path());
        assert!(describes(&schema, &schema, &request), "{request:#}");
        looked_at += 1;
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let request = request_with(json!({"callFlow": read(path)}));
            assert!(describes(&schema, &schema, &request), "{request:#}");
            looked_at += 1;
        }
    }
    assert!(looked_at >= 12, "{looked_at}");
    assert!(describes(&schema, &schema, &everything()));
    assert!(describes(&schema, &schema, &request_with(json!({"callFlow": {"flow": "survey"}}))));
    for wrong in [
        json!({"callFlow": {"steps": []}}),
        json!({"callFlow": {"steps": [{"name": "sing"}]}}),
        json!({"callFlow": {"steps": [{"name": "play"}]}}),
        json!({"callFlow": {"steps": [{"name": "play", "message": {"msg": 7}}]}}),
        json!({"callFlow": {"steps": [{"name": "hangup", "why": 1}]}}),
        json!({"callFlow": {"flows": "survey"}}),
        json!({"priority": 10}),
    ] {
        assert!(!describes(&schema, &schema, &request_with(wrong.clone())), "{wrong}");
    }
}
