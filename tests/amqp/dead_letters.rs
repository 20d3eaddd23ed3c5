//! Dead letters: looked at without being moved, and tried again without being lost.

use robocall::adapters::amqp::{Client, ClientError, DeadLetter};
use robocall::ports::RequestQueue as _;
use robocall::ports::queue::Verdict;

use crate::scene;
use crate::scene::{Scene, bank, rejected, soon};

/// Three requests that were rejected, oldest first.
async fn three(scene: &Scene) -> (Client, Vec<DeadLetter>) {
    let (client, queue) = (scene.ready().await, scene.broker().requests());
    for body in [b"one", b"two", b"six"] {
        soon(client.submit(&bank(), body)).await.unwrap();
        let delivery = soon(queue.next()).await.unwrap().unwrap();
        soon(queue.settle(&delivery, Verdict::Rejected(rejected()))).await.unwrap();
    }
    let dead = soon(client.dead_letters(9)).await.unwrap();
    (client, dead)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_at_dead_letters_changes_nothing_however_often() {
    let scene = scene();
    let (client, dead) = three(&scene).await;
    assert_eq!(dead.len(), 3);
    for _ in 0..30 {
        assert_eq!(soon(client.dead_letters(9)).await.unwrap(), dead);
    }
    assert_eq!(soon(client.dead_letters(2)).await.unwrap(), dead[..2]);
    let (letter, body) = soon(client.dead_letter(&dead[1].id)).await.unwrap();
    assert_eq!((letter, &*body), (dead[1].clone(), &b"two"[..]));
    assert_eq!(soon(client.dead_letter("0000")).await, Err(ClientError::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_is_tried_again_is_a_request_and_no_dead_letter_any_more() {
    let scene = scene();
    let (client, dead) = three(&scene).await;
    assert_eq!(soon(client.retry_dead_letter(&dead[1].id)).await.as_ref(), Ok(&dead[1]));
    assert_eq!(soon(client.dead_letters(9)).await.unwrap(), [dead[0].clone(), dead[2].clone()]);
    let delivery = soon(scene.broker().requests().next()).await.unwrap().unwrap();
    assert_eq!(delivery.organisation, bank());
    assert_eq!(std::io::read_to_string(delivery.body.open().unwrap()).unwrap(), "two");
    assert_eq!(soon(client.retry_dead_letter(&dead[1].id)).await, Err(ClientError::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_that_are_let_go_are_gone_and_the_others_stay_in_their_order() {
    let scene = scene();
    let (client, dead) = three(&scene).await;
    let gone = soon(client.drop_dead_letters(|letter| letter.id == dead[1].id)).await;
    assert_eq!(gone.as_deref(), Ok(&dead[1..2]));
    assert_eq!(soon(client.dead_letters(9)).await.unwrap(), [dead[0].clone(), dead[2].clone()]);
    let rest = soon(client.drop_dead_letters(|_| true)).await;
    assert_eq!(rest.as_deref(), Ok(&[dead[0].clone(), dead[2].clone()][..]));
    assert_eq!(soon(client.drop_dead_letters(|_| true)).await.as_deref(), Ok(&[][..]));
    assert_eq!(soon(client.dead_waiting()).await.map(|traffic| traffic.waiting), Ok(0), "nothing is left to warn of");
}
