//! Events on their way out, and the log in which they are found.

use std::sync::Arc;

use robocall::adapters::amqp::{Tail, TailFrom};
use robocall::model::Event;
use robocall::model::event::RequestEvent;
use robocall::model::status::RequestSummary;
use robocall::ports::{BusError, EventBus as _};

use crate::scene;
use crate::scene::{event, soon};

/// The ids of the next events of the log.
async fn ids(tail: &mut Tail, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        ids.push(soon(tail.next()).await.id.unwrap().to_string());
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_event_is_in_the_log_as_a_cloud_event() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().events());
    let mut tail = soon(client.tail(TailFrom::Next)).await.unwrap();
    assert_eq!(soon(bus.publish(event(1))).await, Ok(()));
    let logged = soon(tail.next()).await;
    assert_eq!((&*logged.routing_key, logged.id.as_deref()), ("bank.request.started", Some("r-1.r.1")));
    let body: serde_json::Value = serde_json::from_slice(&logged.body).unwrap();
    assert_eq!(body["type"], "robocall.request.started");
    assert_eq!(body, serde_json::to_value(event(1)).unwrap());
    assert_eq!(body.get("traceparent"), None, "it came without one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_says_which_trace_it_belongs_to_and_so_does_its_message() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let scene = scene();
    let (_client, bus) = (scene.ready().await, scene.broker().events());
    let (_connection, channel) = scene.channel().await;
    let (declare, none) = (
        lapin::options::QueueDeclareOptions { exclusive: true, ..Default::default() },
        lapin::types::FieldTable::default,
    );
    let queue = soon(channel.queue_declare("".into(), declare, none())).await.unwrap().name().clone();
    let (events, bind) = (scene.settings.names.events(), lapin::options::QueueBindOptions::default());
    soon(channel.queue_bind(queue.clone(), events.as_str().into(), "#".into(), bind, none())).await.unwrap();
    let Event::Request(told) = event(1) else { panic!("an event of a request") };
    let summary = RequestSummary { trace: Some(TRACE.parse().unwrap()), ..told.summary.clone() };
    let told = Event::Request(Arc::new(RequestEvent { summary, ..(*told).clone() }));
    assert_eq!(soon(bus.publish(told)).await, Ok(()));
    let got = soon(channel.basic_get(queue, lapin::options::BasicGetOptions::default())).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&got.data).unwrap();
    assert_eq!((&body["traceparent"], body["data"].get("trace")), (&serde_json::json!(TRACE), None));
    let headers = got.properties.headers().clone().unwrap();
    assert_eq!(headers.inner()["traceparent"], lapin::types::AMQPValue::LongString(TRACE.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_events_keep_their_order_and_none_is_waited_for() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().events());
    let confirmations: Vec<_> = (1..=5_000).map(|seq| bus.publish(event(seq))).collect();
    for confirmation in confirmations {
        assert_eq!(soon(confirmation).await, Ok(()));
    }
    let mut tail = soon(client.tail(TailFrom::First)).await.unwrap();
    let expected: Vec<String> = (1..=5_000).map(|seq| format!("r-1.r.{seq}")).collect();
    assert_eq!(ids(&mut tail, 5_000).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_a_queue_is_not_confirmed_and_everything_after_it_fails_until_recovery() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().events());
    assert_eq!(soon(bus.publish(event(1))).await, Ok(()));
    let (_connection, channel) = scene.channel().await;
    let names = &scene.settings.names;
    let (log, exchange) = (names.event_log(), names.events());
    let none = lapin::types::FieldTable::default();
    let unbound = channel.queue_unbind(log.as_str().into(), exchange.as_str().into(), "#".into(), none.clone()).await;
    unbound.unwrap();

    // Ten that are confirmed as published into nothing.
    let lost: Vec<_> = (2..=11).map(|seq| bus.publish(event(seq))).collect();
    for lost in lost {
        assert!(matches!(soon(lost).await, Err(BusError(_))));
    }
    // The queue is there again, and still nothing may overtake what was lost.
    let options = lapin::options::QueueBindOptions::default();
    channel.queue_bind(log.as_str().into(), exchange.as_str().into(), "#".into(), options, none).await.unwrap();
    assert!(matches!(soon(bus.publish(event(12))).await, Err(BusError(_))));

    bus.recover();
    let again: Vec<_> = (2..=12).map(|seq| bus.publish(event(seq))).collect();
    for again in again {
        assert_eq!(soon(again).await, Ok(()));
    }
    let mut tail = soon(client.tail(TailFrom::First)).await.unwrap();
    let expected: Vec<String> = (1..=12).map(|seq| format!("r-1.r.{seq}")).collect();
    assert_eq!(ids(&mut tail, 12).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_declares_a_log_that_was_deleted() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().events());
    let (_connection, channel) = scene.channel().await;
    let log = scene.settings.names.event_log();
    channel.queue_delete(log.as_str().into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
    let mut seq = 1;
    while soon(bus.publish(event(seq))).await.is_ok() {
        // The writer may have begun, and declared, only now.
        channel.queue_delete(log.as_str().into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
        seq += 1;
    }
    bus.recover();
    assert_eq!(soon(bus.publish(event(seq))).await, Ok(()));
    let mut tail = soon(client.tail(TailFrom::First)).await.unwrap();
    assert_eq!(ids(&mut tail, 1).await, [format!("r-1.r.{seq}")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_read_from_an_offset_from_a_time_and_from_its_last_piece() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().events());
    let before = scene.clock.now();
    for seq in 1..=20 {
        assert_eq!(soon(bus.publish(event(seq))).await, Ok(()));
    }
    let mut all = soon(client.tail(TailFrom::First)).await.unwrap();
    let mut offsets = Vec::new();
    for _ in 1..=20 {
        offsets.push(soon(all.next()).await.offset);
    }
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "{offsets:?}");
    let mut from = soon(client.tail(TailFrom::Offset(offsets[14]))).await.unwrap();
    assert_eq!(ids(&mut from, 2).await, ["r-1.r.15", "r-1.r.16"]);
    let mut since = soon(client.tail(TailFrom::Since(before))).await.unwrap();
    assert_eq!(ids(&mut since, 1).await, ["r-1.r.1"]);
    let mut last = soon(client.tail(TailFrom::Last)).await.unwrap();
    while soon(last.next()).await.id.as_deref() != Some("r-1.r.20") {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_goes_on_with_the_first_event_of_a_log_that_was_begun_anew() {
    let scene = scene();
    let (client, bus) = (scene.ready().await, scene.broker().events());
    // One that has read to the end, one that has read less than the new log will have, and one that has read nothing yet.
    let (mut read, mut half) =
        (soon(client.tail(TailFrom::First)).await.unwrap(), soon(client.tail(TailFrom::First)).await.unwrap());
    let mut fresh = soon(client.tail(TailFrom::Next)).await.unwrap();
    for seq in 1..=20 {
        assert_eq!(soon(bus.publish(event(seq))).await, Ok(()));
    }
    ids(&mut read, 20).await;
    ids(&mut half, 2).await;
    ids(&mut fresh, 1).await;
    let (_connection, channel) = scene.channel().await;
    let log = scene.settings.names.event_log();
    channel.queue_delete(log.as_str().into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
    let mut seq = 21;
    while soon(bus.publish(event(seq))).await.is_ok() {
        seq += 1;
    }
    bus.recover();
    let first = seq;
    while seq < first + 5 {
        assert_eq!(soon(bus.publish(event(seq))).await, Ok(()));
        seq += 1;
    }
    let expected: Vec<String> = (first..first + 5).map(|seq| format!("r-1.r.{seq}")).collect();
    for tail in [&mut read, &mut half, &mut fresh] {
        // What was on its way already may come first.
        let mut event = soon(tail.next()).await;
        while event.id.as_deref() != Some(&expected[0]) {
            event = soon(tail.next()).await;
        }
        assert_eq!(event.offset, 0, "of another log");
        assert_eq!(ids(tail, 4).await, expected[1..]);
    }
}
