//! Reading what a listener has missed, in a task of its own: a reader must not be dropped half-way, and whoever listens is told
//! something on time however long it takes.

use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::AbortOnDropHandle;

use super::hub::{Hub, Told, Wanted};
use crate::ports::StoreError;

/// Events that were read and wait for the listener.
const WAITING: usize = 64;

/// Something that was found out about what was missed.
pub(super) enum Missed {
    /// An event.
    Event(Arc<Told>),
    /// The log of which they speak is gone: in the one there is they have seen nothing.
    Gone,
    /// It cannot be read.
    Unreadable,
}

/// What was missed, for as long as this is held. It ends where the hub passes everything on.
pub(super) struct CatchingUp {
    missed: Receiver<Missed>,
    _reading: AbortOnDropHandle<()>,
}

impl CatchingUp {
    /// Begins to read behind the last event that was seen, in the log of that number.
    pub fn begin(hub: Arc<Hub>, wanted: Wanted, seen: u64, log: u32) -> Self {
        let (to, missed) = channel(WAITING);
        let reading = async move {
            if let Err(error) = read(&hub, &wanted, seen, log, &to).await {
                tracing::warn!(%error, "what somebody has missed cannot be read");
                // They may have gone.
                let _ = to.send(Missed::Unreadable).await;
            }
        };
        Self { missed, _reading: AbortOnDropHandle::new(tokio::spawn(reading)) }
    }

    /// What comes next; none when nothing is missed any more. May be dropped half-way.
    pub async fn next(&mut self) -> Option<Missed> {
        self.missed.recv().await
    }
}

async fn read(hub: &Hub, wanted: &Wanted, seen: u64, mut log: u32, to: &Sender<Missed>) -> Result<(), StoreError> {
    let mut from = seen.saturating_add(1);
    if from == hub.reached().await {
        // Everything from there on is passed on, and they listen already.
        return Ok(());
    }
    let _while_it_is_read = hub.place_to_read(&wanted.organisation).await;
    // Another process may have told them more than this one has heard; or the log that they speak of is gone.
    if from > hub.reached().await && from > hub.log().end().await? {
        from = 0;
        if to.send(Missed::Gone).await.is_err() {
            return Ok(());
        }
    }
    if from >= hub.reached().await {
        return Ok(());
    }
    let mut reader = hub.log().read(from).await?;
    while from < hub.reached().await {
        let event = reader.next().await;
        // The hub sees it, too.
        log += u32::from(event.offset < from);
        from = event.offset + 1;
        if event.organisation != wanted.organisation {
            continue;
        }
        let event = Told::of(event, log);
        if wanted.lets_through(&event) && to.send(Missed::Event(Arc::new(event))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
