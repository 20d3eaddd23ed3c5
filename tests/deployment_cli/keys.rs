//! Keys of organisations, as operators make, list and revoke them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::World;

/// Settings that lead to the database, and to nothing else.
fn world() -> World {
    World::of_servers("amqp://127.0.0.1:1/%2f", &crate::redis::shared().url(), "127.0.0.1:1")
}

fn listed(world: &World, more: &[&str]) -> Vec<Value> {
    world.answer(&[&["org", "key", "list"], more].concat())["keys"].as_array().unwrap().clone()
}

#[test]
fn a_key_is_shown_once_listed_without_its_secret_and_revoked() {
    let world = world();
    assert_eq!(world.run(&["org", "key", "list"]).out, "No keys.\n");
    let made = world.run(&["org", "key", "add", "--org", "bank", "--label", "crm, Zürich"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let key = made.out.strip_suffix('\n').unwrap();
    assert_eq!((key.len(), &key[..3], &key[15..16]), (76, "rc_", "_"), "stdout is the key and nothing else");
    let id = &key[3..15];
    assert_eq!(
        made.err,
        format!("key {id} of bank (crm, Zürich), good for submit, read: shown this once, kept nowhere\n")
    );

    let keys = listed(&world, &[]);
    assert_eq!((keys.len(), &keys[0]["id"], &keys[0]["organisation"]), (1, &json!(id), &json!("bank")));
    assert_eq!((&keys[0]["label"], &keys[0]["scopes"]), (&json!("crm, Zürich"), &json!(["submit", "read"])));
    let fields: Vec<&String> = keys[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["createdAt", "id", "label", "organisation", "scopes"]);
    let words = world.run(&["org", "key", "list"]).out;
    assert!(words.contains(id) && words.contains("crm, Zürich") && words.ends_with("\n\n1 key\n"), "{words}");
    assert!(!words.contains(&key[16..24]), "{words}");

    let said = world.run(&["org", "key", "revoke", id]);
    assert_eq!((said.code, said.out), (0, format!("key {id} of bank (crm, Zürich): revoked\n")));
    assert!(listed(&world, &[]).is_empty());
    let again = world.run(&["org", "key", "revoke", id]);
    assert_eq!((again.code, again.err), (2, format!("error: there is no key {id}\n")));
}

#[test]
fn every_key_is_another_and_an_organisation_has_its_own() {
    let world = world();
    let add = |org: &str, scopes: &str| {
        let made = world.answer(&["org", "key", "add", "--org", org, "--label", "x", "--scopes", scopes]);
        assert_eq!((&made["status"], &made["key"]["organisation"]), (&json!("created"), &json!(org)));
        made
    };
    let made = [add("bank", "read"), add("bank", "admin,submit,admin"), add("shop", "supervise")];
    let secrets: BTreeSet<&str> = made.iter().map(|made| &made["apiKey"].as_str().unwrap()[16..68]).collect();
    assert_eq!(secrets.len(), 3);
    assert_eq!(made[1]["key"]["scopes"], json!(["submit", "admin"]));
    assert_eq!(listed(&world, &[]).len(), 3);
    assert_eq!(listed(&world, &["--org", "bank"]), [made[0]["key"].clone(), made[1]["key"].clone()]);
    assert!(listed(&world, &["--org", "default"]).is_empty());

    let id = made[2]["key"]["id"].as_str().unwrap();
    let foreign = world.run(&["org", "key", "revoke", id, "--org", "bank", "--json"]);
    let answer: Value = serde_json::from_str(&foreign.out).unwrap();
    assert_eq!((foreign.code, &answer["status"]), (2, &json!("notFound")));
    assert_eq!(answer["message"], format!("organisation bank has no key {id}"));
    // Whoever found a key somewhere has no need to look its id up.
    let whole = made[2]["apiKey"].as_str().unwrap();
    let revoked = world.answer(&["org", "key", "revoke", whole, "--org", "shop"]);
    assert_eq!(revoked, json!({"status": "revoked", "key": made[2]["key"]}));
    assert_eq!(listed(&world, &[]).len(), 2);
}

#[test]
fn what_is_no_label_scope_or_id_is_refused_before_anything_is_made() {
    let world = world();
    for wrong in [
        &["add"][..],
        &["add", "--label", ""],
        &["add", "--label", "a\nb"],
        &["add", "--label", "x", "--scopes", "read,everything"],
        &["add", "--label", "x", "--scopes", ""],
        &["add", "--label", "x", "--org", "Bank"],
        &["revoke", "crm"],
        &["revoke"],
    ] {
        let said = world.run(&[&["org", "key"], wrong].concat());
        assert_eq!(said.code, 2, "{wrong:?}: {}", said.out);
    }
    assert!(listed(&world, &[]).is_empty());
}
