//! Reading the log in a task of its own: a reader must not be dropped half-way, and whoever decides must not wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::ports::hooks::{EventLog, LogReader, LoggedHookEvent};
use crate::ports::{Clock, StoreError};

/// How soon a log that cannot be read is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is read.
#[derive(Debug)]
pub enum News {
    /// An event.
    Event(LoggedHookEvent),
    /// From here up to there nothing is kept any more.
    Gap(u64, u64),
}

/// Reads on from an offset, and tells whose reader it is, until nobody listens or the log is another one.
pub async fn read_on<T: Clone + Send>(
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    from: u64,
    whose: T,
    to: Sender<(T, News)>,
) {
    let mut reader = opened(&*log, &*clock, from).await;
    let first = reader.next().await;
    if first.offset > from {
        // Holes are usual; only the log's own beginning tells whether something is gone.
        let begins = beginning(&*log, &*clock).await.unwrap_or(first.offset);
        if begins > from && to.send((whose.clone(), News::Gap(from, begins.min(first.offset)))).await.is_err() {
            return;
        }
    }
    let mut event = first;
    loop {
        let offset = event.offset;
        if to.send((whose.clone(), News::Event(event))).await.is_err() {
            return;
        }
        event = reader.next().await;
        if event.offset <= offset {
            // Whoever takes the lead next looks where the log is; offsets of the one before mean nothing in it.
            tracing::error!(
                offset,
                now = event.offset,
                "the event log was begun anew: delivering to webhooks begins again"
            );
            return;
        }
    }
}

async fn opened(log: &dyn EventLog, clock: &dyn Clock, from: u64) -> Box<dyn LogReader> {
    loop {
        match log.read(from).await {
            Ok(reader) => return reader,
            Err(error) => wait(clock, &error).await,
        }
    }
}

async fn beginning(log: &dyn EventLog, clock: &dyn Clock) -> Option<u64> {
    loop {
        match log.first().await {
            Ok(first) => return first,
            Err(error) => wait(clock, &error).await,
        }
    }
}

async fn wait(clock: &dyn Clock, error: &StoreError) {
    tracing::warn!(%error, "the event log cannot be read for webhooks, and is tried again");
    clock.sleep_until(clock.now() + AGAIN).await;
}
