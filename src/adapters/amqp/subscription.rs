//! A queue that is consumed for as long as somebody wants it: through lost connections, closed channels, and a queue
//! that was deleted and is declared again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::link::{Link, Live, within};
use super::post::let_go;
use super::settings::AmqpSettings;
use super::topology;
use crate::model::WorkerId;

/// How long the end of a subscription waits for the broker to take its messages back.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(5);

/// How long the broker may take to let a subscription begin.
const BEGUN_WITHIN: Duration = Duration::from_secs(15);

/// What is consumed, and how.
pub(super) struct Subscription {
    pub link: Arc<Link>,
    pub settings: AmqpSettings,
    pub queue: String,
    /// Most messages that are not acknowledged; without, they count as acknowledged when they are sent.
    pub prefetch: Option<u16>,
    /// Whose orders these are; their queue is declared with everything else.
    pub orders_to: Option<WorkerId>,
    /// Ends the subscription: what was not acknowledged goes back to the queue.
    pub over: CancellationToken,
}

impl Subscription {
    /// Hands messages on until it is over.
    pub async fn run<T>(self, wrap: impl Fn(Delivery) -> T, sink: UnboundedSender<T>) {
        let clock = Arc::clone(self.link.clock());
        let mut backoff = Backoff::default();
        while !self.over.is_cancelled() {
            let live = tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                live = self.link.up() => live,
            };
            match self.consume(&live, &wrap, &sink, &mut backoff).await {
                Ok(()) => return,
                Err(error) if live.gone.is_cancelled() => tracing::debug!(queue = self.queue, %error, "interrupted"),
                Err(error) => tracing::warn!(queue = self.queue, %error, "nothing comes from the queue for a moment"),
            }
            let wait = backoff.next(&self.settings.connection_name, clock.now());
            tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                () = clock.sleep_until(clock.now() + wait) => {}
            }
        }
    }

    /// Ends well only when it is over.
    async fn consume<T>(
        &self,
        live: &Live,
        wrap: &impl Fn(Delivery) -> T,
        sink: &UnboundedSender<T>,
        backoff: &mut Backoff,
    ) -> lapin::Result<()> {
        let clock = &**self.link.clock();
        // Bounded: the library's answers to what was asked over a connection that is lost meanwhile may never come.
        let begun = tokio::select! {
            biased;
            () = self.over.cancelled() => return Ok(()),
            () = live.gone.cancelled() => return Err(ended("the connection was lost")),
            begun = within(clock, BEGUN_WITHIN, self.begin(live)) => begun,
        };
        let (channel, mut deliveries) = begun.ok_or_else(|| ended("the broker does not let us begin"))??;
        loop {
            let delivery = tokio::select! {
                biased;
                () = self.over.cancelled() => {
                    return within(clock, GIVEN_BACK_WITHIN, topology::close(&channel)).await.unwrap_or(Ok(()));
                }
                () = live.gone.cancelled() => return Err(ended("the connection was lost")),
                delivery = deliveries.next() => delivery,
            };
            let Some(delivery) = delivery else {
                // What was delivered here and is not settled comes again.
                let_go(self.link.clock(), channel, ());
                return Err(ended("the consumer was cancelled by the broker"));
            };
            backoff.reset();
            if sink.send(wrap(delivery?)).is_err() {
                return Ok(());
            }
        }
    }

    async fn begin(&self, live: &Live) -> lapin::Result<(Channel, Consumer)> {
        // A queue that was deleted is made anew, by whoever misses it first.
        topology::declare(live, &self.settings).await?;
        if let Some(worker) = &self.orders_to {
            topology::declare_orders(live, &self.settings.names, worker).await?;
        }
        let channel = live.channel().await?;
        if let Some(prefetch) = self.prefetch {
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        }
        let options = BasicConsumeOptions { no_ack: self.prefetch.is_none(), ..BasicConsumeOptions::default() };
        let queue = self.queue.as_str().into();
        let deliveries = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
        Ok((channel, deliveries))
    }
}

fn ended(why: &'static str) -> lapin::Error {
    lapin::ErrorKind::InvalidChannelState(lapin::ChannelState::Closed, why).into()
}
