//! Cutting: parts are requests, together they hold everybody once, and the same request gives the same parts.

use serde_json::{Value, json};

use super::super::parts::{CutError, Plan};

fn people(count: usize) -> Value {
    let destinations: Vec<Value> =
        (0..count).map(|number| json!({"phone": format!("+65810{number:05}"), "properties": {"n": number}})).collect();
    json!({"destinations": destinations, "requestId": "r", "callFlow": {"steps": [{"name": "hangup"}]}})
}

fn cut(document: &Value, most: usize) -> Result<(Plan, Vec<Value>), CutError> {
    let text = document.to_string();
    let plan = Plan::of(|| Ok(text.as_bytes()), most)?;
    let mut parts = Vec::new();
    for part in plan.cut(text.as_bytes()) {
        let part = part?;
        assert!(part.len() <= most, "{} bytes", part.len());
        parts.push(serde_json::from_slice(&part).unwrap());
    }
    Ok((plan, parts))
}

#[test]
fn parts_hold_everybody_once_in_order_and_the_same_fields() {
    let mut document = people(100);
    let first = document["destinations"][0].clone();
    document["destinations"].as_array_mut().unwrap().extend([first.clone(), first]);
    let (plan, parts) = cut(&document, 1_000).unwrap();
    assert!(parts.len() > 3);
    assert_eq!((plan.parts as usize, plan.duplicates), (parts.len(), 2));
    let mut seen = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(part["part"], json!({"index": index, "count": parts.len()}));
        assert_eq!((&part["requestId"], &part["callFlow"]), (&document["requestId"], &document["callFlow"]));
        assert!(!part["destinations"].as_array().unwrap().is_empty());
        seen.extend(part["destinations"].as_array().unwrap().clone());
    }
    assert_eq!(seen, document["destinations"].as_array().unwrap()[..100]);
    assert_eq!(cut(&document, 1_000).unwrap().1, parts, "and again");
}

#[test]
fn who_may_be_called_twice_is_kept_twice() {
    let mut document = people(3);
    let first = document["destinations"][0].clone();
    document["destinations"].as_array_mut().unwrap().push(first);
    document["allowDuplicates"] = json!("true");
    let (plan, parts) = cut(&document, 1_000).unwrap();
    assert_eq!((plan.duplicates, parts[0]["destinations"].as_array().unwrap().len()), (0, 4));
}

#[test]
fn what_cannot_be_cut_is_refused() {
    assert!(matches!(cut(&people(3), 100), Err(CutError::TooLarge(100))));
    let mut part = people(3);
    part["part"] = json!({"index": 0, "count": 1});
    assert!(matches!(cut(&part, 1_000), Err(CutError::IsPart)));
    let plan = Plan::of(|| Ok(&b"{\"destinations\": [1"[..]), 1_000);
    assert!(matches!(plan, Err(CutError::Broken(_))));
    let (long, short) = (people(100).to_string(), people(20).to_string());
    let plan = Plan::of(|| Ok(long.as_bytes()), 1_000).unwrap();
    let changed = plan.cut(short.as_bytes()).any(|part| matches!(part, Err(CutError::Changed)));
    assert!(changed, "fewer destinations than were planned for");
}
