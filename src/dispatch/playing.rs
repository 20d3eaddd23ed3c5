//! What a callee hears, and when they have surely heard it.

use std::time::Duration;

use super::ledger::Fenced;
use super::live_call::{Heard, LiveCall};
use crate::callflow::call::CallInput;
use crate::callflow::program::MessageIndex;
use crate::model::Timestamp;
use crate::ports::TelephonyError;

/// How often a backend that does not answer is asked to play something.
const TRIES: u32 = 10;

/// How much longer than its audio a playback may take, until the backend has fetched it and its end was told.
const MARGIN: Duration = Duration::from_secs(10);

/// A playback that was asked for and whose end was not told yet.
#[derive(Clone, Copy)]
pub(super) struct Playing {
    playback: u32,
    /// When it is surely over: the report of its end was lost.
    pub over_at: Timestamp,
}

impl LiveCall<'_> {
    /// Plays a message, asking again where that is needed and harmless.
    pub(super) async fn play(
        &mut self,
        playback: u32,
        message: MessageIndex,
        expects_key: bool,
    ) -> Result<Heard, Fenced> {
        let Some(utterance) = self.utterances.get(message) else { return Ok(Heard::No) };
        let audio = match self.shared.ports.speech.prepare(utterance).await {
            Ok(audio) => audio,
            // Not what the engine says of it, which may quote it.
            Err(_) => {
                tracing::warn!(leg = %self.leg, "a message cannot be spoken");
                return Ok(Heard::No);
            }
        };
        let mut unanswered = 0;
        // Before it is played: the backend's answer may take a while.
        self.look_ahead();
        loop {
            let until = self.authority().await?;
            let over_at = self.shared.ports.clock.now() + audio.length + MARGIN;
            match self.shared.ports.telephony.play(self.leg, playback, &audio, expects_key, until).await {
                // Nothing was sent: the worker stood still for a moment, which is no reason to cut somebody off.
                Err(TelephonyError::TooLate) => {}
                // It may be playing: its name tells, if asked again.
                Err(TelephonyError::Unavailable(_)) if unanswered < TRIES => {
                    unanswered += 1;
                    self.pause().await;
                    // A short one may have been played meanwhile.
                    let is_over = |input: &CallInput| matches!(input, CallInput::PlaybackFinished { playback: number, .. } if *number == playback);
                    if self.read_mail(is_over)? {
                        return Ok(Heard::Yes);
                    }
                }
                Err(TelephonyError::Conflict) if unanswered > 0 => {
                    self.playing = Some(Playing { playback, over_at });
                    return Ok(Heard::Yes);
                }
                sent => {
                    self.playing = sent.is_ok().then_some(Playing { playback, over_at });
                    return Ok(self.heard(sent));
                }
            }
        }
    }

    /// Forgets a playback whose end was told.
    pub(super) fn note_played(&mut self, input: &CallInput) {
        if let CallInput::PlaybackFinished { playback, .. } = input
            && self.playing.is_some_and(|playing| playing.playback == *playback)
        {
            self.playing = None;
        }
    }

    /// Counts a playback as heard whose audio is over for a while, although nobody told of its end.
    pub(super) fn miss_no_end(&mut self, now: Timestamp) {
        let Some(Playing { playback, over_at }) = self.playing else { return };
        if over_at <= now {
            tracing::warn!(leg = %self.leg, playback, "the end of a playback was not reported");
            self.tell(CallInput::PlaybackFinished { playback, played: true });
        }
    }
}
