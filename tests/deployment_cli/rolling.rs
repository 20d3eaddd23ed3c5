//! Two hundred people are talked to while every worker is replaced: nobody is cut off, and nobody is called twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::world::{Process, World};

const CALLS: usize = 200;

/// The lines of the network's own log of an event.
fn logged<'l>(lines: &'l [Value], event: &'l str) -> impl Iterator<Item = &'l Value> {
    lines.iter().filter(move |line| line["event"] == event)
}

#[test]
fn no_call_is_cut_and_none_dialled_twice_while_every_worker_is_replaced() {
    let log = std::env::temp_dir().join(format!("robocall-rolling-{}.jsonl", std::process::id()));
    let world = World::without_worker_logging("1", &log).with([
        // Shorter than the calls: what is live is handed over, as after an hour in a cluster.
        ("ROBOCALL__WORKER__GRACE_SECS", "1".to_owned()),
    ]);
    world.answer(&["org", "set", "--limit", "500"]);
    let mut old: Vec<Process> = ["old-1", "old-2", "old-3"].map(|name| world.own_worker(name)).into();

    let destinations: Vec<Value> = (0..CALLS).map(|n| json!({"phone": format!("+99910{n:06}")})).collect();
    // Nobody presses anything: they are talked to until the prompt's time is over, and then told something more.
    let steps = json!([{"name": "gather", "timeoutSecs": 45, "maxRetries": 2, "message": {"msg": "Press 1"}, "branches": [
        {"digit": "1", "callFlow": {"steps": [{"name": "hangup"}]}},
        {"default": true, "callFlow": {"steps": [{"name": "play", "message": {"msg": "Goodbye"}}]}},
    ]}]);
    world.submit(&json!({
        "requestId": "rolling", "destinations": destinations, "callFlow": {"steps": steps}, "retry": {"maxAttempts": 3},
    }));
    world.wait_for("rolling", "call.answered", 200);

    // One by one, the new one first; and one is lost altogether.
    let mut new = Vec::new();
    for (number, worker) in old.drain(..).enumerate() {
        new.push(world.own_worker(&format!("new-{number}")));
        // As a node that loses its power.
        if number == 1 { drop(worker) } else { worker.drain() }
    }
    // What was just taken over is handed on once more.
    new.push(world.own_worker("new-3"));
    new.remove(0).drain();

    world.wait_for("rolling", "request.completed", 1);
    let status = world.answer(&["status", "rolling"]);
    assert_eq!(status["counts"]["completed"], CALLS, "{}", status["counts"]);
    let details = status["details"].as_array().unwrap();
    for call in details {
        let last = call["callFlowSteps"].as_array().unwrap().last().unwrap();
        let said = (last["stepName"].as_str().unwrap(), last["info"]["status"].as_str().unwrap());
        assert_eq!(said, ("play", "success_ok"), "it was talked to to the end: {call}");
    }

    let lines: Vec<Value> =
        fs::read_to_string(&log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let dialled: BTreeSet<&str> = logged(&lines, "invite").map(|line| line["to"].as_str().unwrap()).collect();
    assert_eq!((logged(&lines, "invite").count(), dialled.len()), (CALLS, CALLS), "each once");
    let mut ends = BTreeMap::new();
    for line in logged(&lines, "ended").filter(|line| line["state"] == "up") {
        *ends.entry(line["by"].to_string()).or_insert(0) += 1;
    }
    assert_eq!(ends, BTreeMap::from([("\"us\"".to_owned(), CALLS)]), "the flow came to its end, and nobody hung up");
    fs::remove_file(log).unwrap();
}
