//! Requests on their way in, from the queue of requests; what is rejected goes to the dead letters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::types::ShortString;
use lapin::{BasicProperties, message};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::acks;
use super::dead::{self, Death};
use super::link::Link;
use super::post::{Letter, Post, PostError};
use super::settings::{AmqpSettings, Topology};
use super::subscription::Subscription;
use super::wire;
use crate::model::status::RequestSummary;
use crate::ports::queue::Verdict;
use crate::ports::{Delivery, QueueError, RequestBody, RequestQueue};

/// Most bytes a request may have.
pub const MAX_REQUEST: u64 = 16 << 20;

/// How long a dead letter or a reply may take to be confirmed.
const SENT_WITHIN: Duration = Duration::from_secs(10);

/// How often a reply is tried before the delivery is acknowledged without.
const REPLIES: u8 = 3;

/// The request queue at the broker.
pub struct AmqpQueue {
    names: Topology,
    post: Post,
    arriving: tokio::sync::Mutex<UnboundedReceiver<message::Delivery>>,
    unsettled: Mutex<BTreeMap<u64, Arc<Unsettled>>>,
    last_tag: AtomicU64,
    over: CancellationToken,
    _reader: AbortOnDropHandle<()>,
}

/// A delivery that was handed out.
struct Unsettled {
    message: message::Delivery,
    body: Arc<[u8]>,
    /// How far settling has come: nothing is done again when a later part has failed.
    filed: AtomicU8,
    replied: AtomicU8,
}

/// Marks something that is done.
const DONE: u8 = u8::MAX;

impl AmqpQueue {
    pub(super) fn new(consuming: Arc<Link>, publishing: Arc<Link>, settings: AmqpSettings) -> Self {
        let names = settings.names.clone();
        let over = CancellationToken::new();
        let (sink, arriving) = unbounded_channel();
        let subscription = Subscription {
            link: consuming,
            queue: names.requests(),
            prefetch: Some(settings.prefetch.max(1)),
            settings,
            orders_to: None,
            over: over.clone(),
        };
        let reader = tokio::spawn(subscription.run(std::convert::identity, sink));
        Self {
            names,
            post: Post::new(publishing, SENT_WITHIN),
            arriving: tokio::sync::Mutex::new(arriving),
            unsettled: Mutex::default(),
            last_tag: AtomicU64::new(0),
            over,
            _reader: AbortOnDropHandle::new(reader),
        }
    }

    /// Takes nothing more and gives back everything that is not settled, for other workers to take. For a worker that
    /// drains: what it holds would otherwise wait until its last call has ended.
    pub fn release(&self) {
        self.over.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Unsettled>>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message out.
    fn hand_out(&self, mut message: message::Delivery) -> Option<Delivery> {
        let organisation = Topology::organisation_of(message.routing_key.as_str())?;
        let body: Arc<[u8]> = std::mem::take(&mut message.data).into();
        let trace = wire::trace(&message.properties);
        let tag = self.last_tag.fetch_add(1, Ordering::Relaxed) + 1;
        let unsettled =
            Unsettled { message, body: Arc::clone(&body), filed: AtomicU8::new(0), replied: AtomicU8::new(0) };
        let mut known = self.lock();
        // Deliveries of a lost connection are nobody's any more.
        known.retain(|_, unsettled| !unsettled.message.acker.poisoned());
        known.insert(tag, Arc::new(unsettled));
        Some(Delivery { tag, organisation, body: RequestBody::Bytes(body), trace, max_bytes: Some(MAX_REQUEST) })
    }

    /// Files a message that nobody can be asked about: its routing key names no organisation.
    async fn refuse(&self, message: &message::Delivery) -> Result<(), PostError> {
        let key = message.routing_key.as_str();
        tracing::warn!(key, "a request's routing key names no organisation");
        let error = format!("the routing key must be requests.{{organisation}}, not {key:?}");
        let death = Death { organisation: None, request: None, reason: "organisation", error: &error };
        self.file(message, &message.data, &death).await?;
        // Not acknowledged, it comes again and is filed again: twice is better than not at all.
        acks::acknowledge(self.post.clock(), message).await;
        Ok(())
    }

    async fn file(&self, message: &message::Delivery, body: &[u8], death: &Death<'_>) -> Result<(), PostError> {
        let exchange = self.names.dead();
        let properties = dead::properties(&message.properties, death);
        let key = message.routing_key.as_str();
        self.post.send(Letter { exchange: &exchange, key, must_arrive: true, properties, body }).await
    }

    /// Tells whoever asked, if anybody did.
    async fn reply(&self, unsettled: &Unsettled, summary: &RequestSummary) -> Result<(), PostError> {
        let properties = &unsettled.message.properties;
        let Some(to) = properties.reply_to().as_ref().filter(|to| !to.as_str().is_empty()) else { return Ok(()) };
        let body = serde_json::to_vec(summary).map_err(|error| PostError::Unavailable(error.to_string()))?;
        let properties = wire::reply_properties(properties.correlation_id().as_ref());
        self.post.send(Letter { exchange: "", key: to.as_str(), must_arrive: false, properties, body: &body }).await
    }
}

#[async_trait]
impl RequestQueue for AmqpQueue {
    async fn next(&self) -> Result<Option<Delivery>, QueueError> {
        let mut arriving = self.arriving.lock().await;
        loop {
            let Some(message) = arriving.recv().await else { return Ok(None) };
            if !message.acker.usable() {
                // It came over a connection that is lost, and comes again.
                continue;
            }
            if Topology::organisation_of(message.routing_key.as_str()).is_none() {
                if let Err(error) = self.refuse(&message).await {
                    tracing::warn!(%error, "a request without an organisation is not filed yet: it comes again");
                    acks::give_back(self.post.clock(), &message).await;
                }
                continue;
            }
            if let Some(delivery) = self.hand_out(message) {
                return Ok(Some(delivery));
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), QueueError> {
        let unsettled = self.lock().get(&delivery.tag).map(Arc::clone).ok_or(QueueError::Stale)?;
        if !unsettled.message.acker.usable() {
            self.lock().remove(&delivery.tag);
            return Err(QueueError::Stale);
        }
        let (rejected, summary) = match &verdict {
            Verdict::Accepted(summary) => (false, summary),
            Verdict::Rejected(summary) => (true, summary),
        };
        if rejected && unsettled.filed.load(Ordering::Relaxed) != DONE {
            let reason = summary.reason.map_or("invalid", wire::reason);
            let error = summary.errors.first().map(ToString::to_string).unwrap_or_default();
            let death = Death {
                organisation: Some(&delivery.organisation),
                request: Some(&summary.request_id),
                reason,
                error: &error,
            };
            self.file(&unsettled.message, &unsettled.body, &death).await.map_err(unavailable)?;
            unsettled.filed.store(DONE, Ordering::Relaxed);
        }
        if unsettled.replied.load(Ordering::Relaxed) < REPLIES {
            if let Err(error) = self.reply(&unsettled, summary).await
                && unsettled.replied.fetch_add(1, Ordering::Relaxed) + 1 < REPLIES
            {
                return Err(unavailable(error));
            }
            unsettled.replied.store(DONE, Ordering::Relaxed);
        }
        let is_acknowledged = acks::acknowledge(self.post.clock(), &unsettled.message).await;
        self.lock().remove(&delivery.tag);
        if is_acknowledged { Ok(()) } else { Err(QueueError::Stale) }
    }
}

fn unavailable(error: PostError) -> QueueError {
    QueueError::Unavailable(error.to_string())
}

/// A message's property as text.
pub(super) fn text(property: Option<&ShortString>) -> Option<&str> {
    property.map(ShortString::as_str).filter(|text| !text.is_empty())
}

/// The properties of a request as a client sends it.
pub(super) fn request_properties() -> BasicProperties {
    BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(2)
}
