//! Reading the log in a task of its own: a reader must not be dropped half-way, and whoever decides must not wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::ports::hooks::{EventLog, LogReader, LoggedHookEvent};
use crate::ports::{Clock, StoreError};

/// How soon a log that cannot be read is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What is read. Offsets count on when the log was begun anew.
#[derive(Debug)]
pub enum News {
    /// An event.
    Event(LoggedHookEvent),
    /// From here up to there nothing is kept any more.
    Gap(u64, u64),
    /// The log was begun anew: everything that follows is of the new one.
    Anew,
}

/// Reads on from an offset, and tells whose reader it is, until nobody listens. `base`: as which the first event of the log
/// counts.
pub async fn read_on<T: Clone + Send>(
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    mut base: u64,
    from: u64,
    whose: T,
    to: Sender<(T, News)>,
) {
    // What is read before that is of a log before.
    let mut next = from.saturating_sub(base);
    // The event before is what the log is known by if it is lost before anything else was read of it.
    let mut reader = opened(&*log, &*clock, next.saturating_sub(1)).await;
    let mut is_first = true;
    loop {
        let event = reader.next().await;
        if is_first && event.offset + 1 == next {
            is_first = false;
            continue;
        }
        if event.offset < next {
            base += next;
            if to.send((whose.clone(), News::Anew)).await.is_err() {
                return;
            }
        } else if is_first && base + event.offset > from {
            // Holes are usual; only the log's own beginning tells whether something is gone.
            let begins = base + beginning(&*log, &*clock).await.unwrap_or(event.offset).min(event.offset);
            if begins > from && to.send((whose.clone(), News::Gap(from, begins))).await.is_err() {
                return;
            }
        }
        (is_first, next) = (false, event.offset + 1);
        let event = LoggedHookEvent { offset: base + event.offset, ..event };
        if to.send((whose.clone(), News::Event(event))).await.is_err() {
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
