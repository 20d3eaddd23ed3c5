//! The floor: what no worker can do without that takes a message a call. Consume from a quorum queue, one script for a
//! slot, six confirmed publications, one script that writes a snapshot and lets go of the slot, acknowledge; all of it
//! pipelined, on one thread, with the same client libraries as the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use redis::Script;
use redis::aio::ConnectionManager;
use tokio::sync::{Notify, Semaphore};

use super::measure::cpu;

/// The argument that makes this program the floor's worker.
pub const WORD: &str = "as-floor";

/// Where its calls wait.
pub const CALLS: &str = "floor.calls";

/// Slots, as the product has.
const LIMIT: usize = 100;

/// Deliveries under way: the slots and what waits for confirmations.
const PREFETCH: u16 = 1000;

/// Events of a call, as many as the product has of a call of no length, and about how long one of the product's is.
const EVENTS: usize = 6;
const EVENT: [u8; 750] = [b'x'; 750];

/// About as long as a call's record.
const SNAPSHOT: [u8; 200] = [b'x'; 200];

const LEASE: &str = "
local now = redis.call('TIME')
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], tonumber(now[1]) + 30, ARGV[1])
return 1";

const RELEASE: &str = "
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return redis.call('ZREM', KEYS[1], ARGV[1])";

/// Makes the queues, empty.
pub async fn declare(channel: &Channel) {
    let typed = |kind: &str| {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        arguments
    };
    let durable = || QueueDeclareOptions::durable();
    channel.queue_declare(CALLS.into(), durable(), typed("quorum")).await.unwrap();
    channel.queue_declare("floor.log".into(), durable(), typed("stream")).await.unwrap();
    let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel
        .exchange_declare("floor.events".into(), ExchangeKind::Topic, exchange, FieldTable::default())
        .await
        .unwrap();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind("floor.log".into(), "floor.events".into(), "#".into(), options, none).await.unwrap();
}

/// What a call needs.
struct Shared {
    publishing: Channel,
    database: ConnectionManager,
    lease: Script,
    release: Script,
    slots: Semaphore,
    done: AtomicUsize,
    all_done: Notify,
}

/// Handles so many calls, and prints how long they took and how much processor time, in seconds.
pub fn work(broker: &str, database: &str, calls: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let properties = ConnectionProperties::default;
        let consuming = Connection::connect(broker, properties()).await.unwrap().create_channel().await.unwrap();
        let publishing = Connection::connect(broker, properties()).await.unwrap().create_channel().await.unwrap();
        declare(&publishing).await;
        publishing.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let mut database = redis::Client::open(database).unwrap().get_connection_manager().await.unwrap();
        let (lease, release) = (Script::new(LEASE), Script::new(RELEASE));
        lease.load_async(&mut database).await.unwrap();
        release.load_async(&mut database).await.unwrap();
        let shared = Arc::new(Shared {
            publishing,
            database,
            lease,
            release,
            slots: Semaphore::new(LIMIT),
            done: AtomicUsize::new(0),
            all_done: Notify::new(),
        });
        consuming.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions::default();
        let consumer = consuming.basic_consume(CALLS.into(), "floor".into(), options, FieldTable::default());
        let mut consumer = consumer.await.unwrap();
        let (begun, before) = (Instant::now(), cpu(std::process::id()));
        for _ in 0..calls {
            let delivery = consumer.next().await.unwrap().unwrap();
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let id = String::from_utf8(delivery.data.clone()).unwrap();
                call(&shared, &id).await;
                delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
                if shared.done.fetch_add(1, Ordering::Relaxed) + 1 == calls {
                    shared.all_done.notify_one();
                }
            });
        }
        shared.all_done.notified().await;
        println!("{} {}", begun.elapsed().as_secs_f64(), cpu(std::process::id()) - before);
    });
}

async fn call(shared: &Shared, id: &str) {
    let mut database = shared.database.clone();
    let slot = shared.slots.acquire().await.unwrap();
    let mut lease = redis::cmd("EVALSHA");
    lease.arg(shared.lease.get_hash()).arg(1).arg("floor:{o}:leases").arg(id).arg(LIMIT);
    assert_eq!(lease.query_async::<i64>(&mut database).await.unwrap(), 1, "no slot");
    let mut confirms = Vec::with_capacity(EVENTS);
    for _ in 0..EVENTS {
        let properties = BasicProperties::default()
            .with_content_type("application/cloudevents+json".into())
            .with_delivery_mode(2)
            .with_message_id(id.into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = shared.publishing.basic_publish("floor.events".into(), "o.call".into(), options, &EVENT, properties);
        confirms.push(sent.await.unwrap());
    }
    let mut release = redis::cmd("EVALSHA");
    release.arg(shared.release.get_hash()).arg(2).arg("floor:{o}:leases").arg("floor:{o}:calls").arg(id).arg(&SNAPSHOT);
    assert_eq!(release.query_async::<i64>(&mut database).await.unwrap(), 1, "the slot was lost");
    drop(slot);
    for confirm in join_all(confirms).await {
        assert!(confirm.unwrap().take_message().is_none(), "returned");
    }
}
