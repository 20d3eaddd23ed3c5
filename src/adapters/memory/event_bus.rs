//! Events on their way out, in memory: handed to whoever listens, unrendered, and confirmed at once.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use crate::model::Event;
use crate::ports::{BusError, EventBus};

/// Somebody who listens. It is called in the order of publishing and must return quickly.
pub type EventSink = Arc<dyn Fn(&Event) + Send + Sync>;

/// The event bus in memory.
#[derive(Clone, Default)]
pub struct MemoryEventBus {
    sinks: Arc<[EventSink]>,
}

impl MemoryEventBus {
    /// A bus that hands every event to each of `sinks`, in order.
    pub fn new(sinks: impl IntoIterator<Item = EventSink>) -> Self {
        Self { sinks: sinks.into_iter().collect() }
    }
}

impl EventBus for MemoryEventBus {
    fn publish(&self, event: Event) -> BoxFuture<'static, Result<(), BusError>> {
        for sink in self.sinks.iter() {
            sink(&event);
        }
        ready(Ok(())).boxed()
    }

    fn recover(&self) {}
}
