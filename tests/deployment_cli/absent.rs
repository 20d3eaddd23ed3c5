//! Servers that do not answer: each command says which, where, and nothing of its password.

use serde_json::Value;

use crate::support::Scratch;
use crate::world::{BUSY, PASSWORD, World, request};

fn refuses(world: &World, server: &str, commands: &[&[&str]]) {
    for command in commands {
        let said = world.run(command);
        assert_eq!(said.code, 4, "{command:?}: {}{}", said.out, said.err);
        let start = format!("failed: {server} at 127.0.0.1:");
        assert!(said.err.starts_with(&start) && said.err.lines().count() == 1, "{command:?}: {}", said.err);
        assert!(said.err.contains("does not answer") && !said.err.contains(PASSWORD), "{command:?}: {}", said.err);
        let said = world.run(&[*command, &["--json"]].concat());
        let answer: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((said.code, answer["status"].as_str()), (4, Some("unavailable")));
    }
}

#[test]
fn without_a_broker_nothing_is_submitted_told_or_read() {
    let file = Scratch::with("absent.json", &request("r", &[BUSY]).to_string());
    refuses(
        &World::without("broker"),
        "the broker",
        &[
            &["submit", file.name()],
            &["tail"],
            &["dead", "list"],
            &["request", "pause", "r"],
            &["call", "hangup", "617b68823ba3527a7499-0"],
        ],
    );
}

#[test]
fn without_a_database_nothing_is_known() {
    let file = Scratch::with("unknown.json", &request("r", &[BUSY]).to_string());
    refuses(
        &World::without("database"),
        "the database",
        &[
            &["status", "r"],
            &["calls"],
            &["org", "show"],
            &["org", "set", "--limit", "2"],
            &["org", "key", "add", "--label", "crm"],
            &["org", "key", "list"],
            &["org", "key", "revoke", "0123456789ab"],
            &["submit", file.name(), "--watch"],
        ],
    );
}

#[test]
fn a_database_that_does_not_let_us_in_is_said_to() {
    let strict = crate::redis::Redis::with(&["--save", "", "--appendonly", "no", "--requirepass", "another"]);
    let url = strict.url().replace("redis://", &format!("redis://:{PASSWORD}@"));
    let world = World::of_servers("amqp://127.0.0.1:1/%2f", &url, "127.0.0.1:1");
    refuses(&world, "the database", &[&["status", "r"], &["org", "show"]]);
}

#[test]
fn a_broker_that_does_not_let_us_in_is_said_to() {
    let url = crate::world::broker().url().replace("guest:guest", &format!("guest:{PASSWORD}"));
    let world = World::of_servers(&url, "redis://127.0.0.1:1/", "127.0.0.1:1");
    let said = world.run(&["dead", "list"]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("ACCESS") && !said.err.contains(PASSWORD), "{}", said.err);
}
