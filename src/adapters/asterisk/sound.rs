//! What a leg hears.
//!
//! The end of what is played to a bridge is not told to an app that has not subscribed to bridges, and one that has is not
//! told the end of channels any more that were in one (Asterisk 22.10). So it is asked after.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Inner;
use super::ari::http::{Answer, Ask};
use super::dialling::{Outcome, unavailable};
use super::leg::playback_id;
use crate::model::{LegId, Timestamp};
use crate::ports::{Audio, TelephonyError};

/// How often what is played to a bridge is asked after.
const ASKED_AFTER: Duration = Duration::from_millis(200);

impl Inner {
    /// Plays audio, once under each number: Asterisk would play it as often as it is asked.
    pub(super) async fn play(
        self: &Arc<Self>,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        not_after: Timestamp,
    ) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        let id = playback_id(leg, playback);
        let is_shared = self.is_joined(leg, node).await?;
        // Noted before it is asked for, since its end can overtake the answer.
        let noted = self.table().get(leg).is_some_and(|known| !known.playing.insert(playback));
        let plays = noted && self.is_playing(node, &id).await?;
        let sent = match plays {
            true => Ok(Answer::Done(Vec::new())),
            false => self.send_playback(leg, node, &id, audio, is_shared, not_after).await,
        };
        // Unanswered, it is looked for when it is asked for again.
        if is_shared && matches!(sent, Ok(Answer::Done(_))) {
            self.spawn(Arc::clone(self).watch(leg, node, playback, audio.length));
        }
        let refused = match sent {
            Ok(Answer::Done(_)) if plays => return Err(TelephonyError::Conflict),
            Ok(Answer::Done(_)) => return Ok(()),
            // It may be playing.
            Err(error @ TelephonyError::Unavailable(_)) => return Err(error),
            Err(error) => error,
            Ok(Answer::Missing) => TelephonyError::NoSuchLeg,
            Ok(Answer::Refused(status, reason)) => unavailable(&format!("{status}: {reason}")),
        };
        if let Some(known) = self.table().get(leg) {
            known.playing.remove(&playback);
        }
        Err(refused)
    }

    /// To the leg, or to everybody in its bridge.
    async fn send_playback(
        &self,
        leg: LegId,
        node: usize,
        id: &str,
        audio: &Audio,
        is_shared: bool,
        not_after: Timestamp,
    ) -> Result<Answer, TelephonyError> {
        let (http, body) = (&self.nodes[node].http, json!({"media": &*audio.reference}));
        if is_shared {
            let answer = http.ask(Ask::post(format!("bridges/{leg}/play/{id}"), body.clone(), not_after)).await?;
            if answer != Answer::Missing {
                return Ok(answer);
            }
            // The bridge was taken down in between.
        }
        http.ask(Ask::post(format!("channels/{leg}/play/{id}"), body, not_after)).await
    }

    /// Tells the end of what is played to a bridge.
    async fn watch(self: Arc<Self>, leg: LegId, node: usize, playback: u32, length: Duration) {
        let (clock, id) = (Arc::clone(&self.settings.clock), playback_id(leg, playback));
        let (began_at, mut was_there) = (clock.now(), false);
        loop {
            clock.sleep_until(clock.now() + ASKED_AFTER).await;
            if !self.table().get(leg).is_some_and(|known| known.playing.contains(&playback)) {
                return;
            }
            match self.is_playing(node, &id).await {
                Ok(true) => was_there = true,
                Ok(false) => {
                    // Gone at once: it could not be played.
                    let played = was_there || clock.now() >= began_at + length;
                    let errands = self.table().has_played(leg, playback, played, clock.now());
                    return self.run(errands);
                }
                Err(error) => tracing::debug!(id, %error, "whether it is over cannot be learnt yet"),
            }
        }
    }

    async fn is_playing(&self, node: usize, id: &str) -> Result<bool, TelephonyError> {
        match self.nodes[node].http.ask(Ask::get(format!("playbacks/{id}"))).await? {
            Answer::Done(_) => Ok(true),
            Answer::Missing => Ok(false),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    /// Stops a playback; one that is over stays so.
    pub(super) async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        let path = format!("playbacks/{}", playback_id(leg, playback));
        match self.nodes[node].http.ask(Ask::delete(path, not_after)).await? {
            Answer::Done(_) | Answer::Missing => Ok(()),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    /// Lets a leg hear, or hear no more, that somebody's phone rings.
    pub(super) async fn ring(&self, leg: LegId, on: bool, not_after: Timestamp) -> Outcome {
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        let path = format!("channels/{leg}/ring");
        let ask = if on { Ask::post(path, json!({}), not_after) } else { Ask::delete(path, not_after) };
        if let Some(known) = self.table().get(leg) {
            known.hears_ringing = on;
        }
        match self.nodes[node].http.ask(ask).await? {
            Answer::Done(_) => Ok(()),
            Answer::Missing => Err(TelephonyError::NoSuchLeg),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }
}
