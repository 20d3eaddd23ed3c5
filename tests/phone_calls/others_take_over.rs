//! Workers die and are replaced; callees notice nothing but, at worst, a message said again.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;

use crate::proxy::{Faults, Proxy};
use crate::redis;
use crate::scene::{bed, deployment, details, name, number, request, says, steps};

/// A gather that nobody answers, and a word of goodbye.
fn asks_and_says_goodbye(timeout_secs: u32) -> serde_json::Value {
    json!([{
        "name": "gather", "maxRetries": 1, "timeoutSecs": timeout_secs,
        "message": {"msg": "Hello. Please press one to confirm your appointment on Monday."},
        "branches": [
            {"digit": "1", "callFlow": {"steps": [says("Thank you.")]}},
            {"default": true, "callFlow": {"steps": [says("Goodbye, and thank you for listening.")]}},
        ],
    }])
}

#[test]
fn a_worker_dies_while_a_key_is_waited_for() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url());
    let callee = number("15", "");
    world.add_worker(&name());
    world.submit(&request("dies", &callee, &asks_and_says_goodbye(8)));
    world.wait_for("dies", "step.started", 1);
    world.kill_worker();
    world.add_worker(&name());
    world.wait_for("dies", "call.ended", 1);

    let call = details(&world, "dies");
    assert_eq!((&call["status"], &call["disposition"]["by"]), (&json!("completed"), &json!("us")), "{call:#}");
    let done = |name: &str| (name.to_owned(), "success_ok".to_owned());
    assert_eq!(steps(&call), [done("gather"), done("play")], "it went on where it stood");
    assert_eq!(bed.carrier.invites(&callee), 1);
    // The question twice, and the goodbye; half a minute of silence in between.
    let heard = bed.carrier.heard(&callee);
    let (spoken, length) = (heard.louder_than(-45.0), heard.length());
    assert!(length > Duration::from_secs(30) && spoken > Duration::from_secs(5), "{spoken:?} of {length:?}");
}

#[test]
fn a_worker_that_was_cut_off_takes_nothing_back_when_its_network_heals() {
    let (bed, runtime) = (bed(), Runtime::new().unwrap());
    let address = |url: &str| url.split("://").last().unwrap().split('/').next().unwrap().parse().unwrap();
    let (ari, database) = (bed.url(), redis::shared().url());
    let before = |url: &str| runtime.block_on(Proxy::before(address(url), Faults::default()));
    let [to_ari, to_database] = [before(&ari), before(&database)];
    let through = |url: &str, proxy: &Proxy| {
        let address: SocketAddr = address(url);
        url.replace(&address.to_string(), &format!("127.0.0.1:{}", proxy.port()))
    };
    let (nodes, redis) = ("ROBOCALL__ASTERISK__NODES", "ROBOCALL__REDIS__URL");
    let mut world = deployment(bed, &through(&ari, &to_ari)).with([(redis, through(&database, &to_database))]);
    let callee = number("15", "");
    world.add_worker(&name());
    let mut document = request("cut-off", &callee, &asks_and_says_goodbye(12));
    document["maxCallDurationSecs"] = json!(300);
    world.submit(&document);
    world.wait_for("cut-off", "step.started", 1);
    let mut world = world.with([(nodes, ari.clone()), (redis, database.clone())]);
    for proxy in [&to_ari, &to_database] {
        proxy.set(Faults { black_hole: true, ..Faults::default() });
    }
    let other = name();
    world.add_worker(&other);
    let owner = || world.answer(&["calls", "--request", "cut-off"])["calls"][0]["worker"] == *other;
    let taken_over = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        owner()
    });
    assert!(taken_over, "{:#}", world.answer(&["calls"]));
    for proxy in [&to_ari, &to_database] {
        proxy.set(Faults::default());
    }
    world.wait_for("cut-off", "call.ended", 1);
    let call = details(&world, "cut-off");
    assert_eq!((&call["status"], &call["disposition"]["by"]), (&json!("completed"), &json!("us")), "{call:#}");
    let done = |name: &str| (name.to_owned(), "success_ok".to_owned());
    assert_eq!(steps(&call), [done("gather"), done("play")], "{call:#}");
    assert_eq!(bed.carrier.invites(&callee), 1);
    // Half a minute until it is taken over, and the two questions; once more taken over it lasts as much longer.
    let length = bed.carrier.heard(&callee).length();
    assert!(length > Duration::from_secs(45) && length < Duration::from_secs(70), "{length:?}");
}

#[test]
fn all_workers_are_replaced_while_somebody_listens() {
    let bed = bed();
    let mut world = deployment(bed, &bed.url()).with([("ROBOCALL__WORKER__GRACE_SECS", "1".to_owned())]);
    let callee = number("15", "");
    world.add_worker(&name());
    world.submit(&request("rolls", &callee, &asks_and_says_goodbye(15)));
    world.wait_for("rolls", "step.started", 1);
    world.stop_worker();
    world.add_worker(&name());
    world.wait_for("rolls", "call.ended", 1);
    let call = details(&world, "rolls");
    assert_eq!(call["status"], "completed", "{call:#}");
    let done = |name: &str| (name.to_owned(), "success_ok".to_owned());
    assert_eq!((steps(&call), bed.carrier.invites(&callee)), (vec![done("gather"), done("play")], 1));
}
