//! Reading the log in a task of its own: a reader must not be dropped half-way, and whoever decides must not wait for it.
//!
//! A log that was begun anew is known by the event before the one that is wanted: it is not there, or another one is. Silence
//! says nothing of a log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::ports::hooks::{EventLog, LogReader, LoggedHookEvent};
use crate::ports::{Clock, StoreError};

/// How soon a log that cannot be read is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long the event before may fail to come until it is asked where the log ends, and how soon that is asked again.
const DOUBTED_AFTER: Duration = Duration::from_secs(3);

/// How often a log must be seen to end too early: a broker may stop in the middle of what it reads out.
const SEEN_SHORT: u32 = 2;

/// What is read. Offsets count on when the log was begun anew.
#[derive(Debug)]
pub enum News {
    /// The log is the one that was read before, as far as can be told; the id of the event before, if it was seen. Only whoever
    /// begins in doubt says so.
    Known(Option<Arc<str>>),
    /// An event.
    Event(LoggedHookEvent),
    /// From here up to there nothing is kept any more.
    Gap(u64, u64),
    /// The log was begun anew: everything that follows is of the new one.
    Anew,
}

/// Where reading begins.
#[derive(Clone, Debug)]
pub struct Start {
    /// As which the first event of the log counts.
    pub base: u64,
    /// The first event that is wanted.
    pub from: u64,
    /// The id of the event before, if it is known.
    pub last: Option<Arc<str>>,
    /// Whether the log may be another one than that whose event this is.
    pub is_doubtful: bool,
}

/// Nobody listens any more.
struct Unheard;

/// How reading begins.
enum Begun {
    /// Behind the event before, which was there.
    Behind,
    /// With an event that is wanted.
    With(LoggedHookEvent),
    /// Not at all: it is another log.
    Anew,
}

struct Reading<T> {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    whose: T,
    to: Sender<(T, News)>,
}

/// Reads on from somewhere, and tells whose reader it is, until nobody listens.
pub async fn read_on<T: Clone + Send + Sync>(
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    start: Start,
    whose: T,
    to: Sender<(T, News)>,
) {
    let Err(Unheard) = Reading { log, clock, whose, to }.read(start).await;
}

impl<T: Clone + Send + Sync> Reading<T> {
    async fn read(&self, start: Start) -> Result<std::convert::Infallible, Unheard> {
        let Start { mut base, mut from, .. } = start;
        // What is read before that is of a log before.
        let mut next = from.saturating_sub(base);
        // The event before is what the log is known by.
        let mut reader = self.opened(next.saturating_sub(1)).await;
        let begun = self.begun(&mut *reader, next, &start).await?;
        let (mut read, mut is_first) = (None, !matches!(begun, Begun::Behind));
        match begun {
            Begun::Behind => {}
            Begun::With(event) => read = Some(event),
            Begun::Anew => {
                (base, from, next) = (base + next, base + next, 0);
                self.tell(News::Anew).await?;
                reader = self.opened(0).await;
            }
        }
        loop {
            let event = match read.take() {
                Some(event) => event,
                None => reader.next().await,
            };
            if event.offset < next {
                base += next;
                self.tell(News::Anew).await?;
            } else if is_first && base + event.offset > from {
                // Holes are usual; only the log's own beginning tells whether something is gone.
                let begins = base + self.beginning().await.unwrap_or(event.offset).min(event.offset);
                if begins > from {
                    self.tell(News::Gap(from, begins)).await?;
                }
            }
            (is_first, next) = (false, event.offset + 1);
            self.tell(News::Event(LoggedHookEvent { offset: base + event.offset, ..event })).await?;
        }
    }

    /// What a reader that begins with the event before `next` gives first, and what that says of the log.
    async fn begun(&self, reader: &mut dyn LogReader, next: u64, start: &Start) -> Result<Begun, Unheard> {
        if next == 0 {
            if start.is_doubtful {
                self.tell(News::Known(None)).await?;
            }
            return Ok(Begun::With(reader.next().await));
        }
        if !start.is_doubtful {
            let event = reader.next().await;
            return Ok(if event.offset + 1 == next { Begun::Behind } else { Begun::With(event) });
        }
        let event = tokio::select! {
            biased;
            event = reader.next() => event,
            seen = self.seen_short(next) => return seen.map(|()| Begun::Anew),
        };
        if event.offset + 1 == next {
            if start.last.is_some() && start.last != event.id {
                return Ok(Begun::Anew);
            }
            self.tell(News::Known(event.id)).await?;
            return Ok(Begun::Behind);
        }
        // What was read once is in its place for as long as anything before it is.
        if start.last.is_some() && event.offset >= next && self.beginning().await.is_some_and(|first| first < next) {
            return Ok(Begun::Anew);
        }
        self.tell(News::Known(None)).await?;
        Ok(Begun::With(event))
    }

    /// Waits until the log was seen to end before `next`. One that seems to have nothing in it is asked again: a broker that
    /// says nothing looks the same, and of an empty one nothing is missed.
    async fn seen_short(&self, next: u64) -> Result<(), Unheard> {
        let mut seen = 0;
        while seen < SEEN_SHORT {
            self.clock.sleep_until(self.clock.now() + DOUBTED_AFTER).await;
            match self.log.end().await {
                Ok(0) => seen = 0,
                Ok(end) if end < next => seen += 1,
                // Perhaps only the event before is not kept any more.
                Ok(_) => {
                    seen = 0;
                    self.tell(News::Known(None)).await?;
                }
                Err(error) => tracing::warn!(%error, "it is not known yet whether the event log is the one before"),
            }
        }
        Ok(())
    }

    async fn tell(&self, news: News) -> Result<(), Unheard> {
        self.to.send((self.whose.clone(), news)).await.map_err(|_| Unheard)
    }

    async fn opened(&self, from: u64) -> Box<dyn LogReader> {
        loop {
            match self.log.read(from).await {
                Ok(reader) => return reader,
                Err(error) => self.wait(&error).await,
            }
        }
    }

    async fn beginning(&self) -> Option<u64> {
        loop {
            match self.log.first().await {
                Ok(first) => return first,
                Err(error) => self.wait(&error).await,
            }
        }
    }

    async fn wait(&self, error: &StoreError) {
        tracing::warn!(%error, "the event log cannot be read for webhooks, and is tried again");
        self.clock.sleep_until(self.clock.now() + AGAIN).await;
    }
}
