//! Having somebody called at a time, in the older form.

use std::time::Duration;

use reqwest::Method;
use robocall::model::Timestamp;
use serde_json::{Value, json};

use crate::world::{Answered, Client, World, answered, request};

const PATH: &str = "/v1/calls";

async fn world() -> World {
    World::with(|api| {
        api.menus.insert("9".to_owned(), "reminder".to_owned());
        api.menus.insert("web".to_owned(), "for a name".to_owned());
    })
    .await
}

fn call() -> Value {
    json!({
        "call_type": "Voice Scheduled (API)", "lang": "en", "menu_id": 9, "ticket_id": "76517",
        "end_user_number": "+1 859-657-9625", "scheduled_at": "2999-09-15T00:19:14.421Z",
        "recording_permission": "recording_permission_granted",
    })
}

fn with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
    let mut call = call();
    change(call.as_object_mut().unwrap());
    call
}

async fn with_key(client: &Client, key: &str, body: &Value) -> Answered {
    answered(client.ask(Method::POST, PATH).header("Idempotency-Key", key).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_called_at_the_time_with_the_flow_of_the_menu() {
    let world = world().await;
    let bank = world.client("bank").await;
    let made = bank.post(PATH, &call()).await;
    assert_eq!(made.code, 201);
    let made = made.ok();
    for (field, value) in [
        ("call_type", json!("Voice Scheduled (API)")),
        ("status", json!("scheduled")),
        ("parent_id", Value::Null),
        ("scheduled_at", json!("2999-09-15T00:19:14.421Z")),
        ("end_user_number", json!("+18596579625")),
        ("out_ticket_id", json!("76517")),
        ("recording_permission", json!("recording_permission_granted")),
        ("selected_menu", json!({"id": 9, "name": "reminder"})),
        ("connected_at", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let path = format!("/v1/status/{}", made["request_id"].as_str().unwrap());
    let status = bank.until(&path, |status| status["status"] == "scheduled").await;
    let detail = &status["details"][0];
    assert_eq!((&detail["callId"], &detail["externalId"]), (&made["id"], &json!("76517")));
    let shown = bank.get(&format!("/v1/calls/{}", made["id"].as_str().unwrap())).await.ok();
    assert_eq!((&shown["callType"], &shown["scheduledAt"]), (&json!("scheduled"), &made["scheduled_at"]));
    let key = robocall::ports::store::RequestKey {
        organisation: "bank".parse().unwrap(),
        request: made["request_id"].as_str().unwrap().parse().unwrap(),
    };
    let header = world.playground.store.request(&key).await.unwrap().header.unwrap();
    assert!(header.recording && header.flow.contains("Good morning."), "{}", header.flow);
    let denied = with(|call| call["recording_permission"] = json!("recording_permission_denied"));
    let denied = bank.post(PATH, &denied).await.ok();
    let key =
        robocall::ports::store::RequestKey { request: denied["request_id"].as_str().unwrap().parse().unwrap(), ..key };
    bank.until(&format!("/v1/status/{}", key.request), |status| status["status"] == "scheduled").await;
    assert!(!world.playground.store.request(&key).await.unwrap().header.unwrap().recording);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_idempotency_key_nobody_is_called_twice() {
    let world = world().await;
    let bank = world.client("bank").await;
    let first = with_key(&bank, "k", &call()).await.ok();
    let status = format!("/v1/status/{}", first["request_id"].as_str().unwrap());
    bank.until(&status, |status| status["status"] == "scheduled").await;
    let again = with_key(&bank, "k", &call()).await.ok();
    assert_eq!(again["id"], first["id"]);
    let other = with(|call| call["end_user_number"] = json!("+1 859-657-9626"));
    with_key(&bank, "k", &other).await.refused(409);
    assert_ne!(bank.post(PATH, &call()).await.ok()["id"], first["id"], "without a key it is another");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_again_when_the_time_has_passed_is_not_told_that_nobody_is_called() {
    let world = world().await;
    let bank = world.client("bank").await;
    let now = bank.post(PATH, &call()).await.ok()["created_at"].as_str().unwrap().to_owned();
    let soon = Timestamp::parse_rfc3339(&now).unwrap() + Duration::from_secs(60);
    let soon = with(|call| call["scheduled_at"] = json!(soon));
    let first = with_key(&bank, "k", &soon).await.ok();
    assert_eq!(first["status"], "scheduled");
    let status = format!("/v1/status/{}", first["request_id"].as_str().unwrap());
    bank.until(&status, |status| status["status"] == "completed").await;
    let again = with_key(&bank, "k", &soon).await.ok();
    assert_eq!((&again["id"], &again["status"]), (&first["id"], &json!("completed")));
    let other = with(|call| (call["scheduled_at"], call["menu_id"]) = (soon["scheduled_at"].clone(), json!("web")));
    with_key(&bank, "k", &other).await.refused(409);
    for key in ["another", "yet-another"] {
        assert_eq!(with_key(&bank, key, &soon).await.refused(400).1, ["scheduled_at"], "it was never asked for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_from_a_call_has_its_flow_and_what_is_known_of_one_is_not_said_to_another() {
    let world = world().await;
    let bank = world.client("bank").await;
    let mut before = request("r", &["+9991000001"]);
    before["callFlow"] = json!({"flow": "for a name"});
    before["destinations"][0]["properties"] = json!({"name": "Ann"});
    bank.post("/v1/call", &before).await.ok();
    let ended = bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    let parent = ended["details"][0]["callId"].clone();
    let again = |number: &str| {
        with(|call| {
            call.remove("menu_id");
            call.insert("call_id".to_owned(), parent.clone());
            call["end_user_number"] = json!(number);
        })
    };
    let made = bank.post(PATH, &again("+9991000001")).await.ok();
    assert_eq!((&made["parent_id"], &made["selected_menu"]), (&parent, &Value::Null));
    let path = format!("/v1/status/{}", made["request_id"].as_str().unwrap());
    let status = bank.until(&path, |status| status["status"] == "scheduled").await;
    assert_eq!(status["flowHash"], ended["flowHash"]);
    let properties = async |made: &Value| {
        let path = format!("/v1/status/{}", made["request_id"].as_str().unwrap());
        bank.until(&path, |status| status["status"] == "scheduled").await;
        let request = made["request_id"].as_str().unwrap().parse().unwrap();
        let key = robocall::ports::store::RequestKey { organisation: "bank".parse().unwrap(), request };
        let calls = world.playground.store.calls(&key, 0, 1).await.unwrap();
        calls[0].destination.properties.len()
    };
    assert_eq!(properties(&made).await, 1);
    let another = bank.post(PATH, &again("+9991000002")).await;
    assert_eq!(another.refused(400).1, ["call_id"], "it may be somebody else");
    assert!(another.body["message"].as_str().unwrap().ends_with("no value for {{name}}"), "{}", another.body);
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.post(PATH, &again("+9991000001")).await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_the_older_words_and_all_of_it_with_paths() {
    let world = world().await;
    let bank = world.client("bank").await;
    for (wrong, message, paths) in [
        (with(|call| call["call_type"] = json!("Voice Outbound (API)")), "Invalid call type", vec!["call_type"]),
        (with(|call| call["call_type"] = json!("InvalidCallType")), "Invalid call type", vec!["call_type"]),
        (with(|call| drop(call.remove("menu_id"))), "menu_id is required", vec!["menu_id"]),
        (with(|call| drop(call.remove("end_user_number"))), "end_user_number is required", vec!["end_user_number"]),
        (
            with(|call| call["end_user_number"] = json!("+1 999-657-12x")),
            "end_user_number is not well formed",
            vec!["end_user_number"],
        ),
        (
            with(|call| call["scheduled_at"] = json!("2019-09-15T00:19:14.421Z")),
            "scheduled_at has passed",
            vec!["scheduled_at"],
        ),
        (with(|call| drop(call.remove("scheduled_at"))), "scheduled_at is required", vec!["scheduled_at"]),
        (
            json!({"call_type": "x", "menu_id": true, "agent_email": "a@b.c"}),
            "Invalid call type",
            vec!["call_type", "menu_id", "end_user_number", "scheduled_at", "agent_email"],
        ),
    ] {
        let refused = bank.post(PATH, &wrong).await;
        assert_eq!(refused.body["message"], message);
        assert_eq!(refused.refused(400).1, paths, "{}", refused.body);
    }
    for (menu, message) in [
        (json!(9999), "menu_id 9999 is not found"),
        (json!("9999"), "menu_id 9999 is not found"),
        (json!("menu_999"), "menu_id is not well formed"),
        (json!(-1), "menu_id is not well formed"),
    ] {
        let unknown = bank.post(PATH, &with(|call| call["menu_id"] = menu)).await;
        assert_eq!(unknown.body["message"], message);
        assert_eq!(unknown.refused(400).1, ["menu_id"]);
    }
    let nameless = bank.post(PATH, &with(|call| call["menu_id"] = json!("web"))).await;
    assert_eq!(nameless.refused(400).1, ["menu_id"]);
    let expected = "menu_id: the flow cannot be spoken to them: no value for {{name}}";
    assert_eq!(nameless.body["message"], expected);
    assert_eq!(bank.get("/v1/requests").await.ok()["requests"], json!([]), "nothing was handed in");
}
