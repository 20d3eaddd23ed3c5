//! What must exist at the broker: declared on every new connection, so that a broker that came back empty is whole again.
//!
//! What exists with other arguments, because an operator or an older version made it, is used as it is. What cannot be
//! had for now is done without: a RabbitMQ 3.10 that is killed moments after it made a stream calls it down for good, and
//! that must not keep requests from being taken.

use futures_util::future;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::link::Live;
use super::settings::{AmqpSettings, Topology};
use crate::model::WorkerId;

/// How often a request may be delivered before it is taken for one that kills workers.
const DELIVERIES: i64 = 20;

/// How often a dead letter may be looked at. Every look is a delivery, and newer brokers have a limit of twenty of their
/// own for queues that name none.
const LOOKS: i64 = 1_000_000;

/// Size of a piece of the event log, which is kept or dropped as a whole, in bytes.
const SEGMENT: i64 = 64 << 20;

/// How long an order waits for its worker; owners look at its instant all the same. In milliseconds.
pub(super) const ORDER_LIFE: u32 = 2_000;

/// How long a worker's queue outlives the worker, in milliseconds.
const ORDERS_LIFE: i64 = 60_000;

/// Most orders that wait for one worker.
const MOST_ORDERS: i64 = 10_000;

/// Declares everything that all workers share, each thing on a channel of its own: a broker that is far away is asked for a
/// dozen things, and every one takes three of its round trips. What is there is asked for all at a time; what is not is made
/// one after another, since a queue is there for others before it works, and for the longer the more is made beside it.
pub(super) async fn declare(live: &Live, settings: &AmqpSettings) -> lapin::Result<()> {
    let names = &settings.names;
    let (dead, wanted, events, commands) = (names.dead(), names.requests(), names.events(), names.commands());
    let kept = names.event_log();
    let log = Arguments::default()
        .with_text("x-queue-type", "stream")
        .with_text("x-max-age", &format!("{}s", settings.retention.as_secs().max(1)))
        .with("x-stream-max-segment-size-bytes", SEGMENT);
    let exchanges = [&wanted, &dead, &events, &commands].map(|name| declare_exchange(live, name));
    let queues = [
        (&dead, quorum().with("x-delivery-limit", LOOKS).0),
        (&wanted, requests(names)),
        (&kept, log.0),
        (&commands, quorum().0),
    ];
    let there = future::try_join_all(queues.each_ref().map(|(name, _)| is_there(live, name)));
    let (_, there) = future::try_join(future::try_join_all(exchanges), there).await?;
    let all_are_there = there.into_iter().all(|is_there| is_there);
    let declared = queues.map(|(name, arguments)| queue(live, name, arguments));
    if all_are_there {
        future::try_join_all(declared).await?;
    } else {
        for declared in declared {
            declared.await?;
        }
    }
    let bindings =
        [(&dead, &dead, "#"), (&wanted, &wanted, "requests.#"), (&kept, &events, "#"), (&commands, &commands, "*.*")];
    future::try_join_all(bindings.map(|(queue, exchange, key)| bind(live, queue, exchange, key))).await?;
    Ok(())
}

/// Declares the queue of orders to one worker. It is not exclusive: a worker that comes back while the broker still
/// believes in its old connection could not open it.
pub(super) async fn declare_orders(live: &Live, names: &Topology, worker: &WorkerId) -> lapin::Result<()> {
    let arguments = Arguments::default()
        .with("x-expires", ORDERS_LIFE)
        .with("x-message-ttl", i64::from(ORDER_LIFE))
        .with("x-max-length", MOST_ORDERS);
    queue(live, &names.orders(worker), arguments.0).await
}

fn requests(names: &Topology) -> FieldTable {
    quorum()
        .with("x-delivery-limit", DELIVERIES)
        .with_text("x-dead-letter-exchange", &names.dead())
        .with_text("x-dead-letter-strategy", "at-least-once")
        .with_text("x-overflow", "reject-publish")
        .0
}

#[derive(Default)]
struct Arguments(FieldTable);

impl Arguments {
    fn with(mut self, name: &str, number: i64) -> Self {
        self.0.insert(name.into(), AMQPValue::LongLongInt(number));
        self
    }

    fn with_text(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.into(), AMQPValue::LongString(text.into()));
        self
    }
}

fn quorum() -> Arguments {
    Arguments::default().with_text("x-queue-type", "quorum")
}

async fn declare_exchange(live: &Live, name: &str) -> lapin::Result<()> {
    let channel = live.channel().await?;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await;
    let Err(error) = declared else { return close(&channel).await };
    refused(name, error)?;
    let channel = live.channel().await?;
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    match channel.exchange_declare(name.into(), ExchangeKind::Topic, options, FieldTable::default()).await {
        Ok(()) => close(&channel).await,
        Err(error) => missing(name, error),
    }
}

async fn is_there(live: &Live, name: &str) -> lapin::Result<bool> {
    let channel = live.channel().await?;
    match channel.queue_declare(name.into(), QueueDeclareOptions::default().passive(), FieldTable::default()).await {
        Ok(_) => close(&channel).await.map(|()| true),
        Err(error) if error.is_amqp_soft_error() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn queue(live: &Live, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    let channel = live.channel().await?;
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await;
    let Err(error) = declared else { return close(&channel).await };
    refused(name, error)?;
    let channel = live.channel().await?;
    match channel.queue_declare(name.into(), QueueDeclareOptions::default().passive(), FieldTable::default()).await {
        Ok(_) => close(&channel).await,
        Err(error) => missing(name, error),
    }
}

/// Lets a refusal pass with a word: it exists with other arguments, or may only be used and not declared by us.
fn refused(name: &str, error: lapin::Error) -> lapin::Result<()> {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if error.is_amqp_soft_error() => {
            tracing::warn!(name, %refusal, "not declared: it is used as it is, if it exists");
            Ok(())
        }
        _ => Err(error),
    }
}

/// Goes on without something that was neither declared nor found: whoever needs it will fail, and nobody else.
fn missing(name: &str, error: lapin::Error) -> lapin::Result<()> {
    if !error.is_amqp_soft_error() {
        return Err(error);
    }
    tracing::error!(name, %error, "it is not there, or down");
    Ok(())
}

async fn bind(live: &Live, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let channel = live.channel().await?;
    let options = QueueBindOptions::default();
    let bound = channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await;
    match bound {
        Ok(()) => close(&channel).await,
        Err(error) => refused(queue, error),
    }
}

/// Closes a channel that is needed no more.
pub(super) async fn close(channel: &Channel) -> lapin::Result<()> {
    channel.close(200, "done".into()).await
}
