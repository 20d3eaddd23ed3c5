//! Reading what a listener has missed, in a task of its own: a reader must not be dropped half-way, and whoever listens is told
//! something on time however long it takes.
//!
//! Those who wait for a place, and those who are far behind, do not listen in the hub: what came meanwhile would fill their queue
//! there, and they would be cut, come back, and be no further. They listen when they have read as far as the hub has passed on,
//! and then read what it passed on until they did.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::hub::{Hub, Place, Told, Wanted};
use crate::ports::StoreError;

/// Events that were read and wait for the listener.
const WAITING: usize = 64;

/// How long a place is held at a time; whoever is not through by then waits for another, behind those who wait already.
const TURN: Duration = Duration::from_secs(60);

/// What the hub passes on.
pub(super) type Listening = Receiver<Arc<Told>>;

/// Something that was found out about what was missed.
pub(super) enum Missed {
    /// An event.
    Event(Arc<Told>),
    /// The log of which they speak is gone: in the one there is they have seen nothing.
    Gone,
    /// It cannot be read.
    Unreadable,
    /// Nothing more is missed: everything else comes this way.
    Nothing(Listening),
}

/// What was missed, for as long as this is held.
pub(super) struct CatchingUp {
    missed: Receiver<Missed>,
    _reading: AbortOnDropHandle<()>,
}

impl CatchingUp {
    /// Begins to read behind the last event that was seen, in the log of that number.
    pub fn begin(hub: Arc<Hub>, wanted: Wanted, seen: u64, log: u32) -> Self {
        let (to, missed) = channel(WAITING);
        let reading = async move {
            let last = match catch_up(&hub, &wanted, Place { log, next: seen.saturating_add(1) }, &to).await {
                Ok(Some(listening)) => Missed::Nothing(listening),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "what somebody has missed cannot be read");
                    Missed::Unreadable
                }
            };
            // They may have gone.
            let _ = to.send(last).await;
        };
        Self { missed, _reading: AbortOnDropHandle::new(tokio::spawn(reading.in_current_span())) }
    }

    /// What comes next; none if that will never be known. May be dropped half-way.
    pub async fn next(&mut self) -> Option<Missed> {
        self.missed.recv().await
    }
}

/// Reads in turns, until everything else is heard from the hub; none when they have gone.
async fn catch_up(
    hub: &Hub,
    wanted: &Wanted,
    mut at: Place,
    to: &Sender<Missed>,
) -> Result<Option<Listening>, StoreError> {
    if at == hub.reached().await {
        let listening = hub.listen(wanted.clone());
        if at == hub.reached().await {
            return Ok(Some(listening));
        }
    }
    loop {
        let place = hub.place_to_read(&wanted.organisation).await;
        let over = hub.clock().sleep_until(hub.clock().now() + TURN);
        tokio::select! {
            biased;
            read = read(hub, wanted, &mut at, to) => return read,
            () = over => {}
        }
        drop(place);
        // Whoever does not take what was read needs no place.
        if to.reserve().await.is_err() {
            return Ok(None);
        }
    }
}

/// Reads as far as the hub is, and then what it has passed on before they listened there. May be dropped anywhere: `at` is
/// where to go on.
async fn read(
    hub: &Hub,
    wanted: &Wanted,
    at: &mut Place,
    to: &Sender<Missed>,
) -> Result<Option<Listening>, StoreError> {
    // Another process may have told them more than this one has heard; or the log that they speak of is gone.
    let reached = hub.reached().await;
    if at.log == reached.log && at.next > reached.next && at.next > hub.log().end().await? {
        if to.send(Missed::Gone).await.is_err() {
            return Ok(None);
        }
        at.next = 0;
    }
    let (mut reader, mut listening) = (None, None);
    loop {
        let reached = hub.reached().await;
        if reached.log > at.log {
            (*at, reader) = (Place { log: reached.log, next: 0 }, None);
        }
        // Of a log that the hub has not heard of it has passed nothing on.
        if *at >= reached {
            match listening.take() {
                Some(listening) => return Ok(Some(listening)),
                None => listening = Some(hub.listen(wanted.clone())),
            }
            continue;
        }
        let reader = match &mut reader {
            Some(reader) => reader,
            None => reader.insert(hub.log().read(at.next).await?),
        };
        let event = reader.next().await;
        // The hub sees it, too.
        let log = at.log + u32::from(event.offset < at.next);
        let next = Place { log, next: event.offset + 1 };
        if event.organisation == wanted.organisation {
            let event = Told::of(event, log);
            if wanted.lets_through(&event) && to.send(Missed::Event(Arc::new(event))).await.is_err() {
                return Ok(None);
            }
        }
        *at = next;
    }
}
