//! The network behind the telephony port. It answers at once.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use super::leg::Playback;
use super::{MISSING_AUDIO, SimulatedNetwork};
use crate::callflow::program::Target;
use crate::model::{LegId, Timestamp, WorkerId};
use crate::ports::telephony::{LegReport, LegState, NewLeg};
use crate::ports::{Audio, Telephony, TelephonyError};

#[async_trait]
impl Telephony for SimulatedNetwork {
    async fn listen(&self, app: &WorkerId) -> Result<UnboundedReceiver<LegReport>, TelephonyError> {
        Ok(self.ask(|exchange, _| exchange.listen(app)))
    }

    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.act(not_after, |exchange, now| exchange.create(app, new, now))
    }

    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Result<(), TelephonyError> {
        let invite = self.act(not_after, |exchange, now| exchange.dial(leg, ring_timeout, now))?;
        self.tell(&invite);
        Ok(())
    }

    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.act(not_after, |exchange, now| exchange.hang_up(leg, now))
    }

    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        expects_key: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        let playback = Playback {
            number: playback,
            millis: u32::try_from(audio.length.as_millis()).unwrap_or(u32::MAX),
            expects_key,
            missing: &*audio.reference == MISSING_AUDIO,
        };
        self.act(not_after, |exchange, now| exchange.play(leg, playback, now))
    }

    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.act(not_after, |exchange, now| exchange.stop_playback(leg, playback, now))
    }

    async fn detect_machine(
        &self,
        leg: LegId,
        wait_for_beep: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.act(not_after, |exchange, now| exchange.detect_machine(leg, wait_for_beep, now))
    }

    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.act(not_after, |exchange, now| exchange.bridge(leg, other, now))
    }

    async fn listen_in(
        &self,
        leg: LegId,
        other: LegId,
        whispers_to: Option<LegId>,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.act(not_after, |exchange, now| exchange.listen_in(leg, other, whispers_to, now))
    }

    async fn blind_transfer(
        &self,
        leg: LegId,
        other: LegId,
        target: &Target,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        let invite = self.act(not_after, |exchange, now| exchange.blind_transfer(leg, other, target, now))?;
        self.tell(&invite);
        Ok(())
    }

    async fn record(
        &self,
        leg: LegId,
        _name: &str,
        _on: bool,
        not_after: Timestamp,
    ) -> Result<Option<Box<str>>, TelephonyError> {
        self.act(not_after, |exchange, now| exchange.record(leg, now)).map(|()| None)
    }

    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        Ok(self.ask(|exchange, _| exchange.inspect(leg)))
    }

    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        Ok(self.ask(|exchange, _| exchange.legs_of(Some(app))))
    }
}
