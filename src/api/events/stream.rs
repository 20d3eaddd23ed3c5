//! What one listener is told: first what they have missed, from the log, then what comes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::catching_up::{CatchingUp, Listening, Missed};
use super::hub::{Present, Told};
use crate::api::{Api, STORE_WITHIN};
use crate::model::{ApiKey, Timestamp};
use crate::telemetry::deployment;

/// How often somebody who is told nothing is told that, since a proxy may cut what is silent; and how often it is looked
/// whether a key is still good.
const BEAT: Duration = Duration::from_secs(15);

/// Events that are sent in one piece, if so many have come.
const TOGETHER: usize = 64;

/// What is said before the first event of another log.
const ANEW: &[u8] = b": the log was begun anew\n\n";

/// Where what is told comes from.
pub(super) enum Source {
    /// What they may have missed, until they have been told.
    Missed(CatchingUp),
    /// What comes.
    Now(Listening),
}

/// One listener.
pub(super) struct Stream {
    pub key: ApiKey,
    /// Which log the last event they have seen is of.
    pub log: u32,
    /// The last event they have seen, if they say.
    pub seen: Option<u64>,
    pub source: Source,
    /// Their place among those who listen, and among those of their organisation.
    pub place: (OwnedSemaphorePermit, Present),
    /// They are counted.
    pub _counted: deployment::Listening,
    pub api: Arc<Api>,
    /// When their key was last looked at.
    pub looked_at: Timestamp,
    /// When they were last told something.
    pub told_at: Timestamp,
}

impl Stream {
    /// The pieces of the answer; it ends when the listener does not keep up, their key is not good any more, or this
    /// process ends.
    pub fn run(self) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold((self, true), |(mut stream, first)| async move {
            // Something at once: clients and proxies wait for the beginning.
            let piece = if first { Some(": robocall\n\n".into()) } else { stream.next_before_the_end().await };
            stream.told_at = stream.api.ports.clock.now();
            piece.map(|piece| (Ok(piece), (stream, false)))
        })
    }

    async fn next_before_the_end(&mut self) -> Option<Bytes> {
        let ending = self.api.ending.clone();
        tokio::select! {
            biased;
            () = ending.cancelled() => None,
            piece = self.next() => piece,
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        let clock = Arc::clone(&self.api.ports.clock);
        loop {
            // However much there is to tell.
            if clock.now().since(self.looked_at) >= BEAT {
                if !self.is_let_in().await {
                    return None;
                }
                self.looked_at = clock.now();
            }
            let beat = clock.sleep_until(self.told_at + BEAT);
            let mut piece = Vec::new();
            match &mut self.source {
                Source::Missed(missed) => {
                    let missed = tokio::select! {
                        biased;
                        missed = missed.next() => missed,
                        () = beat => return Some(": nothing new\n\n".into()),
                    };
                    match missed {
                        Some(Missed::Event(event)) => self.tell(&event, &mut piece),
                        Some(Missed::Gone) => self.seen = None,
                        Some(Missed::Nothing(listening)) => self.source = Source::Now(listening),
                        Some(Missed::Unreadable) | None => return None,
                    }
                }
                Source::Now(listening) => {
                    let mut events = Vec::new();
                    let received = tokio::select! {
                        biased;
                        received = listening.recv_many(&mut events, TOGETHER) => received,
                        () = beat => return Some(": nothing new\n\n".into()),
                    };
                    if received == 0 {
                        return None;
                    }
                    for event in &events {
                        self.tell(event, &mut piece);
                    }
                }
            }
            match (piece.pop(), &*piece) {
                (None, _) => {}
                (Some(only), []) => return Some(only),
                (Some(last), before) => return Some([before, &[last]].concat().concat().into()),
            }
        }
    }

    /// Adds an event as it is sent, if it is new: what was read from the log may come again from the hub.
    fn tell(&mut self, event: &Told, to: &mut Vec<Bytes>) {
        if event.log > self.log {
            (self.log, self.seen) = (event.log, None);
            to.push(Bytes::from_static(ANEW));
        }
        if event.log == self.log && self.seen.is_none_or(|seen| event.offset > seen) {
            self.seen = Some(event.offset);
            to.push(event.text());
        }
    }

    /// Whether the key is good still. Without an answer it is.
    async fn is_let_in(&self) -> bool {
        let hash = self.key.hash();
        let found = self.api.within(STORE_WITHIN, self.api.ports.keys.find(self.key.id(), &hash)).await;
        let _holds_its_place = &self.place;
        !matches!(found, Some(Ok(None)))
    }
}
