//! Events as they come, and what was missed of them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Client, World, answered, request};

/// Somebody who listens.
pub struct Ear {
    response: reqwest::Response,
    text: String,
}

/// What they were told: the place in the log, the type, the CloudEvent.
pub type Heard = (String, String, Value);

impl Ear {
    pub async fn of(client: &Client, query: &str, seen: Option<&str>) -> Self {
        let mut asked = client.ask(Method::GET, &format!("/v1/events{query}"));
        if let Some(seen) = seen {
            asked = asked.header("Last-Event-ID", seen);
        }
        let mut response = asked.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        // Whoever has been greeted hears everything from then on.
        let greeting = response.chunk().await.unwrap().unwrap();
        Self { response, text: String::from_utf8(greeting.to_vec()).unwrap() }
    }

    /// The next event; none when the stream has ended.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let (Some(id), Some(kind), Some(data)) = (field("id: "), field("event: "), field("data: ")) {
                    return Some((id, kind, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything up to an event of a type.
    pub async fn until(&mut self, kind: &str) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.next().await.unwrap());
            if heard.last().unwrap().1 == kind {
                return heard;
            }
        }
    }
}

fn kinds(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|(_, kind, _)| kind.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_to_those_whose_they_are() {
    let world = World::new().await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    let (mut ear, mut other) = (Ear::of(&bank, "", None).await, Ear::of(&clinic, "", None).await);
    bank.post("/v1/call", &request("r", &["+9991000001"])).await.ok();
    let heard = ear.until("request.completed").await;
    for kind in ["request.accepted", "call.dialing", "call.ringing", "call.answered", "step.started", "call.ended"] {
        assert!(kinds(&heard).contains(&kind), "{kind}: {:?}", kinds(&heard));
    }
    assert!(heard.iter().all(|(_, kind, event)| event["type"] == format!("robocall.{kind}")));
    assert!(heard.windows(2).all(|pair| pair[0].0.parse::<u64>().unwrap() < pair[1].0.parse::<u64>().unwrap()));
    // The clinic hears its own and nothing of the bank's.
    clinic.post("/v1/call", &request("r", &["+9992000001"])).await.ok();
    let heard = other.until("request.completed").await;
    assert!(heard.iter().all(|(_, _, event)| event["source"] == "/robocall/clinic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_for_is_told() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let mut by_request = Ear::of(&bank, "?requestId=second", None).await;
    let mut by_type = Ear::of(&bank, "?types=call.ended,request", None).await;
    for name in ["first", "second"] {
        bank.post("/v1/call", &request(name, &["+9991000001", "+9991000002"])).await.ok();
        bank.until(&format!("/v1/status/{name}"), |status| status["status"] == "completed").await;
    }
    let heard = by_request.until("request.completed").await;
    assert!(heard.iter().all(|(_, _, event)| event["subject"].as_str().unwrap().starts_with("second")));
    let mut heard = by_type.until("request.completed").await;
    heard.extend(by_type.until("request.completed").await);
    assert!(kinds(&heard).iter().all(|kind| *kind == "call.ended" || kind.starts_with("request.")));
    assert_eq!(kinds(&heard).iter().filter(|kind| **kind == "call.ended").count(), 4);
    let call = bank.get("/v1/status/second").await.ok()["details"][1]["callId"].as_str().unwrap().to_owned();
    let mut of_call = Ear::of(&bank, &format!("?callId={call}"), Some("0")).await;
    let heard = of_call.until("call.ended").await;
    assert!(heard.iter().all(|(_, _, event)| event["subject"] == format!("second/{call}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_misses_nothing_and_hears_nothing_twice() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.send(Method::PATCH, "/v1/organisation", &json!({"limit": 50})).await.ok();
    let mut whole = Ear::of(&bank, "?types=call.ended,request.completed", None).await;
    let phones: Vec<String> = (0..60).map(|index| format!("+99910{index:05}")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    bank.post("/v1/call", &request("r", &phones)).await.ok();
    // Somebody who hangs up after every third event.
    let (mut pieces, mut seen) = (Vec::new(), "0".to_owned());
    'listening: loop {
        let mut ear = Ear::of(&bank, "?types=call.ended,request.completed", Some(&seen)).await;
        for _ in 0..3 {
            let event = ear.next().await.unwrap();
            seen.clone_from(&event.0);
            pieces.push(event);
            if pieces.last().unwrap().1 == "request.completed" {
                break 'listening;
            }
        }
    }
    assert_eq!(pieces, whole.until("request.completed").await);
    assert_eq!(kinds(&pieces).iter().filter(|kind| **kind == "call.ended").count(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_listened_to_is_refused() {
    let world = World::with(|api| api.event_streams = 1).await;
    let bank = world.client("bank").await;
    for (query, path) in [("?types=call.sneezed", "types"), ("?callId=7", "callId"), ("?type=call", "type")] {
        assert_eq!(bank.get(&format!("/v1/events{query}")).await.refused(400), ("invalid", vec![path]));
    }
    let seen = bank.ask(Method::GET, "/v1/events").header("Last-Event-ID", "yesterday");
    assert_eq!(answered(seen).await.refused(400), ("invalid", vec!["Last-Event-ID"]));
    let ear = Ear::of(&bank, "", None).await;
    assert_eq!(bank.get("/v1/events").await.refused(503).0, "unavailable", "there is room for one");
    drop(ear);
    // The place is free as soon as it is seen that nobody listens: with what is sent next, at the latest.
    let mut tries = 0;
    while bank.ask(Method::GET, "/v1/events").send().await.unwrap().status() != 200 {
        bank.post("/v1/call", &request(&format!("r{tries}"), &["+9992000001"])).await.ok();
        tries += 1;
        assert!(tries < 1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the interface is asked in real time")]
async fn a_stream_ends_when_its_key_is_revoked() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let mut ear = Ear::of(&bank, "", None).await;
    let id = bank.key.parse::<robocall::model::ApiKey>().unwrap().id().clone();
    world.playground.keys().revoke(None, &id).await.unwrap().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), ear.next()).await.unwrap();
    assert_eq!(ended, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_noted_about_a_call_is_told_once_with_who_noted_it() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &request("r", &["+9991000001"])).await.ok();
    let ended = bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    let call = ended["details"][0]["callId"].clone();
    let path = format!("/v1/calls/{}", call.as_str().unwrap());
    let mut ear = Ear::of(&bank, "?requestId=r&types=command.executed", None).await;
    let flag = |id: &str, yes: bool| {
        let asked = bank.ask(Method::PATCH, &format!("{path}/customer_flag")).header("Idempotency-Key", id);
        answered(asked.json(&json!({"bad_actor": yes})))
    };
    for _ in 0..2 {
        assert_eq!(flag("note-1", true).await.ok()["bad_actor"], true);
    }
    assert_eq!(flag("note-1", false).await.refused(409), ("conflict", vec!["Idempotency-Key"]));
    let disposed = bank.ask(Method::POST, &format!("{path}/disposition")).header("Idempotency-Key", "note-2");
    answered(disposed.json(&json!({"disposition": "Sold"}))).await.ok();
    let mut seen = 0;
    for (name, id) in [("customerFlag", "note-1"), ("disposition", "note-2")] {
        let (_, _, event) = ear.next().await.unwrap();
        assert_eq!((&event["subject"], &event["data"]["requestId"]), (&json!("r"), &json!("r")));
        let command = json!({"name": name, "id": id, "actor": "a test", "callId": call});
        assert_eq!(event["data"]["command"], command);
        let seq = event["data"]["seq"].as_u64().unwrap();
        assert!(seq > seen, "each is an event of its own");
        seen = seq;
    }
}
