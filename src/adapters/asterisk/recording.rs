//! What both sides say, kept: an ear on the leg that records what it hears.
//!
//! Recording the leg itself would hold up what is played to it.

use std::time::Duration;

use serde_json::json;

use super::Inner;
use super::ari::http::{Answer, Ask};
use super::dialling::{Outcome, unavailable};
use super::streams::app_name;
use crate::model::{LegId, Timestamp};
use crate::ports::TelephonyError;

/// How long an ear may take from its making into the app's hands, and from there to what it is told.
pub(super) const COMES_WITHIN: Duration = Duration::from_secs(2);

/// How often it is tried meanwhile.
pub(super) const AGAIN: Duration = Duration::from_millis(20);

/// The longest pause between two tries of something that a server may be too busy for.
const LONGEST_PAUSE: Duration = Duration::from_millis(320);

impl Inner {
    /// Turns recording on or off. Off is a pause: what follows goes to the same file. Answers where ARI hands it out when
    /// it is over.
    pub(super) async fn record(
        &self,
        leg: LegId,
        name: &str,
        on: bool,
        not_after: Timestamp,
    ) -> Result<Box<str>, TelephonyError> {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        let name = format!("{}{name}", self.settings.recordings);
        // One part of a path, whatever folders are in it.
        let part = name.replace('/', "%2F");
        let place = self.nodes[node].http.address_of(&format!("recordings/stored/{part}/file"));
        let pause = format!("recordings/live/{part}/pause");
        let ask = || if on { Ask::delete(&pause, not_after) } else { Ask::post(&pause, json!({}), not_after) };
        let clock = &self.settings.clock;
        let give_up_at = clock.now() + COMES_WITHIN;
        let (mut answer, mut wait) = (self.nodes[node].http.ask(ask()).await?, AGAIN);
        // Asked for, and not begun yet: an ear's own thread does what it is told when it comes to it.
        while matches!(answer, Answer::Refused(409, _)) && clock.now() < give_up_at {
            clock.sleep_until(clock.now() + wait).await;
            wait = (wait * 2).min(LONGEST_PAUSE);
            answer = self.nodes[node].http.ask(ask()).await?;
        }
        match answer {
            Answer::Done(_) => return Ok(place),
            // Nothing is recorded: unless there is an ear, whose recording is then not to be had.
            Answer::Missing if !on => {
                return match self.has_ear(leg, node).await? {
                    false => Ok(place),
                    true => Err(unavailable("what is recorded cannot be paused")),
                };
            }
            Answer::Missing => {}
            Answer::Refused(status, reason) => return Err(unavailable(&format!("{status}: {reason}"))),
        }
        self.begin_recording(leg, node, &name, not_after).await.map(|()| place)
    }

    /// Whether a leg is listened to for a recording.
    async fn has_ear(&self, leg: LegId, node: usize) -> Result<bool, TelephonyError> {
        match self.nodes[node].http.ask(Ask::get(format!("channels/{leg}_rec"))).await? {
            Answer::Done(_) => Ok(true),
            Answer::Missing => Ok(false),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }

    async fn begin_recording(&self, leg: LegId, node: usize, name: &str, not_after: Timestamp) -> Outcome {
        let Some(app) = self.table().get(leg).map(|known| app_name(&known.app)) else {
            return Err(TelephonyError::NoSuchLeg);
        };
        let http = &self.nodes[node].http;
        let ear = format!("{leg}_rec");
        let snoop = Ask::post(format!("channels/{leg}/snoop/{ear}"), json!({"app": app, "spy": "both"}), not_after);
        match http.ask(snoop).await {
            Ok(Answer::Done(_)) => {}
            Ok(Answer::Missing) => return Err(TelephonyError::NoSuchLeg),
            Err(error @ TelephonyError::TooLate) => return Err(error),
            // There since before, perhaps: Asterisk calls a name in use an error of its own (500).
            refused => {
                if !self.has_ear(leg, node).await? {
                    return Err(unavailable(&format!("no ear on the leg: {refused:?}")));
                }
            }
        }
        // A call that is recorded again after its owner's death must not lose what there is.
        let body = json!({"name": name, "format": "wav", "ifExists": "append"});
        let clock = &self.settings.clock;
        let give_up_at = clock.now() + COMES_WITHIN;
        loop {
            let record = Ask::post(format!("channels/{ear}/record"), body.clone(), not_after);
            match http.ask(record).await? {
                Answer::Done(_) => return Ok(()),
                Answer::Missing => return Err(TelephonyError::NoSuchLeg),
                // It was made, and is on its way into the app's hands.
                Answer::Refused(409, _) if clock.now() < give_up_at => clock.sleep_until(clock.now() + AGAIN).await,
                Answer::Refused(status, reason) => return Err(unavailable(&format!("{status}: {reason}"))),
            }
        }
    }
}
