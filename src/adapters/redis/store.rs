//! The waiting room in Redis: what all its operations need, and how a script is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use redis::Value;
use tokio::task::JoinSet;

use super::carrier::{Call, Carrier};
use super::link::{Link, RedisSettings};
use super::reply::Reply;
use super::ring::Ring;
use super::script::{Code, Ops};
use crate::model::event::RequestEvent;
use crate::model::{CallId, OrganisationId, RequestHeader, Timestamp};
use crate::ports::store::*;
use crate::ports::{Bell, Clock};

/// Most headers kept at hand; past it, all are forgotten and read again when next needed.
const HEADERS: usize = 4_096;

/// How many organisations are asked the same at a time.
pub(super) const AT_A_TIME: usize = 32;

/// Headers by the hash of their request's name and when it was sealed.
type Headers = BTreeMap<(String, Timestamp), Arc<RequestHeader>>;

/// The waiting room in Redis.
pub struct RedisStore {
    link: Link,
    carrier: Arc<Carrier>,
    pub(super) ring: Arc<Ring>,
    pub(super) prefix: String,
    pub(super) default_limit: u32,
    /// Carries what replicas must have before it counts: on a connection of its own, since waiting for them holds up
    /// whatever else is on it.
    replicated: Option<Arc<Carrier>>,
    /// Whose time counts instead of the server's, in tests.
    clock: Option<Arc<dyn Clock>>,
    headers: Mutex<Headers>,
    /// Events of requests that were made while looking for something else.
    overheard: Mutex<Vec<RequestEvent>>,
    pub(super) bell: Bell,
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
        let ring = Ring::new(link.clone(), &settings.prefix, bell.clone(), clock.is_none());
        let replicated = match settings.wait_replicas {
            0 => None,
            count => Some(Carrier::new(Link::new(settings, Bell::default())?, Arc::clone(&ring), Some(count))),
        };
        let mut upkeep = JoinSet::new();
        if clock.is_none() {
            upkeep.spawn(Arc::clone(&ring).tell_for_ever());
        }
        let (listening, channel) = (link.clone(), ring.channel());
        upkeep.spawn(async move { listening.listen(channel).await });
        Ok(Self {
            carrier: Carrier::new(link.clone(), Arc::clone(&ring), None),
            link,
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

    /// Carries operations out; hints go to the ring, and windows that were out of date are read.
    pub(super) async fn ask(&self, organisation: &OrganisationId, operations: Ops) -> StoreResult<Answer> {
        self.ask_by(&self.carrier, organisation, operations).await
    }

    /// Carries operations out and waits until replicas have what they wrote: were the server lost in the next moment, its
    /// successor knows of it.
    pub(super) async fn ask_for_good(&self, organisation: &OrganisationId, operations: Ops) -> StoreResult<Answer> {
        self.ask_by(self.replicated.as_ref().unwrap_or(&self.carrier), organisation, operations).await
    }

    async fn ask_by(
        &self,
        carrier: &Arc<Carrier>,
        organisation: &OrganisationId,
        operations: Ops,
    ) -> StoreResult<Answer> {
        let (key, now) = (self.key(organisation, ""), self.now());
        let call = Call { key, now, default_limit: self.default_limit, operations };
        let (answers, now, stale) = carrier.ask(organisation, call).await?;
        self.heed(organisation, answers, now, stale).await
    }

    /// Does what an answer asks for besides.
    async fn heed(
        &self,
        organisation: &OrganisationId,
        answers: Reply,
        now: Timestamp,
        stale: Vec<Reply>,
    ) -> StoreResult<Answer> {
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
        let ops = Ops::at(self.now()).text(&process.to_string()).text(what);
        Ok(self.link.run(Code::App, &key, &ops).await? == Value::Int(1))
    }

    /// Carries code out that concerns no organisation.
    pub(super) async fn run(&self, code: Code, key: &str, ops: &Ops) -> StoreResult<Value> {
        self.link.run(code, key, ops).await
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
        let bytes = self.send(organisation, Ops::none().op("header").text(request)).await?.bytes()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        super::codec::from_json(&bytes, "a request").map(|header| Some(Arc::new(header)))
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
