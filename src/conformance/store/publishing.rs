//! Events that were stored and are not confirmed.

use super::StoreWorld;
use super::scene::*;
use crate::model::{DispositionResult, EventType, Timestamp};
use crate::ports::store::*;

/// Calls with unconfirmed events, and how many of their events are confirmed.
async fn calls(store: &Store, before: Timestamp) -> Vec<(u32, u32)> {
    let unconfirmed = store.unconfirmed(before, 100).await.unwrap();
    let calls = unconfirmed.iter().filter_map(|unconfirmed| match unconfirmed {
        Unconfirmed::Call { destination, confirmed, .. } => Some((destination.index, *confirmed)),
        Unconfirmed::Request(_) | Unconfirmed::Organisation(_) => None,
    });
    calls.collect()
}

async fn confirm(store: &Store, index: u32, seq: u32) {
    store.confirm(&[Confirmation::of_call(organisation("bank"), call("r", index), seq)]).await.unwrap();
}

pub async fn what_is_not_confirmed_is_found_again(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let history = call_through(&store, ends(DispositionResult::Busy)).await.history;
    call_through(&store, retries(DispositionResult::Busy, world.now() + secs(60))).await;
    confirm(&store, 0, 1).await;
    assert!(calls(&store, world.now()).await.is_empty(), "it is too fresh: its owner is publishing it");
    let before = world.now() + secs(1);
    assert_eq!(calls(&store, before).await, [(0, 1), (1, 0)]);
    let all = store.unconfirmed(before, 100).await.unwrap();
    let found = all.iter().find_map(|unconfirmed| match unconfirmed {
        Unconfirmed::Call { history, destination, header, .. } if destination.index == 0 => Some((history, header)),
        _ => None,
    });
    let (found, of) = found.unwrap();
    assert_eq!((found, of.id.as_str()), (&history, "r"));
    assert_eq!(store.unconfirmed(before, 1).await.unwrap().len(), 1);
}

pub async fn what_is_confirmed_is_not(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    call_through(&store, ends(DispositionResult::Busy)).await;
    confirm(&store, 0, 2).await;
    let of_request = |seq| Confirmation::of_request(key("r"), seq);
    store.confirm(&[of_request(1), of_request(2)]).await.unwrap();
    assert!(store.unconfirmed(world.now() + secs(1), 100).await.unwrap().is_empty());
    // Confirmed while it was held, it is not found afterwards either.
    let (claim, after) = claim_and_dial(&store).await;
    confirm(&store, 1, 1).await;
    finish(&store, &claim.held, after, ends(DispositionResult::Busy)).await;
    assert_eq!(calls(&store, world.now() + secs(1)).await, [(1, 1)]);
    confirm(&store, 1, 2).await;
    assert!(calls(&store, world.now() + secs(1)).await.is_empty());
}

pub async fn what_is_held_is_left_to_its_owner(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let (claim, _) = claim_and_dial(&store).await;
    for _ in 0..5 {
        world.advance(secs(20)).await;
        store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
        assert!(calls(&store, world.now()).await.is_empty());
    }
}

pub async fn a_suspects_events_are_found(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let (claim, _) = claim_and_dial(&store).await;
    world.advance(secs(30)).await;
    assert_eq!(calls(&store, world.now()).await, [(0, 0)]);
    done(store.adopt(&claim.held, &worker("v")).await.unwrap());
    assert!(calls(&store, world.now() + secs(1)).await.is_empty(), "now they are the adopter's");
}

pub async fn a_claim_tells_how_many_events_of_its_call_are_confirmed(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    assert_eq!(claim_one_again(&store, None).await.confirmed, 0);
    for (seq, confirmed) in [(1, 1), (4, 4), (3, 4), (99, 8)] {
        let claim = claim_one_again(&store, Some((world, seq))).await;
        assert_eq!(claim.confirmed, confirmed, "after confirming {seq}");
    }
}

/// Tries the only call once more, confirms its events up to one, and claims it again; what was claimed is given back.
async fn claim_one_again(store: &Store, confirm: Option<(&dyn StoreWorld, u32)>) -> Claim {
    if let Some((world, seq)) = confirm {
        call_through(store, retries(DispositionResult::Busy, world.now())).await;
        store.confirm(&[Confirmation::of_call(organisation("bank"), call("r", 0), seq)]).await.unwrap();
    }
    let claim = claim_one(store).await;
    done(store.give_back(&claim.held).await.unwrap());
    claim
}

pub async fn confirming_again_or_less_changes_nothing(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    call_through(&store, retries(DispositionResult::Busy, world.now())).await;
    for seq in [1, 1, 0] {
        confirm(&store, 0, seq).await;
        assert_eq!(calls(&store, world.now() + secs(1)).await, [(0, 1)]);
    }
    // More than there is cannot have been confirmed.
    confirm(&store, 0, 99).await;
    assert!(calls(&store, world.now() + secs(1)).await.is_empty());
    call_through(&store, ends(DispositionResult::Answered)).await;
    assert_eq!(calls(&store, world.now() + secs(1)).await, [(0, 2)]);
}

pub async fn a_requests_own_events_are_found_in_order(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    world.advance(secs(10)).await;
    store.control(&key("r"), Control::Pause, None).await.unwrap();
    store.control(&key("r"), Control::Resume, None).await.unwrap();
    let told = |unconfirmed: Vec<Unconfirmed>| -> Vec<(u32, EventType)> {
        let events = unconfirmed.iter().filter_map(|unconfirmed| match unconfirmed {
            Unconfirmed::Request(event) => Some((event.seq, event.kind)),
            Unconfirmed::Call { .. } | Unconfirmed::Organisation(_) => None,
        });
        events.collect()
    };
    let old = told(store.unconfirmed(world.now(), 9).await.unwrap());
    assert_eq!(old, [(1, EventType::RequestAccepted)]);
    let all = told(store.unconfirmed(world.now() + secs(1), 9).await.unwrap());
    assert_eq!(all, [(1, EventType::RequestAccepted), (2, EventType::RequestPaused), (3, EventType::RequestResumed)]);
    // Whoever publishes the second may never have heard of the first.
    for (seq, left) in [(2, [1, 3].as_slice()), (2, &[1, 3]), (1, &[3]), (3, &[])] {
        store.confirm(&[Confirmation::of_request(key("r"), seq)]).await.unwrap();
        let unconfirmed = told(store.unconfirmed(world.now() + secs(1), 9).await.unwrap());
        assert_eq!(unconfirmed.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), left, "after confirming {seq}");
    }
}

pub async fn a_retry_that_is_claimed_is_its_owners_again(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    call_through(&store, retries(DispositionResult::Busy, world.now())).await;
    let before = world.now() + secs(1);
    assert_eq!(calls(&store, before).await, [(0, 0)]);
    let claim = claim_one(&store).await;
    assert!(calls(&store, before).await.is_empty());
    done(store.give_back(&claim.held).await.unwrap());
    assert_eq!(calls(&store, before).await, [(0, 0)]);
}
