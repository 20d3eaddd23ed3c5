//! `robocall doctor`: what it says of a deployment that is well, and of one that is not.

use serde_json::Value;

use crate::support::Said;
use crate::world::{PASSWORD, STAYS, World, request};

/// What was found: check, status, message.
fn findings(said: &Said) -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(&said.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap().iter();
    checks.map(|found| (text(&found["check"]), text(&found["status"]), text(&found["message"]))).collect()
}

fn of<'a>(found: &'a [(String, String, String)], check: &str) -> (&'a str, &'a str) {
    let (_, status, message) = found.iter().find(|(name, ..)| name == check).unwrap();
    (status, message)
}

#[test]
fn a_deployment_that_is_well_is_told_so_line_by_line() {
    let world = World::start("1");
    world.submit(&request("r", &STAYS[..2]));
    world.wait_for("r", "call.answered", 2);
    let said = world.run(&["doctor", "--json"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let found = findings(&said);
    assert!(of(&found, "broker").1.starts_with("RabbitMQ "), "{found:?}");
    assert_eq!(of(&found, "requests"), ("ok", "0 wait, 1 worker takes them"));
    assert_eq!(of(&found, "commands"), ("ok", "0 wait, 1 worker takes them"));
    let broker = ["broker", "broker access", "event log", "dead letters"];
    for check in broker.iter().chain(&["settings", "database", "clocks", "phone network"]) {
        assert_eq!(of(&found, check).0, "ok", "{found:?}");
    }
    assert_eq!(of(&found, "slots"), ("ok", "default uses 2 of 6, others 0"));
    assert_eq!(of(&found, "live calls"), ("ok", "2, and all of them at the phone network"));
    // The database of these tests writes nothing to disk.
    assert_eq!(of(&found, "durability"), ("warn", "it keeps no log of what it writes"));
    let strict = world.run(&["doctor", "--deny-warnings"]);
    assert_eq!(strict.code, 2);
    assert!(strict.out.contains("warn  durability     it keeps no log of what it writes\n"), "{}", strict.out);
    assert!(strict.out.contains("→ set appendonly yes\n"), "{}", strict.out);
}

#[test]
fn each_server_that_is_down_is_named_and_the_others_are_looked_at() {
    for (server, check, advice) in [
        ("broker", "broker", "amqp.url"),
        ("database", "database", "redis.url"),
        ("phones", "phone network", "telephony.simulator"),
    ] {
        let world = World::without(server);
        let said = world.run(&["doctor", "--json"]);
        assert_eq!(said.code, 4, "{}", said.out);
        let found = findings(&said);
        for name in ["broker", "database", "phone network"] {
            let expected = if name == check { "fail" } else { "ok" };
            assert_eq!(of(&found, name).0, expected, "{server}: {found:?}");
        }
        assert!(of(&found, check).1.contains(" at 127.0.0.1:"), "{found:?}");
        assert!(said.out.contains(advice) && !said.out.contains(PASSWORD), "{}", said.out);
    }
}

#[test]
fn calls_that_the_phone_network_does_not_have_are_noticed() {
    let mut world = World::start("1");
    world.submit(&request("r", &STAYS[..1]));
    world.wait_for("r", "call.answered", 1);
    // The worker is gone at once; its lease is still good, its leg hangs in the air until the network forgets it.
    world.kill_worker();
    world.replace_phones();
    let said = world.run(&["doctor", "--json"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let (status, message) = (findings(&said), "1 of 1 are not at the phone network");
    assert!(of(&status, "live calls").1.starts_with(message), "{status:?}");
}

#[test]
fn requests_that_wait_for_nobody_are_noticed() {
    let mut world = World::without_worker("20");
    let found = findings(&world.run(&["doctor", "--json"]));
    assert_eq!(of(&found, "requests"), ("ok", "none waits, and there is no worker"));
    for id in ["r1", "r2"] {
        let unanswered = world.given(&request(id, &[STAYS[0]]), &["submit", "-", "--wait", "1"]);
        assert_eq!(unanswered.code, 5, "{}", unanswered.err);
    }
    let said = world.run(&["doctor", "--json"]);
    assert_eq!(of(&findings(&said), "requests"), ("warn", "2 wait, and there is no worker"));
    assert!(said.out.contains("start one: `robocall worker`"), "{}", said.out);
    world.add_worker("w1");
    world.wait_for("r2", "request.accepted", 1);
    let found = findings(&world.run(&["doctor", "--json"]));
    assert_eq!(of(&found, "requests"), ("ok", "0 wait, 1 worker takes them"));
}

#[test]
fn a_worker_that_takes_commands_and_no_requests_is_noticed() {
    let world = World::start("1");
    world.submit(&request("r", &STAYS[..1]));
    world.wait_for("r", "call.answered", 1);
    // Whoever stops lets go of the requests, and lives on with its call.
    world.stop_worker();
    let noticed = || {
        let found = findings(&world.run(&["doctor", "--json"]));
        assert_eq!(of(&found, "commands"), ("ok", "0 wait, 1 worker takes them"));
        of(&found, "requests") == ("warn", "0 wait, and no worker takes them, though 1 is there")
    };
    assert!((0..100).any(|_| noticed()));
}
