//! Who is let in.

use reqwest::Method;
use robocall::model::{ApiKey, Scope};
use serde_json::json;

use crate::world::{World, answered, request};

#[tokio::test(flavor = "multi_thread")]
async fn only_known_keys_are_let_in_and_only_for_what_they_are_good_for() {
    let world = World::new().await;
    let nobody = reqwest::Client::builder().no_proxy().build().unwrap();
    let without = answered(nobody.get(world.url("/v1/organisation"))).await;
    assert_eq!(without.refused(401).0, "unauthorised");
    assert_eq!(without.headers["www-authenticate"], "Bearer");
    let unknown = ApiKey::from_random([7; 32]);
    for key in ["", "rc_", "secret", unknown.expose(), "\u{fc}"] {
        let refused = world.client_with(key).get("/v1/organisation").await;
        assert_eq!(refused.refused(401).0, "unauthorised", "{key}");
    }
    let reader = world.client_for("bank", &[Scope::Read]).await;
    reader.get("/v1/organisation").await.ok();
    for (method, path) in [
        (Method::POST, "/v1/call"),
        (Method::POST, "/v1/requests/r/pause"),
        (Method::PATCH, "/v1/organisation"),
        (Method::PUT, "/v1/do-not-call/+9991000001"),
        (Method::POST, "/v1/calls/00000000000000000000-0/hangup"),
    ] {
        assert_eq!(reader.send(method, path, &json!({})).await.refused(403).0, "forbidden", "{path}");
    }
    let submitter = world.client_for("bank", &[Scope::Submit]).await;
    submitter.post("/v1/call", &request("r", &["+9992000001"])).await.ok();
    assert_eq!(submitter.get("/v1/status/r").await.refused(403).0, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_is_as_good_as_the_header_and_two_different_keys_are_none() {
    let world = World::new().await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    let nobody = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = || nobody.get(world.url("/v1/organisation"));
    assert_eq!(answered(ask().bearer_auth(&bank.key)).await.ok()["organisation"], "bank");
    assert_eq!(
        answered(ask().header("authorization", format!("bearer {}", bank.key))).await.ok()["organisation"],
        "bank"
    );
    let both = |other: &str| answered(ask().bearer_auth(&bank.key).header("x-credential-api-key", other));
    assert_eq!(both(&bank.key).await.ok()["organisation"], "bank");
    assert_eq!(both(&clinic.key).await.refused(401).0, "unauthorised");
    let basic = answered(ask().basic_auth("bank", Some(&bank.key))).await;
    assert_eq!(basic.refused(401).0, "unauthorised");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_opens_nothing_from_then_on() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.get("/v1/organisation").await.ok();
    let id = bank.key.parse::<ApiKey>().unwrap().id().clone();
    world.playground.keys().revoke(None, &id).await.unwrap().unwrap();
    assert_eq!(bank.get("/v1/organisation").await.refused(401).0, "unauthorised");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_keys_is_limited_and_harms_nobody_whose_key_is_known() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    bank.get("/v1/organisation").await.ok();
    let mut limited = 0;
    for number in 0..120_u8 {
        let stranger = world.client_with(ApiKey::from_random([number; 32]).expose());
        let refused = stranger.get("/v1/organisation").await;
        if refused.code.as_u16() == 429 {
            assert_eq!(refused.refused(429).0, "rateLimited");
            assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
            limited += 1;
        } else {
            refused.refused(401);
        }
        bank.get("/v1/organisation").await.ok();
    }
    assert!(limited > 0, "strangers are let try as often as they like");
}

/// Tries keys that nobody knows until there were too many, each said to come from somewhere.
async fn flood(world: &World, from: impl Fn(u8) -> String) {
    for number in 0..u8::MAX {
        let stranger = world.client_with(ApiKey::from_random([number; 32]).expose());
        let asked = stranger.ask(Method::GET, "/v1/organisation").header("x-forwarded-for", from(number));
        if answered(asked).await.code.as_u16() == 429 {
            return;
        }
    }
    panic!("strangers are let try as often as they like");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_strangers_hold_up_nobody_elsewhere_whatever_they_write() {
    let world = World::with(|api| {
        api.unknown_keys_per_second = 1;
        api.trusted_proxies = vec!["127.0.0.0/8".to_owned(), "10.0.0.0/8".to_owned()];
    })
    .await;
    // What stands before the address that the proxy wrote down, the stranger may have sent.
    flood(&world, |number| format!("203.0.113.{number}, 198.51.100.1, 10.0.0.1")).await;
    let bank = world.client("bank").await;
    let asked = bank.ask(Method::GET, "/v1/organisation").header("x-forwarded-for", "198.51.100.2");
    answered(asked).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_trusted_proxy_is_not_believed_to_be_somebody_else() {
    for trusted in [vec![], vec!["10.0.0.0/8".to_owned()]] {
        let world = World::with(|api| {
            api.unknown_keys_per_second = 1;
            api.trusted_proxies = trusted;
        })
        .await;
        flood(&world, |number| format!("198.51.100.{number}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_under_a_keys_public_id_makes_nobody_a_stranger() {
    let world = World::with(|api| api.unknown_keys_per_second = 1).await;
    let bank = world.client("bank").await;
    bank.get("/v1/organisation").await.ok();
    let id = u64::from_str_radix(&bank.key[3..15], 16).unwrap().to_be_bytes();
    for number in 0..20 {
        let mut bytes = [number; 32];
        bytes[..6].copy_from_slice(&id[2..]);
        let forged = ApiKey::from_random(bytes);
        assert_eq!(forged.id().as_str(), &bank.key[3..15]);
        assert!(world.client_with(forged.expose()).get("/v1/organisation").await.code.is_client_error());
        bank.get("/v1/organisation").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_asks_too_often_waits_and_others_do_not() {
    let world = World::with(|api| api.requests_per_second = 5).await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(bank.get("/v1/organisation").await.code.as_u16());
    }
    assert!(codes[..5].iter().all(|code| *code == 200) && codes.contains(&429), "{codes:?}");
    clinic.get("/v1/organisation").await.ok();
}
