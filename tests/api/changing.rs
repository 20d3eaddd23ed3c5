//! What is told of changing an organisation.

use reqwest::Method;
use serde_json::{Value, json};

use crate::listening::Ear;
use crate::world::{Client, World, answered, request};

const PHONE: &str = "/v1/do-not-call/+9991000007";

/// Whether an event has the id of an organisation's own of that number.
fn is_called(event: &Value, organisation: &str, seq: u32) -> bool {
    let id = event["id"].as_str().unwrap();
    id.starts_with(&format!("{organisation}.")) && id.ends_with(&format!(".o.{seq}"))
}

async fn under(client: &Client, id: &str, method: Method, path: &str, body: &Value) {
    answered(client.ask(method, path).header("Idempotency-Key", id).json(body)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_organisation_is_told_to_it_alone_and_without_what_it_was_changed_to() {
    let world = World::new().await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    let (mut ear, mut other) = (Ear::of(&bank, "", None).await, Ear::of(&clinic, "", None).await);
    let settings = json!({"limit": 3, "weight": 1, "callerIds": ["+6531580000"]});
    under(&bank, "change-1", Method::PATCH, "/v1/organisation", &settings).await;
    // Nothing is other than it was, and what is refused is not done.
    under(&bank, "change-2", Method::PATCH, "/v1/organisation", &settings).await;
    assert_eq!(bank.send(Method::PATCH, "/v1/organisation", &json!({"limit": -1})).await.code.as_u16(), 400);
    assert_eq!(bank.delete(PHONE).await.code.as_u16(), 404);
    under(&bank, "list-1", Method::PUT, PHONE, &json!({})).await;
    under(&bank, "list-2", Method::PUT, PHONE, &json!({})).await;
    under(&bank, "list-3", Method::DELETE, PHONE, &json!({})).await;
    clinic.send(Method::PUT, PHONE, &json!({})).await.ok();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(ear.next().await.unwrap());
    }
    for ((_, kind, event), (seq, name, id, changed)) in told.iter().zip([
        (1, "organisation", "change-1", json!(["callerIds", "limit"])),
        (2, "doNotCall", "list-1", json!(["numberAdded"])),
        (3, "doNotCall", "list-3", json!(["numberRemoved"])),
    ]) {
        assert_eq!((kind.as_str(), &event["type"]), ("command.executed", &json!("robocall.command.executed")));
        assert!(is_called(event, "bank", seq) && event["subject"] == "organisation", "{event}");
        let command = json!({"name": name, "id": id, "actor": "a test"});
        assert_eq!(event["data"], json!({"seq": seq, "command": command, "changed": changed}));
        let text = event.to_string();
        assert!(!text.contains("1000007") && !text.contains("31580000"), "{text}");
    }
    let (_, _, event) = other.next().await.unwrap();
    assert!(is_called(&event, "clinic", 1) && event["source"] == "/robocall/clinic", "{event}");
    assert_eq!(event["data"]["command"]["id"].as_str().map(str::len), Some(32), "one that nobody else has");

    // Of a request that is called so nothing of this is told.
    let mut of_request = Ear::of(&bank, "?requestId=organisation", None).await;
    under(&bank, "list-4", Method::PUT, PHONE, &json!({})).await;
    let (_, _, event) = ear.next().await.unwrap();
    assert!(is_called(&event, "bank", 4), "{event}");
    bank.post("/v1/call", &request("organisation", &["+9991000001"])).await.ok();
    let mut heard = of_request.until("request.completed").await;
    let mut missed = Ear::of(&bank, "?requestId=organisation", Some("0")).await;
    heard.extend(missed.until("request.completed").await);
    assert!(heard.iter().all(|(_, _, event)| event["data"]["requestId"] == "organisation"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_under_what_is_no_id_is_refused_and_not_made() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let too_long = "x".repeat(129);
    for (method, path) in [(Method::PATCH, "/v1/organisation"), (Method::PUT, PHONE), (Method::DELETE, PHONE)] {
        let asked = bank.ask(method, path).header("Idempotency-Key", &too_long).json(&json!({"limit": 3}));
        assert_eq!(answered(asked).await.refused(400), ("invalid", vec!["Idempotency-Key"]));
    }
    assert_eq!(bank.get("/v1/organisation").await.ok()["settings"]["limit"], 6);
    assert_eq!(bank.get(PHONE).await.code.as_u16(), 404);
}
