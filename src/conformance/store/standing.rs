//! How an organisation stands: its slots, and who is due.

use std::time::Duration;

use super::StoreWorld;
use super::scene::*;
use crate::model::request::WindowZone;
use crate::model::{DispositionResult, RequestHeader};
use crate::ports::store::*;
use crate::ports::{Standing, Whose};

const HORIZON: Duration = Duration::from_secs(120);

/// How `bank` stands.
async fn standing(world: &dyn StoreWorld) -> Standing {
    let all = world.census().standings(Whose::Busy, HORIZON).await.unwrap();
    all.read.into_iter().find(|standing| standing.organisation.as_str() == "bank").expect("it has work")
}

/// Due now and within the horizon.
async fn due(world: &dyn StoreWorld) -> (u32, u32) {
    let standing = standing(world).await;
    (standing.due, standing.soon)
}

pub async fn whoever_waits_is_due_and_whoever_is_called_is_not(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 2).await;
    submit(&store, header("r"), 5).await;
    assert_eq!(due(world).await, (5, 5));
    let claims = claim_all(&store, 9).await;
    assert_eq!(due(world).await, (3, 3), "two are claimed");
    for claim in &claims {
        dial(&store, &claim.held).await;
    }
    let now = standing(world).await;
    assert_eq!((now.due, now.soon), (3, 3), "two are dialled");
    assert_eq!((now.slots.limit, now.slots.leased, now.free(), now.wanted(), now.drift()), (2, 2, 0, 0, 0));
    limit(&store, "bank", 1).await;
    assert_eq!(standing(world).await.drift(), 1);
    limit(&store, "bank", 4).await;
    let now = standing(world).await;
    assert_eq!((now.free(), now.wanted(), now.idle()), (2, 2, 2));
}

pub async fn who_is_paused_or_over_is_not_due(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 5).await;
    submit(&store, header("s"), 3).await;
    store.control(&key("r"), Control::Pause, None).await.unwrap();
    assert_eq!(due(world).await, (3, 3));
    store.control(&key("s"), Control::Cancel { hang_up: false }, None).await.unwrap();
    store.control(&key("r"), Control::Resume, None).await.unwrap();
    assert_eq!(due(world).await, (5, 5));
}

pub async fn schedules_retries_and_windows_that_come_soon_count(world: &dyn StoreWorld) {
    let store = world.store();
    let scheduled = |name, after| RequestHeader { scheduled_at: Some(world.now() + secs(after)), ..header(name) };
    submit(&store, scheduled("soon", 100), 2).await;
    submit(&store, scheduled("later", 1000), 4).await;
    submit(&store, header("now"), 1).await;
    assert_eq!(due(world).await, (1, 3));
    let busy = retries(DispositionResult::Busy, world.now() + secs(300));
    call_through(&store, busy).await;
    assert_eq!(due(world).await, (0, 2));
    world.advance(secs(200)).await;
    assert_eq!(due(world).await, (2, 3), "the schedule has come, the retry is near");
    // It is a little after nine.
    let evening = Some(hours(WindowZone::Named("UTC".into()), 20, 21));
    submit(&store, RequestHeader { calling_window: evening, ..header("evening") }, 7).await;
    assert_eq!(due(world).await, (2, 3));
    let ten = Some(hours(WindowZone::Named("UTC".into()), 10, 11));
    submit(&store, RequestHeader { calling_window: ten, ..header("ten") }, 11).await;
    assert_eq!(due(world).await, (2, 3));
    world.advance(secs(3300)).await;
    assert_eq!(due(world).await, (7, 18), "all but the evening, the last of them in a hundred seconds");
}

pub async fn whoever_is_claimed_is_left_out_once_whatever_was_claimed(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 9).await;
    submit(&store, header("r"), 2).await;
    let busy = retries(DispositionResult::Busy, world.now() + secs(60));
    call_through(&store, busy.clone()).await;
    call_through(&store, busy).await;
    world.advance(secs(60)).await;
    submit(&store, header("s"), 5).await;
    assert_eq!(due(world).await, (7, 7));
    // All that waits of one request, and of the other nothing.
    let claims = claim_all(&store, 2).await;
    let retries_claimed = claims.iter().filter(|claim| !claim.history.is_empty()).count();
    assert_eq!(due(world).await, (5, 5), "{retries_claimed} retries are claimed");
    let others = claim_all(&store, 4).await;
    assert_eq!(due(world).await, (1, 1));
    for claim in others.iter().chain(&claims) {
        store.give_back(&claim.held).await.unwrap();
    }
    assert_eq!(due(world).await, (7, 7), "they are given back");
    for claim in claim_all(&store, 7).await {
        dial(&store, &claim.held).await;
    }
    assert_eq!(due(world).await, (0, 0));
    submit(&store, header("t"), 3).await;
    assert_eq!(due(world).await, (3, 3), "whatever others are claimed");
}

pub async fn no_more_are_due_than_the_rate_allows(world: &dyn StoreWorld) {
    let store = world.store();
    set(&store, "bank", |settings| (settings.limit, settings.calls_per_second) = (1000, Some(2))).await;
    submit(&store, header("r"), 400).await;
    assert_eq!(due(world).await, (1, 241), "two a second, in two minutes, and one at once");
    let claims = claim_all(&store, 9).await;
    assert_eq!((claims.len(), due(world).await), (1, (0, 240)));
    dial(&store, &claims[0].held).await;
    assert_eq!(due(world).await, (0, 240));
    world.advance(secs(1)).await;
    assert_eq!(due(world).await, (1, 241));
    set(&store, "bank", |settings| settings.calls_per_second = Some(0)).await;
    assert_eq!(due(world).await, (0, 0));
    set(&store, "bank", |settings| settings.calls_per_second = None).await;
    assert_eq!(due(world).await, (399, 399));
}

pub async fn figures_of_very_many_requests_are_of_the_right_size(world: &dyn StoreWorld) {
    let store = world.store();
    for number in 0..150 {
        submit(&store, header(&format!("r{number}")), 3).await;
    }
    assert_eq!(due(world).await, (450, 450));
    for number in 0..120 {
        let scheduled_at = Some(world.now() + secs(100));
        submit(&store, RequestHeader { scheduled_at, ..header(&format!("s{number}")) }, 2).await;
    }
    assert_eq!(due(world).await, (450, 690));
}

pub async fn whoever_has_nothing_any_more_is_known_all_the_same(world: &dyn StoreWorld) {
    let store = world.store();
    limit(&store, "bank", 2).await;
    submit(&store, header("r"), 1).await;
    submit(&store, header_of("shop", "r"), 1).await;
    store.control(&key("r"), Control::Cancel { hang_up: false }, None).await.unwrap();
    let all = world.census().standings(Whose::Known, HORIZON).await.unwrap();
    let mut known: Vec<_> = all.read.iter().map(|standing| (standing.organisation.as_str(), standing.due)).collect();
    known.sort_unstable();
    assert_eq!((known, all.unread), (vec![("bank", 0), ("shop", 1)], Vec::new()));
}
