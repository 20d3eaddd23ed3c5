//! Requests as their submitters write them: mostly right, sometimes in parts, twice, or wrong.

use std::time::Duration;

use robocall::model::{Phone, Timestamp};
use robocall::ports::store::RequestKey;
use serde_json::{Value, json};

use crate::checker::Expected;
use crate::dice::Dice;

/// What is sent under one name.
pub struct Submission {
    pub key: RequestKey,
    /// Bodies in the order of their sending.
    pub bodies: Vec<Vec<u8>>,
    pub expected: Expected,
    pub secretive: bool,
    pub phones: Vec<Phone>,
}

/// Destinations, and what of them will be taken.
struct List {
    entries: Vec<Value>,
    phones: Vec<Phone>,
    duplicates: u32,
}

/// One submission of a seed.
pub fn submission(dice: &mut Dice, key: RequestKey, number: u64, now: Timestamp) -> Submission {
    let mut request = terms(dice, key.request.as_str(), now);
    let secretive = dice.below(4) == 0;
    request["callFlow"] = flow(dice, secretive);
    let list = destinations(dice, number, request["skipInvalid"] == true);
    let phones = list.phones.clone();
    let mut expected = Some((list.entries.len() as u32 - list.duplicates, list.duplicates));
    if request["allowDuplicates"] == true {
        expected = Some((list.entries.len() as u32, 0));
    }
    let whole = |request: &Value, entries: &[Value]| {
        let mut request = request.clone();
        request["destinations"] = json!(entries);
        serde_json::to_vec(&request).unwrap()
    };
    let bodies = match dice.below(10) {
        // In parts, in any order.
        0 | 1 if list.entries.len() >= 3 && list.duplicates == 0 => {
            let size = list.entries.len().div_ceil(3);
            let parts: Vec<&[Value]> = list.entries.chunks(size).collect();
            let mut bodies: Vec<Vec<u8>> = (0..parts.len())
                .map(|index| {
                    request["part"] = json!({"index": index, "count": parts.len()});
                    whole(&request, parts[index])
                })
                .collect();
            let turn = dice.below(bodies.len() as u64) as usize;
            bodies.rotate_left(turn);
            bodies
        }
        // The same name again with other content: whichever comes first is taken.
        2 => {
            expected = None;
            let first = whole(&request, &list.entries);
            request["priority"] = json!((request["priority"].as_u64().unwrap_or(0) + 1) % 10);
            vec![first, whole(&request, &list.entries[..1])]
        }
        // Wrong, and then put right.
        3 => {
            let right = whole(&request, &list.entries);
            request["callFlow"] = json!({"steps": []});
            vec![whole(&request, &list.entries), right]
        }
        // Wrong for good.
        4 if number > 0 => {
            expected = Some((0, 0));
            request["ringTimeoutSecs"] = json!(100_000);
            vec![whole(&request, &list.entries)]
        }
        _ => vec![whole(&request, &list.entries)],
    };
    Submission { key, bodies, expected, secretive, phones }
}

/// So many destinations that ring for a minute: more live calls than a reaper looks at in one round.
pub fn crowd(key: RequestKey, count: u32) -> Submission {
    let phones: Vec<Phone> = (0..count).map(|index| format!("+99930{index:05}").parse().unwrap()).collect();
    let entries: Vec<Value> = phones.iter().map(|phone| json!({"phone": phone})).collect();
    let request = json!({
        "requestId": key.request.as_str(),
        "destinations": entries,
        "ringTimeoutSecs": 110,
        "callFlow": {"steps": [{"name": "play", "message": {"msg": "hello"}}]},
    });
    let bodies = vec![serde_json::to_vec(&request).unwrap()];
    Submission { key, bodies, expected: Some((count, 0)), secretive: false, phones }
}

fn destinations(dice: &mut Dice, number: u64, with_bad_ones: bool) -> List {
    let kinds = ["10", "20", "30", "40", "50", "60", "80", "90", "13"];
    let mut list = List { entries: Vec::new(), phones: Vec::new(), duplicates: 0 };
    for index in 0..1 + dice.below(12) {
        let serial = number * 1000 + index;
        let phone = match dice.below(4) {
            0 | 1 => format!("+99970{serial:05}{}{}", dice.below(4), dice.below(3)),
            2 => format!("+6588{serial:06}"),
            _ => format!("+999{}{serial:05}", kinds[dice.below(kinds.len() as u64) as usize]),
        };
        list.phones.push(phone.parse().unwrap());
        let mut entry = json!({"phone": phone});
        if dice.below(12) > 0 {
            entry["properties"] = json!({"name": "Alex"});
        }
        if dice.below(3) > 0 {
            entry["timeZone"] =
                json!(["Asia/Singapore", "Asia/Singapore", "Etc/UTC", "America/New_York"][dice.below(4) as usize]);
        }
        if dice.below(12) == 0 {
            entry["caller"] = json!("+6560000009");
        }
        if dice.below(10) == 0 {
            list.duplicates += 1;
            list.entries.push(entry.clone());
        }
        list.entries.push(entry);
    }
    if with_bad_ones {
        list.entries.push(json!({"phone": format!("12-not-a-number-{number}")}));
    }
    list
}

/// Everything of a request but its flow and destinations.
fn terms(dice: &mut Dice, id: &str, now: Timestamp) -> Value {
    let mut request = json!({
        "requestId": id,
        "priority": dice.below(10),
        "ringTimeoutSecs": 10 + dice.below(20),
        "retry": {"maxAttempts": 1 + dice.below(3), "delaySecs": [5 + dice.below(60)], "on": ["busy", "unanswered", "unreachable", "congestion"]},
    });
    if dice.below(2) == 0 {
        request["maxCallDurationSecs"] = json!(30 + dice.below(240));
    }
    if dice.below(5) == 0 {
        request["scheduledAt"] = json!((now + Duration::from_secs(dice.below(300))).to_string());
    }
    if dice.below(5) == 0 {
        request["expiresAt"] = json!((now + Duration::from_secs(400 + dice.below(600))).to_string());
    }
    match dice.below(6) {
        0 => request["machineDetection"] = json!("hangup"),
        1 => request["machineDetection"] = json!("waitForBeep"),
        _ => {}
    }
    match dice.below(8) {
        0 => {
            let (closed, open) = (dice.below(4), 4 + dice.below(5));
            request["callingWindow"] =
                json!({"timeZone": "Etc/UTC", "from": format!("09:0{open}"), "to": format!("09:0{closed}")});
        }
        1 | 2 => {
            // It is five in the afternoon in Singapore. Whoever is not reached there in time never is.
            let (from, to) = (dice.below(4), 5 + dice.below(5));
            request["callingWindow"] = json!({"timeZone": "recipient", "days": ["mon"], "from": format!("17:0{from}"), "to": format!("17:0{to}")});
            request["expiresAt"] = json!((now + Duration::from_secs(600 + dice.below(600))).to_string());
        }
        _ => {}
    }
    if dice.below(3) == 0 {
        request["enableCallRecording"] = json!(true);
    }
    if dice.below(6) == 0 {
        request["skipInvalid"] = json!(true);
    }
    if dice.below(8) == 0 {
        request["allowDuplicates"] = json!(true);
    }
    request
}

fn flow(dice: &mut Dice, secretive: bool) -> Value {
    let targets =
        ["Ext:1000", "Queue:sales", "+99910777777", "+99920777777", "+99930777777", "+99960777777", "+99980777777"];
    let target = targets[dice.below(targets.len() as u64) as usize];
    let mut transfer = json!({
        "name": "transfer", "destination": target,
        "transferType": if dice.below(3) == 0 { "blind" } else { "attended" },
        "onFailure": if dice.below(2) == 0 { "continue" } else { "hangup" },
    });
    // It only counts where a second leg is dialled by us; a network lets the target of a blind transfer ring as long as it likes.
    transfer["ringTimeoutSecs"] = json!(20 + dice.below(100));
    if dice.below(3) == 0 {
        transfer["message"] = json!({"msg": "one moment"});
    }
    // Whoever lingers is live long after its second leg has gone.
    let last = if dice.below(3) == 0 {
        json!({"name": "gather", "message": {"msg": "anything else?"}, "timeoutSecs": 50, "maxRetries": 2, "sensitive": secretive,
            "branches": [{"default": "true", "callFlow": {"steps": [{"name": "hangup"}]}}]})
    } else {
        json!({"name": "play", "message": {"msg": "thank you"}})
    };
    json!({"steps": [
        {"name": "play", "message": {"msg": "hello {{name}}"}},
        {"name": "gather", "message": {"msg": "press one"}, "maxRetries": 2, "sensitive": secretive, "branches": [
            {"digit": "1", "callFlow": {"steps": [transfer]}},
            {"digit": "2", "callFlow": {"steps": [{"name": "optOut", "message": {"msg": "goodbye"}}]}},
            {"default": "true", "callFlow": {"steps": [{"name": "play", "message": {"msg": "bye then"}}]}},
        ]},
        last,
    ]})
}
