//! The interface over HTTP between real servers, with several workers and two processes that serve it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use robocall::adapters::amqp::{AmqpSettings, Client, Topology};
use robocall::adapters::clock::SystemClock;
use serde_json::Value;

use crate::world::World;

fn key(world: &World, organisation: &str) -> String {
    let scopes = "submit,read,supervise,admin";
    let made = world.answer(&["org", "key", "add", "--org", organisation, "--label", "client", "--scopes", scopes]);
    made["apiKey"].as_str().unwrap().to_owned()
}

#[test]
fn a_client_in_another_language_runs_a_campaign_over_two_workers() {
    let mut world = World::start("20");
    world.add_worker("w2");
    let base = world.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/client.py");
    let asked = Command::new("python3").arg("-B").args([script, &base, &key(&world, "bank")]).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
}

/// What is answered to somebody with a key.
fn curl(key: &str, args: &[&str]) -> Value {
    let header = format!("x-credential-api-key: {key}");
    let said = Command::new("curl").args(["-sS", "-H", &header]).args(args).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).unwrap()
}

/// Hands in a request of two people, again if the process is not connected yet.
fn submit(key: &str, base: &str, id: &str) -> Value {
    let request = crate::world::request(id, &[crate::world::PRESSES, crate::world::BUSY]).to_string();
    let handed_in =
        || curl(key, &["-H", "content-type: application/json", "--data", &request, &format!("{base}/v1/call")]);
    (0..60).map(|_| handed_in()).find(|said| said["status"] != "unavailable").expect("the broker lets it in")
}

#[test]
fn a_request_that_waits_for_a_worker_is_submitted_to_whoever_asks() {
    let mut world = World::without_worker("20");
    let (one, other) = (world.serve(), world.serve());
    let (bank, shop) = (key(&world, "bank"), key(&world, "shop"));
    let submitted = submit(&bank, &one, "r1");
    assert_eq!((&submitted["status"], &submitted["total"]), (&"submitted".into(), &2.into()));
    let status = |key: &str| curl(key, &[&format!("{other}/v1/status/r1")]);
    assert_eq!(status(&bank), submitted);
    assert_eq!(status(&shop)["status"], "notFound", "another organisation's");
    world.add_worker("w1");
    world.wait_for_of("bank", "r1", "request.completed", 1);
    assert_eq!(status(&bank)["status"], "completed");
}

#[test]
fn a_request_that_was_refused_and_waits_again_put_right_is_submitted() {
    let mut world = World::without_worker("20");
    let (base, bank) = (world.serve(), key(&world, "bank"));
    let worker = world.own_worker("w1");
    // By somebody who has it checked by nobody before.
    let mut settings = AmqpSettings::at(crate::world::broker().url().into());
    settings.names = Topology::prefixed(&format!("{}.", world.prefix())).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::new(settings, std::sync::Arc::new(SystemClock::new())).unwrap();
        client.submit(&"bank".parse().unwrap(), br#"{"requestId": "r1"}"#).await.unwrap();
    });
    world.wait_for_of("bank", "r1", "request.rejected", 1);
    let status = || curl(&bank, &[&format!("{base}/v1/status/r1")]);
    assert_eq!(status()["status"], "failed");
    worker.drain();
    assert_eq!(submit(&bank, &base, "r1")["status"], "submitted");
    assert_eq!(status()["status"], "submitted");
    world.add_worker("w2");
    world.wait_for_of("bank", "r1", "request.completed", 1);
    assert_eq!(status()["status"], "completed");
}

#[test]
fn what_one_process_takes_in_another_tells_of() {
    let mut world = World::start("20");
    let (one, other) = (world.serve(), world.serve());
    let key = key(&world, "bank");
    let submit = |base: &str| submit(&key, base, "r1");
    assert_eq!(submit(&one)["status"], "submitted");
    world.wait_for_of("bank", "r1", "request.completed", 1);
    let status = curl(&key, &[&format!("{other}/v1/status/r1")]);
    assert_eq!((&status["status"], status["details"].as_array().unwrap().len()), (&"completed".into(), 2));
    assert_eq!(submit(&other)["status"], "completed", "it is known, wherever it came in");
}

#[test]
fn a_listener_hears_on_when_the_log_of_events_is_deleted_and_begun_anew() {
    let mut world = World::start("20");
    let base = world.serve();
    let header = format!("x-credential-api-key: {}", key(&world, "bank"));
    let mut listening = Command::new("curl");
    // Whoever asks before it is connected is told to come again.
    listening
        .args(["-sSN", "--retry", "60", "-H", &header, &format!("{base}/v1/events?types=request")])
        .stdout(Stdio::piped());
    let mut curl = listening.spawn().unwrap();
    let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |wanted: &str| {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != wanted) {
            heard.push(lines.next().expect("curl has ended"));
            assert!(heard.len() < 10_000, "{wanted}: {heard:#?}");
        }
        heard
    };
    until(": robocall");
    let submit = |id: &str| {
        let request = crate::world::request(id, &[crate::world::BUSY]);
        let said = world.given(&request, &["submit", "-", "--org", "bank", "--json"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    };
    submit("before");
    until("event: request.completed");
    crate::world::broker().control(&["delete_queue", &format!("{}.robocall.events.log", world.prefix())]);
    submit("after");
    let heard = until("event: request.completed");
    let anew = heard.iter().position(|line| line == ": the log was begun anew").unwrap();
    let ids: Vec<&String> = heard[anew..].iter().filter(|line| line.starts_with("id: ")).collect();
    assert_eq!(ids[0], "id: 0");
    curl.kill().unwrap();
    curl.wait().unwrap();
}
