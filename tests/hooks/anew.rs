//! A log of events that is deleted and begun anew: everything in the new one is delivered, and nothing is taken for what had
//! its place in the one before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use robocall::adapters::memory::MemoryEventLog;
use robocall::model::Timestamp;
use robocall::ports::StoreError;
use robocall::ports::hooks::*;
use robocall::ports::store::{ProcessId, StoreResult};
use serde_json::json;
use tokio::sync::watch;

use super::world::*;

const GOOD: &str = "https://good.example/hook";
const BAD: &str = "https://bad.example/hook";

/// One that answers, and one that does not for the first hour.
fn good_and_bad(url: &str, at: Timestamp, _: usize) -> Does {
    let is_down = url == BAD && at.since(Timestamp::VIRTUAL_START) < Duration::from_secs(3600);
    Does::Answers(Duration::from_millis(50), if is_down { 503 } else { 200 })
}

/// A broker that is not itself.
#[derive(Clone)]
struct Broker {
    log: MemoryEventLog,
    /// Whether it gives what is in the log, and says what is the first of it.
    gives: watch::Sender<bool>,
    /// Where it says that the log ends, instead of where it does; the last one for ever.
    ends: Arc<Mutex<VecDeque<StoreResult<u64>>>>,
    /// Places in the log where nothing is.
    holes: Vec<u64>,
}

impl Broker {
    fn before(world: &mut World) -> Self {
        let log = world.log.clone();
        Self { log, gives: watch::Sender::new(true), ends: Arc::default(), holes: Vec::new() }.put(world)
    }

    fn put(self, world: &mut World) -> Self {
        world.read = Arc::new(self.clone());
        self
    }

    fn says(&self, ends: impl Into<VecDeque<StoreResult<u64>>>) {
        *self.ends.lock().unwrap() = ends.into();
    }
}

#[async_trait]
impl EventLog for Broker {
    async fn end(&self) -> StoreResult<u64> {
        let says = {
            let mut ends = self.ends.lock().unwrap();
            if ends.len() > 1 { ends.pop_front() } else { ends.front().cloned() }
        };
        match says {
            Some(end) => end,
            None => self.log.end().await,
        }
    }

    async fn first(&self) -> StoreResult<Option<u64>> {
        if *self.gives.borrow() { self.log.first().await } else { Ok(None) }
    }

    async fn listen(&self) -> StoreResult<Box<dyn LogReader>> {
        self.read(self.log.end().await?).await
    }

    async fn read(&self, from: u64) -> StoreResult<Box<dyn LogReader>> {
        Ok(Box::new(Reader { broker: self.clone(), inner: self.log.read(from).await? }))
    }
}

struct Reader {
    broker: Broker,
    inner: Box<dyn LogReader>,
}

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> LoggedHookEvent {
        loop {
            self.broker.gives.subscribe().wait_for(|gives| *gives).await.unwrap();
            let event = self.inner.next().await;
            if !self.broker.holes.contains(&event.offset) {
                return event;
            }
        }
    }
}

/// Delivers twenty events, and kills whoever has.
async fn twenty(world: &World) -> Vec<String> {
    let first = world.start();
    world.seconds(1).await;
    let published = publish(world, 0..20);
    world.seconds(5).await;
    first.kill();
    assert_eq!(world.receivers.taken(GOOD), published);
    published
}

/// Everything was taken by the one that answers, in order, each once.
fn assert_each_once(world: &World, published: &[String]) {
    assert_eq!(world.receivers.taken(GOOD), published);
    assert_eq!(world.receivers.got().iter().filter(|got| got.url == GOOD).count(), published.len(), "each once");
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

#[test]
fn a_broker_that_does_not_say_where_the_log_ends_is_asked_until_it_does() {
    play(3, |clock| async move {
        let mut world = world(&clock).await;
        let broker = Broker::before(&mut world);
        let mut published = twenty(&world).await;
        world.log.begin_anew();
        published.extend(publish(&world, 20..25));
        broker.says([Err(StoreError::Unavailable("away".to_owned()))]);
        let _second = world.start();
        world.seconds(300).await;
        broker.says([]);
        world.seconds(60).await;
        assert_each_once(&world, &published);
    });
}

#[test]
fn a_new_log_that_is_longer_than_the_one_before_is_read_from_its_beginning() {
    play(3, |clock| async move {
        for (count, holes) in [(20, vec![]), (50, vec![]), (50, vec![18, 19, 20])] {
            let mut world = world(&clock).await;
            let mut published = twenty(&world).await;
            world.log.begin_anew();
            let mut broker = Broker::before(&mut world);
            broker.holes = holes.clone();
            broker.put(&mut world);
            published.extend(publish(&world, 20..20 + count));
            // What is not there cannot be delivered.
            let mut place = 0..;
            published.retain(|_| place.next().is_none_or(|place| place < 20 || !holes.contains(&(place - 20))));
            let second = world.start();
            world.seconds(60).await;
            assert_each_once(&world, &published);
            assert_eq!(world.hooks.dead(None, 10).await.unwrap(), [], "nothing is missing");
            second.kill();
        }
    });
}

#[test]
fn a_broker_that_says_nothing_for_long_has_not_lost_its_log() {
    play(3, |clock| async move {
        let mut world = world(&clock).await;
        let broker = Broker::before(&mut world);
        let mut published = twenty(&world).await;
        // It seems to be empty; once it stopped in the middle of what it read out.
        broker.gives.send_replace(false);
        broker.says([Ok(0), Ok(0), Ok(3), Ok(0)]);
        let second = world.start();
        world.seconds(600).await;
        published.extend(publish(&world, 20..25));
        broker.says([Ok(25), Ok(3), Ok(25)]);
        world.seconds(60).await;
        broker.gives.send_replace(true);
        world.seconds(60).await;
        assert_each_once(&world, &published);
        assert_eq!(world.hooks.load().await.unwrap().base, 0);
        second.kill();
    });
}

#[test]
fn a_log_of_which_nothing_is_left_is_not_the_one_before_once_something_comes() {
    play(3, |clock| async move {
        let world = world(&clock).await;
        let mut published = twenty(&world).await;
        world.log.begin_anew();
        let _second = world.start();
        world.seconds(600).await;
        published.extend(publish(&world, 20..22));
        world.seconds(60).await;
        assert_each_once(&world, &published);
    });
}

#[test]
fn a_position_without_an_id_is_given_that_of_the_event_before() {
    play(3, |clock| async move {
        let world = world(&clock).await;
        let mut published = twenty(&world).await;
        world.seconds(60).await;
        // As an earlier version leaves it.
        let lead = world.hooks.lead(ProcessId(99), Duration::from_secs(30)).await.unwrap().unwrap();
        world.hooks.change(lead, &[Change::Position(20, None)]).await.unwrap();
        world.hooks.resign(lead).await.unwrap();
        let second = world.start();
        world.seconds(60).await;
        assert_eq!(world.hooks.load().await.unwrap().last.as_deref(), Some(&*published[19]));
        second.kill();
        world.log.begin_anew();
        published.extend(publish(&world, 20..60));
        let _third = world.start();
        world.seconds(60).await;
        assert_each_once(&world, &published);
    });
}
