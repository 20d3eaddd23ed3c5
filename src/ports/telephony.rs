//! Legs: channels of the telephony backend.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;

use super::speech::Audio;
use crate::callflow::call::LegEnd;
use crate::callflow::program::{Digit, Target};
use crate::model::{AnsweredBy, LegId, Phone, Timestamp, WorkerId};

/// Why the backend did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelephonyError {
    /// The backend knows no such leg (any more).
    #[error("the telephony backend knows no such leg")]
    NoSuchLeg,
    /// The leg is not in a state for this: dialled twice, a name in use.
    #[error("the leg is not in a state for this")]
    Conflict,
    /// It was too late: nothing was sent.
    #[error("too late: nothing was sent")]
    TooLate,
    /// No answer came: whether it took effect is unknown.
    #[error("the telephony backend does not answer: {0}")]
    Unavailable(String),
}

/// A leg to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLeg {
    /// Its name.
    pub leg: LegId,
    /// Whom it leads to.
    pub target: Target,
    /// The number to show.
    pub caller: Option<Phone>,
    /// The backend ends the leg by itself after this long, counted from its making, whoever may have died.
    pub lives_at_most: Duration,
    /// And after this long, counted from its answer.
    pub talks_at_most: Duration,
    /// Which of the backend's trunks it takes, by its place, if it leads to the public network.
    pub trunk: usize,
    /// Whether the callee of its attempt waits for it, and may be let hear that it rings: nothing else is to be heard.
    pub is_waited_for: bool,
}

/// How far a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LegState {
    /// Made, not dialled.
    Created,
    /// Dialled, not answered.
    Dialled,
    /// Answered.
    Up,
}

/// Something that happened to a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegReport {
    /// Which leg.
    pub leg: LegId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: LegEvent,
}

/// What happened to a leg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LegEvent {
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// A key was pressed.
    Digit(Digit),
    /// A playback ended: by itself, stopped, or (`played` false) because it could not be played.
    PlaybackFinished {
        /// Which one.
        playback: u32,
        /// Whether anything could be heard.
        played: bool,
    },
    /// Who picked up.
    PartyDetected(AnsweredBy),
    /// The answering machine's beep is over.
    BeepHeard,
    /// The leg is gone. Nothing follows.
    Ended(LegEnd),
}

/// Legs: channels of the telephony backend, which outlives the workers.
///
/// `not_after`: the backend's adapter sends nothing when that instant has passed, looking at the time as late as it
/// can, since the backend itself knows no fences.
#[async_trait]
pub trait Telephony: Send + Sync + 'static {
    /// The names of the ways to the public network, in the order in which they are to be tried; none where there is
    /// nothing to choose.
    fn trunks(&self) -> &[Box<str>] {
        &[]
    }

    /// Whether the backend is heard, as far as is known without asking.
    fn is_heard(&self) -> bool {
        true
    }

    /// How many calls this process may carry, as far as is known without asking: less where others carry theirs.
    fn most_calls(&self) -> usize {
        usize::MAX
    }

    /// Opens the stream of reports on the legs that `app` made. A newer stream of the same app takes over: the older
    /// one ends. Reports while nobody listens are lost; [`Telephony::inspect`] tells where things stand.
    ///
    /// # Errors
    /// When the backend does not answer.
    async fn listen(&self, app: &WorkerId) -> Result<UnboundedReceiver<LegReport>, TelephonyError>;

    /// Makes a leg without dialling it; complete when it can be dialled. A name can be used once, ever.
    ///
    /// # Errors
    /// [`TelephonyError::Conflict`] if the name is in use; otherwise when the backend does not answer.
    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Result<(), TelephonyError>;

    /// Dials a leg.
    ///
    /// # Errors
    /// [`TelephonyError::Conflict`] if it was dialled before.
    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Result<(), TelephonyError>;

    /// Ends a leg, in whatever state it is; [`LegEvent::Ended`] follows.
    ///
    /// # Errors
    /// [`TelephonyError::NoSuchLeg`] if it has ended already.
    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Result<(), TelephonyError>;

    /// Plays audio to a leg; [`LegEvent::PlaybackFinished`] follows. `expects_key`: what is said asks for a key, as
    /// a simulated callee cannot hear for itself.
    ///
    /// # Errors
    /// [`TelephonyError::Conflict`] if a playback of that number is not over yet; otherwise when the leg is gone or the
    /// backend does not answer.
    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        expects_key: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError>;

    /// Stops a playback; [`LegEvent::PlaybackFinished`] follows.
    ///
    /// # Errors
    /// When the leg is gone or the backend does not answer.
    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Result<(), TelephonyError>;

    /// Finds out who picked up; [`LegEvent::PartyDetected`] follows, and [`LegEvent::BeepHeard`] if asked for.
    ///
    /// # Errors
    /// When the leg is gone or the backend does not answer.
    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp)
    -> Result<(), TelephonyError>;

    /// Lets an answered leg take part in the call of `leg`: both, and whoever else was joined with `leg`, hear each other.
    /// What is played to `leg` from now on is heard by all of them. Takes the other's [`Telephony::listen_in`] back;
    /// asking again is harmless.
    ///
    /// # Errors
    /// When one of them is gone or the backend does not answer.
    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Result<(), TelephonyError>;

    /// Lets an answered leg hear everything that `leg` hears and says, and be heard by nobody but `whispers_to`, if that
    /// is given. Takes the other's [`Telephony::bridge`], or its listening in otherwise, back; asking again is harmless.
    ///
    /// # Errors
    /// When one of them is gone or the backend does not answer.
    async fn listen_in(
        &self,
        leg: LegId,
        other: LegId,
        whispers_to: Option<LegId>,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError>;

    /// Hands a leg to the backend, which connects it with `target` by itself and reports on `other`.
    ///
    /// # Errors
    /// When the leg is gone or the backend does not answer.
    async fn blind_transfer(
        &self,
        leg: LegId,
        other: LegId,
        target: &Target,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError>;

    /// Turns recording of a leg on or off; `name` is the recording's. Answers where it is kept, if it is.
    ///
    /// # Errors
    /// When the leg is gone or the backend does not answer.
    async fn record(
        &self,
        leg: LegId,
        name: &str,
        on: bool,
        not_after: Timestamp,
    ) -> Result<Option<Box<str>>, TelephonyError>;

    /// How far a leg is; none if it has ended or never was.
    ///
    /// # Errors
    /// When the backend does not answer.
    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError>;

    /// Every leg that `app` made and that has not ended.
    ///
    /// # Errors
    /// When the backend does not answer.
    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError>;
}
