//! A client of the broker for whoever measures: publishes, and notes when which event came.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Publications that wait for their confirmations at most.
const WINDOW: usize = 500;

/// A connection to the broker.
pub struct Queues {
    runtime: Runtime,
    connection: Connection,
    watched: Channel,
    events: String,
    /// What came, and when: one consumer for good, since whoever ends one loses what it was sent already.
    came: Mutex<UnboundedReceiver<(String, Instant)>>,
}

impl Queues {
    /// Connects, and has an exclusive queue that takes what is wished for with [`Queues::watch`].
    pub fn connect(url: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (note, came) = unbounded_channel();
        let (connection, watched, events) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
            let watched = connection.create_channel().await.unwrap();
            let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
            let events = watched.queue_declare("".into(), own, FieldTable::default()).await.unwrap();
            let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
            let consumer = watched.basic_consume(events.name().clone(), "".into(), options, FieldTable::default());
            let mut consumer = consumer.await.unwrap();
            tokio::spawn(async move {
                while let Some(Ok(event)) = consumer.next().await {
                    let _ = note.send((event.routing_key.to_string(), Instant::now()));
                }
            });
            (connection, watched, events.name().to_string())
        });
        Self { runtime, connection, watched, events, came: Mutex::new(came) }
    }

    /// Waits until a worker has declared everything.
    pub fn wait_for(&self, queue: &str) {
        super::measure::until(queue, Duration::from_secs(30), || self.messages(queue));
    }

    /// How many messages wait in a queue; none if there is no such queue.
    pub fn messages(&self, queue: &str) -> Option<u32> {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.unwrap();
            let passive = QueueDeclareOptions::default().passive();
            let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await.ok()?;
            let count = queue.message_count();
            channel.close(200, "done".into()).await.unwrap();
            Some(count)
        })
    }

    /// Has events with such a routing key put into the queue of [`Queues::next`].
    pub fn watch(&self, exchange: &str, keys: &[&str]) {
        self.runtime.block_on(async {
            for key in keys {
                let (own, options) = (self.events.as_str().into(), QueueBindOptions::default());
                let bound =
                    self.watched.queue_bind(own, exchange.into(), (*key).into(), options, FieldTable::default());
                bound.await.unwrap();
            }
        });
    }

    /// Waits for so many events; when each came, and with which key.
    pub fn next(&self, count: usize, within: Duration) -> Vec<(String, Instant)> {
        let mut came = self.came.lock().unwrap();
        self.runtime.block_on(async {
            let mut found = Vec::new();
            while found.len() < count {
                let event = tokio::time::timeout(within, came.recv()).await;
                let event = event.unwrap_or_else(|_| panic!("{} of {count} events within {within:?}", found.len()));
                found.push(event.unwrap());
            }
            found
        })
    }

    /// Does something on a channel of its own.
    pub fn with_channel(&self, act: impl for<'c> FnOnce(&'c Channel) -> futures_util::future::BoxFuture<'c, ()>) {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.unwrap();
            act(&channel).await;
            channel.close(200, "done".into()).await.unwrap();
        });
    }

    /// Publishes, and returns when everything is confirmed.
    pub fn publish(&self, exchange: &str, messages: impl IntoIterator<Item = (String, Vec<u8>)>) {
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.unwrap();
            channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
            let mut confirms = VecDeque::new();
            for (key, body) in messages {
                let properties = BasicProperties::default().with_delivery_mode(2);
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let sent = channel.basic_publish(exchange.into(), key.into(), options, &body, properties);
                confirms.push_back(sent.await.unwrap());
                if confirms.len() >= WINDOW {
                    let confirmation = confirms.pop_front().unwrap().await.unwrap();
                    assert!(confirmation.take_message().is_none(), "returned");
                }
            }
            for confirm in confirms {
                assert!(confirm.await.unwrap().take_message().is_none(), "returned");
            }
        });
    }
}
