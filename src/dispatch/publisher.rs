//! Events on their way out: in order, never awaited by a call. What the bus has confirmed is told to the store in batches,
//! at the latest a second later.
//!
//! Everything here is stored before it comes here, so whatever is lost with the process is published by a sweeper.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::field;

use super::alarm::Alarm;
use super::insist::insist;
use super::ports::Ports;
use crate::model::{CallId, Event, EventType, Timestamp};
use crate::ports::store::{Confirmation, Subject};
use crate::ports::{BusError, Clock};
use crate::telemetry::dispatch as telemetry;
use crate::telemetry::servers::Stopwatch;

/// How many confirmations are told to the store at once, unless more have come while it was told of others.
const BATCH: usize = 256;

/// Confirmations the store was not told of at which no more are taken: it does not answer.
const MOST: usize = 16_384;

/// How long what is confirmed may wait for more before the store is told: if the worker dies meanwhile, others publish it
/// again.
const AT_MOST: Duration = Duration::from_secs(1);

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
    handed_in: Arc<AtomicUsize>,
}

/// The other end, to be driven by [`publish_for_ever`].
#[derive(Debug)]
pub struct Outbox {
    inbox: UnboundedReceiver<Event>,
    waiting: Arc<AtomicUsize>,
}

/// An event on its way.
struct InFlight {
    event: Event,
    sent_at: Stopwatch,
    confirmation: BoxFuture<'static, Result<(), BusError>>,
}

impl InFlight {
    fn send(ports: &Ports, event: Event) -> Self {
        let confirmation = ports.events.publish(event.clone());
        Self { event, sent_at: Stopwatch::start(), confirmation }
    }
}

/// A publisher and what drives it.
pub fn publisher() -> (Publisher, Outbox) {
    let (outbox, inbox) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Publisher { outbox, waiting: Arc::clone(&waiting), handed_in: Arc::default() }, Outbox { inbox, waiting })
}

impl Publisher {
    /// Publishes an event that the store knows.
    pub fn publish(&self, event: Event) {
        telemetry::outbox(self.waiting.fetch_add(1, Ordering::Relaxed) + 1);
        self.handed_in.fetch_add(1, Ordering::Relaxed);
        // After the worker's end nobody reads: a sweeper publishes what is lost here.
        let _ = self.outbox.send(event);
    }

    /// How many events are not yet confirmed.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many events there were so far.
    pub fn handed_in(&self) -> usize {
        self.handed_in.load(Ordering::Relaxed)
    }

    /// Whether the first `count` events are confirmed: they are in the order in which they were handed in.
    pub fn has_confirmed(&self, count: usize) -> bool {
        self.waiting() <= self.handed_in().saturating_sub(count)
    }
}

/// Publishes until every [`Publisher`] is gone and everything is confirmed.
pub async fn publish_for_ever(ports: Arc<Ports>, mut outbox: Outbox) {
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    let mut confirmed = Confirmed::default();
    let mut incoming = Vec::with_capacity(BATCH);
    let (mut open, mut overdue, mut waiting_since) = (true, Alarm::default(), ports.clock.now());
    // One at a time, so that what is told of a call is told in order; events go on going out meanwhile.
    let mut telling: Option<BoxFuture<'static, ()>> = None;
    loop {
        let over = !open && in_flight.is_empty();
        if telling.is_none() {
            if confirmed.batch.len() >= BATCH || (over && !confirmed.batch.is_empty()) {
                telling = Some(confirmed.tell(&ports));
            } else if over {
                return;
            }
        }
        let may_tell = telling.is_none();
        let told = async {
            match &mut telling {
                Some(telling) => telling.await,
                None => std::future::pending().await,
            }
        };
        let answer = async {
            let Some(InFlight { confirmation, .. }) = in_flight.front_mut() else {
                return std::future::pending().await;
            };
            tokio::select! {
                biased;
                answer = confirmation => answer,
                () = overdue.rings_not_before(&*ports.clock, waiting_since + CONFIRMED_WITHIN) => {
                    Err(BusError("no confirmation came".to_owned()))
                }
            }
        };
        let arrived = tokio::select! {
            biased;
            () = told => Arrived::Told,
            answer = answer, if confirmed.batch.len() < MOST => Arrived::Answer(answer),
            count = outbox.inbox.recv_many(&mut incoming, BATCH), if open => Arrived::Events(count),
            () = confirmed.due(&*ports.clock), if may_tell => Arrived::Due,
        };
        match arrived {
            Arrived::Events(count) => {
                open = count > 0;
                if in_flight.is_empty() {
                    waiting_since = ports.clock.now();
                }
                in_flight.extend(incoming.drain(..).map(|event| InFlight::send(&ports, event)));
            }
            Arrived::Answer(Ok(())) => {
                waiting_since = ports.clock.now();
                if let Some(InFlight { event, sent_at, .. }) = in_flight.pop_front() {
                    telemetry::outbox(outbox.waiting.fetch_sub(1, Ordering::Relaxed) - 1);
                    telemetry::confirmed(sent_at.elapsed());
                    confirmed.note(&event, &*ports.clock);
                }
            }
            Arrived::Answer(Err(error)) => {
                if let Some(InFlight { event, .. }) = in_flight.front() {
                    telemetry::refused(event, &error, in_flight.len());
                }
                ports.clock.sleep_until(ports.clock.now() + AGAIN).await;
                ports.events.recover();
                waiting_since = ports.clock.now();
                for sent in &mut in_flight {
                    *sent = InFlight::send(&ports, sent.event.clone());
                }
            }
            Arrived::Told => telling = None,
            Arrived::Due => telling = Some(confirmed.tell(&ports)),
        }
    }
}

enum Arrived {
    Events(usize),
    Answer(Result<(), BusError>),
    Due,
    Told,
}

/// What the bus has confirmed and the store does not know yet.
#[derive(Default)]
struct Confirmed {
    batch: Vec<Confirmation>,
    /// Where in the batch a call is: its latest event speaks for those before it.
    calls: BTreeMap<CallId, usize>,
    /// When the store is to be told, if there is anything to tell.
    due_at: Option<Timestamp>,
    alarm: Alarm,
}

impl Confirmed {
    fn note(&mut self, event: &Event, clock: &dyn Clock) {
        // What no worker had of its own to publish, every worker looks for, and publishes until it is known to be confirmed.
        let is_everybodys = event.call().is_none() && event.kind() == EventType::CommandExecuted;
        let due_at = if is_everybodys { clock.now() } else { clock.now() + AT_MOST };
        self.due_at = Some(self.due_at.map_or(due_at, |due| due.min(due_at)));
        if let Some(call) = event.call() {
            let place = *self.calls.entry(call).or_insert(self.batch.len());
            if let Some(known) = self.batch.get_mut(place) {
                known.seq = known.seq.max(event.seq());
                return;
            }
        }
        let (organisation, seq) = (event.organisation().clone(), event.seq());
        let subject = match event {
            Event::Call { context, .. } => Subject::Call(context.call),
            Event::Request(event) => Subject::Request(event.request.clone()),
            Event::Organisation(_) => Subject::Organisation,
        };
        self.batch.push(Confirmation { organisation, subject, seq });
    }

    /// Completes when the store is to be told.
    async fn due(&mut self, clock: &dyn Clock) {
        match self.due_at {
            Some(at) => self.alarm.rings(clock, at).await,
            None => std::future::pending().await,
        }
    }

    /// Tells the store, which is to be awaited; what is noted meanwhile is for the next time.
    fn tell(&mut self, ports: &Arc<Ports>) -> BoxFuture<'static, ()> {
        self.due_at = None;
        self.calls.clear();
        let (ports, batch) = (Arc::clone(ports), std::mem::take(&mut self.batch));
        Box::pin(async move {
            if let Err(error) = insist(&*ports.clock, || ports.store.confirm(&batch)).await {
                // Which of them the store means it does not say.
                let first = batch.first();
                tracing::debug!(
                    organisation = first.map(|first| field::display(&first.organisation)),
                    subject = first.map(|first| field::debug(&first.subject)),
                    told = batch.len(),
                    %error,
                    "confirmed events of something that is kept no more: this one, or one told with it",
                );
            }
        })
    }
}
