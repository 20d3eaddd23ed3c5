//! Noting things about calls.

use reqwest::Method;
use robocall::model::Scope;
use serde_json::{Value, json};

use crate::world::{Client, World, long_request, request};

/// The id of the only call of a request, once it has ended.
async fn ended_call(client: &Client, request: &str) -> String {
    let path = format!("/v1/status/{request}");
    let status = client.until(&path, |status| status["status"] == "completed").await;
    status["details"][0]["callId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_call_was_with_is_noted_bit_by_bit_and_shown_with_the_call() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &request("r", &["+9991000001"])).await.ok();
    let call = ended_call(&bank, "r").await;
    let path = format!("/v1/calls/{call}/customer_flag");
    let unknown = json!({"verified_customer": null, "bad_actor": null, "repeat_customer": null});
    assert_eq!(bank.get(&path).await.ok(), unknown);
    let shown = bank.get(&format!("/v1/calls/{call}")).await.ok();
    assert_eq!((&shown["customerFlag"], &shown["agentDisposition"]), (&unknown, &Value::Null));
    assert_eq!(shown.get("notes"), Some(&Value::Null));

    let note = async |body: Value| bank.send(Method::PATCH, &path, &body).await.ok();
    assert_eq!(note(json!({})).await, unknown);
    note(json!({"verified_customer": "true", "repeat_customers": false})).await;
    note(json!({"repeat_customer": true, "repeat_customers": "true", "verified_customer": null})).await;
    let known = json!({"verified_customer": true, "bad_actor": false, "repeat_customer": true});
    assert_eq!(note(json!({"bad_actor": false})).await, known);
    assert_eq!(bank.get(&path).await.ok(), known);
    assert_eq!(bank.get(&format!("/v1/calls/{call}")).await.ok()["customerFlag"], known);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_can_be_noted_about() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &long_request("r", "+9991000001")).await.ok();
    let calls = bank.until("/v1/calls", |calls| calls[0]["callState"] == "ACTIVE").await;
    let path = format!("/v1/calls/{}/customer_flag", calls[0]["uii"].as_str().unwrap());
    bank.send(Method::PATCH, &path, &json!({"bad_actor": true})).await.ok();
    assert_eq!(bank.get(&path).await.ok()["bad_actor"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_another_organisation_are_not_found_and_changing_them_needs_its_scope() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &request("r", &["+9991000001"])).await.ok();
    let call = ended_call(&bank, "r").await;
    let path = format!("/v1/calls/{call}/customer_flag");
    let mark = json!({"bad_actor": true});
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.get(&path).await.refused(404).0, "notFound");
    assert_eq!(clinic.send(Method::PATCH, &path, &mark).await.refused(404).0, "notFound");
    let reader = world.client_for("bank", &[Scope::Read, Scope::Submit]).await;
    assert_eq!(reader.send(Method::PATCH, &path, &mark).await.refused(403).0, "forbidden");
    assert_eq!(reader.get(&path).await.ok()["bad_actor"], Value::Null);
    // The request is there, but has no such call.
    let other = format!("/v1/calls/{}1/customer_flag", call.strip_suffix('0').unwrap());
    assert_eq!(bank.get(&other).await.refused(404).0, "notFound");
    assert_eq!(bank.send(Method::PATCH, &other, &mark).await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_that_mean_nothing_are_refused_at_once_and_change_nothing() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &request("r", &["+9991000001"])).await.ok();
    let path = format!("/v1/calls/{}/customer_flag", ended_call(&bank, "r").await);
    let wrong = json!({"verified_customer": true, "bad_actor": 1, "repeat_customer": true, "repeat_customers": false, "bad": 1});
    let refused = bank.send(Method::PATCH, &path, &wrong).await;
    assert_eq!(refused.refused(400), ("invalid", vec!["bad_actor", "repeat_customers", "bad"]));
    assert_eq!(bank.get(&path).await.ok()["verified_customer"], Value::Null);
}
