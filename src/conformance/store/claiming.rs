//! Destinations on their way to workers: whose turn it is, and what must not be claimed.

use super::StoreWorld;
use super::scene::*;
use crate::model::organisation::RequestOrder;
use crate::model::request::WindowZone;
use crate::model::{DispositionResult, Organisation, RequestHeader, RequestStatus};
use crate::ports::store::*;
use std::collections::BTreeSet;
use std::sync::Arc;

pub async fn claims_come_in_file_order_and_never_twice(world: &dyn StoreWorld) {
    let store = world.store();
    submit_chunks(&store, header("r"), vec![chunk(0..2), chunk(2..3), chunk(3..9)]).await;
    let first = store.claim(&worker("w"), 4).await.unwrap().claims;
    let second = store.claim(&worker("v"), 4).await.unwrap().claims;
    assert_eq!((indices(&first), indices(&second)), (vec![0, 1, 2, 3], vec![4, 5]));
    for claim in first.iter().chain(&second) {
        assert_eq!(claim.destination, destination(claim.destination.index));
        assert_eq!(claim.held.attempt.claim, 1);
        assert_eq!((claim.queued_at, claim.history.len()), (world.now(), 0));
    }
    let tokens: BTreeSet<Token> = first.iter().chain(&second).map(|claim| claim.held.token).collect();
    assert_eq!(tokens.len(), 6, "each has its own proof");
    assert_eq!(summary(&store, &key("r")).await.counts.queued, 9, "claimed counts as where it came from");
}

pub async fn a_claim_takes_no_more_than_is_free(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 3).await;
    submit(&store, header("r"), 9).await;
    let claims = claim_all(&store, 9).await;
    assert_eq!((claims.len(), leased(&store).await), (3, 3));
    done(store.give_back(&claims[1].held).await.unwrap());
    assert_eq!(claim_all(&store, 9).await.len(), 1);
    assert!(store.claim(&worker("w"), 0).await.unwrap().claims.is_empty());
}

pub async fn what_others_hold_is_not_free(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    for (external, more) in [("5", 1), ("-7", 5), ("0", 0)] {
        store.set_external(&organisation("bank"), Some(external.into())).await.unwrap();
        assert_eq!(claim_all(&store, 9).await.len(), more, "{external}");
    }
    let expected = SlotUse { limit: 6, external: 0, leased: 6, suspect: 0 };
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap(), expected);
}

pub async fn malformed_external_use_frees_nothing(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    for malformed in ["", "many", "1.5", " 1"] {
        store.set_external(&organisation("bank"), Some(malformed.into())).await.unwrap();
        assert!(claim_all(&store, 9).await.is_empty(), "{malformed:?}");
    }
    store.set_external(&organisation("bank"), None).await.unwrap();
    assert_eq!(claim_all(&store, 9).await.len(), 6);
}

pub async fn a_claim_is_shared_by_those_at_the_same_place_and_then_the_next_has_its_turn(world: &dyn StoreWorld) {
    let store = world.store();
    for name in ["bank", "shop", "town"] {
        submit(&store, header_of(name, "r"), 9).await;
    }
    let mut seen = Vec::new();
    for want in [6, 1, 4, 3, 2] {
        let claims = store.claim(&worker("w"), want).await.unwrap();
        assert!(claims.again_at.is_some_and(|at| at <= world.now()), "there is more at once");
        let organisations = claims.claims.iter().map(|claim| claim.held.organisation.as_str().to_owned());
        seen.push(organisations.collect::<Vec<_>>().join(" "));
    }
    // Two each; then one is ahead of the other two, and behind them again after their turn.
    let expected = ["bank bank shop shop town town", "bank", "shop shop town town", "bank bank bank", "shop town"];
    assert_eq!(seen, expected);
}

pub async fn weights_divide_the_turns(world: &dyn StoreWorld) {
    let store = world.store();
    for (name, weight) in [("bank", 1), ("shop", 3)] {
        set(&store, name, |settings| (settings.weight, settings.limit) = (weight, 1000)).await;
        submit(&store, header_of(name, "r"), 400).await;
    }
    let mut had = [0; 2];
    for _ in 0..50 {
        for claim in store.claim(&worker("w"), 4).await.unwrap().claims {
            had[usize::from(claim.held.organisation.as_str() == "shop")] += 1_u32;
        }
    }
    assert!(had[0].abs_diff(50) <= 4 && had[1].abs_diff(150) <= 4, "{had:?}");
}

pub async fn an_organisation_without_slots_does_not_stand_in_the_way(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 1).await;
    submit(&store, header("r"), 9).await;
    submit(&store, header_of("shop", "r"), 9).await;
    let claims = claim_all(&store, 20).await;
    assert_eq!(claims.iter().filter(|claim| claim.held.organisation.as_str() == "bank").count(), 1);
    assert_eq!(claims.len(), 7);
}

pub async fn a_claim_is_at_most_one_batch(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 1000).await;
    submit(&store, header("r"), 200).await;
    assert_eq!(store.claim(&worker("w"), 500).await.unwrap().claims.len(), 64);
}

pub async fn higher_priorities_go_first(world: &dyn StoreWorld) {
    let store = world.store();
    for priority in [3, 9, 5] {
        submit(&store, RequestHeader { priority, ..header(&format!("p{priority}")) }, 2).await;
    }
    let claims = claim_all(&store, 5).await;
    assert_eq!(names(&claims), [("p9", 0), ("p9", 1), ("p5", 0), ("p5", 1), ("p3", 0)]);
}

pub async fn requests_of_one_priority_take_turns(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 1000).await;
    submit(&store, header("large"), 500).await;
    submit(&store, header("small"), 20).await;
    let claims = claim_all(&store, 60).await;
    let small = claims.iter().take(40).filter(|claim| claim.held.request.as_str() == "small").count();
    assert!((16..=20).contains(&small), "a huge request does not hold up a small one: {small}");
    let run = claims.chunk_by(|one, next| one.held.request == next.held.request).take(4).map(<[Claim]>::len).max();
    assert!(run.is_some_and(|run| run <= 8), "no turn is longer than eight: {run:?}");
}

pub async fn a_late_request_starts_level_with_the_others(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 1000).await;
    submit(&store, header("early"), 500).await;
    claim_all(&store, 100).await;
    submit(&store, header("late"), 500).await;
    let claims = claim_all(&store, 64).await;
    let late = claims.iter().filter(|claim| claim.held.request.as_str() == "late").count();
    assert!(late.abs_diff(32) <= 8, "{late}");
}

pub async fn first_come_first_served_if_the_organisation_asks_for_it(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("b"), 9).await;
    submit(&store, header("a"), 9).await;
    set(&store, "bank", |settings| (settings.limit, settings.request_order) = (11, RequestOrder::FirstCome)).await;
    let claims = claim_all(&store, 11).await;
    let expected: Vec<_> = (0..9).map(|index| ("b", index)).chain([("a", 0), ("a", 1)]).collect();
    assert_eq!(names(&claims), expected);
}

pub async fn a_schedule_is_waited_for(world: &dyn StoreWorld) {
    let store = world.store();
    let scheduled = RequestHeader { scheduled_at: Some(world.now() + secs(60)), ..header("r") };
    // Not before its calls are known: whoever reads `scheduled` finds them.
    let key = RequestKey { organisation: scheduled.organisation.clone(), request: scheduled.id.clone() };
    assert_eq!(store.open_request(&Arc::new(scheduled), totals(2)).await.unwrap(), Opened::Load { next_chunk: 0 });
    assert_eq!(store.request(&key).await.unwrap().summary.status, RequestStatus::Submitted);
    assert_eq!(store.load_chunk(&key, 0, 0, &chunk(0..2)).await.unwrap(), Loaded::Stored);
    assert_eq!(store.seal(&key, 0).await.unwrap().0.status, RequestStatus::Scheduled);
    world.advance(secs(59)).await;
    let nothing = store.claim(&worker("w"), 9).await.unwrap();
    assert!(nothing.claims.is_empty());
    assert!(nothing.again_at.is_some_and(|at| at > world.now() && at <= world.now() + secs(1)));
    world.advance(secs(1)).await;
    assert_eq!(store.claim(&worker("w"), 9).await.unwrap().claims.len(), 2);
}

pub async fn a_closed_window_is_waited_for(world: &dyn StoreWorld) {
    let store = world.store();
    // Virtual time begins at nine in the morning, UTC.
    world.advance(secs(1800)).await;
    let window = Some(hours(WindowZone::Named("UTC".into()), 10, 11));
    submit(&store, RequestHeader { calling_window: window, ..header("r") }, 9).await;
    let nothing = store.claim(&worker("w"), 9).await.unwrap();
    assert!(nothing.claims.is_empty());
    assert!(nothing.again_at.is_some_and(|at| at > world.now() && at <= world.now() + secs(1800)));
    world.advance(secs(1800)).await;
    assert_eq!(store.claim(&worker("w"), 2).await.unwrap().claims.len(), 2);
    world.advance(secs(3600)).await;
    assert!(claim_all(&store, 9).await.is_empty(), "it has closed");
    world.advance(secs(23 * 3600)).await;
    assert_eq!(claim_all(&store, 9).await.len(), 4, "and opens again the next day");
}

pub async fn each_zone_opens_by_its_own_clock(world: &dyn StoreWorld) {
    let store = world.store();
    let window = Some(hours(WindowZone::Recipient, 10, 20));
    let zone = |name: &str, indices: &[u32]| Chunk {
        zones: vec![name.into()],
        destinations: indices.iter().copied().map(destination).collect(),
    };
    // At nine UTC it is five in the afternoon in Singapore, half past two in Kolkata, four in the morning in Lima.
    let chunks = vec![
        zone("America/Lima", &[0, 2]),
        zone("Asia/Singapore", &[1, 4]),
        zone("Asia/Kolkata", &[3]),
        zone("Asia/Singapore", &[5]),
    ];
    submit_chunks(&store, RequestHeader { calling_window: window, ..header("r") }, chunks).await;
    limit(&store, "bank", 100).await;
    let claims = store.claim(&worker("w"), 9).await.unwrap();
    assert_eq!(indices(&claims.claims), [1, 3, 4, 5], "in file order among those whose clock allows it");
    assert!(claims.again_at.is_some_and(|at| at <= world.now() + secs(6 * 3600)));
    world.advance(secs(6 * 3600)).await;
    assert_eq!(indices(&claim_all(&store, 9).await), [0, 2]);
}

pub async fn a_rate_bounds_what_is_claimed(world: &dyn StoreWorld) {
    let store = world.store();
    set(&store, "bank", |settings| (settings.limit, settings.calls_per_second) = (100, Some(2))).await;
    submit(&store, header("r"), 100).await;
    let first = claim_all(&store, 9).await;
    assert_eq!(first.len(), 1, "dials are spaced evenly");
    world.advance(secs(1)).await;
    assert!(claim_all(&store, 9).await.is_empty(), "what is claimed will use the rate, too");
    dial(&store, &first[0].held).await;
    let nothing = store.claim(&worker("w"), 9).await.unwrap();
    assert!(nothing.claims.is_empty());
    assert!(nothing.again_at.is_some_and(|at| at > world.now() && at <= world.now() + secs(1)));
    let mut dialled = 0;
    for _ in 0..100 {
        world.advance(std::time::Duration::from_millis(100)).await;
        for claim in claim_all(&store, 9).await {
            dial(&store, &claim.held).await;
            dialled += 1;
        }
    }
    assert!((19..=20).contains(&dialled), "two a second over ten seconds: {dialled}");
}

pub async fn no_second_sees_much_more_than_the_rate(world: &dyn StoreWorld) {
    for (rate, name) in [(1, "one"), (7, "few"), (40, "many")] {
        let store = world.store();
        set(&store, name, |settings| (settings.limit, settings.calls_per_second) = (1000, Some(rate))).await;
        submit(&store, header_of(name, "r"), 500).await;
        let mut dials = Vec::new();
        for step in 0..200 {
            // Now in small steps, now in large ones.
            world.advance(std::time::Duration::from_millis(if step % 50 < 40 { 20 } else { 400 })).await;
            let claims = claim_all(&store, 200).await;
            for claim in &claims {
                // Whatever was claimed may be dialled at once.
                dial(&store, &claim.held).await;
                dials.push(world.now());
            }
        }
        let most = rate + (rate / 10).max(1);
        for (nth, at) in dials.iter().enumerate() {
            let second = dials[nth..].iter().take_while(|later| later.since(*at) < secs(1)).count();
            assert!(second <= most as usize, "{second} dials in a second at a rate of {rate}");
        }
        store.control(&key_of(name, "r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    }
}

pub async fn nothing_is_claimed_after_the_expiry_even_if_nobody_swept(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, RequestHeader { expires_at: Some(world.now() + secs(60)), ..header("r") }, 9).await;
    assert_eq!(store.claim(&worker("w"), 1).await.unwrap().claims.len(), 1);
    world.advance(secs(60)).await;
    assert!(claim_all(&store, 9).await.is_empty());
}

pub async fn a_claim_given_back_is_claimed_again_in_its_old_place(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let due = world.now() + secs(1);
    call_through(&store, retries(DispositionResult::Busy, due)).await;
    let claims = claim_all(&store, 3).await;
    assert_eq!(indices(&claims), [1, 2, 3]);
    for claim in [&claims[2], &claims[0]] {
        done(store.give_back(&claim.held).await.unwrap());
    }
    assert_eq!(leased(&store).await, 1);
    let again = claim_all(&store, 3).await;
    assert_eq!(indices(&again), [1, 3, 4]);
    assert_eq!(again.iter().map(|claim| claim.held.attempt.claim).collect::<Vec<_>>(), [2, 2, 1]);
    world.advance(secs(1)).await;
    let retry = claim_one(&store).await;
    assert_eq!((retry.destination.index, retry.history.len()), (0, 2));
    done(store.give_back(&retry.held).await.unwrap());
    assert_eq!(summary(&store, &key("r")).await.counts.retry_scheduled, 1);
    assert_eq!(claim_one(&store).await.destination.index, 0, "a retry stays the first");
}

pub async fn giving_back_twice_is_giving_back_once(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 2).await;
    submit(&store, header("r"), 9).await;
    let claims = claim_all(&store, 2).await;
    for _ in 0..2 {
        done(store.give_back(&claims[0].held).await.unwrap());
        assert_eq!(leased(&store).await, 1);
    }
    let again = claim_all(&store, 9).await;
    assert_eq!(indices(&again), [0]);
    store.give_back(&claims[0].held).await.unwrap();
    assert_eq!(leased(&store).await, 2, "an earlier claim's proof gives nothing back");
    assert_eq!(
        store.organisation(&organisation("bank")).await.unwrap(),
        Organisation { limit: 2, ..Organisation::default() }
    );
}
