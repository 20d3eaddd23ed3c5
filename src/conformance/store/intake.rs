//! Requests on their way in.

use super::StoreWorld;
use super::scene::*;
use crate::model::status::{RejectReason, RequestError};
use crate::model::{EventType, RequestHeader, RequestStatus};
use crate::ports::store::*;
use std::sync::Arc;

pub async fn a_request_is_loaded_chunk_by_chunk_and_sealed(world: &dyn StoreWorld) {
    let store = world.store();
    let header = Arc::new(header("r"));
    let opened = store.open_request(&header, Totals { total: 5, duplicates: 2 }).await.unwrap();
    assert_eq!(opened, Opened::Load { next_chunk: 0 });
    assert_eq!(store.load_chunk(&key("r"), 0, 0, &chunk(0..2)).await.unwrap(), Loaded::Stored);
    assert_eq!(store.load_chunk(&key("r"), 0, 1, &chunk(2..5)).await.unwrap(), Loaded::Stored);
    assert!(claim_all(&store, 9).await.is_empty(), "nothing is dialled before the seal");
    let (summary, events) = store.seal(&key("r"), 0).await.unwrap();
    assert_eq!((summary.status, summary.total, summary.duplicates), (RequestStatus::Submitted, 5, 2));
    assert_eq!((summary.counts.queued, summary.counts.total()), (5, 5));
    assert_eq!(
        events.iter().map(|event| (event.seq, event.kind)).collect::<Vec<_>>(),
        [(1, EventType::RequestAccepted)]
    );
    let snapshot = store.request(&key("r")).await.unwrap();
    assert_eq!((snapshot.header, snapshot.queued_at), (Some(header), Some(world.now())));
    let calls = store.calls(&key("r"), 0, 10).await.unwrap();
    assert_eq!(
        calls.into_iter().map(|call| call.destination).collect::<Vec<_>>(),
        (0..5).map(destination).collect::<Vec<_>>()
    );
}

pub async fn opening_goes_on_where_loading_stopped(world: &dyn StoreWorld) {
    let store = world.store();
    let header = Arc::new(header("r"));
    store.open_request(&header, totals(4)).await.unwrap();
    store.load_chunk(&key("r"), 0, 0, &chunk(0..2)).await.unwrap();
    assert_eq!(store.open_request(&header, totals(4)).await.unwrap(), Opened::Load { next_chunk: 1 });
    for early_or_known in [0, 2] {
        let loaded = store.load_chunk(&key("r"), 0, early_or_known, &chunk(0..2)).await.unwrap();
        assert_eq!(loaded, Loaded::Expected { next_chunk: 1 });
    }
    assert_eq!(store.load_chunk(&key("r"), 0, 1, &chunk(2..4)).await.unwrap(), Loaded::Stored);
    assert_eq!(store.seal(&key("r"), 0).await.unwrap().0.total, 4);
}

pub async fn the_same_request_again_is_known_and_loads_nothing_twice(world: &dyn StoreWorld) {
    let store = world.store();
    let sealed = submit(&store, header("r"), 3).await;
    let opened = store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    assert_eq!(opened, Opened::Known(sealed.clone()));
    assert_eq!(store.load_chunk(&key("r"), 0, 0, &chunk(0..3)).await.unwrap(), Loaded::Expected { next_chunk: 1 });
    let (again, events) = store.seal(&key("r"), 0).await.unwrap();
    assert_eq!(again, sealed);
    assert!(events.iter().all(|event| event.seq == 1), "the seal is told again as what it was, not anew");
    assert_eq!(claim_all(&store, 9).await.len(), 3);
}

pub async fn other_content_under_a_name_is_a_conflict(world: &dyn StoreWorld) {
    let store = world.store();
    let other = Arc::new(RequestHeader { content_hash: [9; 32], ..header("r") });
    store.open_request(&Arc::new(header("r")), totals(1)).await.unwrap();
    assert_eq!(store.open_request(&other, totals(1)).await.unwrap(), Opened::Conflict, "while it is loaded");
    store.load_chunk(&key("r"), 0, 0, &chunk(0..1)).await.unwrap();
    store.seal(&key("r"), 0).await.unwrap();
    assert_eq!(store.open_request(&other, totals(1)).await.unwrap(), Opened::Conflict, "and when it is sealed");
    assert_eq!(summary(&store, &key("r")).await.total, 1);
    let elsewhere = RequestHeader { content_hash: [9; 32], ..header_of("shop", "r") };
    assert_eq!(submit(&store, elsewhere, 2).await.total, 2, "names are an organisation's own");
}

pub async fn a_request_that_is_not_whole_is_not_sealed(world: &dyn StoreWorld) {
    let store = world.store();
    store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    store.load_chunk(&key("r"), 0, 0, &chunk(0..2)).await.unwrap();
    assert!(store.seal(&key("r"), 0).await.is_err());
    assert!(claim_all(&store, 9).await.is_empty());
    store.load_chunk(&key("r"), 0, 1, &chunk(2..3)).await.unwrap();
    assert!(store.seal(&key("r"), 0).await.is_ok());
}

pub async fn what_no_asking_again_would_change_is_refused(world: &dyn StoreWorld) {
    let store = world.store();
    store.open_request(&Arc::new(header("r")), totals(2)).await.unwrap();
    let refused = |error: StoreError| assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    refused(store.load_chunk(&key("r"), 0, 0, &chunk(2..3)).await.unwrap_err());
    refused(store.seal(&key("r"), 0).await.unwrap_err());
    store.load_chunk(&key("r"), 0, 0, &chunk(0..2)).await.unwrap();
    assert!(store.seal(&key("r"), 0).await.is_ok(), "and it does no harm");
}

pub async fn parts_come_in_any_order_and_nothing_is_dialled_before_all_are_there(world: &dyn StoreWorld) {
    let store = world.store();
    let whole = header("r");
    for (index, size) in [(2, 1), (0, 2)] {
        let summary = submit(&store, part_of(&whole, index, 3), size).await;
        assert_eq!(summary.status, RequestStatus::Submitted);
        assert_eq!(summary.counts.total(), summary.total);
        assert!(claim_all(&store, 9).await.is_empty());
    }
    let known = store.open_request(&Arc::new(part_of(&whole, 2, 3)), totals(1)).await.unwrap();
    assert!(matches!(known, Opened::Known(summary) if summary.total == 3));
    assert_eq!(submit(&store, part_of(&whole, 1, 3), 3).await.total, 6);
    let claims = claim_all(&store, 6).await;
    assert_eq!(indices(&claims), [0, 1, 2, 3, 4, 5], "in the order of the parts");
    let inner: Vec<u32> = vec![0, 1, 0, 1, 2, 0];
    for (claim, inner) in claims.iter().zip(inner) {
        assert_eq!(claim.destination.number, destination(inner).number);
        assert_eq!(claim.held.attempt.call.index(), claim.destination.index);
    }
}

pub async fn parts_must_agree_on_everything_but_their_content(world: &dyn StoreWorld) {
    let store = world.store();
    let whole = header("r");
    submit(&store, part_of(&whole, 0, 2), 1).await;
    let mut conflicts = vec![part_of(&RequestHeader { priority: 6, ..whole.clone() }, 1, 2)];
    conflicts.push(part_of(&whole, 1, 3));
    conflicts.push(part_of(&whole, 2, 2));
    conflicts.push(RequestHeader { content_hash: [9; 32], ..part_of(&whole, 0, 2) });
    conflicts.push(whole.clone());
    for conflict in conflicts {
        assert_eq!(store.open_request(&Arc::new(conflict), totals(1)).await.unwrap(), Opened::Conflict);
    }
    submit(&store, part_of(&whole, 1, 2), 1).await;
}

pub async fn parts_that_do_not_come_in_a_day_fail_the_request(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, part_of(&header("r"), 1, 2), 3).await;
    world.advance(secs(24 * 3600 - 1)).await;
    assert!(store.sweep().await.unwrap().0.is_empty());
    world.advance(secs(1)).await;
    let events = store.sweep().await.unwrap().0;
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventType::RequestExpired]);
    let summary = summary(&store, &key("r")).await;
    assert_eq!((summary.status, summary.total, summary.counts.expired), (RequestStatus::Failed, 3, 3));
    assert_eq!(summary.errors.len(), 1);
    assert!(claim_all(&store, 9).await.is_empty());
    let late = store.open_request(&Arc::new(part_of(&header("r"), 0, 2)), totals(1)).await.unwrap();
    assert_eq!(late, Opened::Known(summary));
}

pub async fn a_request_of_which_nothing_was_sealed_is_forgotten_after_a_day(world: &dyn StoreWorld) {
    let store = world.store();
    store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    world.advance(secs(24 * 3600)).await;
    assert!(store.sweep().await.unwrap().0.is_empty());
    assert_eq!(store.request(&key("r")).await.unwrap_err(), StoreError::NotFound);
    submit(&store, RequestHeader { content_hash: [9; 32], ..header("r") }, 1).await;
}

fn rejection(reason: RejectReason) -> Rejection {
    let errors = vec![RequestError { path: "destinations[3].phone".into(), message: "not a number".into() }];
    Rejection { key: key("r"), reason, errors, error_count: 7, trace: None }
}

pub async fn a_rejection_is_written_down_and_told(world: &dyn StoreWorld) {
    let store = world.store();
    let (told, events) = store.reject(&rejection(RejectReason::Invalid)).await.unwrap();
    assert_eq!((told.status, told.reason, told.error_count), (RequestStatus::Failed, Some(RejectReason::Invalid), 7));
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].seq, events[0].kind, &events[0].summary), (1, EventType::RequestRejected, &told));
    let snapshot = store.request(&key("r")).await.unwrap();
    assert_eq!((snapshot.summary, snapshot.header, snapshot.queued_at), (told.clone(), None, None));
    let again = store.reject(&rejection(RejectReason::Invalid)).await.unwrap();
    assert_eq!(again, (told, events), "asked twice, it is one event");
}

pub async fn a_rejection_leaves_an_existing_request_alone(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let before = summary(&store, &key("r")).await;
    let (told, events) = store.reject(&rejection(RejectReason::Conflict)).await.unwrap();
    assert_eq!((told.status, told.reason), (RequestStatus::Failed, Some(RejectReason::Conflict)));
    assert_eq!((events[0].seq, events[0].kind), (2, EventType::RequestRejected));
    assert_eq!(summary(&store, &key("r")).await, before);
    assert_eq!(store.reject(&rejection(RejectReason::Conflict)).await.unwrap(), (told, events));
    assert_eq!(claim_all(&store, 9).await.len(), 2);
}

pub async fn a_rejected_request_may_come_again_put_right(world: &dyn StoreWorld) {
    let store = world.store();
    store.reject(&rejection(RejectReason::Invalid)).await.unwrap();
    let summary = submit(&store, header("r"), 2).await;
    assert_eq!((summary.status, summary.reason, summary.total), (RequestStatus::Submitted, None, 2));
    let unconfirmed = store.unconfirmed(world.now() + secs(1), 10).await.unwrap();
    let seqs = unconfirmed.iter().map(|event| match event {
        Unconfirmed::Request(event) => (event.seq, event.kind),
        Unconfirmed::Call { .. } | Unconfirmed::Organisation(_) => panic!("only a request has events"),
    });
    assert_eq!(seqs.collect::<Vec<_>>(), [(1, EventType::RequestRejected), (2, EventType::RequestAccepted)]);
    world.advance(secs(8 * 24 * 3600)).await;
    store.sweep().await.unwrap();
    assert_eq!(claim_all(&store, 9).await.len(), 2, "it is not dropped as rejected");
}

pub async fn a_request_keeps_the_trace_that_it_came_in(world: &dyn StoreWorld) {
    let store = world.store();
    let trace = |id: u32| Some(format!("00-{id:032x}-00000000000000a1-01").parse().unwrap());
    let whole = |id| RequestHeader { trace: trace(id), ..header("r") };
    // That of its first part, in whatever order they come.
    submit(&store, part_of(&whole(2), 1, 2), 1).await;
    submit(&store, part_of(&whole(1), 0, 2), 1).await;
    let known = store.open_request(&Arc::new(part_of(&whole(3), 0, 2)), totals(1)).await.unwrap();
    assert!(matches!(known, Opened::Known(_)), "whoever hands it in again, it is the same request: {known:?}");
    let claims = claim_all(&store, 9).await;
    assert_eq!(claims.iter().map(|claim| claim.header.trace).collect::<Vec<_>>(), [trace(1), trace(1)]);
    let told = store.unconfirmed(world.now() + secs(1), 10).await.unwrap();
    let traces = told.iter().map(|event| match event {
        Unconfirmed::Request(event) => event.summary.trace,
        Unconfirmed::Call { .. } | Unconfirmed::Organisation(_) => panic!("only a request has events"),
    });
    assert!(
        traces.clone().count() > 0 && traces.clone().all(|told| told == trace(1)),
        "{:?}",
        traces.collect::<Vec<_>>()
    );
    let refused = |id| Rejection { key: key("bad"), trace: trace(id), ..rejection(RejectReason::Invalid) };
    let (_, first) = store.reject(&refused(4)).await.unwrap();
    let (_, again) = store.reject(&refused(5)).await.unwrap();
    assert_eq!((first[0].summary.trace, &again), (trace(4), &first), "asked twice, it is one event");
}

pub async fn an_empty_request_is_complete_at_once(world: &dyn StoreWorld) {
    let store = world.store();
    store.open_request(&Arc::new(header("r")), Totals { total: 0, duplicates: 1 }).await.unwrap();
    let (summary, events) = store.seal(&key("r"), 0).await.unwrap();
    assert_eq!(summary.status, RequestStatus::Completed);
    assert_eq!(
        events.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [EventType::RequestAccepted, EventType::RequestCompleted]
    );
}
