//! The telephony port to a network in another process.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use super::RemoteNetwork;
use super::line::{Ask, Got, Meaning};
use crate::adapters::simulator::MISSING_AUDIO;
use crate::adapters::simulator::wire::Question;
use crate::callflow::program::Target;
use crate::model::{LegId, Timestamp, WorkerId};
use crate::ports::telephony::{LegReport, LegState, NewLeg};
use crate::ports::{Audio, Telephony, TelephonyError};

type Outcome = Result<(), TelephonyError>;

impl RemoteNetwork {
    async fn command(&self, what: Question, not_after: Timestamp) -> Outcome {
        self.ask(|_| Ask { what, not_after: Some(not_after), meaning: Meaning::Nothing }).await.map(drop)
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// An answer of another kind than was asked for.
fn wrong(got: &Got) -> TelephonyError {
    TelephonyError::Unavailable(format!("an answer to another question: {got:?}"))
}

#[async_trait]
impl Telephony for RemoteNetwork {
    fn is_heard(&self) -> bool {
        self.shared.connected.load(Ordering::Relaxed)
    }

    async fn listen(&self, app: &WorkerId) -> Result<UnboundedReceiver<LegReport>, TelephonyError> {
        let (stream, reports) = self.shared.line().streams.open(app);
        let what = Question::Listen { stream, app: app.clone(), since: None };
        let began = self.ask(|_| Ask { what, not_after: None, meaning: Meaning::Listens(stream) }).await;
        if began.is_err() {
            // If it has begun all the same, its reports find nobody, and it is hushed.
            self.shared.line().streams.close(stream);
        }
        began.map(|_| reports)
    }

    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome {
        let NewLeg { leg, ref target, caller, .. } = *new;
        let (lives_at_most, talks_at_most) = (millis(new.lives_at_most), millis(new.talks_at_most));
        let (app, target) = (app.clone(), target.clone());
        let made = self.ask(|line| {
            let meaning = line.streams.of_app(&app).map_or(Meaning::Nothing, |stream| Meaning::Makes(stream, leg));
            let what = Question::Create { app, leg, target, caller, lives_at_most, talks_at_most };
            Ask { what, not_after: Some(not_after), meaning }
        });
        made.await.map(drop)
    }

    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome {
        self.command(Question::Dial { leg, ring_timeout: millis(ring_timeout) }, not_after).await
    }

    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome {
        self.command(Question::HangUp { leg }, not_after).await
    }

    async fn play(&self, leg: LegId, playback: u32, audio: &Audio, expects_key: bool, not_after: Timestamp) -> Outcome {
        let missing = &*audio.reference == MISSING_AUDIO;
        let millis = u32::try_from(audio.length.as_millis()).unwrap_or(u32::MAX);
        self.command(Question::Play { leg, playback, millis, expects_key, missing }, not_after).await
    }

    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome {
        self.command(Question::StopPlayback { leg, playback }, not_after).await
    }

    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome {
        self.command(Question::DetectMachine { leg, wait_for_beep }, not_after).await
    }

    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome {
        self.command(Question::Bridge { leg, other }, not_after).await
    }

    async fn listen_in(&self, leg: LegId, other: LegId, whispers_to: Option<LegId>, not_after: Timestamp) -> Outcome {
        self.command(Question::ListenIn { leg, other, whispers_to }, not_after).await
    }

    async fn blind_transfer(&self, leg: LegId, other: LegId, target: &Target, not_after: Timestamp) -> Outcome {
        let what = Question::BlindTransfer { leg, other, target: target.clone() };
        let made = self.ask(|line| {
            let meaning = line.streams.of_leg(leg).map_or(Meaning::Nothing, |stream| Meaning::Makes(stream, other));
            Ask { what, not_after: Some(not_after), meaning }
        });
        made.await.map(drop)
    }

    async fn record(
        &self,
        leg: LegId,
        _name: &str,
        _on: bool,
        not_after: Timestamp,
    ) -> Result<Option<Box<str>>, TelephonyError> {
        self.command(Question::Record { leg }, not_after).await.map(|()| None)
    }

    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        let what = Question::Inspect { leg };
        match self.ask(|_| Ask { what, not_after: None, meaning: Meaning::Nothing }).await? {
            Got::Leg(state) => Ok(state),
            other => Err(wrong(&other)),
        }
    }

    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        let what = Question::LegsOf { app: app.clone() };
        match self.ask(|_| Ask { what, not_after: None, meaning: Meaning::Nothing }).await? {
            Got::Legs(legs) => Ok(legs),
            other => Err(wrong(&other)),
        }
    }
}
