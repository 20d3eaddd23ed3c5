//! Committing to a dial, what speaks against it, and what is written down on the way.

use super::StoreWorld;
use super::scene::*;
use crate::model::request::WindowZone;
use crate::model::{AttemptId, CallStatus, EventType, Fact, Happening, RequestHeader, RequestStatus, Via};
use crate::ports::store::*;

pub async fn a_dial_is_committed_to_and_told(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let claim = claim_one(&store).await;
    world.advance(secs(2)).await;
    let (caller, trunk) = ("+6561234567".parse().ok(), Some(Box::from("backup")));
    let via = Via { caller, trunk: trunk.clone() };
    let decision = store.begin_dial(&claim.held, &worker("w"), &via, &flow_state()).await.unwrap();
    let what = Happening::Dialing { claim: 1, attempt: 1, caller, trunk, worker: worker("w") };
    let DialDecision::Dial { committed_at, again, history, .. } = decision else { panic!("nothing speaks against it") };
    assert_eq!((committed_at, again, history), (world.now(), false, vec![fact(world.now(), what)]));
    let counts = summary(&store, &key("r")).await.counts;
    assert_eq!((counts.on_progress, counts.queued), (1, 1));
    assert_eq!(claim.held.attempt, AttemptId { call: call("r", 0), claim: 1 });
}

pub async fn asking_twice_commits_to_one_dial(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let claim = claim_one(&store).await;
    let before = world.now();
    let history = dial(&store, &claim.held).await;
    world.advance(secs(5)).await;
    match try_dial(&store, &claim.held).await {
        DialDecision::Dial { committed_at, again, history: same, events } => {
            assert_eq!((committed_at, again, same), (before, true, history), "committed then, not now");
            assert!(events.is_empty());
        }
        refused => panic!("{refused:?}"),
    }
    assert_eq!(summary(&store, &key("r")).await.counts.on_progress, 1);
}

pub async fn the_first_dial_starts_the_request(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let claims = claim_all(&store, 2).await;
    let mut kinds = Vec::new();
    for claim in &claims {
        match try_dial(&store, &claim.held).await {
            DialDecision::Dial { events, .. } => kinds.extend(events.iter().map(|event| (event.seq, event.kind))),
            refused => panic!("{refused:?}"),
        }
    }
    assert_eq!(kinds, [(2, EventType::RequestStarted)]);
    assert_eq!(summary(&store, &key("r")).await.status, RequestStatus::OnProgress);
}

/// Why a claim cannot be dialled now, and what giving it back meant for its request.
async fn not_now(store: &Store, claim: &Claim) -> (NotNow, Vec<EventType>) {
    match try_dial(store, &claim.held).await {
        DialDecision::GivenBack { why, events } => (why, events.iter().map(|event| event.kind).collect()),
        other => panic!("{other:?}"),
    }
}

/// The claim is refused for a reason, its slot is free, and its proof is worth nothing any more.
async fn refused(store: &Store, claim: &Claim, why: NotNow) {
    assert_eq!(not_now(store, claim).await, (why, vec![]));
    assert_eq!(leased(store).await, 0);
    assert_eq!(try_dial(store, &claim.held).await, DialDecision::Fenced);
    let counts = summary(store, &key("r")).await.counts;
    assert_eq!(counts.on_progress, 0);
}

pub async fn a_paused_request_is_not_dialled(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let claim = claim_one(&store).await;
    store.control(&key("r"), Control::Pause, None).await.unwrap();
    refused(&store, &claim, NotNow::Paused).await;
    assert!(claim_all(&store, 9).await.is_empty());
    store.control(&key("r"), Control::Resume, None).await.unwrap();
    assert_eq!(claim_all(&store, 9).await.len(), 2);
}

pub async fn a_cancelled_request_is_not_dialled(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let claim = claim_one(&store).await;
    store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    assert_eq!(not_now(&store, &claim).await, (NotNow::Over, vec![EventType::RequestCancelled]), "it was the last");
    assert_eq!(leased(&store).await, 0);
    assert_eq!(try_dial(&store, &claim.held).await, DialDecision::Fenced);
    assert_eq!(summary(&store, &key("r")).await.counts.cancelled, 2);
}

pub async fn an_expired_request_is_not_dialled(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, RequestHeader { expires_at: Some(world.now() + secs(5)), ..header("r") }, 2).await;
    let claim = claim_one(&store).await;
    world.advance(secs(5)).await;
    refused(&store, &claim, NotNow::Over).await;
    store.sweep().await.unwrap();
    assert_eq!(summary(&store, &key("r")).await.counts.expired, 2);
}

pub async fn no_dial_when_the_window_has_closed(world: &dyn StoreWorld) {
    let store = world.store();
    let window = Some(hours(WindowZone::Named("UTC".into()), 9, 10));
    submit(&store, RequestHeader { calling_window: window, ..header("r") }, 2).await;
    world.advance(secs(3600 - 1)).await;
    let claim = claim_one(&store).await;
    world.advance(secs(1)).await;
    refused(&store, &claim, NotNow::Window).await;
}

pub async fn no_dial_over_a_lowered_limit(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let claims = claim_all(&store, 2).await;
    limit(&store, "bank", 1).await;
    assert_eq!(not_now(&store, &claims[0]).await.0, NotNow::NoSlot);
    dial(&store, &claims[1].held).await;
    assert!(claim_all(&store, 9).await.is_empty());
    limit(&store, "bank", 0).await;
    assert_eq!(leased(&store).await, 1, "a lowered limit cuts nobody");
}

pub async fn no_dial_when_others_took_the_slot(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let claim = claim_one(&store).await;
    store.set_external(&organisation("bank"), Some("6".into())).await.unwrap();
    refused(&store, &claim, NotNow::NoSlot).await;
    store.set_external(&organisation("bank"), Some("5".into())).await.unwrap();
    let claim = claim_one(&store).await;
    store.set_external(&organisation("bank"), Some("five".into())).await.unwrap();
    refused(&store, &claim, NotNow::NoSlot).await;
}

pub async fn no_dial_over_the_rate(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    let claims = claim_all(&store, 3).await;
    set(&store, "bank", |settings| settings.calls_per_second = Some(1)).await;
    dial(&store, &claims[0].held).await;
    assert_eq!(not_now(&store, &claims[1]).await.0, NotNow::Rate);
    world.advance(secs(1)).await;
    dial(&store, &claims[2].held).await;
    assert!(claim_all(&store, 9).await.is_empty());
    world.advance(secs(1)).await;
    assert_eq!(indices(&claim_all(&store, 9).await), [1]);
}

pub async fn the_do_not_call_list_can_be_read_and_put_right(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    assert_eq!(store.blocked_numbers(&bank).await.unwrap(), []);
    let phones: Vec<_> = (0..3_000).map(|index| destination(index).number.phone().unwrap()).collect();
    for phone in phones.iter().rev() {
        store.block_number(&bank, *phone, None).await.unwrap();
    }
    assert_eq!(store.blocked_numbers(&bank).await.unwrap(), phones, "in order, each once, however many");
    assert_eq!(store.blocked_numbers(&organisation("shop")).await.unwrap(), []);
    assert!(store.unblock_number(&bank, phones[0], None).await.unwrap());
    assert!(!store.unblock_number(&bank, phones[0], None).await.unwrap(), "it is off the list already");
    assert_eq!(store.blocked_numbers(&bank).await.unwrap(), phones[1..]);
    assert!(store.is_blocked(&bank, phones[1]).await.unwrap() && !store.is_blocked(&bank, phones[0]).await.unwrap());
    assert!(!store.is_blocked(&organisation("shop"), phones[1]).await.unwrap());
    submit(&store, header("r"), 1).await;
    let claim = claim_one(&store).await;
    dial(&store, &claim.held).await;
}

pub async fn a_number_on_the_do_not_call_list_ends_blocked(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let claim = claim_one(&store).await;
    let phone = destination(0).number.phone().unwrap();
    for _ in 0..2 {
        store.block_number(&organisation("bank"), phone, None).await.unwrap();
    }
    let DialDecision::Blocked(finished) = try_dial(&store, &claim.held).await else { panic!("it is on the list") };
    let kinds: Vec<_> = finished.events.iter().map(|event| event.kind).collect();
    assert_eq!((kinds, finished.refill.len()), (vec![EventType::RequestCompleted], 0));
    let again = Finished { history: finished.history.clone(), ..Finished::default() };
    assert_eq!(try_dial(&store, &claim.held).await, DialDecision::Blocked(again), "told once what it meant");
    assert_eq!(leased(&store).await, 0);
    let calls = store.calls(&key("r"), 0, 9).await.unwrap();
    assert_eq!(calls[0].status, CallStatus::Blocked);
    assert_eq!(calls[0].history, finished.history);
    assert!(matches!(calls[0].history[..], [Fact { what: Happening::Ended { status: CallStatus::Blocked, .. }, .. }]));
    assert_eq!(summary(&store, &key("r")).await.status, RequestStatus::Completed);
    submit(&store, header_of("shop", "r"), 1).await;
    dial(&store, &claim_one(&store).await.held).await;
}

pub async fn a_dialled_call_is_not_given_back(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let (claim, _) = claim_and_dial(&store).await;
    assert_eq!(store.give_back(&claim.held).await.unwrap(), Written::Fenced);
    assert_eq!(leased(&store).await, 1);
    assert!(claim_all(&store, 9).await.is_empty());
}

pub async fn checkpoints_are_appended_once(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let (claim, after) = claim_and_dial(&store).await;
    let ringing = [fact(world.now(), Happening::Ringing)];
    let answered = [fact(world.now(), Happening::Answered), fact(world.now(), Happening::StepStarted { step: 0 })];
    for _ in 0..2 {
        done(store.checkpoint(&claim.held, after, &ringing, &flow_state()).await.unwrap());
    }
    for _ in 0..2 {
        done(store.checkpoint(&claim.held, after + 1, &answered, &flow_state()).await.unwrap());
    }
    done(store.checkpoint(&claim.held, after, &ringing, &flow_state()).await.unwrap());
    done(store.checkpoint(&claim.held, after + 3, &[], &flow_state()).await.unwrap());
    // Whoever heard no answer asks again, and more may have happened by then.
    let more = [answered[1].clone(), fact(world.now(), Happening::RecordingStarted { recording: "r".into() })];
    done(store.checkpoint(&claim.held, after + 2, &more, &flow_state()).await.unwrap());
    let calls = store.calls(&key("r"), 0, 1).await.unwrap();
    let what: Vec<_> = calls[0].history.iter().skip(1).map(|fact| &fact.what).collect();
    let expected = [&Happening::Ringing, &Happening::Answered, &more[0].what, &more[1].what];
    assert_eq!(what, expected);
}

pub async fn a_checkpoint_with_a_gap_is_not_written(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let (claim, after) = claim_and_dial(&store).await;
    let ringing = [fact(world.now(), Happening::Ringing)];
    let answered = [fact(world.now(), Happening::Answered)];
    let gap = store.checkpoint(&claim.held, after + 1, &ringing, &flow_state()).await;
    // Its owner is wrong, or the store has forgotten: one that can may ask to be told again.
    assert!(matches!(gap, Ok(Written::Fenced) | Err(StoreError::Forgotten)), "{gap:?}");
    done(store.checkpoint(&claim.held, after, &ringing, &flow_state()).await.unwrap());
    assert_eq!(store.checkpoint(&claim.held, after, &answered, &flow_state()).await.unwrap(), Written::Fenced);
    let undialled = claim_one(&store).await;
    let early = store.checkpoint(&undialled.held, 0, &ringing, &flow_state()).await.unwrap();
    assert_eq!(early, Written::Fenced, "before the dial there is nothing to write down");
}
