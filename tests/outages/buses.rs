//! A bus that takes its time, and a queue whose consumer is lost for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use robocall::adapters::memory::MemoryQueue;
use robocall::model::Event;
use robocall::ports::queue::Verdict;
use robocall::ports::{BusError, Clock, Delivery, EventBus, QueueError, RequestQueue};

/// A bus that confirms everything, each after a while.
pub struct Unhurried {
    pub clock: Arc<dyn Clock>,
    pub takes: Duration,
    /// While this holds, nothing is confirmed.
    pub out: Arc<AtomicBool>,
}

impl EventBus for Unhurried {
    fn publish(&self, _: Event) -> BoxFuture<'static, Result<(), BusError>> {
        if self.out.load(Ordering::Relaxed) {
            return std::future::ready(Err(BusError("out of order".to_owned()))).boxed();
        }
        let confirmed = self.clock.sleep_until(self.clock.now() + self.takes);
        async move {
            confirmed.await;
            Ok(())
        }
        .boxed()
    }

    fn recover(&self) {}
}

/// A queue whose connection is lost once before a delivery is settled: the delivery comes again under another tag.
pub struct Interrupted {
    pub inner: Arc<MemoryQueue>,
    pub once: AtomicBool,
}

#[async_trait]
impl RequestQueue for Interrupted {
    async fn next(&self) -> Result<Option<Delivery>, QueueError> {
        self.inner.next().await
    }
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), QueueError> {
        if !self.once.swap(true, Ordering::Relaxed) {
            self.inner.redeliver_unsettled();
        }
        self.inner.settle(delivery, verdict).await
    }
}
