//! Saying how calls went, and calling back.

use robocall::model::Scope;
use serde_json::{Value, json};

use crate::world::{Answered, Client, World, answered, request};

/// A call that has ended, of a request of one.
async fn ended(client: &Client, request: &Value) -> Value {
    client.post("/v1/call", request).await.ok();
    let path = format!("/v1/status/{}", request["requestId"].as_str().unwrap());
    let status = client.until(&path, |status| status["status"] == "completed").await;
    status["details"][0].clone()
}

fn path_of(call: &Value) -> String {
    format!("/v1/calls/{}/disposition", call["callId"].as_str().unwrap())
}

async fn with_key(client: &Client, key: &str, call: &Value, body: &Value) -> Answered {
    answered(client.ask(reqwest::Method::POST, &path_of(call)).header("Idempotency-Key", key).json(body)).await
}

async fn set(client: &Client, settings: Value) {
    client.send(reqwest::Method::PATCH, "/v1/organisation", &settings).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_call_went_is_noted_and_the_last_word_counts() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = ended(&bank, &request("r", &["+9991000001"])).await;
    let noted = bank.post(&path_of(&call), &json!({"disposition": "Promise to pay", "notes": "On Monday."})).await;
    assert_eq!(noted.code, 200);
    let noted = noted.ok();
    assert_eq!((&noted["callId"], &noted["callback"]), (&call["callId"], &Value::Null));
    assert_eq!(
        (&noted["agentDisposition"]["by"], &noted["agentDisposition"]["callback"]),
        (&json!("a test"), &Value::Null)
    );
    let path = format!("/v1/calls/{}", call["callId"].as_str().unwrap());
    let shown = bank.get(&path).await.ok();
    assert_eq!((&shown["agentDisposition"], &shown["notes"]), (&noted["agentDisposition"], &json!("On Monday.")));
    bank.post(&path_of(&call), &json!({"disposition": "Paid", "callback": "false"})).await.ok();
    let shown = bank.get(&path).await.ok();
    assert_eq!((&shown["agentDisposition"]["disposition"], &shown["notes"]), (&json!("Paid"), &Value::Null));
    // The organisation says which names there are.
    set(&bank, json!({"dispositions": ["Paid", "Refused"]})).await;
    let refused = bank.post(&path_of(&call), &json!({"disposition": "paid"})).await;
    assert_eq!(refused.refused(400), ("invalid", vec!["disposition"]));
    assert!(refused.body["message"].as_str().unwrap().contains("Paid, Refused"), "{}", refused.body);
    bank.post(&path_of(&call), &json!({"disposition": "Refused"})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_is_calling_back_once_at_the_time_on_the_organisations_clock() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    set(&bank, json!({"timeZone": "Asia/Singapore"})).await;
    let mut first = request("r", &["+9991000001"]);
    first["destinations"][0]["properties"] = json!({"name": "Ann", "amount": 200});
    first["destinations"][0]["externalId"] = json!("invoice-7");
    first["callFlow"]["steps"][0]["message"]["msg"] = json!("{{name}} owes {{amount}}.");
    first["callingWindow"] = json!({"timeZone": "UTC", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "24:00"});
    let call = ended(&bank, &first).await;
    let body = json!({"disposition": "Call back", "callback": true, "callBackDTS": "29990105170000"});
    let made = bank.post(&path_of(&call), &body).await;
    assert_eq!(made.code, 201);
    let made = made.ok();
    assert_eq!(made["callback"]["scheduledAt"], "2999-01-05T09:00:00.000Z");
    assert_eq!(made["agentDisposition"]["callback"], made["callback"]["requestId"]);
    let status = format!("/v1/status/{}", made["callback"]["requestId"].as_str().unwrap());
    let waiting = bank.until(&status, |status| status["status"] == "scheduled").await;
    let detail = &waiting["details"][0];
    assert_eq!((&detail["callId"], &detail["destination"]), (&made["callback"]["callId"], &json!("+9991000001")));
    assert_eq!((&detail["externalId"], &waiting["total"]), (&json!("invoice-7"), &json!(1)));
    assert_eq!(waiting["flowHash"], bank.get("/v1/status/r").await.ok()["flowHash"]);
    let shown = bank.get(&format!("/v1/calls/{}", made["callback"]["callId"].as_str().unwrap())).await.ok();
    assert_eq!((&shown["parentId"], &shown["callType"]), (&call["callId"], &json!("callback")));
    assert_eq!(shown["scheduledAt"], made["callback"]["scheduledAt"]);

    // The same instant in other words is the same call-back, another one is another.
    let at = |time: &str| json!({"disposition": "Call back", "callback": "true", "callbackAt": time});
    let again = bank.post(&path_of(&call), &at("2999-01-05T10:00:00+01:00")).await.ok();
    assert_eq!(again["callback"], made["callback"]);
    let other = bank.post(&path_of(&call), &at("2999-01-05T09:00:01Z")).await.ok();
    assert_ne!(other["callback"]["requestId"], made["callback"]["requestId"]);
    let other = format!("/v1/status/{}", other["callback"]["requestId"].as_str().unwrap());
    bank.until(&other, |status| status["status"] == "scheduled").await;
    assert_eq!(bank.get("/v1/requests").await.ok()["requests"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asked_to_be_called_back_is() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = ended(&bank, &request("r", &["+9991000001"])).await;
    let soon = robocall::ports::Clock::now(&**world.playground.clock()) + std::time::Duration::from_secs(60);
    let body = json!({"disposition": "Call back", "callback": true, "callbackAt": soon});
    let made = bank.post(&path_of(&call), &body).await.ok();
    let status = format!("/v1/status/{}", made["callback"]["requestId"].as_str().unwrap());
    let ended = bank.until(&status, |status| status["status"] == "completed").await;
    assert_eq!(ended["details"][0]["status"], "completed");
    let dialed = ended["details"][0]["dialedAt"].as_str().unwrap().to_owned();
    assert!(*dialed >= *made["callback"]["scheduledAt"].as_str().unwrap(), "{dialed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn under_one_idempotency_key_one_call_back_is_made_and_what_is_refused_makes_none() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = ended(&bank, &request("r", &["+9991000001"])).await;
    let at = |time: &str| json!({"disposition": "Call back", "callback": true, "callbackAt": time});
    let (nine, ten) = (at("2999-01-05T09:00:00Z"), at("2999-01-05T10:00:00Z"));
    let first = with_key(&bank, "k", &call, &nine).await.ok();
    let again = with_key(&bank, "k", &call, &nine).await;
    assert_eq!((again.code.as_u16(), again.ok()), (201, first.clone()));
    for other in [&ten, &json!({"disposition": "Paid"})] {
        assert_eq!(with_key(&bank, "k", &call, other).await.refused(409), ("conflict", vec!["Idempotency-Key"]));
    }
    // Nor under one by which something else was noted.
    let flags = bank.ask(reqwest::Method::PATCH, &path_of(&call).replace("disposition", "customer_flag"));
    answered(flags.header("Idempotency-Key", "f").json(&json!({"verified_customer": true}))).await.ok();
    assert_eq!(with_key(&bank, "f", &call, &ten).await.refused(409), ("conflict", vec!["Idempotency-Key"]));
    let status = format!("/v1/status/{}", first["callback"]["requestId"].as_str().unwrap());
    bank.until(&status, |status| status["status"] == "scheduled").await;
    // Whatever was handed in before this one is known when this one is.
    bank.post("/v1/call", &request("last", &["+9991000001"])).await.ok();
    bank.until("/v1/status/last", |status| status["status"] == "completed").await;
    let requests = bank.get("/v1/requests").await.ok();
    let mut names: Vec<&str> =
        requests["requests"].as_array().unwrap().iter().map(|one| one["requestId"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, [first["callback"]["requestId"].as_str().unwrap(), "last", "r"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_again_when_the_time_has_passed_is_answered_as_at_first() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = ended(&bank, &request("r", &["+9991000001"])).await;
    let soon = robocall::ports::Clock::now(&**world.playground.clock()) + std::time::Duration::from_secs(60);
    let body = json!({"disposition": "Call back", "callback": true, "callbackAt": soon});
    let first = with_key(&bank, "k", &call, &body).await.ok();
    let status = format!("/v1/status/{}", first["callback"]["requestId"].as_str().unwrap());
    let before = bank.until(&status, |status| status["status"] == "completed").await;
    let again = with_key(&bank, "k", &call, &body).await;
    assert_eq!((again.code.as_u16(), again.ok()), (201, first));
    assert_eq!(bank.get(&status).await.ok()["details"], before["details"], "nobody is called again");
    let mut other = body.clone();
    other["disposition"] = json!("Sold");
    with_key(&bank, "k", &call, &other).await.refused(409);
    other["callbackAt"] = json!(soon + std::time::Duration::from_millis(1));
    for refused in [with_key(&bank, "k", &call, &other).await, bank.post(&path_of(&call), &body).await] {
        assert_eq!(refused.refused(400), ("invalid", vec!["callbackAt"]), "it was never asked for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_noted_is_refused_at_once_and_nobody_is_called_back() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = ended(&bank, &request("r", &["+9991000001"])).await;
    let path = path_of(&call);
    for (body, paths) in [
        (json!({}), vec!["disposition"]),
        (
            json!({"disposition": " a", "callback": 1, "callBackDTS": "2999", "callbackAt": "soon", "notes": "\u{7}", "note": 1}),
            vec!["disposition", "callback", "callBackDTS", "callbackAt", "callBackDTS", "notes", "note"],
        ),
        (json!({"disposition": "a", "callback": true}), vec!["callbackAt"]),
        (json!({"disposition": "a", "callbackAt": "2999-01-05T09:00:00Z"}), vec!["callbackAt"]),
        (json!({"disposition": "a", "callback": true, "callbackAt": "2025-01-05T09:00:00Z"}), vec!["callbackAt"]),
        (json!({"disposition": "a", "callback": true, "callBackDTS": "20250105170000"}), vec!["callBackDTS"]),
        (json!({"disposition": "a", "callback": true, "callBackDTS": "29991305170000"}), vec!["callBackDTS"]),
        (
            json!({"disposition": "a", "callback": true, "callBackDTS": "29990105170000", "callbackAt": "2999-01-05T09:00:00Z"}),
            vec!["callbackAt"],
        ),
    ] {
        assert_eq!(bank.post(&path, &body).await.refused(400), ("invalid", paths), "{body}");
    }
    let fine = json!({"disposition": "a", "callback": true, "callbackAt": "2999-01-05T09:00:00Z"});
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.post(&path, &fine).await.refused(404).0, "notFound");
    let missing = path.replace("-0/", "-1/");
    assert_eq!(bank.post(&missing, &fine).await.refused(404).0, "notFound");
    let submitter = world.client_for("bank", &[Scope::Submit, Scope::Read]).await;
    assert_eq!(submitter.post(&path, &fine).await.refused(403).0, "forbidden");
    let mut wrong = request("wrong", &["+9991000001", "six"]);
    wrong["skipInvalid"] = json!(true);
    bank.post("/v1/call", &wrong).await.ok();
    let status = bank.until("/v1/status/wrong", |status| status["status"] == "completed").await;
    let nobody = bank.post(&path_of(&status["details"][1]), &fine).await;
    assert_eq!(nobody.refused(409), ("conflict", vec!["callback"]));
    let requests = bank.get("/v1/requests").await.ok();
    assert_eq!(requests["requests"].as_array().unwrap().len(), 2, "nothing was made");
    let shown = bank.get(&format!("/v1/calls/{}", call["callId"].as_str().unwrap())).await.ok();
    assert_eq!(shown["agentDisposition"], Value::Null);
}
