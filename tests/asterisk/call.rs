//! One call over the port, from its making to its end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use robocall::adapters::asterisk::Asterisk;
use robocall::callflow::call::LegEnd;
use robocall::callflow::program::Target;
use robocall::model::{AttemptId, CallId, Disposition, LegId, Phone, Timestamp, WorkerId};
use robocall::policy::disposition::{Asked, Seen, classify};
use robocall::ports::telephony::{LegEvent, LegReport, NewLeg};
use robocall::ports::{Audio, Clock, Telephony};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::world::{bed, client, clock};

/// Longest wait for anything that ought to come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

/// An app, and what it hears of its legs.
pub struct Line {
    pub phones: Arc<Asterisk>,
    pub clock: Arc<dyn Clock>,
    pub app: WorkerId,
    call: CallId,
    reports: UnboundedReceiver<LegReport>,
    /// What was heard of other legs than the one that was asked about.
    kept: Vec<LegReport>,
}

impl Line {
    /// An app on the servers that all tests share.
    pub async fn open() -> Self {
        Self::with(Arc::new(client(bed()))).await
    }

    /// An app of a client.
    pub async fn with(phones: Arc<Asterisk>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static BEGAN: OnceLock<Timestamp> = OnceLock::new();
        let clock = clock();
        let name =
            format!("t{}-{}", BEGAN.get_or_init(|| clock.now()).as_millis(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (app, request): (WorkerId, _) = (name.parse().unwrap(), name.parse().unwrap());
        let reports = phones.listen(&app).await.unwrap();
        let call = CallId::new(&"tests".parse().unwrap(), &request, 0);
        Self { phones, clock, app, call, reports, kept: Vec::new() }
    }

    /// The process ends.
    pub fn dies(self) -> Dead {
        Dead { app: self.app, call: self.call }
    }

    /// The callee's leg of the `claim`th attempt.
    pub fn leg(&self, claim: u32) -> LegId {
        LegId::callee(AttemptId { call: self.call, claim })
    }

    pub fn soon(&self) -> Timestamp {
        self.clock.now() + PATIENCE
    }

    /// Makes a leg and dials it.
    pub async fn dial(&self, leg: LegId, target: Target, trunk: usize, rings: u64) {
        let caller = "+6560000000".parse().ok();
        let new = NewLeg { leg, target, caller, lives_at_most: HOUR, talks_at_most: HOUR, trunk, is_waited_for: true };
        self.make_and_dial(new, rings).await;
    }

    /// The same, of one for whom the callee does not wait.
    pub async fn dial_beside(&self, leg: LegId, target: Target, rings: u64) {
        let (lives_at_most, talks_at_most) = (HOUR, HOUR);
        let new = NewLeg { leg, target, caller: None, lives_at_most, talks_at_most, trunk: 0, is_waited_for: false };
        self.make_and_dial(new, rings).await;
    }

    async fn make_and_dial(&self, new: NewLeg, rings: u64) {
        self.phones.create(&self.app, &new, self.soon()).await.unwrap();
        self.phones.dial(new.leg, Duration::from_secs(rings), self.soon()).await.unwrap();
    }

    /// Dials a number, as the callee of an attempt.
    pub async fn call(&self, claim: u32, number: Phone) -> LegId {
        let leg = self.leg(claim);
        self.dial(leg, Target::External(number), 0, 30).await;
        leg
    }

    /// Dials a number and waits for the answer.
    pub async fn reach(&mut self, claim: u32, number: Phone) -> LegId {
        let leg = self.call(claim, number).await;
        self.until(leg, |event| *event == LegEvent::Answered).await;
        leg
    }

    pub async fn play(&self, leg: LegId, playback: u32, audio: &Audio) {
        self.phones.play(leg, playback, audio, false, self.soon()).await.unwrap();
    }

    /// Waits until it is not told anything any more.
    pub async fn falls_silent(&mut self) {
        let over = self.clock.now() + PATIENCE;
        loop {
            tokio::select! {
                report = self.reports.recv() => if report.is_none() { return },
                () = self.clock.sleep_until(over) => panic!("it is still told of its legs"),
            }
        }
    }

    /// What a leg reports, up to something in particular.
    pub async fn until(&mut self, leg: LegId, last: impl Fn(&LegEvent) -> bool) -> Vec<LegEvent> {
        let mut events = Vec::new();
        let mut kept = std::mem::take(&mut self.kept).into_iter();
        let over = self.clock.now() + PATIENCE;
        loop {
            let report = match kept.next() {
                Some(report) => report,
                None => tokio::select! {
                    report = self.reports.recv() => report.unwrap_or_else(|| panic!("not heard any more: {leg} {events:?}")),
                    () = self.clock.sleep_until(over) => panic!("{leg} reported {events:?} and then nothing"),
                },
            };
            if report.leg != leg {
                self.kept.push(report);
                continue;
            }
            let found = last(&report.what);
            events.push(report.what);
            if found {
                self.kept.extend(kept);
                return events;
            }
        }
    }

    pub async fn hang_up(&self, leg: LegId) {
        self.phones.hang_up(leg, self.soon()).await.unwrap();
    }

    /// What a leg reports up to its end, and how it ended.
    pub async fn hear_out(&mut self, leg: LegId) -> (Vec<LegEvent>, LegEnd) {
        let mut events = self.until(leg, |event| matches!(event, LegEvent::Ended(_))).await;
        let Some(LegEvent::Ended(end)) = events.pop() else { panic!("waited for the end") };
        (events, end)
    }

    /// Hangs a leg up and waits until it is gone.
    pub async fn bye(&mut self, leg: LegId) {
        self.hang_up(leg).await;
        self.hear_out(leg).await;
    }
}

/// An app whose process has ended.
pub struct Dead {
    app: WorkerId,
    call: CallId,
}

impl Dead {
    /// Another process listens in its name, and knows nothing but that.
    pub async fn taken_over(self) -> Line {
        let (phones, clock) = (Arc::new(client(bed())), clock());
        let reports = phones.listen(&self.app).await.unwrap();
        Line { phones, clock, app: self.app, call: self.call, reports, kept: Vec::new() }
    }
}

/// What an attempt comes to that reported this.
pub fn outcome(events: &[LegEvent], end: LegEnd, asked: Option<Asked>) -> Disposition {
    let (rang, answered) = (events.contains(&LegEvent::Ringing), events.contains(&LegEvent::Answered));
    classify(Seen { rang, answered, asked }, end)
}
