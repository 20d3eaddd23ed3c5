//! A backend whose answers get lost on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::callflow::program::Target;
use robocall::model::{LegId, Timestamp, WorkerId};
use robocall::ports::telephony::{LegReport, LegState, NewLeg};
use robocall::ports::{Audio, Telephony, TelephonyError};
use tokio::sync::mpsc::UnboundedReceiver;

/// Whether the command of this name never reaches the backend.
pub type Swallows = Box<dyn FnMut(&'static str) -> bool + Send>;

type Outcome<T> = Result<T, TelephonyError>;

pub struct HardOfHearing {
    pub inner: Arc<dyn Telephony>,
    pub swallows: Mutex<Swallows>,
}

impl HardOfHearing {
    async fn pass<T>(&self, name: &'static str, call: BoxFuture<'_, Outcome<T>>) -> Outcome<T> {
        let lost = (self.swallows.lock().unwrap())(name);
        if lost { Err(TelephonyError::Unavailable("lost by the test".to_owned())) } else { call.await }
    }
}

#[async_trait]
impl Telephony for HardOfHearing {
    async fn listen(&self, app: &WorkerId) -> Outcome<UnboundedReceiver<LegReport>> {
        self.pass("listen", self.inner.listen(app)).await
    }
    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome<()> {
        self.pass("create", self.inner.create(app, new, not_after)).await
    }
    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome<()> {
        self.pass("dial", self.inner.dial(leg, ring_timeout, not_after)).await
    }
    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome<()> {
        self.pass("hang_up", self.inner.hang_up(leg, not_after)).await
    }
    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        expects_key: bool,
        not_after: Timestamp,
    ) -> Outcome<()> {
        self.pass("play", self.inner.play(leg, playback, audio, expects_key, not_after)).await
    }
    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome<()> {
        self.pass("stop_playback", self.inner.stop_playback(leg, playback, not_after)).await
    }
    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome<()> {
        self.pass("detect_machine", self.inner.detect_machine(leg, wait_for_beep, not_after)).await
    }
    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome<()> {
        self.pass("bridge", self.inner.bridge(leg, other, not_after)).await
    }
    async fn blind_transfer(&self, leg: LegId, other: LegId, target: &Target, not_after: Timestamp) -> Outcome<()> {
        self.pass("blind_transfer", self.inner.blind_transfer(leg, other, target, not_after)).await
    }
    async fn record(&self, leg: LegId, name: &str, on: bool, not_after: Timestamp) -> Outcome<()> {
        self.pass("record", self.inner.record(leg, name, on, not_after)).await
    }
    async fn inspect(&self, leg: LegId) -> Outcome<Option<LegState>> {
        self.pass("inspect", self.inner.inspect(leg)).await
    }
    async fn legs_of(&self, app: &WorkerId) -> Outcome<Vec<(LegId, LegState)>> {
        self.pass("legs_of", self.inner.legs_of(app)).await
    }
}
