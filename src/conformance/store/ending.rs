//! How attempts end, once each.

use super::StoreWorld;
use super::scene::*;
use crate::model::{CallStatus, DispositionResult, EventType, Happening, RequestHeader, RequestStatus, StepStatus};
use crate::ports::store::*;

pub async fn an_answered_call_completes_and_frees_its_slot(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let (claim, after) = claim_and_dial(&store).await;
    let facts = [fact(world.now(), Happening::Answered)];
    world.advance(secs(3)).await;
    let end = ends(DispositionResult::Answered);
    let finished = done(store.finish(&claim.held, &worker("w"), after, &facts, end.clone(), 0).await.unwrap());
    let ended = Happening::Ended { status: CallStatus::Completed, disposition: end.disposition, refusal: None };
    assert_eq!(finished.history[1..], [facts[0].clone(), fact(world.now(), ended)]);
    assert!(finished.events.is_empty() && finished.refill.is_empty());
    assert_eq!(leased(&store).await, 0);
    let counts = summary(&store, &key("r")).await.counts;
    assert_eq!((counts.completed, counts.queued, counts.total()), (1, 1, 2));
    assert_eq!(store.calls(&key("r"), 0, 1).await.unwrap()[0].history, finished.history);
}

pub async fn an_end_with_a_gap_is_not_written(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let (claim, after) = claim_and_dial(&store).await;
    let end = ends(DispositionResult::Busy);
    let gap = store.finish(&claim.held, &worker("w"), after + 1, &[], end.clone(), 0).await;
    assert!(matches!(gap, Ok(Written::Fenced) | Err(StoreError::Forgotten)), "{gap:?}");
    assert_eq!(leased(&store).await, 1);
    finish(&store, &claim.held, after, end).await;
}

pub async fn ending_twice_is_ending_once(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 9).await;
    for (end, status) in [
        (ends(DispositionResult::Answered), CallStatus::Completed),
        (retries(DispositionResult::Busy, world.now() + secs(60)), CallStatus::RetryScheduled),
    ] {
        let (claim, after) = claim_and_dial(&store).await;
        let facts = [fact(world.now(), Happening::Ringing)];
        let first = done(store.finish(&claim.held, &worker("w"), after, &facts, end.clone(), 0).await.unwrap());
        let counts = summary(&store, &key("r")).await.counts;
        assert_eq!(counts.of(status), 1);
        let second = done(store.finish(&claim.held, &worker("w"), after, &facts, end, 5).await.unwrap());
        assert_eq!((second.history, second.events.len(), second.refill.len()), (first.history, 0, 0));
        assert_eq!(summary(&store, &key("r")).await.counts, counts);
        assert_eq!(leased(&store).await, 0);
    }
    world.advance(secs(60)).await;
    assert_eq!(indices(&claim_all(&store, 3).await), [1, 2, 3], "one retry, not two");
}

pub async fn ending_twice_does_not_free_the_next_attempts_slot(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let (first, after) = claim_and_dial(&store).await;
    let end = retries(DispositionResult::Busy, world.now());
    let history = finish(&store, &first.held, after, end.clone()).await.history;
    let (second, _) = claim_and_dial(&store).await;
    assert_eq!(second.held.attempt.claim, 2);
    let again = finish(&store, &first.held, after, end).await;
    assert_eq!(again.history, history, "the history as the first attempt left it");
    assert_eq!(leased(&store).await, 1);
    assert_eq!(summary(&store, &key("r")).await.counts.on_progress, 1);
    assert!(claim_all(&store, 9).await.is_empty());
}

pub async fn a_retry_comes_first_when_it_is_due(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 1).await;
    submit(&store, header("r"), 4).await;
    let due = world.now() + secs(60);
    let finished = call_through(&store, retries(DispositionResult::Busy, due)).await;
    assert!(matches!(finished.history[1].what, Happening::RetryScheduled { due: at, .. } if at == due));
    assert_eq!(store.calls(&key("r"), 0, 1).await.unwrap()[0].status, CallStatus::RetryScheduled);
    call_through(&store, retries(DispositionResult::Busy, due - secs(1))).await;
    world.advance(secs(58)).await;
    let third = call_through(&store, ends(DispositionResult::Busy)).await;
    assert!(matches!(third.history[1].what, Happening::Ended { status: CallStatus::Failed, .. }));
    world.advance(secs(2)).await;
    for expected in [1, 0, 3] {
        let claim = claim_one(&store).await;
        assert_eq!(claim.destination.index, expected, "due retries by their time, then file order");
        let after = u32::try_from(dial(&store, &claim.held).await.len()).unwrap();
        finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
    }
    assert_eq!(summary(&store, &key("r")).await.status, RequestStatus::Completed);
}

pub async fn no_retry_after_the_expiry(world: &dyn StoreWorld) {
    let store = world.store();
    let expiry = world.now() + secs(60);
    submit(&store, RequestHeader { expires_at: Some(expiry), ..header("r") }, 3).await;
    call_through(&store, retries(DispositionResult::Busy, expiry)).await;
    call_through(&store, retries(DispositionResult::Busy, expiry - secs(1))).await;
    let counts = summary(&store, &key("r")).await.counts;
    assert_eq!((counts.failed, counts.retry_scheduled), (1, 1));
}

pub async fn a_refused_claim_fails_undialled(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 4).await;
    let refusal = Some(StepStatus::ErrorMissingProperty);
    let cases = [
        (AttemptEnd { refusal, ..retries(DispositionResult::Cancelled, world.now()) }, CallStatus::Failed),
        (AttemptEnd { refusal, ..ends(DispositionResult::Blocked) }, CallStatus::Failed),
        (ends(DispositionResult::InvalidNumber), CallStatus::Failed),
        (ends(DispositionResult::Blocked), CallStatus::Blocked),
    ];
    for (end, status) in cases {
        let claim = claim_one(&store).await;
        let index = claim.destination.index;
        let first = finish(&store, &claim.held, 0, end.clone()).await;
        assert!(
            matches!(first.history[..], [ref last] if last.what == Happening::Ended { status, disposition: end.disposition, refusal: end.refusal })
        );
        assert_eq!(finish(&store, &claim.held, 0, end).await.history, first.history);
        assert_eq!(store.calls(&key("r"), index, 1).await.unwrap()[0].status, status);
        assert_eq!(leased(&store).await, 0);
    }
    let kinds: Vec<_> = request_events(&store, world).await;
    assert_eq!(
        kinds,
        [EventType::RequestAccepted, EventType::RequestCompleted],
        "nothing was dialled, so nothing started"
    );
}

async fn request_events(store: &Store, world: &dyn StoreWorld) -> Vec<EventType> {
    let unconfirmed = store.unconfirmed(world.now() + secs(1), 100).await.unwrap();
    let requests = unconfirmed.iter().filter_map(|unconfirmed| match unconfirmed {
        Unconfirmed::Request(event) => Some(event.kind),
        Unconfirmed::Call { .. } | Unconfirmed::Organisation(_) => None,
    });
    requests.collect()
}

pub async fn a_refill_is_of_the_same_organisation(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 2).await;
    submit(&store, header("r"), 9).await;
    let claims = claim_all(&store, 2).await;
    submit(&store, header_of("shop", "r"), 9).await;
    let after = u32::try_from(dial(&store, &claims[0].held).await.len()).unwrap();
    let finished =
        done(store.finish(&claims[0].held, &worker("w"), after, &[], ends(DispositionResult::Busy), 5).await.unwrap());
    assert_eq!(names(&finished.refill), [("r", 2)]);
    assert_eq!(finished.refill[0].held.organisation, organisation("bank"));
    assert_eq!(leased(&store).await, 2, "no more than the limit");
}

pub async fn the_last_call_completes_the_request(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    assert!(call_through(&store, ends(DispositionResult::Unknown)).await.events.is_empty());
    world.advance(secs(1)).await;
    let events = call_through(&store, ends(DispositionResult::Rejected)).await.events;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].seq, events[0].at), (EventType::RequestCompleted, 3, world.now()));
    let summary = summary(&store, &key("r")).await;
    assert_eq!(events[0].summary, summary);
    assert_eq!((summary.status, summary.counts.unknown, summary.counts.failed), (RequestStatus::Completed, 1, 1));
}

pub async fn an_ended_request_is_kept_for_its_retention(world: &dyn StoreWorld) {
    let store = world.store();
    set(&store, "bank", |settings| settings.retention_secs = 100).await;
    submit(&store, header("r"), 1).await;
    let (claim, after) = claim_and_dial(&store).await;
    finish(&store, &claim.held, after, ends(DispositionResult::Busy)).await;
    world.advance(secs(100)).await;
    store.sweep().await.unwrap();
    assert!(store.request(&key("r")).await.is_ok(), "what nobody has heard of is not forgotten");
    let of_request = (1..=3).map(|seq| Confirmation::of_request(key("r"), seq));
    let of_call = Confirmation::of_call(organisation("bank"), call("r", 0), 2);
    let all: Vec<_> = of_request.chain([of_call]).collect();
    store.confirm(&all).await.unwrap();
    let next = store.sweep().await.unwrap().1.unwrap();
    world.advance(next.since(world.now())).await;
    store.sweep().await.unwrap();
    assert_eq!(store.request(&key("r")).await.unwrap_err(), StoreError::NotFound);
    assert!(matches!(
        store.finish(&claim.held, &worker("w"), after, &[], ends(DispositionResult::Busy), 0).await.unwrap(),
        Written::Fenced
    ));
    submit(&store, header("r"), 1).await;
}

pub async fn every_claim_is_a_new_attempt_and_dials_are_counted_apart(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    done(store.give_back(&claim_one(&store).await.held).await.unwrap());
    call_through(&store, retries(DispositionResult::Busy, world.now())).await;
    done(store.give_back(&claim_one(&store).await.held).await.unwrap());
    let history = call_through(&store, ends(DispositionResult::Answered)).await.history;
    let dials: Vec<_> = history
        .iter()
        .filter_map(|fact| match fact.what {
            Happening::Dialing { claim, attempt, .. } => Some((claim, attempt)),
            _ => None,
        })
        .collect();
    assert_eq!(dials, [(2, 1), (4, 2)]);
}
