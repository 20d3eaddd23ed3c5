//! Looking at requests and calls.

use serde_json::{Value, json};

use crate::world::{World, long_request, request};

#[tokio::test(flavor = "multi_thread")]
async fn status_comes_in_pages_that_fit_together() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let phones: Vec<String> = (0..7).map(|index| format!("+99920{index:05}")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    bank.post("/v1/call", &request("r", &phones)).await.ok();
    bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    let (mut seen, mut path) = (Vec::new(), "/v1/status/r?limit=3".to_owned());
    loop {
        let page = bank.get(&path).await.ok();
        assert_eq!((&page["total"], &page["counts"]["failed"]), (&json!(7), &json!(7)));
        let entries = page["details"].as_array().unwrap();
        assert!(entries.len() <= 3);
        seen.extend(entries.iter().map(|entry| entry["destination"].as_str().unwrap().to_owned()));
        match &page["nextCursor"] {
            Value::Null => break,
            cursor => path = format!("/v1/status/r?limit=3&cursor={}", cursor.as_str().unwrap()),
        }
    }
    assert_eq!(seen, phones);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_every_length_have_each_call_once() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let phones: Vec<String> = (0..1_101).map(|index| format!("+99920{index:05}")).collect();
    let mut many = request("many", &phones.iter().map(String::as_str).collect::<Vec<_>>());
    many["scheduledAt"] = json!("2099-01-01T00:00:00Z");
    bank.post("/v1/call", &many).await.ok();
    // Before all of it is taken in, no call of it is shown.
    bank.until("/v1/status/many", |status| status["nextCursor"] == "1000").await;
    // As many as are read at a time and one more or less, a few, all.
    for limit in [1_000_u32, 500, 251, 250, 249, 50] {
        let (mut seen, mut from) = (Vec::new(), Some("0".to_owned()));
        while let Some(cursor) = from {
            let page = bank.get(&format!("/v1/status/many?limit={limit}&cursor={cursor}")).await.ok();
            let entries = page["details"].as_array().unwrap();
            assert!(entries.len() == limit as usize || page["nextCursor"].is_null(), "{limit} from {cursor}");
            seen.extend(entries.iter().map(|entry| entry["destination"].as_str().unwrap().to_owned()));
            from = page["nextCursor"].as_str().map(str::to_owned);
        }
        assert!(seen == phones, "{limit} at a time: {} calls", seen.len());
    }
    // Behind the last there is an empty page, not an error.
    let behind = bank.get("/v1/status/many?cursor=1101").await.ok();
    assert_eq!((&behind["details"], &behind["nextCursor"]), (&json!([]), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_by_status_newest_first() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    for name in ["a", "b", "c"] {
        bank.post("/v1/call", &request(name, &["+9992000001"])).await.ok();
        bank.until(&format!("/v1/status/{name}"), |status| status["status"] == "completed").await;
    }
    let names = |page: &Value| -> Vec<String> {
        let requests = page["requests"].as_array().unwrap();
        requests.iter().map(|request| request["requestId"].as_str().unwrap().to_owned()).collect()
    };
    let first = bank.get("/v1/requests?limit=2").await.ok();
    assert_eq!(names(&first), ["c", "b"]);
    let rest = bank.get(&format!("/v1/requests?cursor={}", first["nextCursor"].as_str().unwrap())).await.ok();
    assert_eq!((names(&rest), &rest["nextCursor"]), (vec!["a".to_owned()], &Value::Null));
    assert_eq!(names(&bank.get("/v1/requests?status=onProgress,paused").await.ok()), Vec::<String>::new());
    assert_eq!(names(&bank.get("/v1/requests?status=completed").await.ok()).len(), 3);
    assert_eq!(names(&world.client("clinic").await.get("/v1/requests").await.ok()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn live_calls_are_listed_and_each_is_told_in_full() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &long_request("r", "+9991000001")).await.ok();
    let is_active = |calls: &Value| calls[0]["callState"] == "ACTIVE";
    let calls = bank.until("/v1/calls?state=active&product=OUTBOUND&productId=r", is_active).await;
    let call = &calls[0];
    assert_eq!((&call["accountId"], &call["dnis"]), (&json!("bank"), &json!("+9991000001")));
    assert_eq!(
        (&call["externalId"], &call["archive"], &call["cnam"]),
        (&json!("invoice-1"), &json!(false), &Value::Null)
    );
    assert!(call["enqueueTime"].as_str().unwrap() <= call["dequeueTime"].as_str().unwrap());
    let hash = bank.get("/v1/status/r").await.ok()["flowHash"].as_str().unwrap().to_owned();
    for (query, found) in [
        ("".to_owned(), 1),
        ("?product=ACCOUNT&productId=bank".to_owned(), 1),
        ("?product=DNIS&productId=%2B9991000001".to_owned(), 1),
        ("?product=DNIS&productId=%2B9991000002".to_owned(), 0),
        (format!("?product=VISUAL_IVR&productId={hash}"), 1),
        ("?product=VISUAL_IVR&productId=0".to_owned(), 0),
        ("?product=OUTBOUND&productId=other".to_owned(), 0),
        ("?page=2".to_owned(), 0),
    ] {
        let listed = bank.get(&format!("/v1/calls{query}")).await.ok();
        assert_eq!(listed.as_array().unwrap().len(), found, "{query}");
    }
    let path = format!("/v1/calls/{}", call["uii"].as_str().unwrap());
    let shown = bank.until(&path, |call| call["callFlowSteps"][0]["stepName"] == "gather").await;
    assert_eq!(
        (&shown["callId"], &shown["language"], &shown["status"]),
        (&call["uii"], &json!("en"), &json!("onProgress"))
    );
    let timeline: Vec<&str> =
        shown["timeline"].as_array().unwrap().iter().map(|moment| moment["what"].as_str().unwrap()).collect();
    assert_eq!(timeline[..3], ["call.dialing", "call.ringing", "call.answered"]);
    assert_eq!(shown["transfers"], json!([]));
    // Others do not see it.
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.get(&path).await.refused(404).0, "notFound");
    assert_eq!(clinic.get("/v1/calls").await.ok(), json!([]));
    assert_eq!(clinic.get("/v1/calls?product=ACCOUNT&productId=bank").await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_shows_what_its_request_follows_from() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.post("/v1/call", &request("first", &["+9991000001"])).await.ok();
    let first = bank.until("/v1/status/first", |status| status["status"] == "completed").await;
    let parent = &first["details"][0]["callId"];
    let mut next = request("next", &["+9991000001"]);
    (next["parentId"], next["callType"]) = (parent.clone(), json!("callback"));
    bank.post("/v1/call", &next).await.ok();
    let second = bank.until("/v1/status/next", |status| status["status"] == "completed").await;
    let shown = async |call: &Value| bank.get(&format!("/v1/calls/{}", call.as_str().unwrap())).await.ok();
    let (before, after) = (shown(parent).await, shown(&second["details"][0]["callId"]).await);
    assert_eq!((&before["parentId"], &before["callType"]), (&Value::Null, &json!("campaign")));
    assert_eq!((&after["parentId"], &after["callType"]), (parent, &json!("callback")));
    next["callType"] = json!("campaign");
    assert_eq!(bank.post("/v1/call", &next).await.refused(409).0, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_describes_every_operation_and_needs_no_key() {
    let world = World::new().await;
    let nobody = reqwest::Client::builder().no_proxy().build().unwrap();
    let document: Value = nobody.get(world.url("/v1/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document, robocall::api::document());
    let page = nobody.get(world.url("/v1/openapi.html")).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().contains("<h2 id=\"superviseCall\">"));
}
