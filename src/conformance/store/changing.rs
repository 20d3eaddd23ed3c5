//! What is told of changing an organisation itself.

use std::sync::Arc;

use super::StoreWorld;
use super::scene::*;
use crate::model::event::{NUMBER_ADDED, NUMBER_REMOVED, OrganisationEvent};
use crate::model::{DispositionResult, Event, Organisation, Timestamp};
use crate::ports::store::*;

fn given(id: &str) -> Given {
    Given { id: id.into(), actor: "Team München".parse().ok(), expect: None }
}

/// The events of organisations themselves that nobody has confirmed, of those before an instant.
async fn told(store: &Store, before: Timestamp) -> Vec<OrganisationEvent> {
    let unconfirmed = store.unconfirmed(before, 100).await.unwrap();
    let own = unconfirmed.into_iter().filter_map(|unconfirmed| match unconfirmed {
        Unconfirmed::Organisation(event) => Some(event),
        Unconfirmed::Call { .. } | Unconfirmed::Request(_) => None,
    });
    own.collect()
}

/// Whose each is and which, the command's name and id, and what it changed.
fn in_short(events: &[OrganisationEvent]) -> Vec<(&str, u32, &str, &str, Vec<&str>)> {
    let mut short = Vec::new();
    for OrganisationEvent { organisation, seq, command, changed, .. } in events {
        let changed = changed.iter().map(|name| &**name).collect();
        short.push((organisation.as_str(), *seq, &*command.name, &*command.id, changed));
    }
    short.sort();
    short
}

pub async fn a_change_of_settings_is_told_once_with_who_made_it_and_what_it_changed(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let unset = store.organisation(&bank).await.unwrap();
    let mut wide = Organisation { limit: 9, weight: 2, ..unset.clone() };
    wide.caller_ids.push("+6531580000".parse().unwrap());
    let change = async |before: &Organisation, after: &Organisation, id: &str| {
        store.change_organisation(&bank, before, after.clone(), LimitChange::Set, Some(&given(id))).await.unwrap()
    };
    assert!(change(&unset, &wide, "a").await);
    let at = world.now();
    world.advance(secs(5)).await;
    // Asked again by somebody who has heard no answer, by somebody who is late, and to no effect.
    assert!(!change(&unset, &wide, "a").await);
    assert!(!change(&unset, &Organisation { limit: 3, ..unset.clone() }, "b").await);
    assert!(change(&wide, &wide, "c").await);
    assert!(change(&wide, &unset, "d").await);
    let events = told(&store, world.now() + secs(1)).await;
    let names = ["callerIds", "limit", "weight"].to_vec();
    let expected = [("bank", 1, "organisation", "a", names.clone()), ("bank", 2, "organisation", "d", names)];
    assert_eq!(in_short(&events), expected);
    assert_eq!((events[0].at, &events[0].command.actor), (at, &given("a").actor));
    let text = serde_json::to_string(&Event::Organisation(Arc::new(events[0].clone()))).unwrap();
    assert!(!text.contains("31580000"), "{text}");
}

pub async fn a_limit_that_others_write_is_no_change_of_whoever_keeps_it(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let unset = store.organisation(&bank).await.unwrap();
    let heavy = Organisation { weight: 3, ..unset.clone() };
    limit(&store, "bank", 2).await;
    let change = async |before: &Organisation, after: &Organisation| {
        store.change_organisation(&bank, before, after.clone(), LimitChange::Kept, Some(&given("a"))).await.unwrap()
    };
    assert!(change(&unset, &heavy).await);
    assert!(change(&heavy, &heavy).await, "what is nothing new is done, and not told");
    let events = told(&store, world.now() + secs(1)).await;
    assert_eq!(in_short(&events), [("bank", 1, "organisation", "a", vec!["weight"])]);
}

pub async fn what_becomes_of_the_do_not_call_list_is_told_without_the_number(world: &dyn StoreWorld) {
    let store = world.store();
    let (bank, shop) = (organisation("bank"), organisation("shop"));
    let phone = destination(7).number.phone().unwrap();
    let block = async |whose, id: &str| store.block_number(whose, phone, Some(&given(id))).await.unwrap();
    let unblock = async |whose, id: &str| store.unblock_number(whose, phone, Some(&given(id))).await.unwrap();
    assert!(!unblock(&bank, "a").await, "it was not on the list");
    assert!(block(&bank, "b").await);
    assert!(!block(&bank, "c").await, "it is on the list already");
    assert!(block(&shop, "d").await);
    assert!(unblock(&bank, "e").await);
    assert!(!unblock(&bank, "f").await);
    // As a call does it, which tells of it itself.
    assert!(store.block_number(&bank, phone, None).await.unwrap());
    assert!(!block(&bank, "g").await);
    assert!(store.unblock_number(&bank, phone, None).await.unwrap());
    let events = told(&store, world.now() + secs(1)).await;
    let expected = [
        ("bank", 1, "doNotCall", "b", vec![NUMBER_ADDED]),
        ("bank", 2, "doNotCall", "e", vec![NUMBER_REMOVED]),
        ("shop", 1, "doNotCall", "d", vec![NUMBER_ADDED]),
    ];
    assert_eq!(in_short(&events), expected);
    let digits = phone.digits().to_string();
    for event in events {
        let text = serde_json::to_string(&Event::Organisation(Arc::new(event))).unwrap();
        assert!(!text.contains(&digits) && !text.contains(&digits[2..]), "{text}");
    }
}

pub async fn a_change_is_told_again_the_same_until_it_is_confirmed(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let phones: Vec<_> = (0..4).map(|index| destination(index).number.phone().unwrap()).collect();
    for (phone, id) in phones.iter().zip(["a", "b", "c"]) {
        assert!(store.block_number(&bank, *phone, Some(&given(id))).await.unwrap());
        world.advance(secs(10)).await;
    }
    let first = told(&store, world.now() - secs(15)).await;
    assert_eq!(first.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2], "the third is too young");
    let all = told(&store, world.now()).await;
    assert_eq!(all[..2], first, "told again as it was");
    assert_eq!(store.unconfirmed(world.now(), 2).await.unwrap().len(), 2);
    // Whoever publishes the second may never have heard of the first; another's and one that is not there are nobody's.
    let confirm = async |whose: &str, seq| {
        store.confirm(&[Confirmation::of_organisation(organisation(whose), seq)]).await.unwrap();
        told(&store, world.now()).await.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    assert_eq!(confirm("shop", 1).await, [1, 2, 3]);
    assert_eq!(confirm("bank", 2).await, [1, 3]);
    assert_eq!(confirm("bank", 2).await, [1, 3]);
    assert_eq!(confirm("bank", 99).await, [1, 3]);
    assert_eq!(confirm("bank", 1).await, [3]);
    assert_eq!(told(&store, world.now() - secs(15)).await, [], "the one that is left is not that old");
    assert_eq!(confirm("bank", 3).await, [0; 0]);
    // Numbers go on where they were.
    assert!(store.block_number(&bank, phones[3], Some(&given("d"))).await.unwrap());
    let next = told(&store, world.now() + secs(1)).await;
    assert_eq!(in_short(&next), [("bank", 4, "doNotCall", "d", vec![NUMBER_ADDED])]);
}

pub async fn however_many_changes_wait_to_be_told_they_keep_no_call_and_nobody_else_waiting(world: &dyn StoreWorld) {
    let store = world.store();
    for index in 0..20 {
        let phone = destination(100 + index).number.phone().unwrap();
        assert!(store.block_number(&organisation("bank"), phone, Some(&given("list"))).await.unwrap());
    }
    world.advance(secs(1)).await;
    submit(&store, header("r"), 1).await;
    call_through(&store, ends(DispositionResult::Busy)).await;
    store.block_number(&organisation("shop"), destination(1).number.phone().unwrap(), Some(&given("a"))).await.unwrap();
    let found = store.unconfirmed(world.now() + secs(1), 10).await.unwrap();
    assert_eq!(found.len(), 10);
    let is_own = |unconfirmed: &Unconfirmed| matches!(unconfirmed, Unconfirmed::Organisation(_));
    let first_own = found.iter().position(is_own).unwrap();
    assert!(found[..first_own].iter().any(|found| matches!(found, Unconfirmed::Call { .. })), "{found:?}");
    assert!(found[first_own..].iter().all(is_own), "{found:?}");
    let of_shop = |unconfirmed: &Unconfirmed| matches!(unconfirmed, Unconfirmed::Organisation(event) if event.organisation.as_str() == "shop");
    assert!(found.iter().any(of_shop), "{found:?}");
}

pub async fn what_cannot_be_told_is_not_done(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let phone = destination(7).number.phone().unwrap();
    let unset = store.organisation(&bank).await.unwrap();
    let heavy = Organisation { weight: 3, ..unset.clone() };
    for id in [String::new(), "x".repeat(LONGEST_COMMAND_ID + 1)] {
        let given = given(&id);
        let refused = |error: StoreError| assert!(matches!(error, StoreError::Refused(_)), "{error}");
        refused(store.block_number(&bank, phone, Some(&given)).await.unwrap_err());
        refused(store.unblock_number(&bank, phone, Some(&given)).await.unwrap_err());
        let change = store.change_organisation(&bank, &unset, heavy.clone(), LimitChange::Kept, Some(&given));
        refused(change.await.unwrap_err());
    }
    assert!(!store.is_blocked(&bank, phone).await.unwrap());
    assert_eq!(store.organisation(&bank).await.unwrap(), unset);
    assert_eq!(told(&store, world.now() + secs(1)).await, []);
}
