//! The telephony port that does not answer, does not let listen, and reports never or twice.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::callflow::program::Target;
use robocall::model::{LegId, LegRole, Timestamp, WorkerId};
use robocall::ports::telephony::{LegEvent, LegReport, LegState, NewLeg};
use robocall::ports::{Audio, Telephony, TelephonyError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Accident, Delivered, Fate, Loss};
use crate::checker::Checker;

type Outcome<T> = Result<T, TelephonyError>;

fn lost<T>() -> Outcome<T> {
    Err(TelephonyError::Unavailable("lost by the test".to_owned()))
}

pub struct ChaosTelephony {
    pub inner: Arc<dyn Telephony>,
    pub fate: Arc<Fate>,
    pub checker: Arc<Checker>,
}

impl ChaosTelephony {
    async fn through<T>(&self, what: &'static str, call: BoxFuture<'_, Outcome<T>>) -> Outcome<T> {
        self.fate.gate().await;
        let loss = self.fate.strike(what).await;
        if loss == Loss::Request {
            self.fate.gate().await;
            return lost();
        }
        let answer = call.await;
        self.fate.gate().await;
        if loss == Loss::Reply { lost() } else { answer }
    }

    /// A command about a leg, which must not be given on a lease that may be another's by then.
    async fn command<T>(
        &self,
        what: &'static str,
        leg: LegId,
        not_after: Timestamp,
        call: BoxFuture<'_, Outcome<T>>,
    ) -> Outcome<T> {
        self.checker.check_authority(what, leg, not_after);
        self.through(what, call).await
    }

    fn count<T>(&self, what: &'static str, done: &Outcome<T>) {
        if done.is_ok() {
            self.checker.count(what);
        }
    }
}

/// Hands reports on, some of them never and some twice, until the stream ends or nobody listens any more.
async fn garble(
    mut reports: UnboundedReceiver<LegReport>,
    fate: Arc<Fate>,
    checker: Arc<Checker>,
    listener: tokio::sync::mpsc::UnboundedSender<LegReport>,
) {
    loop {
        let report = tokio::select! {
            biased;
            () = listener.closed() => return,
            report = reports.recv() => report,
        };
        let Some(report) = report else { return };
        checker.tell(|| format!("{} hears {:?} of {}", fate.name, report.what, report.leg));
        let ends_playing = matches!(report.what, LegEvent::PlaybackFinished { .. });
        let lost = ends_playing && fate.accident("end of a playback") == Some(Accident::LoseRequest);
        let times = match if lost { Delivered::Never } else { fate.delivered() } {
            Delivered::Once => 1,
            Delivered::Twice => {
                checker.count("reports doubled");
                2
            }
            Delivered::Never => {
                checker.unreported(&report);
                0
            }
        };
        for _ in 0..times {
            let _ = listener.send(report.clone());
        }
    }
}

#[async_trait]
impl Telephony for ChaosTelephony {
    async fn listen(&self, app: &WorkerId) -> Outcome<UnboundedReceiver<LegReport>> {
        self.fate.gate().await;
        let loss = self.fate.loss();
        if loss != Loss::None {
            self.checker.count("listens failed");
        }
        if loss == Loss::Request {
            return lost();
        }
        let reports = self.inner.listen(app).await?;
        self.checker.tell(|| format!("{} listens in the name of {app}", self.fate.name));
        self.fate.gate().await;
        if loss == Loss::Reply {
            return lost();
        }
        if self.fate.gets_up() {
            self.checker.crew.gets_up();
        }
        let (listener, heard) = unbounded_channel();
        tokio::spawn(garble(reports, Arc::clone(&self.fate), Arc::clone(&self.checker), listener));
        Ok(heard)
    }
    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Outcome<()> {
        let made = self.command("create", new.leg, not_after, self.inner.create(app, new, not_after)).await;
        if let (true, Some(until)) = (made.is_ok() && new.leg.role == LegRole::Callee, self.fate.spring()) {
            self.checker.crew.upset(until);
            self.checker.count("freezes between a leg and its commitment");
        }
        if new.leg.role == LegRole::Transfer && !new.is_waited_for {
            self.count("targets called beside a flow", &made);
        }
        made
    }
    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Outcome<()> {
        self.command(
            if leg.role == LegRole::Callee { "dial" } else { "dial second leg" },
            leg,
            not_after,
            self.inner.dial(leg, ring_timeout, not_after),
        )
        .await
    }
    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Outcome<()> {
        self.command("hang_up", leg, not_after, self.inner.hang_up(leg, not_after)).await
    }
    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        expects_key: bool,
        not_after: Timestamp,
    ) -> Outcome<()> {
        self.command("play", leg, not_after, self.inner.play(leg, playback, audio, expects_key, not_after)).await
    }
    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Outcome<()> {
        self.command("stop_playback", leg, not_after, self.inner.stop_playback(leg, playback, not_after)).await
    }
    async fn detect_machine(&self, leg: LegId, wait_for_beep: bool, not_after: Timestamp) -> Outcome<()> {
        self.command("detect_machine", leg, not_after, self.inner.detect_machine(leg, wait_for_beep, not_after)).await
    }
    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Outcome<()> {
        let done = self.command("bridge", leg, not_after, self.inner.bridge(leg, other, not_after)).await;
        let third = other.role.is_third_party();
        self.count(if third { "third parties talking" } else { "attended transfers joined" }, &done);
        done
    }
    async fn listen_in(&self, leg: LegId, other: LegId, to: Option<LegId>, not_after: Timestamp) -> Outcome<()> {
        let done = self.command("listen_in", leg, not_after, self.inner.listen_in(leg, other, to, not_after)).await;
        self.count("supervisors listening in", &done);
        done
    }
    async fn blind_transfer(&self, leg: LegId, other: LegId, target: &Target, not_after: Timestamp) -> Outcome<()> {
        let done = self
            .command("blind_transfer", leg, not_after, self.inner.blind_transfer(leg, other, target, not_after))
            .await;
        self.count("blind transfers", &done);
        done
    }
    async fn record(&self, leg: LegId, name: &str, on: bool, not_after: Timestamp) -> Outcome<Option<Box<str>>> {
        let done = self.command("record", leg, not_after, self.inner.record(leg, name, on, not_after)).await;
        self.count(if on { "recordings begun" } else { "recordings paused for a secret" }, &done);
        done
    }
    async fn inspect(&self, leg: LegId) -> Outcome<Option<LegState>> {
        self.through("inspect", self.inner.inspect(leg)).await
    }
    async fn legs_of(&self, app: &WorkerId) -> Outcome<Vec<(LegId, LegState)>> {
        self.through("legs_of", self.inner.legs_of(app)).await
    }
}
