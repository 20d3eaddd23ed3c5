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
    store.confirm(&[Confirmation::of_call(organisation("bank"), claim.held.attempt.call, 1)]).await.unwrap();
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
    let (dead, alive) = (worker("dead"), worker("alive"));
    // The second may be the first one's namesake, or the same worker after a restart: processes are told apart.
    let (one, other) = (ProcessId(1), ProcessId(u128::MAX));
    assert!(store.lock_app(&dead, one).await.unwrap());
    assert!(store.lock_app(&dead, one).await.unwrap(), "asked twice");
    assert!(!store.lock_app(&dead, other).await.unwrap());
    assert!(store.lock_app(&alive, other).await.unwrap(), "another name is another matter");
    world.advance(secs(29)).await;
    assert!(store.lock_app(&dead, one).await.unwrap(), "asking again holds on to it");
    world.advance(secs(29)).await;
    assert!(!store.lock_app(&dead, other).await.unwrap());
    world.advance(secs(1)).await;
    assert!(store.lock_app(&dead, other).await.unwrap());
    assert!(!store.lock_app(&dead, one).await.unwrap());
}

pub async fn a_name_that_is_let_go_is_anybodys(world: &dyn StoreWorld) {
    let store = world.store();
    let (name, one, other) = (worker("w"), ProcessId(1), ProcessId(2));
    assert!(store.lock_app(&name, one).await.unwrap());
    assert!(store.lock_app(&worker("v"), one).await.unwrap());
    store.unlock_app(&name, other).await.unwrap();
    assert!(!store.lock_app(&name, other).await.unwrap(), "only its holder lets it go");
    for _ in 0..2 {
        store.unlock_app(&name, one).await.unwrap();
    }
    assert!(store.lock_app(&name, other).await.unwrap(), "at once");
    store.unlock_app(&name, one).await.unwrap();
    assert!(!store.lock_app(&name, one).await.unwrap(), "it is another's now");
    assert!(!store.lock_app(&worker("v"), other).await.unwrap(), "names are let go one by one");
}

pub async fn a_call_that_is_handed_over_is_adopted_at_once(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let (old, _) = claim_and_dial(&store).await;
    world.advance(secs(30)).await;
    let (claim, after) = claim_and_dial(&store).await;
    let leg = LegId::transfer(claim.held.attempt, 1);
    let state = transferring(claim.held.attempt, 1);
    done(store.checkpoint(&claim.held, after, &[fact(world.now(), Happening::Answered)], &state).await.unwrap());
    done(store.request_slot(&claim.held, leg, world.now()).await.unwrap());
    for _ in 0..2 {
        store.hand_over(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    }
    let suspects = store.suspects(9).await.unwrap();
    let told: Vec<_> = suspects.iter().map(|suspect| (suspect.held.attempt, suspect.handed_over)).collect();
    assert_eq!(told, [(claim.held.attempt, true), (old.held.attempt, false)], "before those that were left behind");
    assert_eq!(
        (&suspects[0].worker, &suspects[0].app, suspects[0].stage),
        (&worker("w"), &worker("w"), Stage::Dialing)
    );
    let slots = SlotUse { limit: 6, external: 0, leased: 3, suspect: 3 };
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap(), slots, "it is still counted, and so is its leg");
    let adopted = done(store.adopt(&suspects[0].held, &worker("v")).await.unwrap());
    assert_eq!((adopted.stage, adopted.state), (Stage::Dialing, Some(state)));
    assert_eq!(store.suspects(9).await.unwrap().len(), 1);
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap().suspect, 1, "its leases are whole again");
    assert_eq!(store.suspects(1).await.unwrap()[0].held.attempt, old.held.attempt);
}

pub async fn whoever_hands_a_call_over_is_fenced_everywhere(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let (claim, after) = claim_and_dial(&store).await;
    let held = claim.held;
    store.hand_over(&worker("w"), std::slice::from_ref(&held)).await.unwrap();
    assert_eq!(store.renew(&worker("w"), std::slice::from_ref(&held)).await.unwrap().lost, std::slice::from_ref(&held));
    let late = [fact(world.now(), Happening::Answered)];
    assert_eq!(store.checkpoint(&held, after, &late, &flow_state()).await.unwrap(), Written::Fenced);
    let ended = store.finish(&held, &worker("w"), after, &[], ends(DispositionResult::Busy), 5).await.unwrap();
    assert!(matches!(ended, Written::Fenced));
    assert_eq!(try_dial(&store, &held).await, DialDecision::Fenced);
    assert!(matches!(store.adopt(&held, &worker("v")).await.unwrap(), Written::Fenced), "its proof is worth nothing");
    assert_eq!(store.suspects(9).await.unwrap().len(), 1, "and it still waits for an adopter");
}

pub async fn what_is_anothers_is_not_handed_over(world: &dyn StoreWorld) {
    let store = world.store();
    let held = left_behind(&store, world).await;
    let adopted = done(store.adopt(&held, &worker("v")).await.unwrap()).claim;
    store.hand_over(&worker("w"), &[held]).await.unwrap();
    assert!(store.suspects(9).await.unwrap().is_empty());
    assert!(store.renew(&worker("v"), std::slice::from_ref(&adopted.held)).await.unwrap().lost.is_empty());
    done(store.finish(&adopted.held, &worker("v"), 3, &[], ends(DispositionResult::Answered), 0).await.unwrap());
    store.hand_over(&worker("v"), &[adopted.held]).await.unwrap();
    assert!(store.suspects(9).await.unwrap().is_empty(), "it has ended");
}

pub async fn whoever_handed_a_call_over_does_not_adopt_it_by_asking_late(world: &dyn StoreWorld) {
    let store = world.store();
    let held = left_behind(&store, world).await;
    let adopted = done(store.adopt(&held, &worker("v")).await.unwrap()).claim;
    store.hand_over(&worker("v"), &[adopted.held]).await.unwrap();
    assert!(matches!(store.adopt(&held, &worker("v")).await.unwrap(), Written::Fenced), "an old question");
    let suspect = store.suspects(9).await.unwrap().remove(0);
    assert_eq!(suspect.worker, worker("v"));
    assert_eq!(suspect.app, worker("w"), "under whose name it was dialled");
    done(store.adopt(&suspect.held, &worker("u")).await.unwrap());
}

pub async fn a_claim_that_is_handed_over_is_given_back_by_whoever_adopts_it(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let claim = claim_one(&store).await;
    store.hand_over(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert_eq!(try_dial(&store, &claim.held).await, DialDecision::Fenced);
    assert_eq!(store.give_back(&claim.held).await.unwrap(), Written::Fenced);
    let suspect = store.suspects(9).await.unwrap().remove(0);
    assert_eq!((suspect.stage, suspect.handed_over), (Stage::Claimed, true));
    assert!(suspect.over_at <= world.now(), "what was not dialled is over already");
    let adopted = done(store.adopt(&suspect.held, &worker("v")).await.unwrap());
    assert_eq!((adopted.stage, adopted.claim.history.len()), (Stage::Claimed, 0));
    done(store.give_back(&adopted.claim.held).await.unwrap());
    assert_eq!(leased(&store).await, 0);
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

pub async fn calls_in_hands_are_shown_with_whoever_holds_them(world: &dyn StoreWorld) {
    let store = world.store();
    let bank = organisation("bank");
    let live = async |request: Option<&str>| {
        let request = request.map(|request| request.parse().unwrap());
        store.live_calls(&bank, request.as_ref()).await.unwrap()
    };
    assert!(live(None).await.is_empty());
    submit(&store, header("q"), 1).await;
    submit(&store, header("r"), 2).await;
    let claims = claim_all(&store, 3).await;
    let dialled = claims.iter().find(|claim| claim.held.attempt.call == call("r", 1)).unwrap();
    let facts = dial(&store, &dialled.held).await;
    let all = live(None).await;
    let calls: Vec<_> = all.iter().map(|live| (live.held.attempt.call, live.stage)).collect();
    assert_eq!(calls, [(call("q", 0), Stage::Claimed), (call("r", 0), Stage::Claimed), (call("r", 1), Stage::Dialing)]);
    let last = all.last().unwrap();
    assert_eq!((&last.held, &last.worker, &last.history), (&dialled.held, &worker("w"), &facts));
    assert_eq!(last.destination, destination(1));
    assert_eq!(last.renewed_until, world.now() + secs(30));
    assert_eq!(live(Some("r")).await.len(), 2, "of one request only");
    assert!(store.live_calls(&organisation("shop"), None).await.unwrap().is_empty(), "others' calls are hidden");
    finish(&store, &dialled.held, 1, ends(DispositionResult::Answered)).await;
    assert_eq!(live(Some("r")).await.len(), 1);
}

pub async fn calls_of_a_request_that_was_hung_up_are_named_at_every_renewal_and_adoption(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let (one, _) = claim_and_dial(&store).await;
    let (two, _) = claim_and_dial(&store).await;
    store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    let both = [one.held, two.held];
    assert_eq!(store.renew(&worker("w"), &both).await.unwrap(), Renewed::default(), "they may go on to their end");
    // Whoever cancelled thinks better of it.
    let cancelled = store.control(&key("r"), Control::Cancel { hang_up: true }, None).await.unwrap();
    assert_eq!(cancelled.live.len(), 2);
    for _ in 0..2 {
        assert_eq!(
            store.renew(&worker("w"), &both).await.unwrap(),
            Renewed { hang_up: both.to_vec(), ..Renewed::default() }
        );
    }
    world.advance(secs(30)).await;
    let [one, _] = both;
    assert!(done(store.adopt(&one, &worker("v")).await.unwrap()).hang_up);
}
