//! Requests on their way in, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use crate::model::status::RequestSummary;
use crate::model::{OrganisationId, TraceParent};
use crate::ports::queue::Verdict;
use crate::ports::{Delivery, QueueError, RequestBody, RequestQueue};

/// Most bytes a message may have, as at the broker.
pub const MAX_MESSAGE: u64 = 16 << 20;

/// A message that was rejected.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Who sent it.
    pub organisation: OrganisationId,
    /// The message as it came.
    pub body: RequestBody,
    /// Why it was rejected.
    pub summary: RequestSummary,
}

/// The request queue in memory.
#[derive(Default)]
pub struct MemoryQueue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Message>,
    unsettled: BTreeMap<u64, Message>,
    dead: Vec<DeadLetter>,
    last_tag: u64,
    closed: bool,
}

struct Message {
    organisation: OrganisationId,
    body: RequestBody,
    max_bytes: Option<u64>,
    trace: Option<TraceParent>,
    asker: Option<oneshot::Sender<RequestSummary>>,
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a message; whoever sent it hears what became of it.
    ///
    /// # Errors
    /// When it has more than [`MAX_MESSAGE`] bytes, or the queue is closed.
    pub fn publish(
        &self,
        organisation: OrganisationId,
        body: impl Into<Arc<[u8]>>,
    ) -> Result<oneshot::Receiver<RequestSummary>, QueueError> {
        self.publish_in(organisation, body, None)
    }

    /// The same, as a part of a trace.
    ///
    /// # Errors
    /// As [`MemoryQueue::publish`].
    pub fn publish_in(
        &self,
        organisation: OrganisationId,
        body: impl Into<Arc<[u8]>>,
        trace: Option<TraceParent>,
    ) -> Result<oneshot::Receiver<RequestSummary>, QueueError> {
        let body = body.into();
        let size = body.len() as u64;
        if size > MAX_MESSAGE {
            return Err(QueueError::TooLarge { limit: MAX_MESSAGE, size });
        }
        self.push(organisation, RequestBody::Bytes(body), Some(MAX_MESSAGE), trace)
    }

    /// Takes a local file of any size.
    ///
    /// # Errors
    /// When the queue is closed.
    pub fn publish_file(
        &self,
        organisation: OrganisationId,
        path: PathBuf,
    ) -> Result<oneshot::Receiver<RequestSummary>, QueueError> {
        self.push(organisation, RequestBody::File(path), None, None)
    }

    fn push(
        &self,
        organisation: OrganisationId,
        body: RequestBody,
        max_bytes: Option<u64>,
        trace: Option<TraceParent>,
    ) -> Result<oneshot::Receiver<RequestSummary>, QueueError> {
        let (asker, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Err(QueueError::Unavailable("it is closed".to_owned()));
        }
        state.waiting.push_back(Message { organisation, body, max_bytes, trace, asker: Some(asker) });
        drop(state);
        self.changed.notify_one();
        Ok(answer)
    }

    /// Lets every delivery that was not settled come again, in its old order and before all others, as a broker does
    /// when a consumer is lost. Answers how many. The earlier deliveries cannot be settled any more.
    pub fn redeliver_unsettled(&self) -> usize {
        let mut state = self.lock();
        let again: Vec<Message> = std::mem::take(&mut state.unsettled).into_values().collect();
        let count = again.len();
        for message in again.into_iter().rev() {
            state.waiting.push_front(message);
        }
        drop(state);
        self.changed.notify_waiters();
        self.changed.notify_one();
        count
    }

    /// Every rejected message, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.lock().dead.clone()
    }

    /// How many messages wait, and how many were delivered and are not settled.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.unsettled.len())
    }

    /// Takes nothing more; what waits is still delivered.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next delivery; `Some(None)` when there will be none.
    fn deliver(&self) -> Option<Option<Delivery>> {
        let mut state = self.lock();
        let Some(message) = state.waiting.pop_front() else {
            return state.closed.then_some(None);
        };
        state.last_tag += 1;
        let tag = state.last_tag;
        let Message { organisation, body, max_bytes, trace, .. } = &message;
        let (organisation, body) = (organisation.clone(), body.clone());
        let delivery = Delivery { tag, organisation, body, trace: *trace, max_bytes: *max_bytes };
        state.unsettled.insert(tag, message);
        if !state.waiting.is_empty() || state.closed {
            // Somebody else may be waiting, too.
            self.changed.notify_one();
        }
        Some(Some(delivery))
    }
}

#[async_trait]
impl RequestQueue for MemoryQueue {
    async fn next(&self) -> Result<Option<Delivery>, QueueError> {
        loop {
            let changed = self.changed.notified();
            if let Some(delivery) = self.deliver() {
                if delivery.is_none() {
                    self.changed.notify_one();
                }
                return Ok(delivery);
            }
            changed.await;
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), QueueError> {
        let mut state = self.lock();
        let Some(message) = state.unsettled.remove(&delivery.tag) else {
            return Err(QueueError::Stale);
        };
        let Message { organisation, body, asker, .. } = message;
        let summary = match verdict {
            Verdict::Accepted(summary) => summary,
            Verdict::Rejected(summary) => {
                state.dead.push(DeadLetter { organisation, body, summary: summary.clone() });
                summary
            }
        };
        if let Some(asker) = asker {
            // Whoever asked may have gone: then nobody is told.
            let _ = asker.send(summary);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RequestStatus;
    use crate::model::status::Counts;

    fn bank() -> OrganisationId {
        "bank".parse().unwrap()
    }

    fn summary(status: RequestStatus) -> RequestSummary {
        RequestSummary {
            request_id: "r".parse().unwrap(),
            status,
            total: 1,
            duplicates: 0,
            counts: Counts::default(),
            flow_hash: None,
            errors: Vec::new(),
            error_count: 0,
            reason: None,
            trace: None,
        }
    }

    fn text(body: &RequestBody) -> String {
        std::io::read_to_string(body.open().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn messages_come_in_order_and_whoever_asked_hears_of_theirs() {
        let queue = MemoryQueue::new();
        let first = queue.publish(bank(), *b"one").unwrap();
        let second = queue.publish(bank(), *b"two").unwrap();
        let (one, two) = (queue.next().await.unwrap().unwrap(), queue.next().await.unwrap().unwrap());
        assert_eq!((text(&one.body), text(&two.body), one.max_bytes), ("one".into(), "two".into(), Some(MAX_MESSAGE)));
        queue.settle(&two, Verdict::Accepted(summary(RequestStatus::Submitted))).await.unwrap();
        queue.settle(&one, Verdict::Rejected(summary(RequestStatus::Failed))).await.unwrap();
        assert_eq!(first.await.unwrap().status, RequestStatus::Failed);
        assert_eq!(second.await.unwrap().status, RequestStatus::Submitted);
        let dead = queue.dead_letters();
        assert_eq!((dead.len(), text(&dead[0].body), &dead[0].organisation), (1, "one".into(), &bank()));
        assert_eq!(queue.depth(), (0, 0));
    }

    #[tokio::test]
    async fn what_is_not_settled_comes_again_and_is_settled_once() {
        let queue = MemoryQueue::new();
        for body in [*b"one", *b"two", *b"thr"] {
            queue.publish(bank(), body).unwrap();
        }
        let one = queue.next().await.unwrap().unwrap();
        queue.next().await.unwrap();
        assert_eq!(queue.redeliver_unsettled(), 2);
        let accepted = || Verdict::Accepted(summary(RequestStatus::Submitted));
        assert!(queue.settle(&one, accepted()).await.is_err(), "that delivery is no more");
        for expected in ["one", "two", "thr"] {
            let again = queue.next().await.unwrap().unwrap();
            assert_eq!(text(&again.body), expected);
            queue.settle(&again, accepted()).await.unwrap();
            assert!(queue.settle(&again, accepted()).await.is_err());
        }
        assert_eq!((queue.redeliver_unsettled(), queue.depth()), (0, (0, 0)));
    }

    #[tokio::test]
    async fn a_message_may_have_sixteen_mebibytes_and_a_file_any_size() {
        let queue = MemoryQueue::new();
        assert!(queue.publish(bank(), vec![0; MAX_MESSAGE as usize]).is_ok());
        let refused = queue.publish(bank(), vec![0; MAX_MESSAGE as usize + 1]).unwrap_err();
        assert_eq!(refused, QueueError::TooLarge { limit: MAX_MESSAGE, size: MAX_MESSAGE + 1 });
        queue.next().await.unwrap();
        let _answer = queue.publish_file(bank(), "request.json".into()).unwrap();
        assert_eq!(queue.next().await.unwrap().unwrap().max_bytes, None);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_a_message_and_by_the_end() {
        let queue = Arc::new(MemoryQueue::new());
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.next().await.unwrap().map(|delivery| delivery.tag) })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.publish(bank(), *b"one").unwrap();
        tokio::task::yield_now().await;
        queue.close();
        let mut ended = Vec::new();
        for waiting in waiting {
            ended.push(waiting.await.unwrap());
        }
        ended.sort();
        assert_eq!(ended, [None, None, Some(1)]);
        assert!(queue.publish(bank(), *b"two").is_err());
    }
}
