//! Brokers that are not there, and connections that look alive.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, future, stream};
use lapin::options::QueueDeleteOptions;
use robocall::adapters::amqp::{ClientError, reachability};
use robocall::model::RequestStatus;
use robocall::ports::queue::Verdict;
use robocall::ports::{EventBus as _, RequestQueue as _};

use crate::proxy::{Faults, Proxy};
use crate::scene::{bank, event, soon, summary};
use crate::{broker, scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_absent_at_the_start_is_waited_for() {
    let proxy = Proxy::before(broker().address(), Faults { refuse: true, ..Faults::default() }).await;
    let scene = scene();
    let away = scene.through(broker().url_at(proxy.port()));
    let worker = away.broker();
    let (queue, events) = (worker.requests(), worker.events());
    let confirmation = events.publish(event(1));
    soon(proxy.asked_for(4)).await;
    assert!(!worker.is_up());
    proxy.set(Faults::default());
    assert_eq!(soon(confirmation).await, Ok(()));
    soon(scene.ready().await.submit(&bank(), b"{}")).await.unwrap();
    assert!(soon(queue.next()).await.unwrap().is_some());
    assert!(worker.is_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_far_away_is_consumed_from() {
    let far = Faults { latency: Duration::from_millis(300), ..Faults::default() };
    let proxy = Proxy::before(broker().address(), far).await;
    let scene = scene();
    soon(scene.ready().await.submit(&bank(), b"{}")).await.unwrap();
    let away = scene.through(broker().url_at(proxy.port()));
    let queue = away.broker().requests();
    assert!(soon(queue.next()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_only_looks_alive_is_given_up_and_its_deliveries_come_again() {
    let proxy = Proxy::before(broker().address(), Faults::default()).await;
    let mut scene = scene();
    scene.settings.heartbeat = Duration::from_secs(2);
    let away = scene.through(broker().url_at(proxy.port()));
    let worker = away.broker();
    let (queue, events) = (worker.requests(), worker.events());
    let client = scene.ready().await;
    soon(client.submit(&bank(), b"{}")).await.unwrap();
    let first = soon(queue.next()).await.unwrap().unwrap();
    assert_eq!(soon(events.publish(event(1))).await, Ok(()));

    proxy.set(Faults { black_hole: true, ..Faults::default() });
    assert!(soon(events.publish(event(2))).await.is_err());
    // Both connections are asked for again while nothing passes.
    soon(proxy.asked_for(4)).await;
    proxy.set(Faults::default());
    proxy.cut();
    let again = soon(queue.next()).await.unwrap().unwrap();
    assert_ne!(first.tag, again.tag);
    let accepted = || Verdict::Accepted(summary(RequestStatus::Submitted));
    assert!(soon(queue.settle(&first, accepted())).await.is_err());
    assert_eq!(soon(queue.settle(&again, accepted())).await, Ok(()));
    events.recover();
    assert_eq!(soon(events.publish(event(2))).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmations_that_are_lost_with_the_connection_fail_their_events() {
    let proxy = Proxy::before(broker().address(), Faults::default()).await;
    let scene = scene();
    let away = scene.through(broker().url_at(proxy.port()));
    let events = away.broker().events();
    assert_eq!(soon(events.publish(event(1))).await, Ok(()));
    proxy.set(Faults { swallow_replies: true, ..Faults::default() });
    let unconfirmed: Vec<_> = (2..=4).map(|seq| events.publish(event(seq))).collect();
    proxy.cut();
    for unconfirmed in unconfirmed {
        assert!(soon(unconfirmed).await.is_err());
    }
    proxy.set(Faults::default());
    events.recover();
    assert_eq!(soon(events.publish(event(2))).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_cut_on_its_way_is_not_confirmed() {
    let proxy = Proxy::before(broker().address(), Faults::default()).await;
    let scene = scene();
    let client = scene.through(broker().url_at(proxy.port())).ready().await;
    proxy.set(Faults { cut_after: Some(100_000), ..Faults::default() });
    let sent = soon(client.submit(&bank(), &vec![b'x'; 1 << 20])).await;
    assert!(matches!(sent, Err(ClientError::Unavailable(_))), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_says_what_it_is_and_a_stranger_does_not() {
    let scene = scene();
    let reached = soon(reachability(&scene.settings, &*scene.clock)).await.unwrap();
    assert_eq!(reached.product, "RabbitMQ");
    assert!(reached.version.starts_with(|c: char| c.is_ascii_digit()), "{reached:?}");
    assert!(soon(scene.ready().await.round_trip(20)).await.unwrap() < Duration::from_secs(1));
    let proxy = Proxy::before(broker().address(), Faults { refuse: true, ..Faults::default() }).await;
    let away = scene.through(broker().url_at(proxy.port()));
    assert!(soon(reachability(&away.settings, &*away.clock)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_which_the_broker_has_ended_hundreds_of_channels_is_made_anew() {
    let scene = scene();
    let client = scene.ready().await;
    let (_connection, channel) = scene.channel().await;
    soon(channel.queue_delete(scene.settings.names.dead().as_str().into(), QueueDeleteOptions::default()))
        .await
        .unwrap();
    for _ in 0..600 {
        assert_eq!(soon(client.dead_waiting()).await, Err(ClientError::NotFound));
    }
    let bank = bank();
    // Their numbers come again, and only a new connection declares what was deleted.
    let anew = async {
        while client.dead_waiting().await.is_err() {
            // What is on its way when the connection is given up fails.
            let _ = future::join_all((0..100).map(|_| client.submit(&bank, b"{}"))).await;
        }
    };
    soon(anew).await;
    soon(client.submit(&bank, b"{}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_does_not_wait_for_a_connection_that_is_lost_meanwhile() {
    const REQUESTS: u32 = 1_000;
    let proxy = Proxy::before(broker().address(), Faults::default()).await;
    let mut scene = scene();
    scene.settings.prefetch = 1_000;
    let client = scene.ready().await;
    let bank = bank();
    for submitted in soon(future::join_all((0..REQUESTS).map(|_| client.submit(&bank, b"{}")))).await {
        submitted.unwrap();
    }
    let queue = scene.through(broker().url_at(proxy.port())).broker().requests();
    let mut deliveries = Vec::new();
    for _ in 0..REQUESTS {
        deliveries.push(soon(queue.next()).await.unwrap().unwrap());
    }
    let settled = AtomicU32::new(0);
    let settling = stream::iter(&deliveries).for_each_concurrent(100, async |delivery| {
        if settled.fetch_add(1, Ordering::Relaxed) == REQUESTS / 2 {
            proxy.cut();
        }
        // Whether it was, nobody can say; but that is said.
        let _maybe = queue.settle(delivery, Verdict::Accepted(summary(RequestStatus::Submitted))).await;
    });
    soon(settling).await;
}
