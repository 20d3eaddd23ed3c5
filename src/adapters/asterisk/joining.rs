//! Legs that hear each other: a mixing bridge with the callee's name.

use std::time::Duration;

use serde_json::{Value, json};

use super::Inner;
use super::ari::http::{Answer, Ask};
use super::dialling::{Outcome, unavailable};
use crate::callflow::program::Target;
use crate::model::{LegId, Timestamp};
use crate::ports::TelephonyError;
use crate::ports::telephony::NewLeg;

/// How long the target of a blind transfer may ring at most; whoever wanted the transfer ends it sooner.
const RINGS: Duration = Duration::from_secs(120);

impl Inner {
    /// Lets two answered legs hear each other.
    pub(super) async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let node = self.locate(leg).await?.ok_or(TelephonyError::NoSuchLeg)?;
        if self.locate(other).await? != Some(node) {
            return Err(TelephonyError::NoSuchLeg);
        }
        if self.table().get(leg).is_some_and(|known| known.hears_ringing) {
            self.ring(leg, false, not_after).await?;
        }
        let members = self.open_bridge(node, leg, not_after).await?;
        // From now on what is played to the callee may have to be played to all.
        if let Some(known) = self.table().get(leg) {
            known.is_bridged = true;
        }
        // Whoever is in it would leave it for a moment.
        let joining: Vec<String> =
            [leg, other].iter().map(LegId::to_string).filter(|joins| !members.contains(joins)).collect();
        if !joining.is_empty() {
            self.join(leg, other, node, &joining, not_after).await?;
        }
        if self.table().get(other).is_some_and(|known| known.listens) {
            self.stop_listening(other, node, not_after).await;
        }
        Ok(())
    }

    /// Puts channels into the callee's bridge. One that is in another bridge leaves that.
    async fn join(&self, leg: LegId, other: LegId, node: usize, joining: &[String], not_after: Timestamp) -> Outcome {
        let http = &self.nodes[node].http;
        let path = format!("bridges/{leg}/addChannel");
        match http.ask(Ask::post(path, json!({"channel": joining}), not_after)).await? {
            Answer::Done(_) => Ok(()),
            // The bridge was taken down in between, or somebody is gone.
            Answer::Missing => Err(unavailable("the bridge is gone")),
            Answer::Refused(status, reason) => {
                if self.inspect(leg).await?.is_none() {
                    http.ask(Ask::delete(format!("bridges/{leg}"), not_after)).await?;
                    return Err(TelephonyError::NoSuchLeg);
                }
                if self.inspect(other).await?.is_none() {
                    return Err(TelephonyError::NoSuchLeg);
                }
                Err(unavailable(&format!("{status}: {reason}")))
            }
        }
    }

    /// Takes down what somebody listened in with who talks now. Without its owner it says nothing to anybody, and at its
    /// owner's end it is looked for again.
    async fn stop_listening(&self, other: LegId, node: usize, not_after: Timestamp) {
        match self.take_ears(other, node, not_after).await {
            Ok(()) => {
                if let Some(known) = self.table().get(other) {
                    known.listens = false;
                }
            }
            Err(error) => tracing::debug!(leg = %other, %error, "ears stay"),
        }
    }

    /// Whether what is played to a leg is to be played to everybody in its bridge.
    pub(super) async fn is_joined(&self, leg: LegId, node: usize) -> Result<bool, TelephonyError> {
        if !self.table().get(leg).is_some_and(|known| known.is_bridged) {
            return Ok(false);
        }
        let members = self.members(node, leg).await?.unwrap_or_default();
        Ok(members.contains(&leg.to_string()))
    }

    /// Connects a leg with a target, without anybody's further doing.
    pub(super) async fn blind_transfer(
        &self,
        leg: LegId,
        other: LegId,
        target: &Target,
        not_after: Timestamp,
    ) -> Outcome {
        if self.settings.clock.now() > not_after {
            return Err(TelephonyError::TooLate);
        }
        let Some((app, node)) = self.table().get(leg).map(|known| (known.app.clone(), known.node)) else {
            return Err(TelephonyError::NoSuchLeg);
        };
        let lives_at_most = self.time_left(leg, node).await?;
        let talks_at_most = lives_at_most;
        let target = target.clone();
        let new =
            NewLeg { leg: other, target, caller: None, lives_at_most, talks_at_most, trunk: 0, is_waited_for: true };
        self.create(&app, &new, not_after).await?;
        if let Some(known) = self.table().get(other) {
            known.joins = true;
        }
        self.dial(other, RINGS, not_after).await?;
        // They would hear nothing until somebody answers; without it they are connected all the same.
        if let Err(error) = self.ring(leg, true, not_after).await {
            tracing::debug!(%leg, %error, "no ringing tone");
        }
        Ok(())
    }

    /// How long a leg may still live.
    async fn time_left(&self, leg: LegId, node: usize) -> Result<Duration, TelephonyError> {
        let path = format!("channels/{leg}/variable?variable=TIMEOUT(absolute)");
        match self.nodes[node].http.ask(Ask::get(path)).await? {
            Answer::Done(body) => {
                let value = serde_json::from_slice::<Value>(&body).ok();
                let seconds = value.and_then(|value| value.get("value")?.as_str()?.parse::<f64>().ok());
                let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
                seconds.map(Duration::from_secs_f64).ok_or_else(|| unavailable("a leg without a limit of its own"))
            }
            Answer::Missing => Err(TelephonyError::NoSuchLeg),
            Answer::Refused(status, reason) => Err(unavailable(&format!("{status}: {reason}"))),
        }
    }
}
