//! `robocall doctor`: what it says of a deployment that is well, and of one that is not.

use std::fs::File;

use serde_json::{Value, json};

use crate::support::{Said, Scratch};
use crate::world::{PASSWORD, Process, STAYS, World, request};

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
    assert_eq!(of(&found, "workers"), ("ok", "1 lives"));
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
fn the_log_of_the_interface_names_organisations_that_cannot_be_read() {
    let world = World::start("1");
    for org in ["bank", "shop"] {
        assert_eq!(world.given(&request("r", &STAYS[..1]), &["submit", "-", "--org", org]).code, 0);
        world.wait_for_of(org, "r", "call.answered", 1);
    }
    let mut database = ::redis::Client::open(crate::redis::shared().url()).unwrap().get_connection().unwrap();
    for key in ["{bank}:o", "{shop}:external"] {
        let key = format!("{}:{key}", world.prefix());
        ::redis::cmd("SET").arg(key).arg("not ours").query::<()>(&mut database).unwrap();
    }
    let log = Scratch::with("api.log", "");
    let (interface, _) = world.watched(&["api", "--listen", "127.0.0.1:0", "--json"]);
    let (_interface, _) = Process::start_logging(interface, File::create(log.name()).unwrap());
    let names = |text: &str, org: &str| text.lines().any(|line| line.contains("WARN") && line.contains(org));
    assert!((0..1000).any(|_| {
        // Each look takes a while.
        assert_eq!(world.run(&["dead", "list"]).code, 0);
        let text = log.text();
        names(&text, "organisation=bank") && names(&text, "organisation=shop")
    }));
}

#[test]
fn calls_that_the_phone_network_does_not_have_are_noticed() {
    let mut world = World::start("1");
    world.submit(&request("r", &STAYS[..1]));
    world.wait_for("r", "call.answered", 1);
    // The worker is gone at once; its lease is still good, its leg hangs in the air until the network forgets it.
    world.kill_worker();
    world.replace_phones();
    world.add_worker("another");
    let said = world.run(&["doctor", "--json"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let (status, message) = (findings(&said), "1 of 1 are not at the phone network");
    assert!(of(&status, "live calls").1.starts_with(message), "{status:?}");
}

#[test]
fn requests_that_wait_for_nobody_are_noticed() {
    let mut world = World::without_worker("20");
    let found = findings(&world.run(&["doctor", "--json"]));
    assert_eq!(of(&found, "requests"), ("ok", "none waits"));
    assert_eq!(of(&found, "workers"), ("warn", "none lives, and nothing is to be dialled now"));
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

#[test]
fn whoever_waits_while_no_worker_lives_is_noticed_whatever_the_organisation() {
    let mut world = World::start("1");
    for org in ["bank", "shop"] {
        world.answer(&["org", "set", "--org", org, "--limit", "1"]);
        let said = world.given(&request("r", &STAYS), &["submit", "-", "--org", org, "--json"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        world.wait_for_of(org, "r", "call.answered", 1);
    }
    let said = world.run(&["doctor", "--json"]);
    let found = findings(&said);
    assert_eq!(said.code, 0, "{found:?}");
    assert_eq!(of(&found, "slots"), ("ok", "2 organisations use 2 of 2, others 0"));
    assert_eq!(of(&found, "live calls"), ("ok", "2, and all of them at the phone network"));
    world.kill_worker();
    let mut found = Vec::new();
    // The broker takes a moment to see that the worker has gone.
    assert!((0..100).any(|_| {
        let said = world.run(&["doctor", "--json"]);
        found = findings(&said);
        said.code == 4
    }));
    let message = "none lives, 4 destinations could be dialled now, 2 slots of calls that nobody looks after";
    assert_eq!(of(&found, "workers"), ("fail", message));
    let one = findings(&world.run(&["doctor", "--org", "shop", "--json"]));
    let message = "none lives, 2 destinations could be dialled now, 1 slot of calls that nobody looks after";
    assert_eq!(of(&one, "workers"), ("fail", message));
    let nothing = findings(&world.run(&["doctor", "--org", "nobody", "--json"]));
    assert_eq!(of(&nothing, "workers").0, "warn");
    assert_eq!(of(&nothing, "slots"), ("ok", "nobody uses 0 of 6, others 0"));
}

#[test]
fn organisations_that_cannot_be_read_hide_no_other() {
    let world = World::start("1");
    for org in ["bank", "shop", "mill"] {
        let said = world.given(&request("r", &STAYS[..1]), &["submit", "-", "--org", org, "--json"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        world.wait_for_of(org, "r", "call.answered", 1);
    }
    let harm = |key: &str, text: &str| {
        let mut database = ::redis::Client::open(crate::redis::shared().url()).unwrap().get_connection().unwrap();
        ::redis::cmd("SET").arg(format!("{}:{key}", world.prefix())).arg(text).query::<()>(&mut database).unwrap();
    };
    harm("{bank}:o", "not ours");
    harm("{shop}:external", "several");
    let said = world.run(&["doctor", "--json"]);
    let found = findings(&said);
    assert_eq!(said.code, 4, "{found:?}");
    let slots: Vec<&str> =
        found.iter().filter(|(check, ..)| check == "slots").map(|(.., message)| &**message).collect();
    let [bank, shop, mill] = slots[..] else { panic!("{slots:?}") };
    assert!(bank.starts_with("of bank they cannot be read, nothing is dialled: "), "{bank}");
    assert_eq!(shop, "what others use of shop's cannot be read: nothing is dialled");
    assert_eq!(mill, "mill uses 1 of 6, others 0");
    world.answer(&["org", "set", "--org", "mill", "--limit", "0"]);
    let listed = world.answer(&["org", "list"]);
    let rows = listed["organisations"].as_array().unwrap();
    let [bank, mill, shop] = &rows[..] else { panic!("{listed}") };
    assert!(bank["wrong"].as_str().unwrap().starts_with("it cannot be read: "), "{bank}");
    assert_eq!((&bank["organisation"], &bank["slots"]), (&json!("bank"), &Value::Null));
    assert_eq!(mill["slots"], json!({"limit": 0, "external": 0, "leased": 1, "suspect": 0}));
    assert_eq!(mill["wrong"], "1 slot taken that the limit does not allow: nothing is dialled");
    assert_eq!(shop["slots"], json!({"limit": 6, "external": null, "leased": 1, "suspect": 0}));
    assert_eq!(shop["wrong"], "what others use is no number: nothing is dialled");
    let words = world.run(&["org", "list"]).out;
    assert!(words.ends_with("\n3 organisations, something is wrong with 3\n"), "{words}");
}

#[test]
fn whoever_waits_is_listed_with_its_organisation() {
    let world = World::start("1");
    assert_eq!(world.run(&["org", "list"]).out, "No organisation has had any requests.\n");
    world.answer(&["org", "set", "--limit", "1"]);
    world.submit(&request("r", &STAYS));
    world.wait_for("r", "call.answered", 1);
    let listed = world.answer(&["org", "list"]);
    let slots = json!({"limit": 1, "external": 0, "leased": 1, "suspect": 0});
    let row = json!({"organisation": "default", "slots": slots, "waiting": 2, "wrong": null});
    assert_eq!(listed, json!({"organisations": [row]}));
}

#[test]
fn a_database_that_lost_something_is_said_to_keep_calls_from_being_claimed_and_until_when() {
    let world = World::start("1");
    world.submit(&request("r", &STAYS[..1]));
    world.wait_for("r", "call.answered", 1);
    let mut database = ::redis::Client::open(crate::redis::shared().url()).unwrap().get_connection().unwrap();
    ::redis::cmd("DEL").arg(format!("{}:{{ring}}:life", world.prefix())).query::<()>(&mut database).unwrap();
    let mut told = String::new();
    assert!((0..100).any(|_| {
        let found = findings(&world.run(&["doctor", "--json"]));
        let loss = found.iter().find(|(check, status, _)| check == "losses" && status == "warn");
        told = loss.map(|(.., message)| message.clone()).unwrap_or_default();
        loss.is_some()
    }));
    let time = told.strip_prefix("nothing is claimed until ").and_then(|rest| rest.strip_suffix(" UTC"));
    assert!(time.is_some_and(|time| time.len() == "09:00:00".len()), "{told}");
}
