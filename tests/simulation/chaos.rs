//! Ports that fail: replies get lost before or after their effect, workers die or stand still between any two steps.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::dice::Dice;
use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use robocall::callflow::call::CallState;
use robocall::callflow::program::{Target, Utterance};
use robocall::model::{
    CallId, Event, Fact, LegId, Organisation, OrganisationId, Phone, RequestHeader, Timestamp, WorkerId,
};
use robocall::ports::queue::Verdict;
use robocall::ports::store::*;
use robocall::ports::telephony::{LegReport, LegState, NewLeg};
use robocall::ports::{
    Audio, BusError, CampaignStore, Clock, Command, CommandBus, CommandReply, Delivery, EventBus, Incoming, Listener,
    Order, QueueError, RequestQueue, Speech, SpeechError, Telephony, TelephonyError,
};
use tokio::sync::mpsc;

use crate::checker::Checker;

/// What befalls one worker's ports.
pub struct Fate {
    clock: Arc<dyn Clock>,
    dice: Mutex<Dice>,
    /// Share of calls of a port whose reply is lost, in thousandths.
    loss: AtomicU64,
    /// Calls of ports after which the worker dies; none: it does not.
    fuse: AtomicI64,
    frozen_until: AtomicI64,
    dead: AtomicBool,
    died: tokio::sync::Notify,
}

/// Where in a call of a port something goes wrong.
#[derive(PartialEq)]
enum Loss {
    None,
    Request,
    Reply,
}

impl Fate {
    pub fn new(clock: Arc<dyn Clock>, seed: u64, loss: u64) -> Arc<Self> {
        Arc::new(Self {
            clock,
            dice: Mutex::new(Dice::new(seed)),
            loss: AtomicU64::new(loss),
            fuse: AtomicI64::new(i64::MAX),
            frozen_until: AtomicI64::new(i64::MIN),
            dead: AtomicBool::new(false),
            died: tokio::sync::Notify::new(),
        })
    }

    /// The worker dies at the `count`th await from now.
    pub fn light_fuse(&self, count: i64) {
        self.fuse.store(count, Ordering::Relaxed);
    }

    /// The worker stands still.
    pub fn freeze(&self, length: Duration) {
        self.frozen_until.store((self.clock.now() + length).as_millis(), Ordering::Relaxed);
    }

    pub fn heal(&self) {
        self.loss.store(0, Ordering::Relaxed);
        self.fuse.store(i64::MAX, Ordering::Relaxed);
    }

    pub async fn death(&self) {
        while !self.dead.load(Ordering::Relaxed) {
            self.died.notified().await;
        }
    }

    /// One await: the worker may die or stand still here.
    async fn gate(&self) {
        if self.fuse.fetch_sub(1, Ordering::Relaxed) <= 0 {
            self.dead.store(true, Ordering::Relaxed);
            self.died.notify_one();
        }
        loop {
            if self.dead.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let until = Timestamp::from_millis(self.frozen_until.load(Ordering::Relaxed));
            if self.clock.now() >= until {
                return;
            }
            self.clock.sleep_until(until).await;
        }
    }

    fn loss(&self) -> Loss {
        let share = self.loss.load(Ordering::Relaxed);
        let mut dice = self.dice.lock().unwrap();
        if dice.below(1000) >= share {
            Loss::None
        } else if dice.below(2) == 0 {
            Loss::Request
        } else {
            Loss::Reply
        }
    }
}

pub struct ChaosStore {
    pub inner: Arc<dyn CampaignStore>,
    pub fate: Arc<Fate>,
    pub checker: Arc<Checker>,
}

impl ChaosStore {
    /// A write that must be refused if the call is another's when it arrives.
    async fn fenced<T>(
        &self,
        held: &Held,
        what: &str,
        write: BoxFuture<'_, StoreResult<Written<T>>>,
    ) -> StoreResult<Written<T>> {
        let stale = self.checker.is_stale(held);
        let written = write.await;
        if stale && matches!(written, Ok(Written::Done(_))) {
            self.checker.let_through(held, what);
        }
        written
    }

    async fn through<T>(&self, call: BoxFuture<'_, StoreResult<T>>) -> StoreResult<T> {
        self.fate.gate().await;
        let loss = self.fate.loss();
        let lost = || Err(StoreError::Unavailable("lost by the test".to_owned()));
        if loss == Loss::Request {
            self.fate.gate().await;
            return lost();
        }
        let answer = call.await;
        self.checker.inspect_store();
        self.fate.gate().await;
        if loss == Loss::Reply { lost() } else { answer }
    }
}

#[async_trait]
impl CampaignStore for ChaosStore {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        self.through(self.inner.open_request(header, totals)).await
    }
    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.through(self.inner.load_chunk(key, part, number, chunk)).await
    }
    async fn seal(
        &self,
        key: &RequestKey,
        part: u32,
    ) -> StoreResult<(robocall::model::status::RequestSummary, Vec<robocall::model::event::RequestEvent>)> {
        self.through(self.inner.seal(key, part)).await
    }
    async fn reject(
        &self,
        rejection: &Rejection,
    ) -> StoreResult<(robocall::model::status::RequestSummary, Vec<robocall::model::event::RequestEvent>)> {
        self.through(self.inner.reject(rejection)).await
    }
    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        self.through(self.inner.claim(worker, want)).await
    }
    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        caller: Option<Phone>,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        let checked = async {
            let decision = self.inner.begin_dial(held, worker, caller, state).await;
            if let Ok(DialDecision::Dial { committed_at, .. }) = &decision {
                self.checker.committed(held, *committed_at);
            }
            decision
        };
        self.through(checked.boxed()).await
    }
    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<robocall::model::event::RequestEvent>>> {
        self.through(self.inner.give_back(held)).await
    }
    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>> {
        self.through(self.inner.checkpoint(held, after, facts, state)).await
    }
    async fn finish(
        &self,
        held: &Held,
        worker: &WorkerId,
        after: u32,
        facts: &[Fact],
        end: AttemptEnd,
        refill: u32,
    ) -> StoreResult<Written<Finished>> {
        let write = self.inner.finish(held, worker, after, facts, end, refill);
        self.through(self.fenced(held, "an end", write).boxed()).await
    }
    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        let checked = async {
            let answer = self.inner.request_slot(held, leg, until).await;
            if let Ok(Written::Done(SlotAnswer::Granted)) = &answer {
                self.checker.slot_granted(held, leg);
            }
            answer
        };
        self.through(checked.boxed()).await
    }
    async fn block_number(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<()> {
        self.through(self.inner.block_number(organisation, phone)).await
    }
    async fn renew(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        let renewed = async {
            let stale: Vec<Held> = held.iter().filter(|held| self.checker.is_stale(held)).cloned().collect();
            let renewed = self.inner.renew(worker, held).await;
            if let Ok(renewed) = &renewed {
                for held in stale.iter().filter(|held| !renewed.lost.contains(held)) {
                    self.checker.let_through(held, "a renewal");
                }
            }
            renewed
        };
        self.through(renewed.boxed()).await
    }
    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        self.through(self.inner.suspects(limit)).await
    }
    async fn lock_app(&self, app: &WorkerId, listener: &WorkerId) -> StoreResult<bool> {
        self.through(self.inner.lock_app(app, listener)).await
    }
    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        self.through(self.inner.adopt(suspect, adopter)).await
    }
    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        self.through(self.inner.confirm(confirmations)).await
    }
    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        self.through(self.inner.unconfirmed(before, limit)).await
    }
    async fn control(&self, key: &RequestKey, control: Control) -> StoreResult<Controlled> {
        self.through(self.inner.control(key, control)).await
    }
    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        self.through(self.inner.owner(organisation, call)).await
    }
    async fn sweep(&self) -> StoreResult<(Vec<robocall::model::event::RequestEvent>, Option<Timestamp>)> {
        self.through(self.inner.sweep()).await
    }
    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.inner.request(key).await
    }
    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.inner.calls(key, from, limit).await
    }
    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        self.through(self.inner.organisation(organisation)).await
    }
    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()> {
        self.inner.set_organisation(organisation, settings).await
    }
    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()> {
        self.inner.set_external(organisation, value).await
    }
    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse> {
        self.inner.slot_use(organisation).await
    }
    fn wakeups(&self) -> Listener {
        self.inner.wakeups()
    }
}

pub struct ChaosTelephony {
    pub inner: Arc<dyn Telephony>,
    pub fate: Arc<Fate>,
}

impl ChaosTelephony {
    async fn through<T>(&self, call: BoxFuture<'_, Result<T, TelephonyError>>) -> Result<T, TelephonyError> {
        self.fate.gate().await;
        let loss = self.fate.loss();
        let lost = || Err(TelephonyError::Unavailable("lost by the test".to_owned()));
        if loss == Loss::Request {
            self.fate.gate().await;
            return lost();
        }
        let answer = call.await;
        self.fate.gate().await;
        if loss == Loss::Reply { lost() } else { answer }
    }
}

#[async_trait]
impl Telephony for ChaosTelephony {
    async fn listen(&self, app: &WorkerId) -> Result<mpsc::UnboundedReceiver<LegReport>, TelephonyError> {
        self.fate.gate().await;
        self.inner.listen(app).await
    }
    async fn create(&self, app: &WorkerId, new: &NewLeg, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.through(self.inner.create(app, new, not_after)).await
    }
    async fn dial(&self, leg: LegId, ring_timeout: Duration, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.through(self.inner.dial(leg, ring_timeout, not_after)).await
    }
    async fn hang_up(&self, leg: LegId, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.through(self.inner.hang_up(leg, not_after)).await
    }
    async fn play(
        &self,
        leg: LegId,
        playback: u32,
        audio: &Audio,
        expects_key: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.through(self.inner.play(leg, playback, audio, expects_key, not_after)).await
    }
    async fn stop_playback(&self, leg: LegId, playback: u32, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.through(self.inner.stop_playback(leg, playback, not_after)).await
    }
    async fn detect_machine(
        &self,
        leg: LegId,
        wait_for_beep: bool,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.through(self.inner.detect_machine(leg, wait_for_beep, not_after)).await
    }
    async fn bridge(&self, leg: LegId, other: LegId, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.through(self.inner.bridge(leg, other, not_after)).await
    }
    async fn blind_transfer(
        &self,
        leg: LegId,
        other: LegId,
        target: &Target,
        not_after: Timestamp,
    ) -> Result<(), TelephonyError> {
        self.through(self.inner.blind_transfer(leg, other, target, not_after)).await
    }
    async fn record(&self, leg: LegId, name: &str, on: bool, not_after: Timestamp) -> Result<(), TelephonyError> {
        self.through(self.inner.record(leg, name, on, not_after)).await
    }
    async fn inspect(&self, leg: LegId) -> Result<Option<LegState>, TelephonyError> {
        self.through(self.inner.inspect(leg)).await
    }
    async fn legs_of(&self, app: &WorkerId) -> Result<Vec<(LegId, LegState)>, TelephonyError> {
        self.through(self.inner.legs_of(app)).await
    }
}

pub struct ChaosBus {
    inner: Arc<dyn EventBus>,
    fate: Arc<Fate>,
    broken: Arc<AtomicBool>,
}

impl ChaosBus {
    pub fn new(inner: Arc<dyn EventBus>, fate: Arc<Fate>) -> Self {
        Self { inner, fate, broken: Arc::default() }
    }
}

impl EventBus for ChaosBus {
    fn publish(&self, event: Event) -> BoxFuture<'static, Result<(), BusError>> {
        let lost = || Err(BusError("lost by the test".to_owned()));
        let loss = self.fate.loss();
        let broken = self.broken.load(Ordering::Relaxed) || self.fate.dead.load(Ordering::Relaxed);
        if loss != Loss::None {
            self.broken.store(true, Ordering::Relaxed);
        }
        if broken || loss == Loss::Request {
            return async move { lost() }.boxed();
        }
        let confirmation = self.inner.publish(event);
        let fate = Arc::clone(&self.fate);
        async move {
            fate.gate().await;
            let answer = confirmation.await;
            if loss == Loss::Reply { lost() } else { answer }
        }
        .boxed()
    }

    fn recover(&self) {
        self.broken.store(false, Ordering::Relaxed);
    }
}

pub struct ChaosSpeech {
    pub inner: Arc<dyn Speech>,
    pub fate: Arc<Fate>,
}

#[async_trait]
impl Speech for ChaosSpeech {
    fn speaks(&self, language: &str) -> bool {
        self.inner.speaks(language)
    }
    async fn prepare(&self, utterance: &Utterance) -> Result<Audio, SpeechError> {
        self.fate.gate().await;
        if self.fate.loss() != Loss::None {
            return Err(SpeechError::Unavailable("lost by the test".to_owned()));
        }
        self.inner.prepare(utterance).await
    }
}

pub struct ChaosQueue {
    pub inner: Arc<dyn RequestQueue>,
    pub fate: Arc<Fate>,
    pub checker: Arc<Checker>,
}

#[async_trait]
impl RequestQueue for ChaosQueue {
    async fn next(&self) -> Result<Option<Delivery>, QueueError> {
        self.fate.gate().await;
        self.inner.next().await
    }
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), QueueError> {
        self.fate.gate().await;
        let loss = self.fate.loss();
        let lost = || Err(QueueError::Unavailable("lost by the test".to_owned()));
        if loss == Loss::Request {
            return lost();
        }
        self.checker.acknowledged(&delivery.organisation, &verdict);
        let answer = self.inner.settle(delivery, verdict).await;
        self.fate.gate().await;
        if loss == Loss::Reply { lost() } else { answer }
    }
}

pub struct ChaosCommands {
    pub inner: Arc<dyn CommandBus>,
    pub fate: Arc<Fate>,
}

#[async_trait]
impl CommandBus for ChaosCommands {
    async fn next(&self, worker: &WorkerId) -> Option<Incoming> {
        self.fate.gate().await;
        self.inner.next(worker).await
    }
    async fn forward(&self, owner: &WorkerId, order: Order) {
        self.fate.gate().await;
        self.inner.forward(owner, order).await;
    }
    async fn answer(&self, command: &Command, reply: CommandReply) {
        self.fate.gate().await;
        self.inner.answer(command, reply).await;
    }
}
