//! Who looks after what: renewing, suspecting, adopting, fencing.

use super::StoreWorld;
use super::scene::*;
use crate::model::{CallStatus, DispositionResult, Happening, LegId};
use crate::ports::store::*;

pub async fn renewed_leases_do_not_expire(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let (claim, _) = claim_and_dial(&store).await;
    done(store.request_slot(&claim.held, LegId::transfer(claim.held.attempt, 1), world.now()).await.unwrap());
    for _ in 0..10 {
        world.advance(secs(20)).await;
        let renewed = store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
        assert_eq!(renewed, Renewed::default());
        assert!(store.suspects(9).await.unwrap().is_empty());
        assert_eq!(store.slot_use(&organisation("bank")).await.unwrap().suspect, 0);
    }
    finish(&store, &claim.held, 1, ends(DispositionResult::Answered)).await;
    let renewed = store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert_eq!(renewed.lost, [claim.held]);
}

pub async fn an_expired_lease_still_counts(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 2).await;
    submit(&store, header("r"), 9).await;
    let (claim, _) = claim_and_dial(&store).await;
    done(store.request_slot(&claim.held, LegId::transfer(claim.held.attempt, 1), world.now()).await.unwrap());
    world.advance(secs(3600)).await;
    assert!(claim_all(&store, 9).await.is_empty());
    let expected = SlotUse { limit: 2, external: 0, leased: 2, suspect: 2 };
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap(), expected);
    let renewed = store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert!(renewed.lost.is_empty(), "nobody has taken it over: it is its owner's");
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap().suspect, 0);
}

pub async fn whoever_does_not_renew_is_suspect(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let (dialled, _) = claim_and_dial(&store).await;
    let dialled_at = world.now();
    world.advance(secs(10)).await;
    let claimed = claim_one(&store).await;
    world.advance(secs(20) - std::time::Duration::from_millis(1)).await;
    assert!(store.suspects(9).await.unwrap().is_empty());
    world.advance(secs(10) + std::time::Duration::from_millis(1)).await;
    let suspects = store.suspects(9).await.unwrap();
    assert_eq!(suspects.len(), 2);
    assert_eq!(
        (&suspects[0].held, suspects[0].stage, &suspects[0].worker),
        (&dialled.held, Stage::Dialing, &worker("w"))
    );
    assert_eq!(suspects[0].over_at, dialled_at + secs(30 + 600 + 60), "ring, talk, and a minute");
    assert_eq!((&suspects[1].held, suspects[1].stage), (&claimed.held, Stage::Claimed));
    assert!(suspects[1].over_at <= world.now(), "what was not dialled is over already");
    assert_eq!(store.suspects(1).await.unwrap().len(), 1);
}

/// A call of worker `w` with a second leg and some history, its leases expired.
async fn left_behind(store: &Store, world: &dyn StoreWorld) -> Held {
    submit(store, header("r"), 9).await;
    let (claim, after) = claim_and_dial(store).await;
    let facts = [fact(world.now(), Happening::Answered)];
    let state = transferring(claim.held.attempt, 1);
    done(store.checkpoint(&claim.held, after, &facts, &state).await.unwrap());
    done(store.request_slot(&claim.held, LegId::transfer(claim.held.attempt, 1), world.now()).await.unwrap());
    store.confirm(&[Confirmation { key: key("r"), call: Some(claim.held.attempt.call), seq: 1 }]).await.unwrap();
    world.advance(secs(30)).await;
    claim.held
}

pub async fn an_adopted_call_goes_on_where_it_stood(world: &dyn StoreWorld) {
    let store = world.store();
    let held = left_behind(&store, world).await;
    let adopted = done(store.adopt(&held, &worker("v")).await.unwrap());
    assert_eq!(
        (adopted.stage, adopted.state, adopted.claim.confirmed),
        (Stage::Dialing, Some(transferring(held.attempt, 1)), 1)
    );
    let claim = adopted.claim;
    assert_eq!(claim.held.attempt, held.attempt, "the attempt stays the same");
    assert!(claim.held.token > held.token);
    let last = fact(world.now(), Happening::Adopted { worker: worker("v") });
    assert_eq!((claim.history.len(), &claim.history[2]), (3, &last));
    assert_eq!(claim.destination, destination(0));
    let expected = SlotUse { limit: 6, external: 0, leased: 2, suspect: 0 };
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap(), expected);
    assert!(store.suspects(9).await.unwrap().is_empty());
    let facts = [fact(world.now(), Happening::StepStarted { step: 0 })];
    done(store.checkpoint(&claim.held, 3, &facts, &flow_state()).await.unwrap());
    done(store.finish(&claim.held, &worker("v"), 4, &[], ends(DispositionResult::Answered), 0).await.unwrap());
    assert_eq!(leased(&store).await, 0);
}

pub async fn whoever_adopts_after_an_adopter_listens_in_the_name_that_dialled(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let (claim, _) = claim_and_dial(&store).await;
    let mut held = claim.held;
    for adopter in ["v", "u"] {
        world.advance(secs(30)).await;
        let suspects = store.suspects(9).await.unwrap();
        assert_eq!(suspects.iter().map(|suspect| &suspect.app).collect::<Vec<_>>(), [&worker("w")]);
        let adopted = done(store.adopt(&held, &worker(adopter)).await.unwrap());
        assert_eq!(adopted.state, Some(flow_state()), "where it stood when its dial was committed to");
        held = adopted.claim.held;
    }
}

pub async fn adopting_twice_is_adopting_once(world: &dyn StoreWorld) {
    let store = world.store();
    let held = left_behind(&store, world).await;
    let first = done(store.adopt(&held, &worker("v")).await.unwrap());
    let second = done(store.adopt(&held, &worker("v")).await.unwrap());
    assert_eq!((&second.claim.held, second.claim.history), (&first.claim.held, first.claim.history));
    assert!(matches!(store.adopt(&held, &worker("u")).await.unwrap(), Written::Fenced));
}

pub async fn a_live_call_is_not_adopted(world: &dyn StoreWorld) {
    let store = world.store();
    let held = left_behind(&store, world).await;
    store.renew(&worker("w"), std::slice::from_ref(&held)).await.unwrap();
    assert!(matches!(store.adopt(&held, &worker("v")).await.unwrap(), Written::Fenced));
    world.advance(secs(30)).await;
    let other = Held { token: Token(held.token.0 + 1000), ..held.clone() };
    assert!(matches!(store.adopt(&other, &worker("v")).await.unwrap(), Written::Fenced));
    finish(&store, &held, 2, ends(DispositionResult::Answered)).await;
    assert!(matches!(store.adopt(&held, &worker("v")).await.unwrap(), Written::Fenced), "it has ended");
}

pub async fn a_claimed_call_is_adopted_undialled_and_given_back(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let claim = claim_one(&store).await;
    world.advance(secs(30)).await;
    let adopted = done(store.adopt(&claim.held, &worker("v")).await.unwrap());
    assert_eq!((adopted.stage, adopted.state, adopted.claim.history.len()), (Stage::Claimed, None, 0));
    assert_eq!(try_dial(&store, &claim.held).await, DialDecision::Fenced);
    done(store.give_back(&adopted.claim.held).await.unwrap());
    assert_eq!(leased(&store).await, 0);
    assert_eq!(claim_one(&store).await.held.attempt.claim, 2);
}

pub async fn an_earlier_owner_is_fenced_everywhere(world: &dyn StoreWorld) {
    let store = world.store();
    let held = left_behind(&store, world).await;
    let adopted = done(store.adopt(&held, &worker("v")).await.unwrap()).claim;
    let leg = LegId::transfer(held.attempt, 1);
    let late = [fact(world.now(), Happening::StepStarted { step: 0 })];
    assert_eq!(try_dial(&store, &held).await, DialDecision::Fenced);
    assert_eq!(store.give_back(&held).await.unwrap(), Written::Fenced);
    assert_eq!(store.checkpoint(&held, 3, &late, &flow_state()).await.unwrap(), Written::Fenced);
    assert!(matches!(
        store.finish(&held, &worker("w"), 3, &[], ends(DispositionResult::Busy), 5).await.unwrap(),
        Written::Fenced
    ));
    assert_eq!(store.request_slot(&held, leg, world.now()).await.unwrap(), Written::Fenced);
    assert_eq!(store.renew(&worker("w"), std::slice::from_ref(&held)).await.unwrap().lost, [held]);
    let calls = store.calls(&key("r"), 0, 1).await.unwrap();
    assert_eq!((calls[0].status, calls[0].history.len()), (CallStatus::OnProgress, 3), "and nothing of it was written");
    assert_eq!(leased(&store).await, 2);
    assert!(store.renew(&worker("v"), &[adopted.held]).await.unwrap().lost.is_empty());
}

pub async fn only_one_listens_in_the_name_of_a_worker(world: &dyn StoreWorld) {
    let store = world.store();
    let (dead, one, other) = (worker("dead"), worker("one"), worker("other"));
    assert!(store.lock_app(&dead, &one).await.unwrap());
    assert!(store.lock_app(&dead, &one).await.unwrap(), "asked twice");
    assert!(!store.lock_app(&dead, &other).await.unwrap());
    assert!(store.lock_app(&one, &other).await.unwrap(), "another's name is another matter");
    world.advance(secs(29)).await;
    assert!(store.lock_app(&dead, &one).await.unwrap(), "asking again holds on to it");
    world.advance(secs(29)).await;
    assert!(!store.lock_app(&dead, &other).await.unwrap());
    world.advance(secs(1)).await;
    assert!(store.lock_app(&dead, &other).await.unwrap());
    assert!(!store.lock_app(&dead, &one).await.unwrap());
}

pub async fn a_live_call_has_an_owner(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let bank = organisation("bank");
    let id = call("r", 0);
    assert_eq!(store.owner(&bank, id).await.unwrap(), None);
    let claim = claim_one(&store).await;
    assert_eq!(store.owner(&bank, id).await.unwrap(), None, "not before the dial");
    dial(&store, &claim.held).await;
    assert_eq!(store.owner(&bank, id).await.unwrap(), Some((claim.held.clone(), worker("w"))));
    assert_eq!(store.owner(&organisation("shop"), id).await.unwrap(), None, "others' calls are nobody's business");
    finish(&store, &claim.held, 1, ends(DispositionResult::Answered)).await;
    assert_eq!(store.owner(&bank, id).await.unwrap(), None);
}

pub async fn calls_of_a_request_that_was_hung_up_are_named_at_every_renewal_and_adoption(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let (one, _) = claim_and_dial(&store).await;
    let (two, _) = claim_and_dial(&store).await;
    store.control(&key("r"), Control::Cancel { hang_up: false }).await.unwrap();
    let both = [one.held, two.held];
    assert_eq!(store.renew(&worker("w"), &both).await.unwrap(), Renewed::default(), "they may go on to their end");
    // Whoever cancelled thinks better of it.
    let cancelled = store.control(&key("r"), Control::Cancel { hang_up: true }).await.unwrap();
    assert_eq!(cancelled.live.len(), 2);
    for _ in 0..2 {
        assert_eq!(store.renew(&worker("w"), &both).await.unwrap(), Renewed { lost: vec![], hang_up: both.to_vec() });
    }
    world.advance(secs(30)).await;
    let [one, _] = both;
    assert!(done(store.adopt(&one, &worker("v")).await.unwrap()).hang_up);
}
