//! The waiting room in Redis: which operation is carried out where.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::Value;
use tokio::task::JoinSet;

use super::link::{Link, RedisSettings};
use super::reply::Reply;
use super::ring::Ring;
use super::script::{Ops, Scripts};
use crate::callflow::call::CallState;
use crate::model::event::{CallContext, RequestEvent};
use crate::model::status::RequestSummary;
use crate::model::{
    CallId, Fact, LegId, Organisation, OrganisationId, Phone, RequestHeader, RequestId, Timestamp, WorkerId,
};
use crate::ports::store::*;
use crate::ports::{Bell, CampaignStore, Clock, Listener};

/// Most headers kept at hand; past it, all are forgotten and read again when next needed.
const HEADERS: usize = 4_096;

/// How long replicas may take, in milliseconds: a dial follows its commitment within a second.
const REPLICATED_WITHIN_MS: u32 = 500;

/// How soon listening for wake-ups is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Headers by the hash of their request's name and when it was sealed.
type Headers = BTreeMap<(String, Timestamp), Arc<RequestHeader>>;

/// The waiting room in Redis.
pub struct RedisStore {
    link: Link,
    scripts: Arc<Scripts>,
    pub(super) ring: Arc<Ring>,
    prefix: String,
    pub(super) default_limit: u32,
    /// A connection of its own for what replicas must have before it counts, and how many must.
    replicated: Option<(Link, u32)>,
    /// Whose time counts instead of the server's, in tests.
    clock: Option<Arc<dyn Clock>>,
    headers: Mutex<Headers>,
    /// Events of requests that were made while looking for something else.
    overheard: Mutex<Vec<RequestEvent>>,
    bell: Bell,
    /// Ended with the store.
    _upkeep: JoinSet<()>,
}

/// What an organisation's script answered.
pub(super) struct Answer {
    /// For each operation.
    pub answers: Reply,
    /// Whether windows were found out of date; they have been read meanwhile.
    pub was_stale: bool,
}

impl RedisStore {
    /// A store on a server that need not be there yet. Must be called within a runtime, which its upkeep runs on.
    ///
    /// # Errors
    /// When the settings name no server.
    pub fn new(settings: &RedisSettings) -> StoreResult<Self> {
        Self::with_time(settings, None)
    }

    /// The same, with another's time instead of the server's.
    ///
    /// # Errors
    /// When the settings name no server.
    #[doc(hidden)]
    pub fn on_clock(settings: &RedisSettings, clock: Arc<dyn Clock>) -> StoreResult<Self> {
        Self::with_time(settings, Some(clock))
    }

    fn with_time(settings: &RedisSettings, clock: Option<Arc<dyn Clock>>) -> StoreResult<Self> {
        let bell = Bell::default();
        let link = Link::new(settings, bell.clone())?;
        let replicated = match settings.wait_replicas {
            0 => None,
            count => Some((Link::new(settings, Bell::default())?, count)),
        };
        let scripts = Arc::new(Scripts::new());
        let ring = Ring::new(link.clone(), scripts.ring.clone(), &settings.prefix, bell.clone(), clock.is_none());
        let mut upkeep = JoinSet::new();
        if clock.is_none() {
            upkeep.spawn(Arc::clone(&ring).tell_for_ever());
        }
        let (listening, channel) = (link.clone(), ring.channel());
        #[expect(
            clippy::disallowed_methods,
            reason = "the connection lives in real time, whatever the store's time is"
        )]
        upkeep.spawn(async move {
            while let Err(error) = listening.listen(&channel).await {
                tracing::debug!(%error, "wake-ups are not heard yet");
                tokio::time::sleep(AGAIN).await;
            }
        });
        Ok(Self {
            link,
            scripts,
            ring,
            prefix: settings.prefix.clone(),
            default_limit: settings.default_limit,
            replicated,
            clock,
            headers: Mutex::default(),
            overheard: Mutex::default(),
            bell,
            _upkeep: upkeep,
        })
    }

    /// The time, if it is not the server's.
    pub(super) fn now(&self) -> Option<Timestamp> {
        self.clock.as_ref().map(|clock| clock.now())
    }

    /// A key of an organisation's, by the name it has in scripts.
    pub(super) fn key(&self, organisation: &OrganisationId, name: &str) -> String {
        format!("{}:{{{organisation}}}:{name}", self.prefix)
    }

    /// Operations of an organisation, none yet.
    pub(super) fn ops(&self, organisation: &OrganisationId) -> Ops {
        let key = self.key(organisation, "");
        Ops::new(&self.scripts.organisation, &key, self.now()).int(self.default_limit)
    }

    /// Carries operations out; hints go to the ring, and windows that were out of date are read.
    pub(super) async fn ask(&self, organisation: &OrganisationId, ops: Ops) -> StoreResult<Answer> {
        let answer = self.link.run(&self.scripts.organisation, &ops.0).await?;
        self.heed(organisation, answer).await
    }

    /// Carries operations out and waits until replicas have what they wrote: were the server lost in the next moment, its
    /// successor knows of it. The wait holds up whatever else is on its connection, which is why it has one of its own.
    pub(super) async fn ask_for_good(&self, organisation: &OrganisationId, ops: Ops) -> StoreResult<Answer> {
        let Some((link, replicas)) = &self.replicated else { return self.ask(organisation, ops).await };
        let answer = link.run(&self.scripts.organisation, &ops.0).await?;
        let mut wait = redis::cmd("WAIT");
        let had = link.command(wait.arg(*replicas).arg(REPLICATED_WITHIN_MS)).await?;
        let answer = self.heed(organisation, answer).await?;
        match had {
            Value::Int(had) if had >= i64::from(*replicas) => Ok(answer),
            had => Err(StoreError::Unavailable(format!("{had:?} of {replicas} replicas have it"))),
        }
    }

    /// Takes note of everything in an answer that is not for whoever asked.
    async fn heed(&self, organisation: &OrganisationId, answer: Value) -> StoreResult<Answer> {
        let mut answer = Reply::of(answer)?;
        let (now, answers, hint, stale) = (answer.time()?, answer.list()?, answer.list()?, answer.lists()?);
        self.ring.note(organisation, hint)?;
        if self.clock.is_some() {
            self.ring.tell().await?;
        }
        let was_stale = !stale.is_empty();
        if was_stale {
            Box::pin(self.read_windows(organisation, now, stale)).await?;
        }
        Ok(Answer { answers, was_stale })
    }

    /// Carries operations out; what they answer.
    pub(super) async fn send(&self, organisation: &OrganisationId, ops: Ops) -> StoreResult<Reply> {
        Ok(self.ask(organisation, ops).await?.answers)
    }

    /// Has a process hold something alone for one time to live, or lets it go.
    pub(super) async fn ask_about_lock(&self, name: &str, process: ProcessId, what: &str) -> StoreResult<bool> {
        // In a slot of its own: it concerns no organisation.
        let key = format!("{}:{{{name}}}", self.prefix);
        let ops = Ops::new(&self.scripts.app, &key, self.now()).text(&process.to_string()).text(what);
        Ok(self.link.run(&self.scripts.app, &ops.0).await? == Value::Int(1))
    }

    /// Runs a plain command.
    pub(super) async fn command(&self, command: &redis::Cmd) -> StoreResult<Value> {
        self.link.command(command).await
    }

    /// The header of a sealed request.
    pub(super) async fn header(
        &self,
        organisation: &OrganisationId,
        call: CallId,
        sealed_at: Timestamp,
    ) -> StoreResult<Arc<RequestHeader>> {
        let key = (super::script::request_hash(call), sealed_at);
        if let Some(header) = self.headers.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(header));
        }
        let header = self.header_now(organisation, &key.0).await?.ok_or(StoreError::NotFound)?;
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        if headers.len() >= HEADERS {
            headers.clear();
        }
        headers.insert(key, Arc::clone(&header));
        Ok(header)
    }

    /// The header of a request as it is now; none if there is none.
    pub(super) async fn header_now(
        &self,
        organisation: &OrganisationId,
        request: &str,
    ) -> StoreResult<Option<Arc<RequestHeader>>> {
        let bytes = self.send(organisation, self.ops(organisation).text("header").text(request)).await?.bytes()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&bytes).map(|header| Some(Arc::new(header))).map_err(super::codec::unreadable)
    }

    /// Keeps events for whoever sweeps next.
    pub(super) fn overhear(&self, events: Vec<RequestEvent>) {
        self.overheard.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }

    /// Events that were kept.
    pub(super) fn take_overheard(&self) -> Vec<RequestEvent> {
        std::mem::take(&mut *self.overheard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl CampaignStore for RedisStore {
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened> {
        self.open(header, totals).await
    }

    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded> {
        self.load(key, part, number, chunk).await
    }

    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.seal_part(key, part).await
    }

    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)> {
        self.write_rejection(rejection).await
    }

    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims> {
        self.claim_for(worker, want).await
    }

    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        caller: Option<Phone>,
        state: &CallState,
    ) -> StoreResult<DialDecision> {
        self.commit(held, worker, caller, state).await
    }

    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.return_claim(held).await
    }

    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>> {
        self.write_checkpoint(held, after, facts, state).await
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
        self.end(held, worker, after, facts, end, refill).await
    }

    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>> {
        self.ask_for_slot(held, leg, until).await
    }

    async fn block_number(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<()> {
        let ops = self.ops(organisation).text("block").text(&phone.digits().to_string());
        self.send(organisation, ops).await.map(drop)
    }

    async fn unblock_number(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool> {
        let ops = self.ops(organisation).text("unblock").text(&phone.digits().to_string());
        Ok(self.send(organisation, ops).await?.int()? == 1)
    }

    async fn blocked_numbers(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>> {
        self.read_blocked(organisation).await
    }

    async fn renew(&self, _: &WorkerId, held: &[Held]) -> StoreResult<Renewed> {
        self.renew_all(held).await
    }

    async fn reassert(
        &self,
        held: &Held,
        worker: &WorkerId,
        call: &CallContext,
        history: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>> {
        self.say_again(held, worker, call, history, state).await
    }

    async fn hand_over(&self, _: &WorkerId, held: &[Held]) -> StoreResult<()> {
        self.hand_all_over(held).await
    }

    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>> {
        self.find_suspects(limit).await
    }

    async fn lock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<bool> {
        self.ask_about_lock(&format!("app:{app}"), process, "lock").await
    }

    async fn unlock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<()> {
        self.ask_about_lock(&format!("app:{app}"), process, "unlock").await.map(drop)
    }

    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>> {
        self.take_over(suspect, adopter).await
    }

    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()> {
        self.note_confirmed(confirmations).await
    }

    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>> {
        self.find_unconfirmed(before, limit).await
    }

    async fn control(&self, key: &RequestKey, control: Control) -> StoreResult<Controlled> {
        self.control_request(key, control).await
    }

    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>> {
        self.owner_of(organisation, call).await
    }

    async fn live_calls(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>> {
        self.find_live(organisation, request).await
    }

    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)> {
        self.look_around().await
    }

    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot> {
        self.show(key).await
    }

    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>> {
        self.show_calls(key, from, limit).await
    }

    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation> {
        self.read_settings(organisation).await
    }

    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()> {
        self.write_settings(organisation, &settings).await
    }

    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()> {
        let ops = self.ops(organisation).text("set_external").int(u8::from(value.is_some()));
        let ops = match &value {
            Some(value) => ops.text(value),
            None => ops,
        };
        self.send(organisation, ops).await.map(drop)
    }

    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse> {
        let mut answer = self.send(organisation, self.ops(organisation).text("slots")).await?.list()?;
        let (limit, external) = (answer.small()?, answer.small()?);
        Ok(SlotUse { limit, external, leased: answer.small()?, suspect: answer.small()? })
    }

    fn wakeups(&self) -> Listener {
        self.bell.listen()
    }
}
