//! What waits and who takes it, as it is told without taking anything.

use lapin::options::QueueDeleteOptions;
use robocall::adapters::amqp::{ClientError, Traffic};
use robocall::ports::RequestQueue as _;

use crate::scene;
use crate::scene::{bank, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_counted_and_who_takes_it_and_a_queue_that_is_gone_is_told() {
    let scene = scene();
    let client = scene.ready().await;
    for body in [b"one", b"two"] {
        soon(client.submit(&bank(), body)).await.unwrap();
    }
    assert_eq!(soon(client.requests_waiting()).await, Ok(Traffic { waiting: 2, takers: 0 }));
    assert_eq!(soon(client.commands_waiting()).await, Ok(Traffic { waiting: 0, takers: 0 }));
    let queue = scene.broker().requests();
    soon(queue.next()).await.unwrap().unwrap();
    assert_eq!(soon(client.requests_waiting()).await, Ok(Traffic { waiting: 0, takers: 1 }));
    assert_eq!(soon(client.can_read_log()).await, Ok(()));

    let (_connection, channel) = scene.channel().await;
    for name in [scene.settings.names.commands(), scene.settings.names.event_log()] {
        soon(channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default())).await.unwrap();
    }
    assert_eq!(soon(client.commands_waiting()).await, Err(ClientError::NotFound));
    let read = soon(client.can_read_log()).await;
    assert!(matches!(read, Err(ClientError::Unavailable(_))), "{read:?}");
}
