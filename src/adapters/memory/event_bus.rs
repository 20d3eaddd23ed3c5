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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::RequestEvent;
    use crate::model::status::{Counts, RequestSummary};
    use crate::model::{EventType, RequestStatus, Timestamp};
    use std::sync::Mutex;

    #[tokio::test]
    async fn everyone_hears_every_event_in_order_and_before_it_is_confirmed() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = |name: &'static str| -> EventSink {
            let heard = Arc::clone(&heard);
            Arc::new(move |event: &Event| heard.lock().unwrap().push((name, event.seq())))
        };
        let bus = MemoryEventBus::new([sink("a"), sink("b")]);
        let event = |seq| {
            let request: crate::model::RequestId = "r".parse().unwrap();
            let summary = RequestSummary {
                request_id: request.clone(),
                status: RequestStatus::Submitted,
                total: 0,
                duplicates: 0,
                counts: Counts::default(),
                flow_hash: None,
                errors: Vec::new(),
                error_count: 0,
                reason: None,
                trace: None,
            };
            let organisation = "bank".parse().unwrap();
            let kind = EventType::RequestAccepted;
            Event::Request(Arc::new(RequestEvent {
                organisation,
                request,
                seq,
                kind,
                at: Timestamp::VIRTUAL_START,
                summary,
                command: None,
            }))
        };
        // Published when called, not when awaited.
        let (first, second) = (bus.publish(event(1)), bus.publish(event(2)));
        assert_eq!(*heard.lock().unwrap(), [("a", 1), ("b", 1), ("a", 2), ("b", 2)]);
        assert_eq!((second.await, first.await), (Ok(()), Ok(())));
    }
}
