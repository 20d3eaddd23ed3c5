//! Handing requests in.

use reqwest::Method;
use serde_json::json;

use crate::world::{World, answered, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_queued_called_and_told_of() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let submitted = bank.post("/v1/call", &request("r", &["+9991000001", "+9992000002", "+9991000001"])).await.ok();
    assert_eq!(
        (&submitted["requestId"], &submitted["status"], &submitted["total"], &submitted["duplicates"]),
        (&json!("r"), &json!("submitted"), &json!(2), &json!(1))
    );
    assert_eq!((&submitted["details"], &submitted["nextCursor"]), (&json!([]), &json!(null)));
    assert_eq!(submitted["counts"]["queued"], 2);
    let ended = bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    let details = ended["details"].as_array().unwrap();
    let of = |index: usize, field: &str| details[index][field].clone();
    assert_eq!((of(0, "destination"), of(0, "status")), (json!("+9991000001"), json!("completed")));
    assert_eq!((of(1, "destination"), of(1, "disposition")["result"].clone()), (json!("+9992000002"), json!("busy")));
    assert_eq!(of(0, "callFlowSteps")[0]["info"]["status"], "success_ok");
    assert_eq!(ended["flowHash"], submitted["flowHash"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_is_known_and_another_of_its_name_a_conflict() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let body = request("r", &["+9991000001"]);
    bank.post("/v1/call", &body).await.ok();
    bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    let again = bank.post("/v1/call", &body).await.ok();
    assert_eq!((&again["status"], &again["details"]), (&json!("completed"), &json!([])));
    let other = bank.post("/v1/call", &request("r", &["+9991000002"])).await;
    assert_eq!(other.refused(409), ("conflict", vec!["requestId"]));
    // Another organisation's requests are its own.
    let clinic = world.client("clinic").await;
    assert_eq!(clinic.post("/v1/call", &request("r", &["+9991000002"])).await.ok()["status"], "submitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_of_one_name_at_the_same_moment_one_is_taken() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let bodies: Vec<_> = (1..=8).map(|number| request("r", &[&format!("+999100000{number}")])).collect();
    let asked = bodies.iter().map(|body| bank.post("/v1/call", body));
    let mut taken = Vec::new();
    for (answer, body) in futures_util::future::join_all(asked).await.into_iter().zip(&bodies) {
        if answer.code.is_success() {
            taken.push(body);
        } else {
            assert_eq!(answer.refused(409), ("conflict", vec!["requestId"]));
        }
    }
    assert_eq!(taken.len(), 1);
    let ended = bank.until("/v1/status/r", |status| status["status"] == "completed").await;
    assert_eq!(ended["details"][0]["destination"], taken[0]["destinations"][0]["phone"]);
    // The same one at the same moment is one.
    let again = (0..8).map(|_| bank.post("/v1/call", taken[0]));
    for answer in futures_util::future::join_all(again).await {
        assert_eq!(answer.ok()["requestId"], "r");
    }
    let same = request("s", &["+9991000001"]);
    for answer in futures_util::future::join_all((0..8).map(|_| bank.post("/v1/call", &same))).await {
        assert_eq!(answer.ok()["requestId"], "s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_queues_nothing_and_finds_everything() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let valid = bank.post("/v1/call?validate=true", &request("r", &["+9991000001"])).await.ok();
    assert_eq!((&valid["status"], &valid["total"]), (&json!("valid"), &json!(1)));
    assert_eq!(bank.get("/v1/status/r").await.refused(404).0, "notFound");
    let mut wrong = request("r", &["+9991000001", "six"]);
    wrong["callFlow"]["steps"][0]["mesage"] = json!(1);
    wrong["priority"] = json!(17);
    for path in ["/v1/call", "/v1/call?validate=true"] {
        let refused = bank.post(path, &wrong).await;
        let (status, paths) = refused.refused(400);
        assert_eq!((status, paths.len()), ("invalid", 3));
        for path in ["destinations[1].phone", "callFlow.steps[0].mesage", "priority"] {
            assert!(paths.contains(&path), "{path}: {paths:?}");
        }
    }
    assert_eq!(bank.get("/v1/status/r").await.refused(404).0, "notFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_none_or_too_large_is_refused_in_words() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let post = || bank.ask(Method::POST, "/v1/call");
    assert_eq!(answered(post().json(&json!([]))).await.refused(400).0, "invalid");
    let plain = answered(post().body("{}").header("content-type", "text/plain")).await;
    assert_eq!(plain.refused(415).0, "invalid");
    let nothing = answered(post()).await;
    assert_eq!(nothing.refused(400), ("invalid", vec![""]));
    let half = answered(post().body("{\"requestId\": ").header("content-type", "application/json")).await;
    assert_eq!(half.refused(400).0, "invalid");
    // Announced, and as a stream of unknown length.
    let large = vec![b' '; (16 << 20) + 1];
    let json = |asked: reqwest::RequestBuilder| asked.header("content-type", "application/json; charset=utf-8");
    assert_eq!(answered(json(post()).body(large.clone())).await.refused(413).0, "tooLarge");
    let chunks: Vec<_> = large.chunks(1 << 20).map(axum::body::Bytes::copy_from_slice).collect();
    let frames = chunks.into_iter().map(|chunk| Ok::<_, std::io::Error>(hyper::body::Frame::data(chunk)));
    let stream = reqwest::Body::wrap(http_body_util::StreamBody::new(futures_util::stream::iter(frames)));
    assert_eq!(answered(json(post()).body(stream)).await.refused(413).0, "tooLarge");
    // The connection, or the next one, serves on.
    bank.get("/v1/organisation").await.ok();
}
