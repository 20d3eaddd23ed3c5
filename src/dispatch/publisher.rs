//! Events on their way out: in order, never awaited by a call, told to the store when the bus has confirmed them.
//!
//! Everything here is stored before it comes here, so whatever is lost with the process is published by a sweeper.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::alarm::Alarm;
use super::insist::insist;
use super::worker::Ports;
use crate::model::Event;
use crate::ports::BusError;
use crate::ports::store::{Confirmation, RequestKey};

/// How many confirmations are told to the store at once.
const BATCH: usize = 256;

/// How long to wait before publishing again what the bus did not confirm.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a confirmation may take at most; buses have shorter bounds of their own. Then it counts as refused.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);

/// Unconfirmed events at which a worker takes on no more calls.
pub const HIGH_WATER: usize = 100_000;

/// Where events are handed in.
#[derive(Clone, Debug)]
pub struct Publisher {
    outbox: UnboundedSender<Event>,
    waiting: Arc<AtomicUsize>,
}

/// The other end, to be driven by [`publish_for_ever`].
#[derive(Debug)]
pub struct Outbox {
    inbox: UnboundedReceiver<Event>,
    waiting: Arc<AtomicUsize>,
}

/// A publisher and what drives it.
pub fn publisher() -> (Publisher, Outbox) {
    let (outbox, inbox) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Publisher { outbox, waiting: Arc::clone(&waiting) }, Outbox { inbox, waiting })
}

impl Publisher {
    /// Publishes an event that the store knows.
    pub fn publish(&self, event: Event) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // After the worker's end nobody reads: a sweeper publishes what is lost here.
        let _ = self.outbox.send(event);
    }

    /// How many events are not yet confirmed.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Publishes until every [`Publisher`] is gone and everything is confirmed.
pub async fn publish_for_ever(ports: Arc<Ports>, mut outbox: Outbox) {
    let mut in_flight: VecDeque<(Event, BoxFuture<'static, Result<(), BusError>>)> = VecDeque::new();
    let mut confirmed: Vec<Confirmation> = Vec::with_capacity(BATCH);
    let mut incoming = Vec::with_capacity(BATCH);
    let (mut alarm, mut waiting_since) = (Alarm::default(), ports.clock.now());
    loop {
        if in_flight.is_empty() {
            tell_the_store(&ports, &mut confirmed).await;
        }
        let arrived = match in_flight.front_mut() {
            None => Arrived::Events(outbox.inbox.recv_many(&mut incoming, BATCH).await),
            Some((_, confirmation)) => tokio::select! {
                biased;
                answer = confirmation => Arrived::Answer(answer),
                count = outbox.inbox.recv_many(&mut incoming, BATCH), if !outbox.inbox.is_closed() || !outbox.inbox.is_empty() => Arrived::Events(count),
                () = alarm.rings(&*ports.clock, waiting_since + CONFIRMED_WITHIN) => Arrived::Nothing,
            },
        };
        let overdue = || Err(BusError("no confirmation came".to_owned()));
        let arrived = match arrived {
            Arrived::Nothing if ports.clock.now() >= waiting_since + CONFIRMED_WITHIN => Arrived::Answer(overdue()),
            arrived => arrived,
        };
        match arrived {
            Arrived::Nothing => {}
            Arrived::Events(0) if in_flight.is_empty() => return,
            Arrived::Events(_) => {
                if in_flight.is_empty() {
                    waiting_since = ports.clock.now();
                }
                for event in incoming.drain(..) {
                    let confirmation = ports.events.publish(event.clone());
                    in_flight.push_back((event, confirmation));
                }
            }
            Arrived::Answer(Ok(())) => {
                waiting_since = ports.clock.now();
                if let Some((event, _)) = in_flight.pop_front() {
                    outbox.waiting.fetch_sub(1, Ordering::Relaxed);
                    note(&mut confirmed, &event);
                }
                if confirmed.len() >= BATCH {
                    tell_the_store(&ports, &mut confirmed).await;
                }
            }
            Arrived::Answer(Err(error)) => {
                tracing::warn!(%error, unconfirmed = in_flight.len(), "publishing again from the first unconfirmed event on");
                ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
                ports.events.recover();
                waiting_since = ports.clock.now();
                for (event, confirmation) in &mut in_flight {
                    *confirmation = ports.events.publish(event.clone());
                }
            }
        }
    }
}

enum Arrived {
    /// Time has passed.
    Nothing,
    Events(usize),
    Answer(Result<(), BusError>),
}

fn note(confirmed: &mut Vec<Confirmation>, event: &Event) {
    // Events of one call come in a row as a rule; the last one speaks for those before it.
    if let Some(last) = confirmed.last_mut().filter(|last| last.call.is_some() && last.call == event.call()) {
        last.seq = last.seq.max(event.seq());
        return;
    }
    let key = RequestKey { organisation: event.organisation().clone(), request: event.request().clone() };
    confirmed.push(Confirmation { key, call: event.call(), seq: event.seq() });
}

async fn tell_the_store(ports: &Ports, confirmed: &mut Vec<Confirmation>) {
    if confirmed.is_empty() {
        return;
    }
    let told = insist(&*ports.clock, || ports.store.confirm(confirmed)).await;
    if let Err(error) = told {
        tracing::debug!(%error, "confirmed events of a request that is kept no more");
    }
    confirmed.clear();
}
