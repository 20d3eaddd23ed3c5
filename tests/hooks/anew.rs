//! A log of events that is deleted and begun anew: everything in the new one is delivered, and nothing is taken for what had
//! its place in the one before.

use std::time::Duration;

use robocall::model::Timestamp;
use serde_json::json;

use super::world::*;

const GOOD: &str = "https://good.example/hook";
const BAD: &str = "https://bad.example/hook";

/// One that answers, and one that does not for the first hour.
fn good_and_bad(url: &str, at: Timestamp, _: usize) -> Does {
    let is_down = url == BAD && at.since(Timestamp::VIRTUAL_START) < Duration::from_secs(3600);
    Does::Answers(Duration::from_millis(50), if is_down { 503 } else { 200 })
}

fn publish(world: &World, calls: std::ops::Range<usize>) -> Vec<String> {
    calls.map(|call| world.publish(call, 1, "call.ended")).collect()
}

async fn world(clock: &robocall::adapters::clock::VirtualClock) -> World {
    let world = World::new(clock, good_and_bad);
    world.hook(json!([{"url": GOOD}, {"url": BAD}])).await;
    world
}

#[test]
fn what_is_in_the_new_log_is_delivered_however_much_was_in_the_one_before() {
    play(3, |clock| async move {
        let world = world(&clock).await;
        let _running = world.start();
        world.seconds(1).await;
        let mut published = publish(&world, 0..5);
        world.seconds(5).await;
        world.log.begin_anew();
        published.extend(publish(&world, 5..8));
        world.seconds(5).await;
        assert_eq!(world.receivers.taken(GOOD), published);
        // Once more, with less in it than before, and more.
        for (first, count) in [(8, 2), (10, 30)] {
            world.log.begin_anew();
            published.extend(publish(&world, first..first + count));
            world.seconds(10).await;
            assert_eq!(world.receivers.taken(GOOD), published);
        }
        // Those that waited have not given their places to others.
        world.seconds(2 * 3600).await;
        let mut late = world.receivers.taken(BAD);
        late.sort();
        published.sort();
        assert_eq!(late, published);
        assert_eq!(world.receivers.got().iter().filter(|got| got.url == GOOD).count(), published.len(), "each once");
        assert_eq!(world.hooks.endpoints(None).await.unwrap(), []);
    });
}

#[test]
fn a_log_that_was_begun_anew_while_nobody_delivered_is_read_from_its_beginning() {
    play(3, |clock| async move {
        let world = world(&clock).await;
        let first = world.start();
        world.seconds(1).await;
        let mut published = publish(&world, 0..20);
        world.seconds(5).await;
        first.kill();
        world.log.begin_anew();
        published.extend(publish(&world, 20..25));
        let second = world.start();
        world.seconds(60).await;
        assert_eq!(world.receivers.taken(GOOD), published);
        // And whoever takes over knows where that log is.
        second.kill();
        published.extend(publish(&world, 25..30));
        let _third = world.start();
        world.seconds(60).await;
        assert_eq!(world.receivers.taken(GOOD), published);
        assert_eq!(world.receivers.got().iter().filter(|got| got.url == GOOD).count(), 30, "each once");
    });
}

#[test]
fn a_deliverer_that_has_read_nothing_yet_knows_another_log_too() {
    play(1, |clock| async move {
        let world = world(&clock).await;
        let first = world.start();
        world.seconds(1).await;
        let mut published = publish(&world, 0..20);
        world.seconds(5).await;
        first.kill();
        let _second = world.start();
        world.seconds(60).await;
        world.log.begin_anew();
        published.extend(publish(&world, 20..23));
        world.seconds(5).await;
        assert_eq!(world.receivers.taken(GOOD), published);
    });
}

#[test]
fn one_that_lags_misses_what_is_gone_is_told_so_and_hears_all_of_the_new_log() {
    play(5, |clock| async move {
        let world = world(&clock).await;
        let _running = world.start();
        world.seconds(1).await;
        // A hundred wait, the others are to be read again.
        let published = publish(&world, 0..150);
        world.seconds(60).await;
        world.log.begin_anew();
        let later = publish(&world, 150..400);
        world.seconds(3 * 3600).await;
        assert_eq!(world.receivers.taken(GOOD).len(), 400);
        let late = world.receivers.taken(BAD);
        assert!(published[..100].iter().chain(&later).all(|id| late.contains(id)), "{late:?}");
        assert_eq!(late.len(), 350);
        let dead = world.hooks.dead(Some(&bank()), 10).await.unwrap();
        assert_eq!(dead.iter().map(|dead| dead.gap).collect::<Vec<_>>(), [Some((100, 150))], "{dead:?}");
        assert_eq!(world.hooks.dead(None, 10).await.unwrap(), [], "nobody else misses anything");
    });
}
