//! Asterisk dies, is cut off, is slow, or answers nonsense: nobody is dialled twice, every call ends, dialling goes on.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::asterisk::Bed;
use crate::grumbler::{Grumbler, Mood};
use crate::proxy::{Faults, Proxy};
use crate::scene::{deployment, name, number, request, says};
use crate::world::World;

/// How long the servers are away, where a test takes them away.
const AWAY: Duration = Duration::from_secs(3);

/// A request to people who answer, are busy, or answer and press nothing.
fn crowd(id: &str, people: usize) -> Value {
    let flow = json!([
        {"name": "gather", "maxRetries": 1, "timeoutSecs": 2, "message": {"msg": "Press one."}, "branches": [
            {"digit": "1", "callFlow": {"steps": [says("One.")]}},
            {"default": true, "callFlow": {"steps": [says("Goodbye.")]}},
        ]},
    ]);
    let kinds = ["15", "10", "20"].into_iter().cycle().take(people);
    let mut document = request(id, "+9991", &flow);
    document["destinations"] = kinds.map(|kind| json!({"phone": number(kind, "")})).collect();
    document["ringTimeoutSecs"] = json!(5);
    document
}

/// What must hold of a request that is over, whatever happened: the phone network's own log says who was dialled.
fn holds(bed: &Bed, world: &World, id: &str) -> Vec<Value> {
    world.wait_for(id, "request.completed", 1);
    let status = world.answer(&["status", id]);
    let calls = status["details"].as_array().unwrap().clone();
    for call in &calls {
        let phone = call["destination"].as_str().unwrap();
        let (invites, attempts) = (bed.carrier.invites(phone), call["attempts"].as_array().unwrap().len());
        assert!(invites <= attempts, "{phone} was dialled {invites} times in {attempts} attempts: {call:#}");
        assert!(["completed", "failed", "unknown"].contains(&call["status"].as_str().unwrap()), "{call:#}");
    }
    let slots = || {
        let findings = world.run(&["doctor", "--json"]).out;
        let found: Vec<Value> = findings.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        found.iter().any(|finding| finding.to_string().contains("default uses 0 of"))
    };
    assert!(slots(), "no slot is held any more: {}", world.run(&["doctor"]).out);
    calls
}

fn answered(calls: &[Value]) -> usize {
    calls.iter().filter(|call| call["status"] == "completed").count()
}

fn address(bed: &Bed) -> SocketAddr {
    let url = bed.url();
    url.trim_start_matches("http://").split('/').next().unwrap().parse().unwrap()
}

#[test]
fn asterisk_is_killed_and_started_again() {
    let bed = Bed::start();
    let mut world = deployment(&bed, &bed.url());
    world.add_worker(&name());
    world.submit(&crowd("killed", 15));
    world.wait_for("killed", "call.answered", 2);
    bed.ours.kill();
    std::thread::sleep(AWAY);
    bed.ours.start_again();
    let calls = holds(&bed, &world, "killed");
    assert!(answered(&calls) >= 5, "dialling goes on by itself: {calls:#?}");
}

#[test]
fn the_socket_of_events_is_cut_again_and_again() {
    let (bed, runtime) = (Bed::start(), Runtime::new().unwrap());
    let proxy = runtime.block_on(Proxy::before(address(&bed), Faults::default()));
    let mut world = deployment(&bed, &format!("http://127.0.0.1:{}/ari", proxy.port()));
    world.add_worker(&name());
    world.submit(&crowd("cut", 12));
    for answers in 1..=4 {
        world.wait_for("cut", "call.answered", answers);
        proxy.cut();
    }
    let calls = holds(&bed, &world, "cut");
    assert!(answered(&calls) >= 6, "{calls:#?}");
}

#[test]
fn asterisk_is_slow_and_then_says_nothing() {
    let (bed, runtime) = (Bed::start(), Runtime::new().unwrap());
    let slow = Faults { latency: Duration::from_millis(150), ..Faults::default() };
    let proxy = runtime.block_on(Proxy::before(address(&bed), slow));
    let mut world = deployment(&bed, &format!("http://127.0.0.1:{}/ari", proxy.port()));
    world.add_worker(&name());
    world.submit(&crowd("slow", 12));
    for (answers, fault) in [
        (1, Faults { swallow_replies: true, ..slow }),
        (2, Faults { black_hole: true, ..slow }),
        (3, Faults { refuse: true, ..slow }),
    ] {
        world.wait_for("slow", "call.answered", answers);
        proxy.set(fault);
        std::thread::sleep(AWAY);
        proxy.cut();
        proxy.set(slow);
    }
    let calls = holds(&bed, &world, "slow");
    assert!(answered(&calls) >= 6, "{calls:#?}");
}

#[test]
fn every_fifth_command_fails_in_some_way() {
    for mood in [Mood::Refuses, Mood::DoesAndFails, Mood::DoesAndSaysNothing] {
        let (bed, runtime) = (Bed::start(), Runtime::new().unwrap());
        let grumbler = runtime.block_on(Grumbler::before(address(&bed), mood, 5));
        let mut world = deployment(&bed, &format!("http://127.0.0.1:{}/ari", grumbler.port()));
        world.add_worker(&name());
        let id = format!("{mood:?}");
        world.submit(&crowd(&id, 9));
        let calls = holds(&bed, &world, &id);
        assert!(answered(&calls) >= 2, "{calls:#?}");
        assert!(grumbler.struck() >= 4, "it was in the way");
    }
}
