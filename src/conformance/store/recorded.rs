//! What was recorded is found, as long as nobody has it forgotten.

use super::StoreWorld;
use super::finding::outlive_retention;
use super::scene::*;
use crate::model::{DispositionResult, OrganisationId, Recording, Timestamp};
use crate::ports::RecordingIndex;
use crate::ports::store::*;

fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

/// Dials the next call, and ends it with a recording at some place.
async fn record(world: &dyn StoreWorld, place: &str, retry_at: Option<Timestamp>) -> Recording {
    let store = world.store();
    let (Claim { held, .. }, after) = claim_and_dial(&store).await;
    let end = AttemptEnd { recording: Some(place.into()), retry_at, ..ends(DispositionResult::Answered) };
    let index = world.recordings();
    assert_eq!(index.recording(&bank(), held.attempt).await.unwrap(), None, "it goes on");
    finish(&store, &held, after, end.clone()).await;
    let ended_at = world.now();
    world.advance(secs(1)).await;
    // As after an answer that was lost.
    finish(&store, &held, after, end).await;
    Recording { attempt: held.attempt, place: place.into(), ended_at }
}

async fn all(index: &dyn RecordingIndex, before: Timestamp) -> Vec<Recording> {
    index.recordings_before(&bank(), before, None, 99).await.unwrap()
}

pub async fn what_was_recorded_is_found_by_its_attempt_and_by_its_age(world: &dyn StoreWorld) {
    let (store, index) = (world.store(), world.recordings());
    assert_eq!(all(&*index, world.now() + secs(1)).await, []);
    submit(&store, header("r"), 3).await;
    let first = record(world, "http://a/1", None).await;
    let second = record(world, "http://a/2?x={y}", Some(world.now() + secs(60))).await;
    world.advance(secs(60)).await;
    let third = record(world, "http://a/3", None).await;
    for recording in [&first, &second, &third] {
        assert_eq!(index.recording(&bank(), recording.attempt).await.unwrap().as_ref(), Some(recording));
        assert_eq!(index.recording(&"clinic".parse().unwrap(), recording.attempt).await.unwrap(), None);
    }
    assert_eq!(third.attempt.call, second.attempt.call, "the retry has a recording of its own");
    assert_eq!(all(&*index, world.now()).await, [first.clone(), second.clone(), third.clone()]);
    assert_eq!(all(&*index, third.ended_at).await, [first.clone(), second.clone()], "before, not at");
    let oldest = index.recordings_before(&bank(), world.now(), None, 1).await.unwrap();
    assert_eq!(oldest, std::slice::from_ref(&first));
    let next = index.recordings_before(&bank(), world.now(), Some(&first), 1).await.unwrap();
    assert_eq!(next, std::slice::from_ref(&second));
    assert_eq!(index.recordings_before(&bank(), world.now(), Some(&third), 9).await.unwrap(), []);
    index.forget_recording(&bank(), second.attempt).await.unwrap();
    index.forget_recording(&bank(), second.attempt).await.unwrap();
    assert_eq!(index.recording(&bank(), second.attempt).await.unwrap(), None);
    let behind = index.recordings_before(&bank(), world.now(), Some(&second), 9).await.unwrap();
    assert_eq!(behind, std::slice::from_ref(&third), "behind one that is forgotten");
    assert_eq!(all(&*index, world.now()).await, [first, third]);
}

pub async fn recordings_of_one_moment_are_gone_through_one_by_one(world: &dyn StoreWorld) {
    let (store, index) = (world.store(), world.recordings());
    submit(&store, header("r"), 5).await;
    for _ in 0..5 {
        let (Claim { held, .. }, after) = claim_and_dial(&store).await;
        finish(
            &store,
            &held,
            after,
            AttemptEnd { recording: Some("http://a".into()), ..ends(DispositionResult::Answered) },
        )
        .await;
    }
    let (mut seen, later) = (Vec::<Recording>::new(), world.now() + secs(1));
    while let [next] = &index.recordings_before(&bank(), later, seen.last(), 1).await.unwrap()[..] {
        assert!(!seen.contains(next) && seen.len() < 5, "{next:?}");
        seen.push(next.clone());
    }
    assert_eq!(seen, all(&*index, later).await);
    assert_eq!(seen.len(), 5);
}

pub async fn a_recording_outlives_its_request(world: &dyn StoreWorld) {
    let (store, index) = (world.store(), world.recordings());
    submit(&store, header("r"), 1).await;
    let recording = record(world, "http://a/1", None).await;
    outlive_retention(world).await;
    assert_eq!(store.request(&key("r")).await.unwrap_err(), StoreError::NotFound);
    assert_eq!(index.recording(&bank(), recording.attempt).await.unwrap(), Some(recording));
}

pub async fn organisations_that_had_work_are_named(world: &dyn StoreWorld) {
    let (store, index) = (world.store(), world.recordings());
    submit(&store, header("r"), 1).await;
    let (mut from, mut named) = (0, Vec::new());
    loop {
        let (found, next) = index.organisations(from).await.unwrap();
        named.extend(found);
        if next == 0 {
            break;
        }
        from = next;
    }
    assert_eq!(named, [bank()]);
}
