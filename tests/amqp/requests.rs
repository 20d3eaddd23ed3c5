//! Requests on their way in.

use std::time::Duration;

use robocall::adapters::amqp::{ClientError, MAX_REQUEST};
use robocall::model::RequestStatus;
use robocall::ports::queue::Verdict;
use robocall::ports::{Delivery, QueueError, RequestQueue};

use crate::scene;
use crate::scene::{bank, rejected, soon, summary};

/// How long a client waits for an answer.
const BOUND: Duration = Duration::from_secs(30);

fn text(delivery: &Delivery) -> String {
    std::io::read_to_string(delivery.body.open().unwrap()).unwrap()
}

async fn next(queue: &impl RequestQueue) -> Delivery {
    soon(queue.next()).await.unwrap().unwrap()
}

fn accepted() -> Verdict {
    Verdict::Accepted(summary(RequestStatus::Submitted))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_delivered_to_its_organisation_answered_and_gone() {
    let scene = scene();
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    let asked = tokio::spawn(async move { client.submit_and_wait(&bank(), b"{}", BOUND).await });
    let delivery = next(&queue).await;
    assert_eq!((&delivery.organisation, &*text(&delivery)), (&bank(), "{}"));
    assert_eq!(delivery.max_bytes, Some(MAX_REQUEST));
    soon(queue.settle(&delivery, accepted())).await.unwrap();
    assert_eq!(soon(asked).await.unwrap(), Ok(summary(RequestStatus::Submitted)));
    assert_eq!(soon(queue.settle(&delivery, accepted())).await, Err(QueueError::Stale), "it is settled once");
    assert_eq!(soon(scene.client().dead_letters(9)).await, Ok(vec![]));
}

/// So does a queue that is only being set up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_refuses_is_asked_again_for_a_while() {
    let scene = scene();
    let (_connection, channel) = scene.channel().await;
    let name = scene.settings.names.requests();
    scene::refuses_soon(&channel, &name).await;
    let client = scene.ready().await;
    let passive = lapin::options::QueueDeclareOptions::default().passive();
    let mut refused = None;
    for _ in 0..50 {
        refused = soon(client.submit(&bank(), b"{}")).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused, Some(ClientError::Full));
    let organisation = bank();
    let mut again = std::pin::pin!(client.submit(&organisation, b"{}"));
    // Time enough for it to be refused: whoever gives up at once has done so.
    for _ in 0..200 {
        let look = channel.queue_declare(name.as_str().into(), passive, lapin::types::FieldTable::default());
        tokio::select! {
            biased;
            early = &mut again => panic!("{early:?} while it is full"),
            looked = look => drop(looked.unwrap()),
        }
    }
    soon(channel.queue_purge(name.as_str().into(), lapin::options::QueuePurgeOptions::default())).await.unwrap();
    assert_eq!(soon(again).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_comes_with_the_trace_that_its_message_names() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let scene = scene();
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    let mut traces = Vec::new();
    soon(client.submit_in(&bank(), b"{}", Some(TRACE.parse().unwrap()))).await.unwrap();
    // As clients of any make write it; one that cannot be read is none.
    let (_connection, channel) = scene.channel().await;
    let text = |text: &str| lapin::types::AMQPValue::LongString(text.into());
    for header in [text(TRACE), text("rubbish"), lapin::types::AMQPValue::Boolean(true)] {
        let mut headers = lapin::types::FieldTable::default();
        headers.insert("traceparent".into(), header);
        let properties = lapin::BasicProperties::default().with_headers(headers);
        let exchange = scene.settings.names.requests();
        let options = lapin::options::BasicPublishOptions::default();
        soon(channel.basic_publish(exchange.as_str().into(), "requests.bank".into(), options, b"{}", properties))
            .await
            .unwrap();
    }
    for _ in 0..4 {
        let delivery = next(&queue).await;
        traces.push(delivery.trace.map(|trace| trace.to_string()));
        soon(queue.settle(&delivery, accepted())).await.unwrap();
    }
    let ours = || Some(TRACE.to_owned());
    traces.sort();
    assert_eq!(traces, [None, None, ours(), ours()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_request_is_answered_and_filed_with_its_reason() {
    let scene = scene();
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    let asked = tokio::spawn(async move { client.submit_and_wait(&bank(), b"{\"no\":1}", BOUND).await });
    let delivery = next(&queue).await;
    soon(queue.settle(&delivery, Verdict::Rejected(rejected()))).await.unwrap();
    assert_eq!(soon(asked).await.unwrap(), Ok(rejected()));
    let dead = soon(scene.client().dead_letters(9)).await.unwrap();
    let [letter] = &*dead else { panic!("{dead:?}") };
    assert_eq!((letter.organisation.as_deref(), letter.request_id.as_deref()), (Some("bank"), Some("r-1")));
    assert_eq!((&*letter.reason, &*letter.error), ("invalid", "destinations[3].phone: not a number"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_consumer_leaves_unsettled_comes_again_under_another_tag() {
    let scene = scene();
    let client = scene.ready().await;
    let first = scene.broker().requests();
    for body in [b"1", b"2", b"3", b"4"] {
        soon(client.submit(&bank(), body)).await.unwrap();
    }
    // The second one begins afterwards: consumers are served from their making, and it could have got all four.
    let held = next(&first).await;
    let second = scene.broker().requests();
    let body = text(&held);
    first.release();
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let delivery = next(&second).await;
        seen.push(text(&delivery));
        soon(second.settle(&delivery, accepted())).await.unwrap();
    }
    assert!(seen.contains(&body), "{seen:?}");
    assert_eq!(soon(first.settle(&held, accepted())).await, Err(QueueError::Stale));
    // What had been sent to it and not been fetched is let go as well, and then there is nothing more.
    while let Some(late) = soon(first.next()).await.unwrap() {
        assert_eq!(soon(first.settle(&late, accepted())).await, Err(QueueError::Stale));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_is_declared_and_consumed_again() {
    let scene = scene();
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    soon(client.submit(&bank(), b"before")).await.unwrap();
    let held = next(&queue).await;
    let (_connection, channel) = scene.channel().await;
    let name = scene.settings.names.requests();
    channel.queue_delete(name.as_str().into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
    // Until the consumer has declared it anew there is nowhere to submit to.
    while soon(client.submit(&bank(), b"after")).await == Err(ClientError::Unroutable) {
        tokio::task::yield_now().await;
    }
    let delivery = next(&queue).await;
    assert_eq!(text(&delivery), "after");
    assert!(delivery.tag != held.tag);
    soon(queue.settle(&delivery, accepted())).await.unwrap();
    assert_eq!(soon(queue.settle(&held, accepted())).await, Err(QueueError::Stale));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_a_key_without_an_organisation_is_filed_and_those_behind_it_come() {
    let scene = scene();
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    let (_connection, channel) = scene.channel().await;
    let (exchange, options) = (scene.settings.names.requests(), lapin::options::BasicPublishOptions::default());
    let properties = lapin::BasicProperties::default();
    for key in ["requests.Not_One", "requests", "requests.bank.more"] {
        let sent = channel.basic_publish(exchange.as_str().into(), key.into(), options, b"lost", properties.clone());
        soon(sent).await.unwrap();
    }
    soon(client.submit(&bank(), b"good")).await.unwrap();
    let delivery = next(&queue).await;
    assert_eq!(text(&delivery), "good");
    let dead = soon(client.dead_letters(9)).await.unwrap();
    assert_eq!(dead.len(), 3);
    assert!(dead.iter().all(|letter| letter.reason == "organisation" && letter.organisation.is_none()));
    assert!(dead[0].error.contains("requests.Not_One"), "{}", dead[0].error);
    let refused = soon(client.retry_dead_letter(&dead[0].id)).await;
    assert!(matches!(refused, Err(ClientError::Refused(_))), "{refused:?}");
    assert_eq!(soon(client.dead_letters(9)).await.unwrap(), dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_pass_and_a_byte_more_does_not() {
    let scene = scene();
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    let most = usize::try_from(MAX_REQUEST).unwrap();
    let body = vec![b'x'; most + 1];
    let refused = soon(client.submit(&bank(), &body)).await;
    assert_eq!(refused, Err(ClientError::TooLarge { limit: MAX_REQUEST, size: MAX_REQUEST + 1 }));
    soon(client.submit(&bank(), &body[..most])).await.unwrap();
    let delivery = next(&queue).await;
    assert!(text(&delivery).as_bytes() == &body[..most]);
    soon(queue.settle(&delivery, Verdict::Rejected(rejected()))).await.unwrap();
    let dead = soon(client.dead_letters(9)).await.unwrap();
    assert_eq!(dead[0].bytes, most);
    assert!(soon(client.dead_letter(&dead[0].id)).await.unwrap().1 == body[..most]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_nobody_survives_is_a_dead_letter_in_the_end() {
    let scene = scene();
    let client = scene.ready().await;
    soon(client.submit(&bank(), b"poison")).await.unwrap();
    let mut deaths = 0;
    let dead = loop {
        let (connection, channel) = scene.channel().await;
        let (name, options) = (scene.settings.names.requests(), lapin::options::BasicGetOptions::default());
        let taken = soon(channel.basic_get(name.as_str().into(), options)).await.unwrap();
        deaths += u32::from(taken.is_some());
        soon(connection.close(200, "gone".into())).await.unwrap();
        let dead = soon(client.dead_letters(9)).await.unwrap();
        if !dead.is_empty() {
            break dead;
        }
        assert!(deaths < 30, "it was delivered {deaths} times");
    };
    assert!(deaths >= 20, "after {deaths} deliveries");
    assert_eq!((&*dead[0].reason, dead[0].organisation.as_deref()), ("delivery_limit", Some("bank")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers_where_no_worker_is_and_the_request_waits() {
    let scene = scene();
    let client = scene.ready().await;
    let bound = Duration::from_millis(200);
    assert_eq!(soon(client.submit_and_wait(&bank(), b"{}", bound)).await, Err(ClientError::Unanswered(bound)));
    let delivery = next(&scene.broker().requests()).await;
    assert_eq!(text(&delivery), "{}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_at_once_than_a_connection_has_channels_are_all_handed_in() {
    let scene = scene();
    let client = scene.ready().await;
    // A broker gives a connection 2047.
    let flood = futures_util::future::join_all((0..2_500).map(|_| {
        let client = &client;
        async move { client.submit(&bank(), b"{}").await }
    }));
    let failed: Vec<_> = soon(flood).await.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed, []);
    assert_eq!(soon(client.requests_waiting()).await.unwrap().waiting, 2_500);
}
