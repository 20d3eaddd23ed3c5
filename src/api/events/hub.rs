//! One reader of the end of the log for all who listen here: whoever listens gets what they want as it comes, and whoever
//! does not keep up is let go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::AbortOnDropHandle;

use crate::model::{CallId, EventFilter, OrganisationId, RequestId};
use crate::ports::hooks::LoggedHookEvent;
use crate::ports::{Clock, EventLog, StoreError};

/// Events that wait for one listener; who lets more come together is let go.
const WAITING: usize = 1_024;

/// How long is waited before the log is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// An event as listeners are told of it.
#[derive(Debug)]
pub(super) struct Told {
    /// Its place in the log.
    pub offset: u64,
    pub organisation: OrganisationId,
    pub kind: Box<str>,
    /// What it is about: a request, or a request and a call.
    pub subject: Box<str>,
    /// The CloudEvent in JSON.
    pub body: Vec<u8>,
}

impl Told {
    pub fn of(event: LoggedHookEvent) -> Self {
        #[derive(Deserialize)]
        struct Subject<'a> {
            #[serde(borrow)]
            subject: std::borrow::Cow<'a, str>,
        }
        let LoggedHookEvent { offset, organisation, kind, body } = event;
        let subject = serde_json::from_slice(&body).map(|Subject { subject }| subject.into()).unwrap_or_default();
        Self { offset, organisation, kind, subject, body }
    }
}

/// What somebody wants to hear of.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub organisation: OrganisationId,
    pub request: Option<RequestId>,
    pub call: Option<CallId>,
    pub types: Vec<EventFilter>,
}

impl Wanted {
    pub fn lets_through(&self, event: &Told) -> bool {
        let (request, call) = match event.subject.split_once('/') {
            Some((request, call)) => (request, Some(call)),
            None => (&*event.subject, None),
        };
        event.organisation == self.organisation
            && self.request.as_ref().is_none_or(|wanted| wanted.as_str() == request)
            && self.call.is_none_or(|wanted| call == Some(wanted.to_string().as_str()))
            && EventFilter::let_through(self.types.iter().map(EventFilter::as_str), &event.kind)
    }
}

/// The reader, and who listens.
pub(in crate::api) struct Hub {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    /// One more than the offset of the last event that was passed on; before any, where reading began.
    next: AtomicU64,
    begun: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<OrganisationId, Vec<Listener>>,
    reading: Option<AbortOnDropHandle<()>>,
}

impl State {
    /// Of organisations to which nothing happens nobody else would notice who has gone.
    fn forget_the_gone(&mut self) {
        self.listeners.retain(|_, listeners| {
            listeners.retain(|listener| !listener.to.is_closed());
            !listeners.is_empty()
        });
    }
}

struct Listener {
    wanted: Wanted,
    to: Sender<Arc<Told>>,
}

impl Hub {
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock, next: AtomicU64::new(0), begun: AtomicBool::new(false), state: Mutex::default() }
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the reader is: everything from there on is passed on.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// How many of an organisation listen.
    pub(super) fn listeners_of(&self, organisation: &OrganisationId) -> usize {
        let mut state = self.lock();
        state.forget_the_gone();
        state.listeners.get(organisation).map_or(0, Vec::len)
    }

    /// Listens from now on; the reader begins with the first who does.
    pub(super) async fn listen(self: &Arc<Self>, wanted: Wanted) -> Result<Receiver<Arc<Told>>, StoreError> {
        let (to, from) = channel(WAITING);
        {
            let mut state = self.lock();
            state.forget_the_gone();
            state.listeners.entry(wanted.organisation.clone()).or_default().push(Listener { wanted, to });
        }
        if !self.begun.load(Ordering::Acquire) {
            let end = self.log.end().await?;
            let mut state = self.lock();
            if state.reading.is_none() {
                self.next.store(end, Ordering::Release);
                self.begun.store(true, Ordering::Release);
                state.reading = Some(AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).read(end))));
            }
        }
        Ok(from)
    }

    async fn read(self: Arc<Self>, end: u64) {
        loop {
            let from = self.next().max(end);
            match self.log.read(from).await {
                Ok(mut reader) => loop {
                    self.pass_on(Told::of(reader.next().await));
                },
                Err(error) => {
                    tracing::warn!(%error, "events are not heard");
                    self.clock.sleep_until(self.clock.now() + AGAIN).await;
                }
            }
        }
    }

    fn pass_on(&self, event: Told) {
        let event = Arc::new(event);
        let mut state = self.lock();
        if let Some(listeners) = state.listeners.get_mut(&event.organisation) {
            listeners.retain(|Listener { wanted, to }| {
                if wanted.lets_through(&event) { to.try_send(Arc::clone(&event)).is_ok() } else { !to.is_closed() }
            });
            if listeners.is_empty() {
                state.listeners.remove(&event.organisation);
            }
        }
        self.next.store(event.offset + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::model::Timestamp;
    use crate::ports::hooks::LogReader;
    use crate::ports::store::StoreResult;

    /// A log that does not answer.
    struct Gone;

    #[async_trait]
    impl EventLog for Gone {
        async fn end(&self) -> StoreResult<u64> {
            Err(StoreError::Unavailable("gone".to_owned()))
        }

        async fn first(&self) -> StoreResult<Option<u64>> {
            Err(StoreError::Unavailable("gone".to_owned()))
        }

        async fn read(&self, _: u64) -> StoreResult<Box<dyn LogReader>> {
            Err(StoreError::Unavailable("gone".to_owned()))
        }
    }

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::VIRTUAL_START
        }

        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn who_has_gone_is_forgotten_though_nothing_ever_happens() {
        let hub = Arc::new(Hub::new(Arc::new(Gone), Arc::new(Still)));
        for number in 0..100 {
            let organisation: OrganisationId = format!("bank{}", number % 7).parse().unwrap();
            let wanted = Wanted { organisation: organisation.clone(), request: None, call: None, types: Vec::new() };
            assert!(hub.listen(wanted).await.is_err());
            assert!(hub.lock().listeners.values().map(Vec::len).sum::<usize>() <= 1);
            assert_eq!(hub.listeners_of(&organisation), 0);
        }
    }
}
