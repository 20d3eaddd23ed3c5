//! The adapter of the broker, at a RabbitMQ that is killed, started again, and runs out of memory.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
#[path = "../amqp/scene.rs"]
mod scene;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rabbitmq::RabbitMq;
use robocall::adapters::amqp::{AmqpEventBus, TailFrom};
use robocall::command::{Command, CommandKind, CommandReply};
use robocall::model::RequestStatus;
use robocall::ports::queue::Verdict;
use robocall::ports::{BusError, CommandBus as _, EventBus as _, Incoming, QueueError, RequestQueue as _};
use scene::{Scene, bank, event, soon, summary, worker};
use tokio::sync::{Mutex, MutexGuard};

/// The broker of all these tests, one at a time.
async fn broker() -> MutexGuard<'static, RabbitMq> {
    static BROKER: OnceLock<Mutex<RabbitMq>> = OnceLock::new();
    BROKER.get_or_init(|| Mutex::new(RabbitMq::start())).lock().await
}

/// Kills the broker. RabbitMQ 3.10 notes what queues and streams it has in a file that it writes
/// minutes later; what is killed before is without them ever after. That is not ours to test: the file is written first.
fn kill(broker: &RabbitMq) {
    broker.control(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
    broker.kill();
}

type Confirmation = BoxFuture<'static, Result<(), BusError>>;

/// Publishes as dispatch does: again from the first event that was not confirmed. Answers how often it had to.
async fn publish_all(bus: &AmqpEventBus, events: std::ops::RangeInclusive<u32>) -> u32 {
    let mut recoveries = 0;
    let mut waiting: VecDeque<(u32, Confirmation)> = events.map(|seq| (seq, bus.publish(event(seq)))).collect();
    while let Some((_, confirmation)) = waiting.front_mut() {
        if soon(confirmation).await.is_ok() {
            drop(waiting.pop_front());
            continue;
        }
        recoveries += 1;
        assert!(recoveries < 1_000, "the broker does not come back");
        bus.recover();
        for (seq, confirmation) in &mut waiting {
            *confirmation = bus.publish(event(*seq));
        }
    }
    recoveries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_lost_or_overtaken_when_the_broker_is_killed() {
    let broker = broker().await;
    let scene = Scene::at(broker.url());
    let (client, bus) = (scene.ready().await, Arc::new(scene.broker().events()));
    assert_eq!(publish_all(&bus, 1..=100).await, 0);
    let killed = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let (bus, killed) = (Arc::clone(&bus), Arc::clone(&killed));
        async move {
            // There are some on their way whenever it is killed, however fast they are confirmed.
            let (mut last, mut recoveries) = (100, 0);
            while !killed.load(Ordering::Acquire) || recoveries == 0 {
                recoveries += publish_all(&bus, last + 1..=last + 4_000).await;
                last += 4_000;
            }
            last
        }
    });
    let mut tail = soon(client.tail(TailFrom::First)).await.unwrap();
    while soon(tail.next()).await.id.as_deref() != Some("r-1.r.500") {}
    kill(&broker);
    killed.store(true, Ordering::Release);
    broker.start_again();
    let last = publishing.await.unwrap();
    drop(tail);

    let mut tail = soon(scene.client().tail(TailFrom::First)).await.unwrap();
    let mut seen = BTreeSet::new();
    while !seen.contains(&last) {
        let id = soon(tail.next()).await.id.unwrap();
        let seq: u32 = id.rsplit('.').next().unwrap().parse().unwrap();
        // Published again it may be; but for the first time, only behind the one before it.
        assert!(seq == 1 || seen.contains(&(seq - 1)), "{seq} has overtaken {}", seq - 1);
        seen.insert(seq);
    }
    assert_eq!(seen.len(), last as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_commands_come_again_when_the_broker_comes_back() {
    let broker = broker().await;
    let scene = Scene::at(broker.url());
    let client = scene.ready().await;
    let connected = scene.broker();
    let (queue, commands) = (connected.requests(), connected.commands(worker("w")));
    soon(client.submit(&bank(), b"{}")).await.unwrap();
    let first = soon(queue.next()).await.unwrap().unwrap();
    kill(&broker);
    let accepted = || Verdict::Accepted(summary(RequestStatus::Submitted));
    // An acknowledgement is not answered: whether it was sent into a dead connection, nobody can say.
    let _maybe = soon(queue.settle(&first, accepted())).await;
    broker.start_again();
    let again = soon(queue.next()).await.unwrap().unwrap();
    assert_ne!(first.tag, again.tag);
    assert_eq!(soon(queue.settle(&first, accepted())).await, Err(QueueError::Stale));
    assert_eq!(soon(queue.settle(&again, accepted())).await, Ok(()));
    // Whoever gives a command gives it again until there is an answer: a queue may be without a leader for a moment.
    let kind = CommandKind::Pause("r-1".parse().unwrap());
    let (organisation, me, bound) = (bank(), worker("w"), Duration::from_secs(5));
    let answering = async {
        while let Some(Incoming::Command(command)) = commands.next(&me).await {
            commands.answer(&command, CommandReply::Done).await;
        }
    };
    let asking = async {
        let mut failures = Vec::new();
        while failures.len() < 20 {
            let command = Command {
                id: "c-1".into(),
                organisation: organisation.clone(),
                actor: None,
                expect: None,
                trace: None,
                kind: kind.clone(),
            };
            match client.command(&command, bound).await {
                Ok(reply) => return Ok(reply),
                Err(error) => failures.push(error),
            }
        }
        Err(failures)
    };
    let answer = tokio::select! {
        biased;
        answer = soon(asking) => answer,
        () = answering => panic!("the bus is closed"),
    };
    assert_eq!(answer, Ok(CommandReply::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_the_log_goes_on_behind_the_last_event_when_the_broker_comes_back() {
    let broker = broker().await;
    let scene = Scene::at(broker.url());
    let (client, bus) = (scene.ready().await, scene.broker().events());
    let mut tail = soon(client.tail(TailFrom::First)).await.unwrap();
    publish_all(&bus, 1..=10).await;
    for seq in 1..=10 {
        assert_eq!(soon(tail.next()).await.id.as_deref(), Some(&*format!("r-1.r.{seq}")));
    }
    kill(&broker);
    broker.start_again();
    publish_all(&bus, 11..=11).await;
    assert_eq!(soon(tail.next()).await.id.as_deref(), Some("r-1.r.11"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_memory_holds_events_up_and_requests_are_settled_all_the_same() {
    let broker = broker().await;
    let scene = Scene::at(broker.url());
    let client = scene.ready().await;
    let connected = scene.broker();
    let (bus, queue) = (connected.events(), connected.requests());
    publish_all(&bus, 1..=1).await;
    soon(client.submit(&bank(), b"{}")).await.unwrap();
    let delivery = soon(queue.next()).await.unwrap().unwrap();
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"]);
    let held_up = bus.publish(event(2));
    let accepted = Verdict::Accepted(summary(RequestStatus::Submitted));
    assert_eq!(soon(queue.settle(&delivery, accepted)).await, Ok(()), "nobody asked for an answer");
    tokio::pin!(held_up);
    assert!(futures_util::poll!(&mut held_up).is_pending());
    broker.control(&["set_vm_memory_high_watermark", "0.4"]);
    if soon(held_up).await.is_err() {
        bus.recover();
        assert_eq!(soon(bus.publish(event(2))).await, Ok(()));
    }
}
