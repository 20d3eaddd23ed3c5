//! Webhooks, as operators look at them.

use serde_json::json;

use robocall::adapters::redis::{RedisHooks, RedisSettings, RedisStore};
use robocall::model::Timestamp;
use robocall::ports::hooks::*;
use robocall::ports::store::ProcessId;

use crate::support::Scratch;
use crate::world::World;

const URL: &str = "https://crm.example/hook/T0KEN";

/// Settings that lead to the database, and to nothing else.
fn world() -> World {
    World::of_servers("amqp://127.0.0.1:1/%2f", &crate::redis::shared().url(), "127.0.0.1:1")
}

#[test]
fn hooks_are_set_with_a_file_and_a_mistake_in_one_is_told_with_its_place() {
    let world = world();
    let hooks = json!([{"url": URL, "events": ["call.ended", "request"], "template": "create_call"}]);
    let file = Scratch::with("hooks.json", &json!({ "hooks": hooks }).to_string());
    let set = world.answer(&["org", "set", "--org", "bank", "--file", file.name()]);
    assert_eq!(set["settings"]["hooks"], hooks);
    assert!(world.run(&["org", "show", "--org", "bank"]).out.contains(URL));
    for (hooks, why) in [
        (json!([{"url": URL}, {"url": URL}]), "hooks[1].url: is there twice"),
        (json!([{"url": "ftp://x"}]), "must begin with https:// or http://"),
        (json!([{"url": URL, "events": ["call.end"]}]), "unknown event type"),
        (json!([{"url": URL, "template": "../x"}]), "must be 1 to 64 of a-z"),
        (json!([{"url": URL, "secret": "x"}]), "secret"),
    ] {
        let file = Scratch::with("bad-hooks.json", &json!({ "hooks": hooks }).to_string());
        let said = world.run(&["org", "set", "--org", "bank", "--file", file.name()]);
        assert!(said.code == 2 && said.err.contains(why), "{}: {}", said.code, said.err);
    }
    let removed = Scratch::with("no-hooks.json", r#"{"hooks": []}"#);
    let set = world.answer(&["org", "set", "--org", "bank", "--file", removed.name()]);
    assert_eq!(set["settings"].get("hooks"), None, "earlier versions know no such field");
}

#[test]
fn a_secret_is_shown_once_and_two_can_be_had_while_receivers_change_over() {
    let world = world();
    let made = world.run(&["hook", "secret", "add", "--org", "bank"]);
    let secret = made.out.trim_end();
    assert!(made.code == 0 && secret.starts_with("whsec_") && secret.len() == 50, "{}", made.out);
    let second = world.answer(&["hook", "secret", "add", "--org", "bank"]);
    assert_eq!(world.run(&["hook", "secret", "add", "--org", "bank"]).code, 2);
    let names = world.answer(&["hook", "secret", "list", "--org", "bank"])["secrets"].clone();
    assert_eq!((names.as_array().unwrap().len(), &names[0]), (2, &second["name"]));
    for said in [
        world.run(&["org", "show", "--org", "bank", "--json"]),
        world.run(&["org", "show", "--org", "bank"]),
        world.run(&["config", "show"]),
        world.run(&["hook", "secret", "list", "--org", "bank"]),
    ] {
        assert!(said.code == 0 && !said.out.contains("whsec_") && !said.out.contains(&secret[6..20]), "{}", said.out);
    }
    // Settings that are changed leave secrets alone, and a secret is its own name.
    world.answer(&["org", "set", "--org", "bank", "--limit", "3"]);
    let removed = world.answer(&["hook", "secret", "remove", secret, "--org", "bank"]);
    assert_eq!(removed["name"], names[1]);
    assert_eq!(world.answer(&["hook", "secret", "list", "--org", "bank"])["secrets"], json!([names[0]]));
    assert_eq!(world.run(&["hook", "secret", "remove", "00000000", "--org", "bank"]).code, 2);
    assert_eq!(world.answer(&["hook", "secret", "list", "--org", "shop"])["secrets"], json!([]));
}

#[test]
fn those_that_lag_and_what_is_dead_are_listed_and_wishes_are_written_down() {
    let world = world();
    let settings = RedisSettings { prefix: world.prefix(), ..RedisSettings::new(crate::redis::shared().url()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(world.run(&["hook", "list"]).out, "No webhook lags.\n");
    assert_eq!(world.run(&["hook", "dead"]).out, "No dead letters.\n");
    let at = Timestamp::VIRTUAL_START;
    let key = EndpointKey { organisation: "bank".parse().unwrap(), url: URL.parse().unwrap() };
    let event = |offset: u64| PendingEvent {
        offset,
        id: "c-0.1.2".into(),
        kind: "call.ended".into(),
        subject: "r/c-0".into(),
        template: None,
        since: at,
        tries: 7,
        due: at,
        bytes: 2,
    };
    let dead = DeadEvent {
        id: "aa-1".into(),
        endpoint: Some(key.clone()),
        event: Some(event(1)),
        gap: None,
        at,
        reason: "answered 500\u{1b}[31m".into(),
    };
    let gap =
        DeadEvent { id: "gap-4".into(), endpoint: None, event: None, gap: Some((4, 9)), at, reason: "gone".into() };
    let record =
        EndpointRecord { disabled_at: Some(at), last_error: Some("answered 410".into()), ..Default::default() };
    let hooks = runtime.block_on(async {
        let hooks = RedisHooks::new(std::sync::Arc::new(RedisStore::new(&settings).unwrap()), Keeping::default());
        let lead = hooks.lead(ProcessId(1), std::time::Duration::from_secs(30)).await.unwrap().unwrap();
        let changes = [
            Change::Endpoint(key.clone(), record),
            Change::Add(key.clone(), event(1), b"{}".to_vec()),
            Change::Add(key.clone(), event(2), b"{}".to_vec()),
            Change::Bury(dead),
            Change::Bury(gap),
        ];
        hooks.change(lead, &changes).await.unwrap();
        hooks
    });
    let listed = world.answer(&["hook", "list", "--org", "bank"])["hooks"][0].clone();
    assert_eq!((&listed["url"], &listed["state"], &listed["pending"]), (&json!(URL), &json!("gone"), &json!(1)));
    let words = world.run(&["hook", "dead"]).out;
    assert!(
        words.contains("aa-1") && words.contains("events 4 to 9 of the log") && !words.contains('\u{1b}'),
        "{words}"
    );
    let letters = world.answer(&["hook", "dead", "--org", "bank"])["deadLetters"].clone();
    assert_eq!((letters.as_array().unwrap().len(), &letters[0]["id"]), (1, &json!("aa-1")));

    assert_eq!(world.run(&["hook", "retry", "aa-9", "--org", "bank"]).code, 2);
    assert_eq!(world.run(&["hook", "enable", "https://other.example/", "--org", "bank"]).code, 2);
    assert_eq!(world.answer(&["hook", "retry", "aa-1", "--org", "bank"])["deadLetters"], json!(1));
    assert_eq!(world.run(&["hook", "retry", "--all", "--org", "bank"]).out, "1 dead letter: tried again\n");
    assert_eq!(world.run(&["hook", "enable", URL, "--org", "bank"]).code, 0);
    let wishes: Vec<WishKind> = runtime.block_on(hooks.wishes()).unwrap().into_iter().map(|wish| wish.kind).collect();
    let bank = || key.organisation.clone();
    let expected =
        [WishKind::Retry(bank(), Some("aa-1".into())), WishKind::Retry(bank(), None), WishKind::Enable(key.clone())];
    assert_eq!(wishes, expected);
}
