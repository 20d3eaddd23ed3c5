//! Commands to requests and to live calls, and the organisation's settings.

use reqwest::Method;
use robocall::model::{Organisation, Scope};
use serde_json::{Value, json};

use crate::world::{Client, World, answered, long_request, request};

/// A call that is answered and stays so; its path.
async fn live_call(bank: &Client, request: &str, phone: &str) -> String {
    bank.post("/v1/call", &long_request(request, phone)).await.ok();
    let path = format!("/v1/calls?product=OUTBOUND&productId={request}");
    let calls = bank.until(&path, |calls| calls[0]["callState"] == "ACTIVE").await;
    format!("/v1/calls/{}", calls[0]["uii"].as_str().unwrap())
}

fn things(call: &Value, list: &str, field: &str) -> Vec<String> {
    call[list].as_array().unwrap().iter().map(|thing| thing[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_paused_resumed_and_cancelled() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.send(Method::PATCH, "/v1/organisation", &json!({"limit": 1})).await.ok();
    bank.post("/v1/call", &long_request("first", "+9991000001")).await.ok();
    bank.until("/v1/status/first", |status| status["counts"]["onProgress"] == 1).await;
    bank.post("/v1/call", &request("r", &["+9991000002", "+9991000003"])).await.ok();
    bank.until("/v1/status/r", |status| status["counts"]["queued"] == 2).await;
    assert_eq!(bank.post("/v1/requests/r/pause", &json!({})).await.ok()["status"], "done");
    assert_eq!(bank.get("/v1/status/r").await.ok()["status"], "paused");
    // Without a body, too.
    answered(bank.ask(Method::POST, "/v1/requests/r/resume")).await.ok();
    assert_eq!(bank.get("/v1/status/r").await.ok()["status"], "submitted");
    bank.post("/v1/requests/r/cancel", &json!({"mode": "hangup"})).await.ok();
    let cancelled = bank.get("/v1/status/r").await.ok();
    assert_eq!((&cancelled["status"], &cancelled["counts"]["cancelled"]), (&json!("cancelled"), &json!(2)));
    bank.post("/v1/requests/first/cancel", &json!({"mode": "hangup"})).await.ok();
    bank.until("/v1/status/first", |status| status["counts"]["onProgress"] == 0).await;
    assert_eq!(bank.post("/v1/requests/none/pause", &json!({})).await.refused(404).0, "notFound");
    let wrong = bank.post("/v1/requests/r/cancel", &json!({"mode": "now", "why": 1})).await;
    assert_eq!(wrong.refused(400), ("invalid", vec!["mode", "why"]));
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.post("/v1/requests/first/pause", &json!({})).await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_is_supervised_joined_recorded_and_hung_up() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = live_call(&bank, "r", "+9991000001").await;
    let early =
        bank.post(&format!("{call}/sessions"), &json!({"destination": "Ext:1000", "sessionType": "COACHING"})).await;
    assert_eq!(early.refused(409).0, "conflict", "there is nobody to coach");
    let listening =
        bank.post(&format!("{call}/sessions"), &json!({"destination": "Ext:1000", "sessionType": "MONITOR"})).await;
    assert_eq!(listening.code.as_u16(), 202);
    let session = listening.ok()["sessionId"].as_str().unwrap().to_owned();
    let agent = json!({"to": {"type": "internal", "number": "2000", "alias": "Ann"}});
    let agent = bank.post(&format!("{call}/participants"), &agent).await.ok();
    let shown = bank.until(&call, |call| things(call, "participants", "status") == ["connected", "connected"]).await;
    assert_eq!(things(&shown, "participants", "type"), ["supervisor", "participant"]);
    assert_eq!(things(&shown, "participants", "legId"), [session.as_str(), agent["legId"].as_str().unwrap()]);
    bank.delete(&format!("{call}/sessions/{session}")).await.ok();
    bank.until(&call, |call| things(call, "participants", "status") == ["ended", "connected"]).await;
    bank.post(&format!("{call}/recording"), &json!({"record": true})).await.ok();
    bank.until(&call, |call| call["recordings"][0]["stoppedAt"] == Value::Null && call["recordings"][0] != Value::Null)
        .await;
    bank.post(&format!("{call}/recording"), &json!({"record": "false"})).await.ok();
    bank.until(&call, |call| call["recordings"][0]["stoppedAt"] != Value::Null).await;
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.post(&format!("{call}/hangup"), &json!({})).await.refused(404).0, "notFound");
    bank.post(&format!("{call}/hangup"), &json!({})).await.ok();
    let ended = bank.until(&call, |call| call["status"] == "completed").await;
    assert_eq!(ended["disposition"]["by"], "us");
    assert_eq!(bank.post(&format!("{call}/hangup"), &json!({})).await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_call_is_transferred_and_transferred_again() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.send(Method::PATCH, "/v1/organisation", &json!({"deniedPrefixes": ["9992"]})).await.ok();
    let call = live_call(&bank, "r", "+9991000001").await;
    let path = format!("{call}/transfer");
    let to = |number: &str| json!({"to": {"type": "external", "number": number, "alias": "Ann"}});
    let begun = bank.post(&path, &to("+9993000001")).await;
    assert_eq!(begun.code.as_u16(), 202);
    let rings = begun.ok()["legId"].as_str().unwrap().to_owned();
    let second = bank.post(&path, &to("+9991000002")).await;
    assert_eq!(second.refused(409).0, "conflict");
    assert!(second.body["message"].as_str().unwrap().contains("another transfer"), "{}", second.body);
    // Nobody picks up: the flow goes on.
    let shown = bank.until(&call, |call| things(call, "transfers", "status") == ["unanswered"]).await;
    assert_eq!(
        (things(&shown, "transfers", "id"), &shown["callFlowSteps"][0]["info"]["status"]),
        (vec![rings], &Value::Null)
    );
    let mut older = to("+9991000002");
    older["transferType"] = json!("attendend");
    older["fromUserId"] = json!("4711");
    bank.post(&path, &older).await.ok();
    let joined = bank.until(&call, |call| things(call, "transfers", "status") == ["unanswered", "answered"]).await;
    assert_eq!(joined["callFlowSteps"][0]["info"]["status"], "error_session_ended");
    assert_eq!(joined["callFlowSteps"][0]["info"]["transfer_status"], Value::Null, "it is no transfer step");
    let forbidden = bank.post(&path, &to("+9992000001")).await;
    assert_eq!(forbidden.refused(409).0, "conflict");
    let blind = json!({"to": {"type": "external", "number": "+9991000003"}, "transferType": "blind"});
    assert_eq!(bank.post(&path, &blind).await.code.as_u16(), 202);
    bank.until(&call, |call| things(call, "transfers", "status") == ["unanswered", "answered", "answered"]).await;
    assert_eq!(bank.post(&path, &to("+9991000004")).await.refused(409).0, "conflict", "they have been handed over");
    let wrong = bank.post(&path, &json!({"to": {"type": "user", "number": "1"}, "transferType": "warm"})).await;
    assert_eq!(wrong.refused(400), ("invalid", vec!["to.type", "transferType"]));
    let clerk = world.client_for("bank", &[Scope::Submit, Scope::Read]).await;
    assert_eq!(clerk.post(&path, &to("+9991000004")).await.refused(403).0, "forbidden");
    bank.post(&format!("{call}/hangup"), &json!({})).await.ok();
    bank.until(&call, |call| call["status"] == "completed").await;
    assert_eq!(bank.post(&path, &to("+9991000004")).await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flows_own_transfer_is_told_from_one_that_rings_beside_it() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let mut document = request("r", &["+9991000001"]);
    document["callFlow"] = json!({"steps": [{"name": "transfer", "destination": "+9991000002"}]});
    bank.post("/v1/call", &document).await.ok();
    let active = "/v1/calls?product=OUTBOUND&productId=r";
    let calls = bank.until(active, |calls| calls[0]["destinationName"] == "+9991000002").await;
    let call = format!("/v1/calls/{}", calls[0]["uii"].as_str().unwrap());
    bank.until(&call, |call| things(call, "transfers", "status") == ["answered"]).await;
    let nobody = json!({"to": {"type": "external", "number": "+9993000001"}});
    bank.post(&format!("{call}/transfer"), &nobody).await.ok();
    for status in ["ringing", "unanswered"] {
        let shown = bank.until(&call, |call| things(call, "transfers", "status") == ["answered", status]).await;
        let step = &shown["callFlowSteps"][0]["info"];
        assert_eq!((&step["transfer_status"], &step["status"]), (&json!("answered"), &Value::Null), "{status}");
        assert_eq!(bank.get(active).await.ok()[0]["destinationName"], "+9991000002", "{status}");
    }
    let next = json!({"to": {"type": "internal", "number": "sip:ann@example.org"}});
    bank.post(&format!("{call}/transfer"), &next).await.ok();
    bank.until(active, |calls| calls[0]["destinationName"] == "sip:ann@example.org").await;
    bank.until(&call, |call| call["callFlowSteps"][0]["info"]["status"] == "success_ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_given_twice_is_carried_out_once() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = live_call(&bank, "r", "+9991000001").await;
    let body = json!({"destination": "Ext:1000", "sessionType": "MONITOR"});
    let supervise = || {
        let asked = bank.ask(Method::POST, &format!("{call}/sessions")).json(&body);
        answered(asked.header("Idempotency-Key", "listen-1"))
    };
    let first = supervise().await.ok();
    assert_eq!(first["commandId"], "listen-1");
    bank.until(&call, |call| things(call, "participants", "status") == ["connected"]).await;
    bank.delete(&format!("{call}/sessions/Ext:1000")).await.ok();
    bank.until(&call, |call| things(call, "participants", "status") == ["ended"]).await;
    assert_eq!(supervise().await.ok(), first, "it says what it said, and calls nobody");
    let shown = bank.get(&call).await.ok();
    assert_eq!(things(&shown, "participants", "status"), ["ended"]);
    for (path, other) in [
        ("sessions", json!({"destination": "Ext:1001", "sessionType": "MONITOR"})),
        ("sessions", json!({"destination": "Ext:1000", "sessionType": "BARGEIN"})),
        ("participants", json!({"to": {"type": "internal", "number": "1000"}})),
        ("hangup", json!({})),
    ] {
        let asked = bank.ask(Method::POST, &format!("{call}/{path}")).json(&other);
        let taken = answered(asked.header("Idempotency-Key", "listen-1")).await;
        assert_eq!(taken.refused(409).0, "conflict", "{path} {other}");
    }
    let named = bank.ask(Method::POST, &format!("{call}/hangup")).header("Idempotency-Key", "two words");
    assert_eq!(answered(named).await.refused(400), ("invalid", vec!["Idempotency-Key"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_expects_something_else_is_told_what_was_found_and_nothing_is_done() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = live_call(&bank, "r", "+9991000001").await;
    assert_eq!(bank.get(&call).await.ok()["state"], "answered");
    let refused = bank.post(&format!("{call}/hangup"), &json!({"expect": "ringing"})).await;
    assert_eq!(refused.refused(409), ("conflict", vec!["expect"]));
    assert_eq!((&refused.body["expected"], &refused.body["found"]), (&json!("ringing"), &json!("answered")));
    let refused = bank.post("/v1/requests/r/resume", &json!({"expect": "paused"})).await;
    assert_eq!(refused.refused(409), ("conflict", vec!["expect"]));
    assert_eq!((&refused.body["expected"], &refused.body["found"]), (&json!("paused"), &json!("onProgress")));
    assert_eq!(bank.post("/v1/requests/r/pause", &json!({"expect": "ringing"})).await.refused(400).1, ["expect"]);
    assert_eq!(bank.post(&format!("{call}/hangup"), &json!({"expect": "paused"})).await.refused(400).1, ["expect"]);
    let nobody = bank.delete(&format!("{call}/sessions/Ext:1000?expect=dialing")).await;
    assert_eq!((nobody.refused(409).0, &nobody.body["found"]), ("conflict", &json!("answered")));
    bank.post("/v1/requests/r/pause", &json!({"expect": "onProgress"})).await.ok();
    bank.post("/v1/requests/r/resume", &json!({"expect": "paused"})).await.ok();
    bank.post(&format!("{call}/hangup"), &json!({"expect": "answered"})).await.ok();
    let ended = bank.until(&call, |call| call["status"] == "completed").await;
    assert_eq!(ended["state"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_is_known_by_its_id_and_told_with_who_gave_it() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let call = live_call(&bank, "r", "+9991000001").await;
    let ask = |command: &str, body: Value| {
        let asked = bank.ask(Method::POST, &format!("{call}/{command}")).json(&body);
        answered(asked.header("Idempotency-Key", "bye-1"))
    };
    let first = ask("hangup", json!({})).await.ok();
    assert_eq!(first, json!({"status": "done", "commandId": "bye-1"}));
    let shown = bank.until(&call, |call| call["status"] == "completed").await;
    let commands: Vec<&Value> =
        shown["timeline"].as_array().unwrap().iter().filter(|moment| moment["what"] == "command.executed").collect();
    assert_eq!(commands.len(), 1, "{shown:#}");
    assert_eq!((&commands[0]["command"], &commands[0]["commandId"]), (&json!("hangup"), &json!("bye-1")));
    assert_eq!(commands[0]["actor"], "a test");
    assert_eq!(ask("hangup", json!({})).await.ok(), first, "although it is over");
    assert_eq!(ask("recording", json!({"record": true})).await.refused(409).0, "conflict");
    assert_eq!(bank.post(&format!("{call}/hangup"), &json!({})).await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_organisation_at_the_same_time_are_all_made() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let changes = [
        json!({"limit": 3}),
        json!({"weight": 5}),
        json!({"callsPerSecond": 7}),
        json!({"retentionSecs": 3600}),
        json!({"timeZone": "Asia/Singapore"}),
        json!({"recordingRetentionSecs": 60}),
    ];
    let asked = changes.iter().map(|change| bank.send(Method::PATCH, "/v1/organisation", change));
    for answer in futures_util::future::join_all(asked).await {
        answer.ok();
    }
    let settings = bank.get("/v1/organisation").await.ok()["settings"].clone();
    for change in changes {
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(settings[field], *value, "{field} was lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_changes_its_own_settings_within_bounds() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let changed =
        bank.send(Method::PATCH, "/v1/organisation", &json!({"limit": 3, "callerIds": ["+6531580000"]})).await.ok();
    assert_eq!((&changed["settings"]["limit"], &changed["slots"]["limit"]), (&json!(3), &json!(3)));
    assert_eq!(bank.get("/v1/organisation").await.ok(), changed);
    for (body, path) in [
        (json!({"limit": -1}), "limit"),
        (json!({"limit": "3"}), "limit"),
        (json!({"weight": 0}), "weight"),
        (json!({"retentionSecs": 1}), "retentionSecs"),
        (json!({"callerIds": ["six"]}), "callerIds[0]"),
        (json!({"deniedPrefixes": ["+1"]}), "deniedPrefixes[0]"),
    ] {
        let refused = bank.send(Method::PATCH, "/v1/organisation", &body).await;
        assert_eq!(refused.refused(400), ("invalid", vec![path]), "{body}");
    }
    assert_eq!(bank.get("/v1/organisation").await.ok(), changed, "nothing of it was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_others_have_written_is_in_the_way_of_no_other_setting() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let too_high = Organisation { limit: 2_000_000, ..Organisation::default() };
    world.playground.store.set_organisation(&"bank".parse().unwrap(), too_high).await.unwrap();
    let changed = bank.send(Method::PATCH, "/v1/organisation", &json!({"weight": 5})).await.ok();
    assert_eq!((&changed["settings"]["weight"], &changed["slots"]["limit"]), (&json!(5), &json!(2_000_000)));
    let refused = bank.send(Method::PATCH, "/v1/organisation", &json!({"limit": 2_000_000})).await;
    assert_eq!(refused.refused(400), ("invalid", vec!["limit"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_blocked_and_let_go_again() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let path = "/v1/do-not-call/+9991000001";
    assert_eq!(bank.get(path).await.refused(404).0, "notFound");
    assert_eq!(bank.send(Method::PUT, path, &json!({})).await.ok(), json!({"phone": "+9991000001", "blocked": true}));
    assert_eq!(bank.get("/v1/do-not-call/9991000001").await.ok()["blocked"], true, "without the plus, too");
    bank.post("/v1/call", &request("r", &["+9991000001"])).await.ok();
    let ended = bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    assert_eq!(ended["counts"]["blocked"], 1);
    assert_eq!(bank.delete(path).await.ok()["blocked"], false);
    assert_eq!(bank.delete(path).await.refused(404).0, "notFound");
    assert_eq!(bank.get("/v1/do-not-call/six").await.refused(400), ("invalid", vec!["phone"]));
}
