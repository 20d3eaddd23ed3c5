//! When two documents are the same request, and when they are not.

use proptest::prelude::*;
use serde_json::Map;

use super::*;

fn hash_of(document: impl AsRef<[u8]>) -> [u8; 32] {
    accepted(document).header.content_hash
}

#[test]
fn spelling_does_not_make_another_request() {
    let one = r#"{"requestId":"r","destinations":[{"phone":"+6588893322","caller":"+6582674904","properties":{"a":1,"b":"x"}}],
        "enableCallRecording":true,"callFlow":{"steps":[1],"x":2},"scheduledAt":"2026-01-05T17:00:00+08:00",
        "retry":{"on":["busy","unanswered"]},"hooks":[{"url":"https://e","events":["call.ended","call.answered"]}]}"#;
    let other = r#"{"hooks":[{"events":["robocall.call.answered","call.ended"],"url":"https://e"}],"allowDuplicates":false,
        "retry":{"maxAttempts":1,"on":["unanswered","busy"]},"priority":5,"ringTimeoutSecs":30,"callType":"campaign",
        "callFlow":{"x":2,"steps":[1]},"enableCallRecording":"true","scheduledAt":"2026-01-05T09:00:00Z",
        "destinations":[{"properties":{"b":"\u0078","a":"1"},"caller":"6582674904","phone":"6588893322"}],"requestId":"r"}"#;
    assert_eq!(hash_of(one), hash_of(other));
}

#[test]
fn every_difference_in_meaning_makes_another_request() {
    let mut hashes = vec![("nothing".to_owned(), hash_of(request_with(json!({})).to_string()))];
    let destinations = [
        json!([{"phone": "+6588893323"}]),
        json!([{"phone": "+6588893322"}, {"phone": "+6588893323"}]),
        json!([{"phone": "+6588893323"}, {"phone": "+6588893322"}]),
        json!([{"phone": "+6588893322"}, {"phone": "+6588893322"}]),
        json!([{"phone": "+6588893322", "caller": "+6588893322"}]),
        json!([{"phone": "+6588893322", "externalId": "Asia/Tokyo"}]),
        json!([{"phone": "+6588893322", "externalId": ""}]),
        json!([{"phone": "+6588893322", "timeZone": "Asia/Tokyo"}]),
        json!([{"phone": "+6588893322", "properties": {"a": "b"}}]),
        json!([{"phone": "+6588893322", "properties": {"ab": ""}}]),
        json!([{"phone": "+6588893322", "properties": {"a": "", "b": ""}}]),
    ];
    let window = |zone: &str, to: &str| json!({"callingWindow": {"timeZone": zone, "from": "09:00", "to": to}});
    let mut changes: Vec<Value> = destinations.into_iter().map(|list| json!({ "destinations": list })).collect();
    changes.extend([
        json!({"requestId": "r2"}),
        json!({"caller": "+6588893322"}),
        json!({"enableCallRecording": true}),
        json!({"callFlow": {"steps": [{"name": "other"}]}}),
        json!({"scheduledAt": "2026-01-05T09:00:00Z"}),
        json!({"expiresAt": "2026-01-05T09:00:00Z"}),
        json!({"ringTimeoutSecs": 31}),
        json!({"maxCallDurationSecs": 31}),
        json!({"retry": {"maxAttempts": 2}}),
        json!({"retry": {"on": ["busy"]}}),
        json!({"retry": {"delaySecs": [300]}}),
        window("Asia/Tokyo", "21:00"),
        window("recipient", "21:00"),
        window("Asia/Tokyo", "21:01"),
        json!({"machineDetection": "hangup"}),
        json!({"machineDetection": "continue"}),
        json!({"priority": 6}),
        json!({"hooks": [{"url": "https://e"}]}),
        json!({"hooks": [{"url": "https://e", "events": ["call.ended"]}]}),
        json!({"part": {"index": 0, "count": 2}}),
        json!({"part": {"index": 1, "count": 2}}),
        json!({"skipInvalid": true}),
        json!({"allowDuplicates": true}),
        json!({"parentId": "0123456789abcdef0123-7"}),
        json!({"parentId": "0123456789abcdef0123-8"}),
        json!({"callType": "callOut"}),
        json!({"callType": "scheduled"}),
        json!({"callType": "callback"}),
    ]);
    for change in changes {
        let hash = hash_of(request_with(change.clone()).to_string());
        if let Some((other, _)) = hashes.iter().find(|(_, known)| *known == hash) {
            panic!("{change} is taken for {other}");
        }
        hashes.push((change.to_string(), hash));
    }
    let document = request_with(json!({})).to_string();
    let elsewhere = check(document.as_bytes(), &"shop".parse().unwrap(), &AnyFlow, Limits::default()).unwrap();
    assert_ne!(elsewhere.header.content_hash, hash_of(&document));
}

#[test]
fn the_hash_of_a_request_never_changes_between_versions() {
    // A redelivery after an upgrade must be known for what it is. If this fails, running requests become conflicts.
    let hash = hash_of(request_with(json!({"priority": 6, "caller": "+6582674904"})).to_string());
    let text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, "c28e05f1d36958824900198a5cf76e8df92fc79417f2a4953147b279e02110e8");
}

#[test]
fn parts_share_their_headers_hash_and_nothing_else() {
    let part = |index: u32, phone: &str, priority: u8| {
        let part =
            json!({"part": {"index": index, "count": 3}, "destinations": [{ "phone": phone }], "priority": priority});
        let judged = accepted(request_with(part).to_string());
        assert_eq!(judged.header_hash, header_hash(&judged.header));
        (judged.header_hash, judged.header.content_hash)
    };
    let (first, second, other) = (part(0, "+6588893322", 5), part(1, "+6588893323", 5), part(1, "+6588893323", 6));
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_ne!(second.0, other.0);
}

fn property_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ]
}

fn destination() -> impl Strategy<Value = Value> {
    let properties = prop::collection::btree_map("\\PC{1,8}", property_value(), 0..5);
    let zone = prop::option::of(prop::sample::select(vec!["Asia/Tokyo", "UTC", "America/New_York"]));
    let fields =
        ("\\+?[1-9][0-9]{1,14}", prop::option::of("[1-9][0-9]{1,14}"), prop::option::of("\\PC{0,9}"), zone, properties);
    fields.prop_map(|(phone, caller, id, zone, properties)| {
        json!({"phone": phone, "caller": caller, "externalId": id, "timeZone": zone, "properties": properties})
    })
}

/// Writes a value with its members turned around and white space strewn in.
fn respell(value: &Value, space: &str, into: &mut String) {
    match value {
        Value::Object(map) => {
            into.push('{');
            for (at, (name, value)) in map.iter().rev().enumerate() {
                into.push_str(if at == 0 { space } else { "," });
                into.push_str(&format!("{space}{}{space}:{space}", Value::from(name.as_str())));
                respell(value, space, into);
                into.push_str(space);
            }
            into.push('}');
        }
        Value::Array(list) => {
            into.push('[');
            for (at, value) in list.iter().enumerate() {
                into.push_str(if at == 0 { space } else { "," });
                respell(value, space, into);
            }
            into.push_str(space);
            into.push(']');
        }
        scalar => into.push_str(&scalar.to_string()),
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(list in prop::collection::vec(destination(), 1..6)) {
        let document = request_with(json!({"destinations": list, "allowDuplicates": true})).to_string();
        let all = destinations_of(&document, 2);
        prop_assert_eq!(all.len(), list.len());
        for (sent, got) in list.iter().zip(&all) {
            let phone = sent["phone"].as_str().unwrap();
            prop_assert_eq!(got.number.to_string(), format!("+{}", phone.trim_start_matches('+')));
            prop_assert_eq!(got.caller.map(|phone| phone.digits().to_string()), sent["caller"].as_str().map(str::to_owned));
            prop_assert_eq!(got.external_id.as_deref(), sent["externalId"].as_str());
            prop_assert_eq!(got.time_zone.as_deref(), sent["timeZone"].as_str());
            let empty = Map::new();
            let sent = sent["properties"].as_object().unwrap_or(&empty);
            prop_assert_eq!(got.properties.len(), sent.len());
            for (name, value) in sent {
                let spoken = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                prop_assert_eq!(got.property(name), Some(spoken.as_str()));
            }
        }
    }

    #[test]
    fn white_space_and_the_order_of_keys_change_nothing(
        list in prop::collection::vec(destination(), 1..6),
        space in "[ \t\r\n]{0,3}",
        record in any::<bool>(),
    ) {
        let request = request_with(json!({"destinations": list, "enableCallRecording": record, "retry": {"maxAttempts": 3}}));
        let mut respelled = String::new();
        respell(&request, &space, &mut respelled);
        let (one, other) = (accepted(request.to_string()), accepted(&respelled));
        prop_assert_eq!(one.header, other.header);
        prop_assert_eq!((one.total, one.duplicates), (other.total, other.duplicates));
    }
}
