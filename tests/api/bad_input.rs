//! Every operation, asked wrongly: each answer is a refusal in the contracts' words, never a failure.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{World, answered};

/// Every operation of the document: method, path with its parameters filled in, whether it takes a body.
fn operations() -> Vec<(Method, String, bool)> {
    let document = robocall::api::document();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase().parse().unwrap(), path.clone(), operation.get("requestBody").is_some()));
        }
    }
    assert!(found.len() > 15);
    found
}

fn filled(path: &str, with: &str) -> String {
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        filled.push_str(with);
        rest = behind.split_once('}').unwrap().1;
    }
    filled + rest
}

fn is_refusal(body: &Value) -> bool {
    body["status"].is_string() && body["message"].is_string() && body["errors"].is_array()
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_cannot_be_are_refused_by_name() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    for (method, path, takes_body) in operations() {
        if !path.contains('{') {
            continue;
        }
        for wrong in ["%20", "a%2Fb", "%00", "%FF", "a%C3b", "%F0%9F%98%80", "..", &"x".repeat(2_000)] {
            let asked = bank.ask(method.clone(), &filled(&path, wrong));
            let asked = if takes_body { asked.json(&json!({})) } else { asked };
            let answer = answered(asked).await;
            assert!(
                answer.code.is_client_error() && is_refusal(&answer.body),
                "{method} {path} {wrong}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_mean_nothing_are_refused_by_name() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    for (method, path, takes_body) in operations() {
        let asked = bank.ask(method.clone(), &format!("{}?limt=3", filled(&path, "9991000001")));
        let asked = if takes_body { asked.json(&json!({"record": true, "sessionType": "MONITOR"})) } else { asked };
        let answer = answered(asked).await;
        let paths = answer.refused(400).1;
        assert!(!paths.is_empty(), "{method} {path}: {}", answer.body);
    }
    for (query, path) in [
        ("/v1/status/r?limit=0", "limit"),
        ("/v1/status/r?limit=1001", "limit"),
        ("/v1/status/r?limit=+5", "limit"),
        ("/v1/status/r?limit=5&limit=6", "limit"),
        ("/v1/status/r?cursor=abc", "cursor"),
        ("/v1/requests?status=done", "status"),
        ("/v1/requests?cursor=abc", "cursor"),
        ("/v1/calls?product=AGENT", "product"),
        ("/v1/calls?product=OUTBOUND", "productId"),
        ("/v1/calls?page=0", "page"),
        ("/v1/calls?state=ended", "state"),
    ] {
        assert_eq!(bank.get(query).await.refused(400), ("invalid", vec![path]), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_mean_nothing_are_refused() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let long = format!("\"{}\"", "x".repeat(70_000));
    for (method, path, takes_body) in operations() {
        if !takes_body {
            continue;
        }
        let path = filled(&path, "9991000001");
        for wrong in ["null", "7", "\"x\"", "[]", "{", "{\"a\":1,\"a\":2}", "{\"a\":1e999}", "\u{0}", &deep, &long] {
            let asked = bank.ask(method.clone(), &path).header("content-type", "application/json");
            let answer = answered(asked.body(wrong.to_owned())).await;
            let beginning: String = wrong.chars().take(20).collect();
            assert!(
                answer.code.is_client_error() && is_refusal(&answer.body),
                "{method} {path} {beginning}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_refused_in_the_same_words() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    assert_eq!(bank.get("/v1/nothing").await.refused(404).0, "notFound");
    assert_eq!(bank.get("/").await.refused(404).0, "notFound");
    let wrong = answered(bank.ask(Method::DELETE, "/v1/call")).await;
    assert_eq!(wrong.refused(405).0, "invalid");
    assert!(wrong.headers["allow"].to_str().unwrap().contains("POST"));
}
