//! What the tests of the broker have in common.

#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use robocall::adapters::amqp::{AmqpSettings, Broker, Client, Topology};
use robocall::adapters::clock::SystemClock;
use robocall::model::event::RequestEvent;
use robocall::model::status::{Counts, RejectReason, RequestError, RequestSummary};
use robocall::model::{Event, EventType, OrganisationId, RequestStatus, Timestamp, WorkerId};
use robocall::ports::Clock;

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(60);

/// Names of one test's own at a broker.
pub struct Scene {
    pub settings: AmqpSettings,
    pub clock: Arc<dyn Clock>,
}

impl Scene {
    pub fn at(url: String) -> Self {
        static SCENES: AtomicU32 = AtomicU32::new(0);
        let mut settings = AmqpSettings::at(url.into());
        settings.names = Topology::prefixed(&format!("s{}.", SCENES.fetch_add(1, Ordering::SeqCst))).unwrap();
        Self { settings, clock: Arc::new(SystemClock::new()) }
    }

    /// The same names at another address of the same broker.
    pub fn through(&self, url: String) -> Self {
        let settings = AmqpSettings { url: url.into(), ..self.settings.clone() };
        Self { settings, clock: Arc::clone(&self.clock) }
    }

    pub fn broker(&self) -> Broker {
        Broker::connect(self.settings.clone(), &self.clock).unwrap()
    }

    pub fn client(&self) -> Client {
        Client::new(self.settings.clone(), Arc::clone(&self.clock)).unwrap()
    }

    /// A channel of the client library's own, to look behind the scenes and to break them.
    pub async fn channel(&self) -> (lapin::Connection, lapin::Channel) {
        use secrecy::ExposeSecret as _;
        let url = self.settings.url.expose_secret();
        let connection = soon(lapin::Connection::connect(url, lapin::ConnectionProperties::default())).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// Waits until there is a queue.
    pub async fn has_queue(&self, name: &str) {
        let (connection, _) = self.channel().await;
        let passive = lapin::options::QueueDeclareOptions::default().passive();
        // A channel that asked for a queue that is not there is closed.
        while let Ok(channel) = connection.create_channel().await {
            let asked = channel.queue_declare(name.into(), passive, lapin::types::FieldTable::default());
            if asked.await.is_ok() {
                return;
            }
        }
        panic!("the broker has gone");
    }

    /// A client, after everything was declared.
    pub async fn ready(&self) -> Client {
        let client = self.client();
        soon(client.round_trip(1)).await.unwrap();
        client
    }
}

/// Makes a queue that refuses what comes when a message or two are in it.
pub async fn refuses_soon(channel: &lapin::Channel, name: &str) {
    let mut arguments = lapin::types::FieldTable::default();
    let text = |text: &str| lapin::types::AMQPValue::LongString(text.into());
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments.insert("x-max-length".into(), lapin::types::AMQPValue::LongLongInt(1));
    let durable = lapin::options::QueueDeclareOptions::durable();
    soon(channel.queue_declare(name.into(), durable, arguments)).await.unwrap();
}

/// What a future gives, if it does so in time.
#[track_caller]
pub fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let clock = SystemClock::new();
        tokio::select! {
            biased;
            done = future => done,
            () = clock.sleep_until(clock.now() + SOON) => panic!("nothing came within {SOON:?}: {place}"),
        }
    }
}

pub fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

pub fn worker(name: &str) -> WorkerId {
    name.parse().unwrap()
}

pub fn summary(status: RequestStatus) -> RequestSummary {
    RequestSummary {
        request_id: "r-1".parse().unwrap(),
        status,
        total: 1,
        duplicates: 0,
        counts: Counts { queued: 1, ..Counts::default() },
        flow_hash: Some("f".to_owned()),
        errors: Vec::new(),
        error_count: 0,
        reason: None,
        trace: None,
    }
}

pub fn rejected() -> RequestSummary {
    let error = RequestError { path: "destinations[3].phone".to_owned(), message: "not a number".to_owned() };
    RequestSummary {
        errors: vec![error],
        error_count: 1,
        reason: Some(RejectReason::Invalid),
        ..summary(RequestStatus::Failed)
    }
}

pub fn event(seq: u32) -> Event {
    Event::Request(Arc::new(RequestEvent {
        organisation: bank(),
        request: "r-1".parse().unwrap(),
        seq,
        kind: EventType::RequestStarted,
        at: Timestamp::VIRTUAL_START,
        summary: summary(RequestStatus::OnProgress),
        command: None,
    }))
}
