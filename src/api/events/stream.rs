//! What one listener is told: first what they have missed, from the log, then what comes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;

use super::hub::{Told, Wanted};
use crate::api::{Api, STORE_WITHIN};
use crate::model::{ApiKey, Timestamp};
use crate::ports::hooks::LogReader;

/// How often somebody who is told nothing is told that, since a proxy may cut what is silent; and how often it is looked
/// whether a key is still good.
const BEAT: Duration = Duration::from_secs(15);

/// One listener.
pub(super) struct Stream {
    pub key: ApiKey,
    pub wanted: Wanted,
    /// The last event they have seen, if they say.
    pub seen: Option<u64>,
    pub listening: Receiver<Arc<Told>>,
    /// Their place among those who listen.
    pub place: OwnedSemaphorePermit,
    pub api: Arc<Api>,
    /// When their key was last looked at.
    pub looked_at: Timestamp,
}

/// How far a listener is.
enum Stage {
    /// They may have missed something.
    Asked,
    /// It is read from the log.
    CatchingUp(Box<dyn LogReader>),
    /// They hear what comes.
    Hearing,
}

impl Stream {
    /// The pieces of the answer; it ends when the listener does not keep up, their key is not good any more, or this
    /// process ends.
    pub fn run(self) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
        let stage = if self.seen.is_some() { Stage::Asked } else { Stage::Hearing };
        stream::unfold((self, stage, true), |(mut stream, mut stage, first)| async move {
            // Something at once: clients and proxies wait for the beginning.
            let piece =
                if first { Some(": robocall\n\n".into()) } else { stream.next_before_the_end(&mut stage).await };
            piece.map(|piece| (Ok(piece), (stream, stage, false)))
        })
    }

    async fn next_before_the_end(&mut self, stage: &mut Stage) -> Option<Bytes> {
        let ending = self.api.ending.clone();
        tokio::select! {
            biased;
            () = ending.cancelled() => None,
            piece = self.next(stage) => piece,
        }
    }

    async fn next(&mut self, stage: &mut Stage) -> Option<Bytes> {
        let clock = Arc::clone(&self.api.ports.clock);
        loop {
            // However much there is to tell.
            if clock.now().since(self.looked_at) >= BEAT {
                if !self.is_let_in().await {
                    return None;
                }
                self.looked_at = clock.now();
            }
            if !matches!(stage, Stage::Hearing) {
                // There is something to read, or there is soon; half-way nothing may be dropped.
                let event = self.missed(stage).await?;
                if let Some(piece) = event.and_then(|event| self.told(&event)) {
                    return Some(piece);
                }
                continue;
            }
            let beat = clock.sleep_until(clock.now() + BEAT);
            let event = tokio::select! {
                biased;
                event = self.listening.recv() => event?,
                () = beat => return Some(": nothing new\n\n".into()),
            };
            if let Some(piece) = self.told(&event) {
                return Some(piece);
            }
        }
    }

    /// An event as it is sent, if it is wanted and new: what was read from the log may come again from the hub.
    fn told(&mut self, event: &Told) -> Option<Bytes> {
        let is_new = self.seen.is_none_or(|seen| event.offset > seen);
        if is_new {
            self.seen = Some(event.offset);
        }
        (is_new && self.wanted.lets_through(event)).then(|| written(event))
    }

    /// One of the events that they have missed; an empty answer if there is none any more, and none at all if it cannot be
    /// read.
    async fn missed(&mut self, stage: &mut Stage) -> Option<Option<Told>> {
        let mut from = self.seen.map_or(0, |seen| seen.saturating_add(1));
        if matches!(stage, Stage::Asked) && from > self.api.hub.next() {
            // Another process may have told them more than this one has heard; or the log that they speak of is gone, and
            // in the one there is they have seen nothing.
            match self.api.hub.log().end().await {
                Ok(end) if from > end => (self.seen, from) = (None, 0),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "what somebody has missed cannot be read");
                    return None;
                }
            }
        }
        if from >= self.api.hub.next() {
            // Everything from there on is passed on, and they listen already.
            *stage = Stage::Hearing;
            return Some(None);
        }
        match stage {
            Stage::CatchingUp(reader) => return Some(Some(Told::of(reader.next().await))),
            Stage::Asked | Stage::Hearing => {}
        }
        match self.api.hub.log().read(from).await {
            Ok(reader) => {
                *stage = Stage::CatchingUp(reader);
                Some(None)
            }
            Err(error) => {
                tracing::warn!(%error, "what somebody has missed cannot be read");
                None
            }
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

/// An event as it is sent: JSON has no line ends.
fn written(event: &Told) -> Bytes {
    let mut text = Vec::with_capacity(event.body.len() + 64);
    text.extend_from_slice(format!("id: {}\nevent: {}\ndata: ", event.offset, event.kind).as_bytes());
    text.extend(event.body.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    text.extend_from_slice(b"\n\n");
    text.into()
}
