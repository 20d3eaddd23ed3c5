//! One reader of the end of the log for all who listen here: whoever listens gets what they want as it comes, and whoever
//! does not keep up is let go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OnceCell, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::api::room::{self, Room};
use crate::model::event::is_of_organisation;
use crate::model::{CallId, EventFilter, OrganisationId, RequestId};
use crate::ports::hooks::{LogReader, LoggedHookEvent};
use crate::ports::{Clock, EventLog, StoreError};

/// Events that wait for one listener; who lets more come together is let go.
const WAITING: usize = 1_024;

/// How long is waited before the log is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Listeners for whom what they have missed is read at a time, half of them of one organisation: each is a reader of its own, of
/// everybody's events, from however long ago.
const CATCHING_UP: usize = 32;

/// An event as listeners are told of it.
#[derive(Debug)]
pub(super) struct Told {
    /// Which log it is of: counted up whenever one is begun anew, from the first that this process read.
    pub log: u32,
    /// Its place in the log.
    pub offset: u64,
    pub organisation: OrganisationId,
    pub kind: Box<str>,
    /// What it is about: a request, or a request and a call; none if it is about the organisation itself.
    pub subject: Option<Box<str>>,
    /// The CloudEvent in JSON.
    body: Vec<u8>,
    /// As it is sent, written by the first to whom it is.
    text: OnceLock<Bytes>,
}

impl Told {
    pub fn of(event: LoggedHookEvent, log: u32) -> Self {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow, default)]
            id: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            subject: std::borrow::Cow<'a, str>,
        }
        let LoggedHookEvent { offset, organisation, kind, body, .. } = event;
        let head = serde_json::from_slice(&body).ok();
        let head = head.filter(|Head { id, .. }| !is_of_organisation(id));
        let subject = head.map(|Head { subject, .. }| subject.into());
        Self { log, offset, organisation, kind, subject, body, text: OnceLock::new() }
    }

    /// As it is sent: JSON has no line ends.
    pub fn text(&self) -> Bytes {
        let written = || {
            let mut text = Vec::with_capacity(self.body.len() + 64);
            text.extend_from_slice(format!("id: {}\nevent: {}\ndata: ", self.offset, self.kind).as_bytes());
            text.extend(self.body.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
            text.extend_from_slice(b"\n\n");
            text.into()
        };
        self.text.get_or_init(written).clone()
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
        let (request, call) = match event.subject.as_deref().map(|subject| (subject, subject.split_once('/'))) {
            Some((_, Some((request, call)))) => (Some(request), Some(call)),
            Some((request, None)) => (Some(request), None),
            None => (None, None),
        };
        event.organisation == self.organisation
            && self.request.as_ref().is_none_or(|wanted| request == Some(wanted.as_str()))
            && self.call.is_none_or(|wanted| call == Some(wanted.to_string().as_str()))
            && EventFilter::let_through(self.types.iter().map(EventFilter::as_str), &event.kind)
    }
}

/// A place in a log, or one further on in a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which log.
    pub log: u32,
    /// Which event of it comes next.
    pub next: u64,
}

/// Where the reader is.
#[derive(Clone, Copy, Default)]
struct Reached {
    /// Which log is read.
    log: u32,
    /// Everything from there on is passed on; none while nobody knows where that is.
    next: Option<u64>,
}

/// The reader, and who listens.
pub(in crate::api) struct Hub {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    place: watch::Sender<Reached>,
    reading: OnceCell<AbortOnDropHandle<()>>,
    catching_up: Room,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    listeners: BTreeMap<OrganisationId, Vec<Listener>>,
    /// How many there are, those who catch up included.
    present: BTreeMap<OrganisationId, usize>,
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

/// Somebody who is counted among those of an organisation for as long as this is held.
pub(super) struct Present {
    hub: Arc<Hub>,
    organisation: OrganisationId,
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        if let Some(there) = state.present.get_mut(&self.organisation) {
            *there -= 1;
            if *there == 0 {
                state.present.remove(&self.organisation);
            }
        }
    }
}

struct Listener {
    wanted: Wanted,
    to: Sender<Arc<Told>>,
}

impl Hub {
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>) -> Self {
        let (place, catching_up) = (watch::Sender::default(), Room::of_places(CATCHING_UP));
        Self { log, clock, place, reading: OnceCell::new(), catching_up, state: Mutex::default() }
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// Waits for a place to read what somebody has missed.
    pub(super) async fn place_to_read(&self, organisation: &OrganisationId) -> room::Place {
        self.catching_up.take_one(organisation).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Where the reader is: everything from there on is passed on. Waits until that is known.
    pub(super) async fn reached(&self) -> Place {
        let mut place = self.place.subscribe();
        // The hub outlives whoever asks it.
        let known = place.wait_for(|place| place.next.is_some()).await;
        known.map_or(Place { log: 0, next: 0 }, |place| Place { log: place.log, next: place.next.unwrap_or(0) })
    }

    /// How many of an organisation there are.
    pub(super) fn listeners_of(&self, organisation: &OrganisationId) -> usize {
        self.lock().present.get(organisation).copied().unwrap_or(0)
    }

    /// Counts somebody among those of an organisation.
    pub(super) fn enter(self: &Arc<Self>, organisation: &OrganisationId) -> Present {
        *self.lock().present.entry(organisation.clone()).or_default() += 1;
        Present { hub: Arc::clone(self), organisation: organisation.clone() }
    }

    /// Has the reader begin, with the first who wants to listen; answers which log it reads.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<u32, StoreError> {
        let begun = self.reading.get_or_try_init(async || {
            let reader = self.log.listen().await?;
            Ok(AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).read(reader))))
        });
        begun.await?;
        Ok(self.place.borrow().log)
    }

    /// Listens from now on, once the reader has begun: what is not passed on yet is, and what was, [`Hub::reached`] is behind.
    pub(super) fn listen(&self, wanted: Wanted) -> Receiver<Arc<Told>> {
        let (to, from) = channel(WAITING);
        let mut state = self.lock();
        state.forget_the_gone();
        state.listeners.entry(wanted.organisation.clone()).or_default().push(Listener { wanted, to });
        from
    }

    /// Passes everything on. Where the log ended when that began may take seconds to be found out, and whoever has missed
    /// nothing need not know.
    async fn read(self: Arc<Self>, mut reader: Box<dyn LogReader>) {
        let passing_on = async {
            let mut last = None;
            loop {
                let event = reader.next().await;
                let is_anew = last.replace(event.offset).is_some_and(|last| event.offset <= last);
                self.pass_on(event, is_anew);
            }
        };
        tokio::join!(passing_on, self.find_end());
    }

    async fn find_end(&self) {
        while self.place.borrow().next.is_none() {
            match self.log.end().await {
                Ok(end) => {
                    self.place.send_if_modified(|place| {
                        let is_news = place.next.is_none();
                        place.next.get_or_insert(end);
                        is_news
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "it is not known where the log of events ends");
                    self.clock.sleep_until(self.clock.now() + AGAIN).await;
                }
            }
        }
    }

    /// `is_anew`: it is the first of another log.
    fn pass_on(&self, event: LoggedHookEvent, is_anew: bool) {
        let offset = event.offset;
        let mut state = self.lock();
        let log = self.place.borrow().log + u32::from(is_anew);
        if let Some(listeners) = state.listeners.get_mut(&event.organisation) {
            let event = Arc::new(Told::of(event, log));
            listeners.retain(|Listener { wanted, to }| {
                if wanted.lets_through(&event) { to.try_send(Arc::clone(&event)).is_ok() } else { !to.is_closed() }
            });
            if listeners.is_empty() {
                state.listeners.remove(&event.organisation);
            }
        }
        self.place.send_modify(|place| {
            // The end that was found out may be further on than what is passed on.
            let next = if is_anew { 0 } else { place.next.unwrap_or(0) };
            *place = Reached { log, next: Some(next.max(offset + 1)) };
        });
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::model::Timestamp;
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

        async fn listen(&self) -> StoreResult<Box<dyn LogReader>> {
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
            assert!(hub.begin().await.is_err());
            let here = (hub.enter(&organisation), hub.listen(wanted));
            assert_eq!(hub.lock().listeners.values().map(Vec::len).sum::<usize>(), 1);
            assert_eq!(hub.listeners_of(&organisation), 1);
            drop(here);
            assert_eq!(hub.listeners_of(&organisation), 0);
        }
    }
}
