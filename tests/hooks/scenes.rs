//! Scenes in virtual time.

use std::time::Duration;

use robocall::conformance::store::scene;
use robocall::model::request::Hook;
use robocall::model::{HookSecret, Timestamp};
use robocall::ports::Clock as _;
use robocall::ports::hooks::{EndpointKey, Wish, WishKind};
use serde_json::json;

use super::world::*;

const GOOD: &str = "https://good.example/hook";
const BAD: &str = "https://bad.example/hook";

fn at_once(status: u16) -> Does {
    Does::Answers(Duration::from_millis(50), status)
}

fn since_start(at: Timestamp) -> u64 {
    at.since(Timestamp::VIRTUAL_START).as_secs()
}

fn key(url: &str) -> EndpointKey {
    EndpointKey { organisation: bank(), url: url.parse().unwrap() }
}

#[test]
fn a_receiver_that_is_down_for_an_hour_misses_nothing_and_delays_nobody() {
    play(3, |clock| async move {
        let world = World::new(&clock, |url, at, _| match url {
            BAD if since_start(at) < 3600 => at_once(503),
            _ => at_once(204),
        });
        world.hook(json!([{"url": GOOD}, {"url": BAD, "events": ["call"]}])).await;
        let _running = world.start();
        world.seconds(1).await;
        let mut published = Vec::new();
        // 600 calls with three events each: six times as much as an endpoint may have waiting.
        for call in 0..600 {
            for (seq, kind) in ["call.dialing", "call.answered", "call.ended"].iter().enumerate() {
                let at = clock.now();
                published.push((world.publish(call, seq + 1, kind), at));
                world.seconds(2).await;
            }
        }
        let bad = world.receivers.taken(BAD);
        assert!(bad.is_empty(), "it is still down after {} s", since_start(clock.now()));
        let glimpse = world.hooks.endpoints(None).await.unwrap();
        assert!(glimpse.iter().all(|endpoint| endpoint.pending <= RULES.pending as u64), "{glimpse:?}");
        world.seconds(900).await;
        let got = world.receivers.got();
        for (id, at) in &published {
            let first = got.iter().find(|got| got.url == GOOD && got.id == *id).unwrap();
            assert!(first.at.since(*at) <= Duration::from_millis(500), "{id} was held up");
        }
        assert_eq!(got.iter().filter(|got| got.url == GOOD).count(), published.len());
        assert_eq!(world.receivers.taken(BAD).len(), published.len());
        assert_in_order(&got);
        // While it was down it was asked rarely, and nothing is kept of it any more.
        let tries = got.iter().filter(|got| got.url == BAD && !got.taken).count();
        assert!(tries < 60, "{tries} tries");
        assert_eq!(world.hooks.endpoints(None).await.unwrap(), []);
    });
}

#[test]
fn receivers_that_never_answer_hold_up_nobody_else() {
    play(3, |clock| async move {
        let world = World::new(&clock, |url, _, _| if url == GOOD { at_once(200) } else { Does::Nothing });
        let mut hooks: Vec<_> = (0..30).map(|n| json!({"url": format!("https://silent{n}.example/")})).collect();
        hooks.push(json!({"url": GOOD}));
        world.hook(json!(hooks)).await;
        let _running = world.start();
        world.seconds(1).await;
        let mut slowest = Duration::ZERO;
        for call in 0..300 {
            let at = clock.now();
            let id = world.publish(call, 1, "call.ended");
            world.seconds(10).await;
            let got = world.receivers.got();
            let there = got.iter().find(|got| got.url == GOOD && got.id == id);
            slowest = slowest.max(there.map_or(Duration::MAX, |got| got.at.since(at)));
        }
        // At the very first, when nothing is known of anybody, each takes its share of the connections.
        assert!(slowest <= Duration::from_secs(16), "{slowest:?}");
    });
}

#[test]
fn receivers_that_are_slow_and_have_much_to_be_sent_leave_places_for_others() {
    play(3, |clock| async move {
        // More of them than there are places, and each takes its time.
        let slow = |url: &str, _, _| Does::Answers(Duration::from_millis(if url == GOOD { 50 } else { 14_000 }), 200);
        let world = World::new(&clock, slow);
        let mut hooks: Vec<_> = (0..80).map(|n| json!({"url": format!("https://a{n}.example/")})).collect();
        hooks.push(json!({"url": GOOD}));
        world.hook(json!(hooks)).await;
        let _running = world.start();
        world.seconds(1).await;
        let mut slowest = Duration::ZERO;
        // Who is slow is known when each has been sent something.
        world.publish(0, 1, "call.ended");
        world.seconds(60).await;
        for call in 1..300 {
            let at = clock.now();
            let id = world.publish(call, 1, "call.ended");
            world.seconds(3).await;
            let got = world.receivers.got();
            let there = got.iter().find(|got| got.url == GOOD && got.id == id);
            slowest = slowest.max(there.map_or(Duration::MAX, |got| got.at.since(at)));
        }
        assert!(slowest <= Duration::from_millis(500), "{slowest:?}");
    });
}

#[test]
fn one_that_says_it_is_gone_is_left_alone_until_somebody_enables_it() {
    play(30, |clock| async move {
        let world = World::new(&clock, |_, at, _| at_once(if since_start(at) < 7200 { 410 } else { 200 }));
        world.hook(json!([{"url": BAD}])).await;
        let _running = world.start();
        world.seconds(1).await;
        // More than may wait.
        for call in 0..300 {
            world.publish(call, 1, "call.answered");
            world.publish(call, 2, "call.ended");
        }
        world.seconds(7200).await;
        let before = world.receivers.got().len();
        assert!(before <= RULES.in_flight, "{before} messages to one that is gone");
        let shown = world.hooks.endpoints(Some(&bank())).await.unwrap();
        assert!(shown[0].record.disabled_at.is_some() && shown[0].record.cursor.is_some(), "{shown:?}");
        let wish = Wish { id: "w".into(), kind: WishKind::Enable(key(BAD)) };
        assert!(world.hooks.wish(&wish).await.unwrap());
        world.seconds(120).await;
        assert_eq!(world.receivers.taken(BAD).len(), 600);
        assert_in_order(&world.receivers.got());
        assert_eq!(world.hooks.wishes().await.unwrap(), []);
    });
}

#[test]
fn what_is_given_up_is_a_dead_letter_and_can_be_delivered_again() {
    play(30, |clock| async move {
        let mut world = World::new(&clock, |_, at, _| at_once(if since_start(at) < 4 * 3600 { 500 } else { 200 }));
        world.rules.give_up = Duration::from_secs(3600);
        world.hook(json!([{"url": BAD}])).await;
        let _running = world.start();
        world.seconds(1).await;
        let ids = [1, 2].map(|seq| world.publish(7, seq, "call.ended"));
        world.seconds(3 * 3600).await;
        let dead = world.hooks.dead(Some(&bank()), 10).await.unwrap();
        let names: Vec<&str> = dead.iter().map(|dead| &*dead.event.as_ref().unwrap().id).collect();
        assert_eq!(names, ids);
        assert!(dead.iter().all(|dead| &*dead.reason == "answered 500"), "{dead:?}");
        assert_eq!(world.hooks.endpoints(None).await.unwrap(), [], "nothing of it waits");
        world.seconds(3600).await;
        let one = WishKind::Retry(bank(), Some(dead[1].id.clone()));
        world.hooks.wish(&Wish { id: "1".into(), kind: one }).await.unwrap();
        world.seconds(10).await;
        assert_eq!(world.receivers.taken(BAD), [ids[1].as_str()]);
        world.hooks.wish(&Wish { id: "2".into(), kind: WishKind::Retry(bank(), None) }).await.unwrap();
        world.seconds(10).await;
        assert_eq!(world.receivers.taken(BAD), [ids[1].as_str(), ids[0].as_str()]);
        assert_eq!(world.hooks.dead(Some(&bank()), 10).await.unwrap(), []);
    });
}

#[test]
fn hooks_of_a_request_hear_of_it_and_of_nothing_else() {
    play(1, |clock| async move {
        let world = World::new(&clock, |_, _, _| at_once(200));
        world.hook(json!([{"url": GOOD, "events": ["call.ended"]}])).await;
        let store = std::sync::Arc::clone(&world.campaigns) as std::sync::Arc<dyn robocall::ports::CampaignStore>;
        let hooks = vec![
            Hook { url: BAD.into(), events: vec!["request".into()] },
            // Twice to one address is once.
            Hook { url: GOOD.into(), events: vec![] },
        ];
        scene::submit(&store, robocall::model::RequestHeader { hooks, ..scene::header("mine") }, 1).await;
        let _running = world.start();
        world.seconds(1).await;
        let ended = world.publish_of(&bank(), "mine", 0, 1, "call.ended");
        let completed = world.publish_of(&bank(), "mine", 1, 1, "request.completed");
        world.publish_of(&bank(), "other", 2, 1, "request.completed");
        let theirs = world.publish_of(&bank(), "other", 3, 1, "call.ended");
        world.publish_of(&"shop".parse().unwrap(), "mine", 4, 1, "call.ended");
        world.seconds(5).await;
        assert_eq!(world.receivers.taken(BAD), [completed.as_str()]);
        let mut good = world.receivers.taken(GOOD);
        good.sort();
        assert_eq!(good, [ended, completed, theirs]);
        assert_eq!(world.receivers.got().len(), 4);
    });
}

#[test]
fn messages_are_signed_with_every_secret_and_a_new_one_counts_within_seconds() {
    play(1, |clock| async move {
        let world = World::new(&clock, |_, _, _| at_once(200));
        world.hook(json!([{"url": GOOD}])).await;
        let _running = world.start();
        world.seconds(1).await;
        world.publish(0, 1, "call.ended");
        world.seconds(20).await;
        let secrets = [HookSecret::from_random([1; 32]), HookSecret::from_random([2; 32])];
        world.hooks.set_secrets(&bank(), &secrets).await.unwrap();
        world.publish(1, 1, "call.ended");
        world.seconds(1).await;
        let got = world.receivers.got();
        assert_eq!(got[0].signature, None);
        assert_eq!(got[1].signature.as_deref().map(|text| text.matches("v1,").count()), Some(2));
    });
}

#[test]
fn a_message_says_which_trace_its_event_belongs_to() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    play(1, |clock| async move {
        let world = World::new(&clock, |_, _, _| at_once(200));
        world.hook(json!([{"url": GOOD}])).await;
        let _running = world.start();
        world.seconds(1).await;
        let event =
            json!({"id": "r-0.1.1", "type": "robocall.call.ended", "subject": "r/0", "traceparent": TRACE, "data": {}});
        world.log.push(bank(), "call.ended", serde_json::to_vec(&event).unwrap());
        world.publish(1, 1, "call.ended");
        world.seconds(1).await;
        let traces: Vec<_> = world.receivers.got().into_iter().map(|got| (got.id, got.trace)).collect();
        assert_eq!(traces, [("r-0.1.1".to_owned(), Some(TRACE.to_owned())), ("r-1.1.1".to_owned(), None)]);
    });
}

#[test]
fn what_is_told_of_an_organisation_itself_is_for_its_own_webhooks_whatever_a_request_is_called() {
    play(1, |clock| async move {
        let world = World::new(&clock, |_, _, _| at_once(200));
        world.hook(json!([{"url": GOOD, "events": ["command.executed"]}])).await;
        let hooks = vec![Hook { url: BAD.into(), events: Vec::new() }];
        let store = std::sync::Arc::clone(&world.campaigns) as std::sync::Arc<dyn robocall::ports::CampaignStore>;
        let request = robocall::model::RequestHeader { hooks, ..scene::header("organisation") };
        scene::submit(&store, request, 1).await;
        let _running = world.start();
        world.seconds(1).await;
        for id in ["bank.1767603600000.o.1", "organisation.r.1"] {
            let event = json!({"id": id, "type": "robocall.command.executed", "subject": "organisation", "data": {}});
            world.log.push(bank(), "command.executed", serde_json::to_vec(&event).unwrap());
            world.seconds(1).await;
        }
        let mut got: Vec<_> = world.receivers.got().into_iter().map(|got| (got.url, got.id)).collect();
        got.sort();
        let expected = [(BAD, "organisation.r.1"), (GOOD, "bank.1767603600000.o.1"), (GOOD, "organisation.r.1")];
        assert_eq!(got, expected.map(|(url, id)| (url.to_owned(), id.to_owned())));
    });
}

#[test]
fn of_two_deliverers_one_delivers_and_the_other_takes_over_when_it_is_killed() {
    play(2, |clock| async move {
        let world = World::new(&clock, |_, _, _| at_once(200));
        world.hook(json!([{"url": GOOD}])).await;
        let first = world.start();
        world.seconds(1).await;
        let _second = world.start();
        for call in 0..20 {
            world.publish(call, 1, "call.ended");
            world.seconds(1).await;
        }
        assert_eq!(world.receivers.got().len(), 20, "each once");
        first.kill();
        for call in 20..30 {
            world.publish(call, 1, "call.ended");
        }
        world.seconds(40).await;
        assert_eq!(world.receivers.taken(GOOD).len(), 30);
    });
}

#[test]
fn who_is_told_to_stop_ends_what_is_on_its_way_and_nothing_is_sent_twice() {
    play(2, |clock| async move {
        let world = World::new(&clock, |_, _, _| Does::Answers(Duration::from_secs(3), 200));
        world.hook(json!([{"url": GOOD}])).await;
        let first = world.start();
        world.seconds(1).await;
        for call in 0..50 {
            world.publish(call, 1, "call.ended");
        }
        world.seconds(7).await;
        first.stop.cancel();
        first.task.await.unwrap();
        let before = world.receivers.got().len();
        assert!((1..50).contains(&before));
        let stopped_at = clock.now();
        let _second = world.start();
        world.seconds(1).await;
        assert!(world.receivers.got().len() > before, "the lead was left, not lost");
        world.seconds(100).await;
        assert_eq!(world.receivers.got().len(), 50, "each once, since {stopped_at}");
    });
}

#[test]
fn who_is_told_to_stop_does_not_wait_for_receivers_that_take_their_time_and_its_successor_sends_again() {
    play(2, |clock| async move {
        let slow = |url: &str, _, _| match url {
            BAD => Does::Answers(Duration::from_secs(14), 200),
            _ => Does::Answers(Duration::from_secs(2), 200),
        };
        let world = World::new(&clock, slow);
        world.hook(json!([{"url": GOOD}, {"url": BAD}])).await;
        let first = world.start();
        world.seconds(1).await;
        for seq in 1..=3 {
            world.publish(0, seq, "call.ended");
            world.publish(1, seq, "call.ended");
        }
        world.pass(Duration::from_millis(500)).await;
        let told_at = clock.now();
        first.stop.cancel();
        first.task.await.unwrap();
        let took = clock.now().since(told_at);
        assert!(took <= Duration::from_secs(6), "{took:?}");
        let ids = |url: &str| -> Vec<String> {
            world.receivers.got().into_iter().filter(|got| got.url == url).map(|got| got.id).collect()
        };
        assert_eq!((ids(GOOD).len(), ids(BAD).len()), (2, 2), "the first of each call");
        let _second = world.start();
        world.seconds(100).await;
        assert_eq!(ids(GOOD).len(), 6, "what came to its end within the grace is not sent again: {:?}", ids(GOOD));
        assert_eq!(ids(BAD).len(), 8, "what did not, is: {:?}", ids(BAD));
        assert_eq!(ids(BAD)[2..4], ids(BAD)[..2], "before anything else of its call");
        assert_eq!(world.receivers.taken(BAD).len(), 6);
        assert_in_order(&world.receivers.got());
        assert_eq!(world.hooks.endpoints(None).await.unwrap(), []);
    });
}

#[test]
fn events_that_have_left_the_log_before_anybody_read_them_are_told_of() {
    play(200, |clock| async move {
        let world = World::new(&clock, |url, at, _| match url {
            BAD if since_start(at) < 3600 => at_once(500),
            _ => at_once(200),
        });
        world.hook(json!([{"url": GOOD}, {"url": BAD}])).await;
        let first = world.start();
        world.seconds(1).await;
        for call in 0..300 {
            world.publish(call, 1, "call.ended");
        }
        world.seconds(60).await;
        // The one lags behind an offset that is forgotten; then nobody reads while more is.
        world.log.truncate(250);
        world.seconds(3900).await;
        first.stop.cancel();
        first.task.await.unwrap();
        for call in 300..400 {
            world.publish(call, 1, "call.ended");
        }
        world.log.truncate(350);
        let _second = world.start();
        world.seconds(60).await;
        assert_eq!(world.receivers.taken(GOOD).len(), 350);
        let dead = world.hooks.dead(Some(&bank()), 10).await.unwrap();
        assert_eq!(dead.iter().map(|dead| dead.gap).collect::<Vec<_>>(), [Some((100, 250))], "{dead:?}");
        let dead = world.hooks.dead(None, 10).await.unwrap();
        assert_eq!(dead.iter().map(|dead| dead.gap).collect::<Vec<_>>(), [Some((300, 350))], "{dead:?}");
        assert_eq!(world.receivers.taken(BAD).len(), 100 + 50 + 50);
    });
}
