//! Clients that mean harm, or do it: others are served all the same, and nothing stays behind.

#![expect(clippy::disallowed_methods, reason = "the interface is asked in real time")]

use std::time::Duration;

use reqwest::Method;
use robocall::model::ApiKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::world::{Client, World, answered, long_request, request};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

async fn listen(client: &Client) -> reqwest::Response {
    let mut response = client.ask(Method::GET, "/v1/events").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response.chunk().await.unwrap().unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_does_not_hold_up_the_end_even_with_the_last_place() {
    let world = World::with(|api| api.max_connections = 1).await;
    let bank = world.client("bank").await;
    let mut ear = listen(&bank).await;
    // Time is twenty times as fast here: the bound for answers under way is half a second, and is not what ends this.
    tokio::time::timeout(PATIENCE, world.playground.end()).await.unwrap();
    // The stream has come to its end in order, rather than being cut.
    while let Some(_piece) = ear.chunk().await.unwrap() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_hears_no_more_however_much_there_is_to_hear() {
    let world = World::new().await;
    let (bank, other) = (world.client("bank").await, world.client("bank").await);
    let mut ear = listen(&bank).await;
    let id = bank.key.parse::<ApiKey>().unwrap().id().clone();
    world.playground.keys().revoke(None, &id).await.unwrap().unwrap();
    let talking = async {
        for number in 0.. {
            other.post("/v1/call", &request(&format!("r{number}"), &["+9992000001"])).await.ok();
        }
    };
    let hearing = async { while let Some(_piece) = ear.chunk().await.unwrap() {} };
    tokio::select! {
        () = talking => {}
        ended = tokio::time::timeout(PATIENCE, hearing) => ended.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_speaks_of_a_log_that_is_gone_hears_what_there_is() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let asked = bank.ask(Method::GET, "/v1/events").header("Last-Event-ID", "9999999999999999999");
    let mut ear = asked.send().await.unwrap();
    let mut heard = String::new();
    bank.post("/v1/call", &request("r", &["+9992000001"])).await.ok();
    let hearing = async {
        while !heard.contains("event: request.completed") {
            heard.push_str(std::str::from_utf8(&ear.chunk().await.unwrap().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, hearing).await.unwrap();
    assert!(heard.contains("event: request.accepted"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_organisation_leaves_others_room_to_listen() {
    let world = World::with(|api| api.event_streams = 10).await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    let mut ears = Vec::new();
    for _ in 0..20 {
        ears.push(bank.ask(Method::GET, "/v1/events").send().await.unwrap());
    }
    let refused = ears.iter().filter(|ear| ear.status().as_u16() == 503).count();
    assert!((1..20).contains(&refused), "{refused}");
    listen(&clinic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_command_under_a_key_that_is_taken_is_refused() {
    let world = World::new().await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    for organisation in [&bank, &clinic] {
        organisation.send(Method::PATCH, "/v1/organisation", &serde_json::json!({"limit": 1})).await.ok();
        organisation.post("/v1/call", &long_request("r", "+9991000001")).await.ok();
        organisation.until("/v1/status/r", |status| status["counts"]["onProgress"] == 1).await;
        organisation.post("/v1/call", &request("s", &["+9991000002"])).await.ok();
        organisation.until("/v1/status/s", |status| status["counts"]["queued"] == 1).await;
    }
    let give = |to: &Client, path: &str| answered(to.ask(Method::POST, path).header("Idempotency-Key", "once"));
    give(&bank, "/v1/requests/s/pause").await.ok();
    give(&bank, "/v1/requests/s/pause").await.ok();
    for other in ["/v1/requests/s/resume", "/v1/requests/s/cancel", "/v1/requests/r/pause"] {
        assert_eq!(give(&bank, other).await.refused(409).0, "conflict", "{other}");
    }
    assert_eq!(bank.get("/v1/status/s").await.ok()["status"], "paused");
    // Keys are an organisation's own.
    give(&clinic, "/v1/requests/s/cancel").await.ok();
    assert_eq!(clinic.get("/v1/status/s").await.ok()["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_and_takes_no_answer_loses_the_place() {
    let world = World::with(|api| api.max_connections = 1).await;
    let mut greedy = TcpStream::connect(world.playground.address()).await.unwrap();
    // More answers than the system keeps for somebody.
    let asked = "GET /v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    greedy.write_all(asked.as_bytes()).await.unwrap();
    greedy.readable().await.unwrap();
    world.client("bank").await.get("/v1/organisation").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_thousands_of_parameters_is_not_compared_with_itself() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let query: Vec<String> = (0..9_000).map(|number| format!("p{number}")).collect();
    let refused = bank.get(&format!("/v1/requests?{}", query.join("&"))).await;
    let (status, paths) = refused.refused(400);
    assert_eq!((status, paths.len(), paths.contains(&"")), ("invalid", 33, true));
}
