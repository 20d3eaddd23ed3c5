//! Slots of second legs.

use super::StoreWorld;
use super::scene::*;
use crate::model::{DispositionResult, Happening, LegId};
use crate::ports::store::*;

/// One dialled call of an organisation with so many slots, and its first transfer.
async fn talking(store: &Store, slots: u32) -> (Claim, LegId) {
    limit(store, "bank", slots).await;
    submit(store, header("r"), 9).await;
    let (claim, _) = claim_and_dial(store).await;
    let leg = LegId::transfer(claim.held.attempt, 1);
    (claim, leg)
}

async fn ask(store: &Store, world: &dyn StoreWorld, held: &Held, leg: LegId) -> SlotAnswer {
    done(store.request_slot(held, leg, world.now() + secs(20)).await.unwrap())
}

pub async fn a_second_leg_takes_a_slot(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 2).await;
    for _ in 0..2 {
        assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Granted);
        assert_eq!(leased(&store).await, 2);
    }
    assert!(claim_all(&store, 9).await.is_empty());
    let other = LegId { ordinal: 2, ..leg };
    assert_eq!(ask(&store, world, &claim.held, other).await, SlotAnswer::Waiting);
    let not_mine = LegId { attempt: crate::model::AttemptId { claim: 7, ..claim.held.attempt }, ..leg };
    assert_eq!(store.request_slot(&claim.held, not_mine, world.now()).await.unwrap(), Written::Fenced);
}

pub async fn a_granted_slot_is_taken_back_when_asked_for_again_over_a_lowered_limit(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 2).await;
    assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Granted);
    limit(&store, "bank", 1).await;
    assert_eq!(leased(&store).await, 2, "a lowered limit alone takes nothing back");
    for _ in 0..2 {
        assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Waiting);
        assert_eq!(leased(&store).await, 1);
    }
    limit(&store, "bank", 2).await;
    assert!(claim_all(&store, 9).await.is_empty(), "it stands in line, before new dials");
    assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Granted);
    store.set_external(&organisation("bank"), Some("many".into())).await.unwrap();
    assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Waiting, "others may hold all of them");
    assert_eq!(leased(&store).await, 1);
}

pub async fn a_second_leg_waits_in_line_before_new_dials(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 2).await;
    let (other, after) = claim_and_dial(&store).await;
    for _ in 0..2 {
        assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Waiting);
    }
    let finished =
        done(store.finish(&other.held, &worker("w"), after, &[], ends(DispositionResult::Busy), 5).await.unwrap());
    assert!(finished.refill.is_empty(), "the slot is for whoever waits");
    assert!(claim_all(&store, 9).await.is_empty());
    assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Granted);
    assert_eq!(leased(&store).await, 2);
}

pub async fn those_who_wait_are_served_in_order(world: &dyn StoreWorld) {
    let store = world.store();
    let (one, first) = talking(&store, 3).await;
    let (two, _) = claim_and_dial(&store).await;
    let (three, after) = claim_and_dial(&store).await;
    let second = LegId::transfer(two.held.attempt, 1);
    assert_eq!(ask(&store, world, &one.held, first).await, SlotAnswer::Waiting);
    assert_eq!(ask(&store, world, &two.held, second).await, SlotAnswer::Waiting);
    finish(&store, &three.held, after, ends(DispositionResult::Busy)).await;
    assert_eq!(ask(&store, world, &two.held, second).await, SlotAnswer::Waiting, "others were here before");
    assert_eq!(ask(&store, world, &one.held, first).await, SlotAnswer::Granted);
    done(store.checkpoint(&one.held, 1, &[], &flow_state()).await.unwrap());
    assert_eq!(ask(&store, world, &two.held, second).await, SlotAnswer::Granted);
}

pub async fn whoever_waits_no_longer_frees_the_slot_for_a_dial(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 2).await;
    let (other, after) = claim_and_dial(&store).await;
    assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Waiting);
    finish(&store, &other.held, after, ends(DispositionResult::Busy)).await;
    let nothing = store.claim(&worker("w"), 9).await.unwrap();
    assert!(nothing.claims.is_empty());
    assert!(nothing.again_at.is_some_and(|at| at <= world.now() + secs(20)));
    world.advance(secs(20)).await;
    let claims = claim_all(&store, 9).await;
    assert_eq!(claims.len(), 1);
    done(store.give_back(&claims[0].held).await.unwrap());
    // Whoever stops waiting by itself frees it at once.
    let (third, after) = claim_and_dial(&store).await;
    assert_eq!(ask(&store, world, &claim.held, leg).await, SlotAnswer::Waiting);
    finish(&store, &third.held, after, ends(DispositionResult::Busy)).await;
    assert!(claim_all(&store, 9).await.is_empty());
    done(store.checkpoint(&claim.held, 1, &[], &flow_state()).await.unwrap());
    assert_eq!(claim_all(&store, 9).await.len(), 1);
}

pub async fn a_leg_that_the_flow_has_no_more_gives_its_slot_back(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 3).await;
    let held = &claim.held;
    done(store.checkpoint(held, 1, &[], &transferring(held.attempt, 1)).await.unwrap());
    ask(&store, world, held, leg).await;
    let other = LegId { ordinal: 2, ..leg };
    ask(&store, world, held, other).await;
    assert_eq!(leased(&store).await, 3);
    let facts = [fact(world.now(), Happening::LegRemoved { leg })];
    for _ in 0..2 {
        done(store.checkpoint(held, 1, &facts, &transferring(held.attempt, 2)).await.unwrap());
        assert_eq!(leased(&store).await, 2, "the one it names stays, and so does the callee's");
    }
    assert_eq!(claim_all(&store, 9).await.len(), 1);
}

pub async fn a_checkpoint_that_comes_late_takes_no_slot_back(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 3).await;
    let held = &claim.held;
    let answered = [fact(world.now(), Happening::Answered)];
    done(store.checkpoint(held, 1, &answered, &flow_state()).await.unwrap());
    let began = [fact(world.now(), Happening::StepStarted { step: 0 })];
    done(store.checkpoint(held, 2, &began, &transferring(held.attempt, 1)).await.unwrap());
    ask(&store, world, held, leg).await;
    done(store.checkpoint(held, 1, &answered, &flow_state()).await.unwrap());
    assert_eq!(leased(&store).await, 2, "where the flow stood then is not where it stands now");
    world.advance(secs(30)).await;
    let adopted = done(store.adopt(held, &worker("v")).await.unwrap());
    assert_eq!(adopted.state, Some(transferring(held.attempt, 1)));
}

pub async fn the_dead_do_not_keep_a_free_slot_waiting(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 2).await;
    let (other, after) = claim_and_dial(&store).await;
    let patient = world.now() + secs(3600);
    done(store.request_slot(&claim.held, leg, patient).await.unwrap());
    world.advance(secs(29)).await;
    store.renew(&worker("w"), std::slice::from_ref(&other.held)).await.unwrap();
    finish(&store, &other.held, after, ends(DispositionResult::Busy)).await;
    assert!(claim_all(&store, 9).await.is_empty(), "its owner may renew it yet");
    world.advance(secs(1)).await;
    store.sweep().await.unwrap();
    assert_eq!(claim_all(&store, 9).await.len(), 1);
}

pub async fn the_end_of_a_call_frees_all_its_slots(world: &dyn StoreWorld) {
    let store = world.store();
    let (claim, leg) = talking(&store, 2).await;
    ask(&store, world, &claim.held, leg).await;
    let waiting = LegId { ordinal: 2, ..leg };
    assert_eq!(ask(&store, world, &claim.held, waiting).await, SlotAnswer::Waiting);
    finish(&store, &claim.held, 1, ends(DispositionResult::Answered)).await;
    assert_eq!(leased(&store).await, 0);
    assert_eq!(claim_all(&store, 9).await.len(), 2, "nobody waits any more");
    assert_eq!(store.request_slot(&claim.held, leg, world.now()).await.unwrap(), Written::Fenced);
}
