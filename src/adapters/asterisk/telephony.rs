//! The telephony port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::dialling::{Outcome, unavailable};
use super::streams::{Line, keep};
use super::{Asterisk, looks};
use crate::callflow::program::Target;
use crate::model::{LegId, Timestamp, WorkerId};
use crate::ports::telephony::{LegReport, LegState, NewLeg};
use crate::ports::{Audio, Telephony, TelephonyError};

/// How long nodes are waited for that do not say whether they can be listened to.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

#[async_trait]
impl Telephony for Asterisk {
    fn trunks(&self) -> &[Box<str>] {
        self.inner.settings.endpoints.trunks()
    }

    fn is_heard(&self) -> bool {
        !self.inner.table().heard_on().is_empty()
    }

    fn most_calls(&self) -> usize {
        let table = self.inner.table();
        let most = table.heard_on().into_iter().map(|place| {
            let (node, second_legs) = (&self.inner.nodes[place], table.second_legs(place));
            node.room(second_legs).min(node.callees(table.count(place).saturating_sub(second_legs)))
        });
        most.fold(0, usize::saturating_add)
    }

    /// Listens on every node that can be reached, and on the others as soon as they can.
    async fn listen(&self, app: &WorkerId) -> Result<UnboundedReceiver<LegReport>, TelephonyError> {
        self.begin_looking();
        let inner = &self.inner;
        let (number, reports) = inner.table().open(app);
        let (first, mut answers) = unbounded_channel();
        for node in 0..inner.nodes.len() {
            self.spawn(keep(Arc::clone(inner), Line { number, app: app.clone(), node }, first.clone()));
        }
        drop(first);
        let clock = &inner.settings.clock;
        let (mut reached, mut refusal) = (false, unavailable("no node answers"));
        let over = clock.sleep_until(clock.now() + HEARD_WITHIN);
        tokio::pin!(over);
        for _ in 0..inner.nodes.len() {
            let answer = tokio::select! {
                biased;
                answer = answers.recv() => answer,
                () = &mut over => break,
            };
            match answer {
                Some(Ok(())) => reached = true,
                Some(Err(error)) => refusal = error,
                None => break,
            }
        }
        if reached {
            return Ok(reports);
        }
        inner.table().close(number);
        Err(refusal)
    }

    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome {
        self.inner.create(app, new, not_after).await
    }

    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome {
        self.inner.dial(leg, ring_timeout, not_after).await?;
        if self.inner.table().get(leg).is_some_and(|known| known.is_waited_for) {
            // Without the tone they are connected all the same.
            let callee = LegId::callee(leg.attempt);
            if let Err(error) = self.inner.ring(callee, true, not_after).await {
                tracing::debug!(%leg, %error, "no ringing tone");
            }
        }
        Ok(())
    }

    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome {
        self.inner.hang_up(leg, not_after).await
    }

    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        _expects_key: bool,
        not_after: Timestamp,
    ) -> Outcome {
        self.inner.play(leg, playback, audio, not_after).await
    }

    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome {
        self.inner.stop_playback(leg, playback, not_after).await
    }

    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome {
        self.inner.detect_machine(leg, wait_for_beep, not_after).await
    }

    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome {
        self.inner.bridge(leg, other, not_after).await
    }

    async fn listen_in(&self, leg: LegId, other: LegId, whispers_to: Option<LegId>, not_after: Timestamp) -> Outcome {
        self.inner.listen_in(leg, other, whispers_to, not_after).await
    }

    async fn blind_transfer(&self, leg: LegId, other: LegId, target: &Target, not_after: Timestamp) -> Outcome {
        self.inner.blind_transfer(leg, other, target, not_after).await
    }

    async fn record(
        &self,
        leg: LegId,
        name: &str,
        on: bool,
        not_after: Timestamp,
    ) -> Result<Option<Box<str>>, TelephonyError> {
        self.inner.record(leg, name, on, not_after).await.map(Some)
    }

    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        self.inner.inspect(leg).await
    }

    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        self.inner.legs_of(app).await
    }
}

impl Asterisk {
    /// Begins to look at the nodes, with the first who listens.
    fn begin_looking(&self) {
        if !self.looking.swap(true, std::sync::atomic::Ordering::AcqRel) {
            (0..self.inner.nodes.len()).for_each(|node| self.spawn(looks::look(Arc::clone(&self.inner), node)));
        }
    }
}
