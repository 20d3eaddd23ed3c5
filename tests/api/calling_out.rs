//! Calling one person and telling them something.

use reqwest::Method;
use robocall::callflow::program::Gender;
use robocall::config::Voice;
use robocall::model::Scope;
use serde_json::{Value, json};

use crate::world::{Answered, Client, World, answered};

const PATH: &str = "/v1/call/call-out";

fn call_out(actions: Value) -> Value {
    json!({
        "from": {"type": "internal", "number": "+6531580000", "alias": "Hotline"},
        "to": {"type": "external", "number": "+9991000001", "alias": "Ann"},
        "actions": actions,
    })
}

fn talk(text: &str) -> Value {
    call_out(json!([{"action": "talk", "text": text}]))
}

async fn with_key(client: &Client, key: &str, body: &Value) -> Answered {
    answered(client.ask(Method::POST, PATH).header("Idempotency-Key", key).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_called_and_told_something_as_often_as_asked() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let actions = json!([
        {"action": "talk", "text": "Good morning.", "voice": "male", "speed": -9, "loop": "2"},
        {"action": "talk", "text": "Your parcel is here."},
        {"action": "talk", "text": "Goodbye.", "speed": 1.6, "loop": 1},
    ]);
    let submitted = bank.post(PATH, &call_out(actions)).await.ok();
    assert_eq!((&submitted["status"], &submitted["total"]), (&json!("submitted"), &json!(1)));
    assert_eq!((&submitted["details"], &submitted["nextCursor"]), (&json!([]), &Value::Null));
    let path = format!("/v1/status/{}", submitted["requestId"].as_str().unwrap());
    let status = bank.until(&path, |status| status["status"] == "completed").await;
    let detail = &status["details"][0];
    assert_eq!((&detail["callId"], &detail["caller"]), (&submitted["callId"], &json!("+6531580000")));
    assert_eq!(detail["destination"], "+9991000001");
    assert_eq!(detail["callFlowSteps"].as_array().unwrap().len(), 2 + 3 + 1);
    let call = bank.get(&format!("/v1/calls/{}", submitted["callId"].as_str().unwrap())).await.ok();
    assert_eq!((&call["callType"], &call["parentId"]), (&json!("callOut"), &Value::Null));
    let key = robocall::ports::store::RequestKey {
        organisation: "bank".parse().unwrap(),
        request: submitted["requestId"].as_str().unwrap().parse().unwrap(),
    };
    let flow = world.playground.store.request(&key).await.unwrap().header.unwrap().flow.clone();
    let flow: Value = serde_json::from_str(&flow).unwrap();
    let rates: Vec<u64> = flow["steps"].as_array().unwrap().iter().map(|step| rate(&step["message"])).collect();
    assert_eq!(rates, [0, 0, 5, 5, 5, 7], "{flow}");
    assert_eq!(flow["steps"][0]["message"]["gender"], "male");
}

/// A message's rate; what is usual may be left out.
fn rate(message: &Value) -> u64 {
    message.get("rate").map_or(5, |rate| rate.as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_call_and_no_key_is_another_one() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let first = with_key(&bank, "order/7", &talk("Hello.")).await.ok();
    let again = with_key(&bank, "order/7", &talk("Hello.")).await.ok();
    assert_eq!((&again["requestId"], &again["callId"]), (&first["requestId"], &first["callId"]));
    let path = format!("/v1/status/{}", first["requestId"].as_str().unwrap());
    bank.until(&path, |status| status["status"] == "completed").await;
    assert_eq!(with_key(&bank, "order/7", &talk("Hello.")).await.ok()["status"], "completed");
    let other = with_key(&bank, "order/7", &talk("Something else.")).await;
    assert_eq!(other.refused(409), ("conflict", vec!["Idempotency-Key"]));
    let others = [
        with_key(&bank, "order/8", &talk("Hello.")).await.ok(),
        bank.post(PATH, &talk("Hello.")).await.ok(),
        bank.post(PATH, &talk("Hello.")).await.ok(),
    ];
    let mut ids: Vec<&str> = others.iter().chain([&first]).map(|one| one["requestId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    // The same key of somebody else is somebody else's call.
    let clinic = world.client("clinic").await;
    assert_ne!(with_key(&clinic, "order/7", &talk("Hello.")).await.ok()["callId"], first["callId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_out_that_has_a_name_is_known_by_it() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let mut body = talk("Hello.");
    body["requestId"] = json!("order-7");
    assert_eq!(with_key(&bank, "a", &body).await.ok()["requestId"], "order-7");
    bank.until("/v1/status/order-7", |status| status["status"] == "completed").await;
    assert_eq!(with_key(&bank, "b", &body).await.ok()["status"], "completed");
    body["actions"][0]["loop"] = json!(1);
    assert_eq!(with_key(&bank, "a", &body).await.refused(409), ("conflict", vec!["requestId"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn voices_are_those_that_the_operator_gave_names() {
    let world = World::with(|api| {
        let voice = Voice { gender: Gender::Female, language: Some("vi".to_owned()) };
        api.voices.insert("ngoclam".to_owned(), voice);
    })
    .await;
    let bank = world.client("bank").await;
    let speaking = |voice: &str| call_out(json!([{"action": "talk", "text": "Xin chào.", "voice": voice}]));
    let called = bank.post(PATH, &speaking("ngoclam")).await.ok();
    let path = format!("/v1/calls/{}", called["callId"].as_str().unwrap());
    assert_eq!(bank.until(&path, |call| call["status"] == "completed").await["language"], "vi");
    assert_eq!(bank.post(PATH, &speaking("banmai")).await.refused(400), ("invalid", vec!["actions[0].voice"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once_where_it_was_written() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let wrong = json!({
        "requestId": "a b", "answer_url": "https://example.com/flow",
        "from": {"type": "hotline", "number": "1-2-3"},
        "to": {"type": "internal", "number": "1000"},
        "actions": [
            {"action": "talk", "media": "tune", "loop": 11, "speed": "fast"},
            {"action": "play"},
            {"action": "sing", "text": "la"},
            {"action": "talk", "text": "Hello {{name}}", "voice": "banmai", "loop": "01", "lop": 1},
            7,
        ],
    });
    let refused = bank.post(PATH, &wrong).await;
    let (_, mut paths) = refused.refused(400);
    let mut expected = vec![
        "requestId",
        "answer_url",
        "from.type",
        "from.number",
        "to.type",
        "actions[0].text",
        "actions[0].media",
        "actions[0].speed",
        "actions[0].loop",
        "actions[1].media",
        "actions[2].action",
        "actions[3].text",
        "actions[3].voice",
        "actions[3].loop",
        "actions[3].lop",
        "actions[4]",
    ];
    paths.sort_unstable();
    expected.sort_unstable();
    assert_eq!(paths, expected, "{}", refused.body);
    // What only the flow's compiler finds is told of the action, once however often it is said.
    let refused = bank.post(PATH, &talk("a bell \u{7}")).await;
    assert_eq!(refused.refused(400), ("invalid", vec!["actions[0].text"]));
    let tune = call_out(json!([{"action": "talk", "text": "Hi."}, {"action": "play", "media": "../tune"}]));
    assert_eq!(bank.post(PATH, &tune).await.refused(400), ("invalid", vec!["actions[1].media"]));
    for (actions, path) in [(json!([]), "actions"), (Value::Null, "actions"), (json!("talk"), "actions")] {
        assert_eq!(bank.post(PATH, &call_out(actions)).await.refused(400), ("invalid", vec![path]));
    }
    let most = json!({"action": "talk", "text": "Hi.", "loop": 10});
    assert_eq!(bank.post(PATH, &call_out(json!(vec![&most; 26]))).await.refused(400).1, ["actions"]);
    bank.post(PATH, &call_out(json!(vec![&most; 25]))).await.ok();
    let reader = world.client_for("bank", &[Scope::Read, Scope::Supervise]).await;
    assert_eq!(reader.post(PATH, &talk("Hello.")).await.refused(403).0, "forbidden");
}
