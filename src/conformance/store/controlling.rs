//! Requests and organisations as a whole.

use super::StoreWorld;
use super::scene::*;
use crate::model::{CallStatus, DispositionResult, EventType, Organisation, RequestHeader, RequestStatus};
use crate::ports::store::*;
use futures_util::FutureExt as _;

fn kinds(events: &[crate::model::event::RequestEvent]) -> Vec<EventType> {
    events.iter().map(|event| event.kind).collect()
}

pub async fn pausing_and_resuming_is_told_once(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let (claim, _) = claim_and_dial(&store).await;
    let paused = store.control(&key("r"), Control::Pause, None).await.unwrap();
    assert_eq!((paused.summary.status, kinds(&paused.events)), (RequestStatus::Paused, vec![EventType::RequestPaused]));
    assert_eq!(paused.live, [(claim.held.clone(), worker("w"))]);
    assert!(store.control(&key("r"), Control::Pause, None).await.unwrap().events.is_empty());
    assert!(claim_all(&store, 9).await.is_empty());
    finish(&store, &claim.held, 1, retries(DispositionResult::Busy, world.now())).await;
    assert!(claim_all(&store, 9).await.is_empty(), "retries wait, too");
    let resumed = store.control(&key("r"), Control::Resume, None).await.unwrap();
    assert_eq!(
        (resumed.summary.status, kinds(&resumed.events)),
        (RequestStatus::OnProgress, vec![EventType::RequestResumed])
    );
    assert!(store.control(&key("r"), Control::Resume, None).await.unwrap().events.is_empty());
    assert_eq!(claim_all(&store, 9).await.len(), 3);
}

pub async fn cancelling_ends_what_waits(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 4).await;
    call_through(&store, retries(DispositionResult::Busy, world.now() + secs(60))).await;
    call_through(&store, ends(DispositionResult::Answered)).await;
    let cancelled = store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    assert_eq!(kinds(&cancelled.events), [EventType::RequestCancelled]);
    let counts = cancelled.summary.counts;
    assert_eq!(
        (cancelled.summary.status, counts.cancelled, counts.completed, counts.total()),
        (RequestStatus::Cancelled, 3, 1, 4)
    );
    let calls = store.calls(&key("r"), 0, 9).await.unwrap();
    let statuses: Vec<_> = calls.iter().map(|call| (call.status, call.history.len())).collect();
    use CallStatus::{Cancelled, Completed};
    assert_eq!(
        statuses,
        [(Cancelled, 2), (Completed, 2), (Cancelled, 0), (Cancelled, 0)],
        "in bulk: no facts, no events"
    );
    for control in [Control::Cancel { hang_up: false }, Control::Pause, Control::Resume] {
        let again = store.control(&key("r"), control, None).await.unwrap();
        assert_eq!((again.events.len(), again.summary), (0, cancelled.summary.clone()));
    }
    world.advance(secs(60)).await;
    assert!(claim_all(&store, 9).await.is_empty());
}

pub async fn cancelling_lets_live_calls_end_and_then_rests(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let (claim, after) = claim_and_dial(&store).await;
    let cancelled = store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    assert!(cancelled.events.is_empty(), "it is not at rest");
    assert_eq!(cancelled.live, [(claim.held.clone(), worker("w"))]);
    assert_eq!((cancelled.summary.counts.cancelled, cancelled.summary.counts.on_progress), (2, 1));
    let finished = finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
    assert_eq!(kinds(&finished.events), [EventType::RequestCancelled]);
    assert_eq!(finished.events[0].summary.counts.completed, 1);
}

pub async fn a_cancelled_call_is_not_tried_again(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let (claim, after) = claim_and_dial(&store).await;
    store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    let finished = finish(&store, &claim.held, after, retries(DispositionResult::Busy, world.now() + secs(1))).await;
    assert_eq!(kinds(&finished.events), [EventType::RequestCancelled]);
    assert_eq!(store.calls(&key("r"), 0, 1).await.unwrap()[0].status, CallStatus::Failed);
}

pub async fn a_claim_given_back_after_a_cancel_is_cancelled(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    call_through(&store, retries(DispositionResult::Busy, world.now())).await;
    let claims = claim_all(&store, 2).await;
    let cancelled = store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap().summary.counts;
    assert_eq!((cancelled.retry_scheduled, cancelled.queued, cancelled.cancelled), (1, 1, 0), "they are in hands");
    let mut meant = Vec::new();
    for claim in &claims {
        for _ in 0..2 {
            let events = done(store.give_back(&claim.held).await.unwrap());
            meant.push(events.iter().map(|event| event.kind).collect::<Vec<_>>());
        }
    }
    assert_eq!(meant, [vec![], vec![], vec![EventType::RequestCancelled], vec![]], "the last one ends it, told once");
    let summary = summary(&store, &key("r")).await;
    assert_eq!((summary.counts.cancelled, summary.counts.total()), (2, 2));
    let told = store.unconfirmed(world.now() + secs(1), 9).await.unwrap();
    let told = told
        .iter()
        .filter(|event| matches!(event, Unconfirmed::Request(event) if event.kind == EventType::RequestCancelled));
    assert_eq!(told.count(), 1);
}

pub async fn expiry_ends_what_waits(world: &dyn StoreWorld) {
    let store = world.store();
    let expiry = world.now() + secs(60);
    submit(&store, RequestHeader { expires_at: Some(expiry), ..header("r") }, 3).await;
    let next = store.sweep().await.unwrap().1;
    assert!(next.is_some_and(|at| at <= expiry));
    world.advance(secs(60)).await;
    let events = store.sweep().await.unwrap().0;
    assert_eq!(kinds(&events), [EventType::RequestExpired]);
    assert!(store.sweep().await.unwrap().0.is_empty());
    let summary = summary(&store, &key("r")).await;
    assert_eq!((summary.status, summary.counts.expired), (RequestStatus::Expired, 3));
    assert_eq!(store.calls(&key("r"), 0, 1).await.unwrap()[0].status, CallStatus::Expired);
}

pub async fn expiry_after_a_dial_completes(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, RequestHeader { expires_at: Some(world.now() + secs(60)), ..header("r") }, 3).await;
    let (claim, after) = claim_and_dial(&store).await;
    world.advance(secs(60)).await;
    assert!(store.sweep().await.unwrap().0.is_empty(), "a live call goes on");
    let finished = finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
    assert_eq!(kinds(&finished.events), [EventType::RequestCompleted]);
    let summary = summary(&store, &key("r")).await;
    assert_eq!((summary.status, summary.counts.expired, summary.counts.completed), (RequestStatus::Completed, 2, 1));
}

pub async fn an_unconfigured_organisation_has_the_defaults(world: &dyn StoreWorld) {
    let store = world.store();
    assert_eq!(store.organisation(&organisation("new")).await.unwrap(), Organisation::default());
    let expected = SlotUse { limit: 6, ..SlotUse::default() };
    assert_eq!(store.slot_use(&organisation("new")).await.unwrap(), expected);
}

pub async fn settings_that_somebody_else_has_changed_are_left_alone(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let unset = store.organisation(&bank).await.unwrap();
    let wide = Organisation { limit: 9, ..unset.clone() };
    let heavy = Organisation { weight: 3, ..wide.clone() };
    let change = async |before: &Organisation, after: &Organisation| {
        store.change_organisation(&bank, before, after.clone(), LimitChange::Set, None).await.unwrap()
    };
    assert!(change(&unset, &wide).await);
    assert!(!change(&unset, &heavy).await, "it has a limit now");
    assert_eq!(store.organisation(&bank).await.unwrap(), wide);
    assert!(change(&wide, &heavy).await);
    assert!(change(&heavy, &heavy).await, "what is nothing new is done, too");
    assert_eq!(store.organisation(&bank).await.unwrap(), heavy);
    submit(&store, header("r"), 20).await;
    assert_eq!(claim_all(&store, 20).await.len(), 9, "and it is in force");
}

pub async fn a_change_that_keeps_the_limit_neither_minds_nor_writes_it(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let unset = store.organisation(&bank).await.unwrap();
    let heavy = Organisation { weight: 3, ..unset.clone() };
    let change = async |before: &Organisation, after: &Organisation| {
        store.change_organisation(&bank, before, after.clone(), LimitChange::Kept, None).await.unwrap()
    };
    // Somebody else lowers it between the reading and the writing.
    limit(&store, "bank", 2).await;
    assert!(change(&unset, &heavy).await);
    let found = store.organisation(&bank).await.unwrap();
    assert_eq!((found.limit, found.weight), (2, 3));
    assert!(!change(&unset, &heavy).await, "it has a weight now");
    submit(&store, header("r"), 20).await;
    assert_eq!(claim_all(&store, 20).await.len(), 2);
}

pub async fn settings_take_effect_at_once(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 0).await;
    submit(&store, header("r"), 20).await;
    for (limit_now, expected) in [(0, 0), (2, 2), (1, 0), (5, 3)] {
        limit(&store, "bank", limit_now).await;
        assert_eq!(claim_all(&store, 20).await.len(), expected, "limit {limit_now}");
    }
}

pub async fn waking_follows_whatever_may_have_freed_something(world: &dyn StoreWorld) {
    let store = world.store();
    let mut wakeups = store.wakeups();
    let mut woken = |what: &str| {
        assert!(wakeups.rung().now_or_never().is_some(), "{what} wakes");
        wakeups.forget();
    };
    submit(&store, header("r"), 20).await;
    woken("a seal");
    let claims = claim_all(&store, 6).await;
    limit(&store, "bank", 7).await;
    woken("a limit");
    store.set_external(&organisation("bank"), Some("1".into())).await.unwrap();
    woken("others' use");
    done(store.give_back(&claims[0].held).await.unwrap());
    woken("a claim given back");
    dial(&store, &claims[1].held).await;
    finish(&store, &claims[1].held, 1, ends(DispositionResult::Busy)).await;
    woken("an end");
    store.control(&key("r"), Control::Pause, None).await.unwrap();
    wakeups.forget();
    store.control(&key("r"), Control::Resume, None).await.unwrap();
    assert!(wakeups.rung().now_or_never().is_some(), "a request that goes on wakes");
}

pub async fn calls_are_shown_in_order_page_by_page(world: &dyn StoreWorld) {
    let store = world.store();
    submit_chunks(&store, header("r"), vec![chunk(0..3), chunk(3..7)]).await;
    let mut shown = Vec::new();
    for from in [0, 3, 6, 9] {
        let page = store.calls(&key("r"), from, 3).await.unwrap();
        shown.extend(page.into_iter().map(|call| (call.destination.index, call.status)));
    }
    assert_eq!(shown, (0..7).map(|index| (index, CallStatus::Queued)).collect::<Vec<_>>());
}

pub async fn a_page_runs_through_parts_and_chunks_whatever_became_of_each_call(world: &dyn StoreWorld) {
    let store = world.store();
    let whole = header("r");
    // As recipients' time zones divide a file.
    let every_other = |from: u32| Chunk { zones: Vec::new(), destinations: [from, from + 2].map(destination).into() };
    submit_chunks(&store, part_of(&whole, 0, 2), vec![every_other(0), every_other(1)]).await;
    submit_chunks(&store, part_of(&whole, 1, 2), vec![chunk(0..3)]).await;
    let mut expected = [(CallStatus::Queued, false); 7];
    let mut note = |claim: &Claim, status| expected[claim.destination.index as usize] = (status, true);
    let (ended, after) = claim_and_dial(&store).await;
    finish(&store, &ended.held, after, ends(DispositionResult::Answered)).await;
    note(&ended, CallStatus::Completed);
    let (retried, after) = claim_and_dial(&store).await;
    finish(&store, &retried.held, after, retries(DispositionResult::Busy, world.now() + secs(900))).await;
    note(&retried, CallStatus::RetryScheduled);
    let (live, _) = claim_and_dial(&store).await;
    note(&live, CallStatus::OnProgress);
    // Nothing has happened to it that could be told.
    claim_one(&store).await;
    for (from, limit) in [(0, 7), (0, 4), (1, 5), (3, 2), (4, 9), (6, 1), (7, 1)] {
        let page = store.calls(&key("r"), from, limit).await.unwrap();
        let indices: Vec<u32> = page.iter().map(|call| call.destination.index).collect();
        assert_eq!(indices, (from..7.min(from + limit)).collect::<Vec<_>>());
        for call in page {
            let index = call.destination.index;
            assert_eq!(call.destination.number, destination(if index < 4 { index } else { index - 4 }).number);
            assert_eq!((call.status, !call.history.is_empty()), expected[index as usize], "call {index}");
        }
    }
}

pub async fn what_does_not_exist_is_not_found(world: &dyn StoreWorld) {
    let store = world.store();
    assert_eq!(store.request(&key("r")).await.unwrap_err(), StoreError::NotFound);
    assert_eq!(store.calls(&key("r"), 0, 9).await.unwrap_err(), StoreError::NotFound);
    assert_eq!(
        store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap_err(),
        StoreError::NotFound
    );
    assert_eq!(store.seal(&key("r"), 0).await.unwrap_err(), StoreError::NotFound);
    assert_eq!(store.load_chunk(&key("r"), 0, 0, &chunk(0..1)).await.unwrap_err(), StoreError::NotFound);
    submit(&store, header("r"), 1).await;
    assert_eq!(store.request(&key_of("shop", "r")).await.unwrap_err(), StoreError::NotFound);
    let never = Held {
        organisation: organisation("bank"),
        request: "r".parse().unwrap(),
        attempt: crate::model::AttemptId { call: call("r", 7), claim: 1 },
        token: Token(1),
    };
    assert_eq!(try_dial(&store, &never).await, DialDecision::Fenced);
    assert_eq!(store.give_back(&never).await.unwrap(), Written::Fenced);
    store.confirm(&[Confirmation::of_call(organisation("bank"), call("nothing", 0), 1)]).await.unwrap();
}
