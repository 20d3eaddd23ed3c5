//! Webhooks in memory: the log of events, fed by the bus, and what is not delivered yet.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::event_bus::EventSink;
use crate::model::{Event, HookSecret, OrganisationId, Timestamp};
use crate::ports::hooks::*;
use crate::ports::store::{ProcessId, StoreResult};
use crate::ports::{Bell, Clock};

/// Most wishes that wait.
const MOST_WISHES: usize = 1_000;

/// What is read of an event.
#[derive(Deserialize)]
struct Head {
    id: String,
}

/// The log of events in memory.
#[derive(Clone, Default)]
pub struct MemoryEventLog(Arc<Log>);

#[derive(Default)]
struct Log {
    /// The offset of the first that is kept, and all from there on.
    events: Mutex<(u64, VecDeque<LoggedHookEvent>)>,
    /// How often it was begun anew.
    epoch: AtomicU64,
    bell: Bell,
    /// How many are kept; none: all.
    most: Option<usize>,
}

impl MemoryEventLog {
    /// A log that forgets the oldest event for each that is more than so many.
    pub fn keeping(most: usize) -> Self {
        Self(Arc::new(Log { most: Some(most), ..Log::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<LoggedHookEvent>)> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What writes a bus's events down here.
    pub fn sink(&self) -> EventSink {
        let log = self.clone();
        Arc::new(move |event: &Event| {
            if let Ok(body) = serde_json::to_vec(event) {
                log.push(event.organisation().clone(), event.kind().as_str(), body);
            }
        })
    }

    /// Writes an event down.
    pub fn push(&self, organisation: OrganisationId, kind: &str, body: Vec<u8>) {
        let id = serde_json::from_slice(&body).ok().map(|Head { id }| id.into());
        let mut log = self.lock();
        let offset = log.0 + log.1.len() as u64;
        log.1.push_back(LoggedHookEvent { offset, id, organisation, kind: kind.into(), body });
        if self.0.most.is_some_and(|most| log.1.len() > most) && log.1.pop_front().is_some() {
            log.0 += 1;
        }
        drop(log);
        self.0.bell.ring();
    }

    /// Forgets everything and begins anew, as a log does that was deleted.
    pub fn begin_anew(&self) {
        let mut log = self.lock();
        *log = (0, VecDeque::new());
        self.0.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets everything before an offset, as a log does whose time is over.
    pub fn truncate(&self, before: u64) {
        let mut log = self.lock();
        while log.0 < before && log.1.pop_front().is_some() {
            log.0 += 1;
        }
    }
}

#[async_trait]
impl EventLog for MemoryEventLog {
    async fn end(&self) -> StoreResult<u64> {
        let log = self.lock();
        Ok(log.0 + log.1.len() as u64)
    }

    async fn first(&self) -> StoreResult<Option<u64>> {
        Ok(self.lock().1.front().map(|event| event.offset))
    }

    async fn listen(&self) -> StoreResult<Box<dyn LogReader>> {
        self.read(self.end().await?).await
    }

    async fn read(&self, from: u64) -> StoreResult<Box<dyn LogReader>> {
        let epoch = self.0.epoch.load(Ordering::Relaxed);
        Ok(Box::new(Reader { log: self.clone(), from, epoch }))
    }
}

struct Reader {
    log: MemoryEventLog,
    from: u64,
    epoch: u64,
}

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> LoggedHookEvent {
        let mut listener = self.log.0.bell.listen();
        loop {
            let event = {
                let log = self.log.lock();
                let epoch = self.log.0.epoch.load(Ordering::Relaxed);
                if epoch != self.epoch {
                    (self.from, self.epoch) = (0, epoch);
                }
                let place = usize::try_from(self.from.saturating_sub(log.0)).unwrap_or(usize::MAX);
                log.1.get(place).cloned()
            };
            if let Some(event) = event {
                self.from = event.offset + 1;
                return event;
            }
            listener.rung().await;
        }
    }
}

/// What is not delivered yet, in memory.
pub struct MemoryHooks {
    clock: Arc<dyn Clock>,
    keeping: Keeping,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lead: Option<(Lead, Timestamp)>,
    tokens: u64,
    position: Option<u64>,
    last: Option<Arc<str>>,
    base: u64,
    endpoints: BTreeMap<EndpointKey, EndpointRecord>,
    pending: BTreeMap<EndpointKey, BTreeMap<u64, (PendingEvent, Vec<u8>)>>,
    dead: BTreeMap<Option<OrganisationId>, Shelf<(DeadEvent, Vec<u8>)>>,
    answers: BTreeMap<OrganisationId, Shelf<String>>,
    wishes: VecDeque<Wish>,
    secrets: BTreeMap<OrganisationId, Vec<HookSecret>>,
}

/// Things by name, of which the oldest make room.
struct Shelf<T>(BTreeMap<Box<str>, (Timestamp, T)>);

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Shelf<T> {
    fn put(&mut self, name: &str, at: Timestamp, thing: T, most: u32, kept_for: Duration) {
        self.0.insert(name.into(), (at, thing));
        self.0.retain(|_, (put, _)| at.since(*put) < kept_for);
        while self.0.len() > most as usize {
            let oldest = self.0.iter().min_by(|one, other| (one.1.0, one.0).cmp(&(other.1.0, other.0)));
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
            self.0.remove(&oldest);
        }
    }
}

impl MemoryHooks {
    /// Nothing yet.
    pub fn new(clock: Arc<dyn Clock>, keeping: Keeping) -> Self {
        Self { clock, keeping, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn change(&mut self, change: &Change, keeping: &Keeping) {
        match change {
            Change::Position(position, last) => (self.position, self.last) = (Some(*position), last.clone()),
            Change::Anew(base) => self.base = *base,
            Change::Endpoint(key, record) => {
                self.endpoints.insert(key.clone(), record.clone());
            }
            Change::Forget(key) => {
                self.endpoints.remove(key);
                self.pending.remove(key);
            }
            Change::Add(key, event, body) => {
                self.pending.entry(key.clone()).or_default().insert(event.offset, (event.clone(), body.clone()));
            }
            Change::Update(key, event) => {
                let kept = self.pending.get_mut(key).and_then(|pending| pending.get_mut(&event.offset));
                if let Some((kept, _)) = kept {
                    *kept = event.clone();
                }
            }
            Change::Remove(key, offset) => {
                self.take(key, *offset);
            }
            Change::Bury(dead) => {
                let event = dead.endpoint.as_ref().zip(dead.event.as_ref());
                let body = event.and_then(|(key, event)| self.take(key, event.offset));
                if event.is_some() && body.is_none() {
                    // Buried before.
                    return;
                }
                let shelf = self.dead.entry(dead.endpoint.as_ref().map(|key| key.organisation.clone())).or_default();
                let thing = (dead.clone(), body.unwrap_or_default());
                shelf.put(&dead.id, dead.at, thing, keeping.dead, keeping.dead_for);
            }
            Change::Raise(dead, event) => {
                let Some(key) = &dead.endpoint else { return };
                let shelf = self.dead.get_mut(&Some(key.organisation.clone()));
                if let Some((_, (_, body))) = shelf.and_then(|shelf| shelf.0.remove(&dead.id)) {
                    self.pending.entry(key.clone()).or_default().insert(event.offset, (event.clone(), body));
                }
            }
            Change::Keep { organisation, call, answer, at } => {
                let shelf = self.answers.entry(organisation.clone()).or_default();
                shelf.put(call, *at, answer.clone(), keeping.answers, keeping.answers_for);
            }
            Change::Granted(id) => self.wishes.retain(|wish| wish.id != *id),
        }
    }

    fn take(&mut self, key: &EndpointKey, offset: u64) -> Option<Vec<u8>> {
        self.pending.get_mut(key)?.remove(&offset).map(|(_, body)| body)
    }
}

#[async_trait]
impl HookStore for MemoryHooks {
    async fn lead(&self, process: ProcessId, life: Duration) -> StoreResult<Option<Lead>> {
        let (now, mut kept) = (self.clock.now(), self.lock());
        let lead = match kept.lead {
            Some((lead, _)) if lead.process == process => lead,
            Some((_, until)) if until > now => return Ok(None),
            _ => {
                kept.tokens += 1;
                Lead { process, token: kept.tokens }
            }
        };
        kept.lead = Some((lead, now + life));
        Ok(Some(lead))
    }

    async fn resign(&self, lead: Lead) -> StoreResult<()> {
        let mut kept = self.lock();
        if kept.lead.is_some_and(|(held, _)| held == lead) {
            kept.lead = None;
        }
        Ok(())
    }

    async fn load(&self) -> StoreResult<HookBook> {
        let kept = self.lock();
        let pending = |key: &EndpointKey| {
            kept.pending.get(key).into_iter().flat_map(BTreeMap::values).map(|(event, _)| event.clone()).collect()
        };
        let endpoints = kept.endpoints.iter().map(|(key, record)| (key.clone(), record.clone(), pending(key)));
        let (position, last, base) = (kept.position, kept.last.clone(), kept.base);
        Ok(HookBook { position, last, base, endpoints: endpoints.collect() })
    }

    async fn change(&self, lead: Lead, changes: &[Change]) -> Result<(), ChangeError> {
        let mut kept = self.lock();
        if kept.lead.is_none_or(|(held, _)| held != lead) {
            return Err(ChangeError::Fenced);
        }
        changes.iter().for_each(|change| kept.change(change, &self.keeping));
        Ok(())
    }

    async fn body(&self, endpoint: &EndpointKey, offset: u64) -> StoreResult<Option<Vec<u8>>> {
        let kept = self.lock();
        Ok(kept.pending.get(endpoint).and_then(|pending| pending.get(&offset)).map(|(_, body)| body.clone()))
    }

    async fn endpoints(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<EndpointGlimpse>> {
        let kept = self.lock();
        let named =
            kept.endpoints.iter().filter(|(key, _)| organisation.is_none_or(|named| key.organisation == *named));
        let shown = named.map(|(key, record)| EndpointGlimpse {
            key: key.clone(),
            record: record.clone(),
            pending: kept.pending.get(key).map_or(0, |pending| pending.len() as u64),
        });
        Ok(shown.collect())
    }

    async fn dead(&self, organisation: Option<&OrganisationId>, limit: u32) -> StoreResult<Vec<DeadEvent>> {
        let kept = self.lock();
        let shelf = kept.dead.get(&organisation.cloned());
        let mut dead: Vec<DeadEvent> =
            shelf.into_iter().flat_map(|shelf| shelf.0.values()).map(|(_, (dead, _))| dead.clone()).collect();
        dead.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        dead.truncate(limit as usize);
        Ok(dead)
    }

    async fn with_dead(&self) -> StoreResult<Vec<OrganisationId>> {
        let kept = self.lock();
        let full = kept.dead.iter().filter(|(_, shelf)| !shelf.0.is_empty());
        Ok(full.filter_map(|(organisation, _)| organisation.clone()).collect())
    }

    async fn wish(&self, wish: &Wish) -> StoreResult<bool> {
        let mut kept = self.lock();
        if kept.wishes.iter().any(|other| other.id == wish.id) {
            return Ok(true);
        }
        if kept.wishes.len() >= MOST_WISHES {
            return Ok(false);
        }
        kept.wishes.push_back(wish.clone());
        Ok(true)
    }

    async fn wishes(&self) -> StoreResult<Vec<Wish>> {
        Ok(self.lock().wishes.iter().cloned().collect())
    }

    async fn answer(&self, organisation: &OrganisationId, call: &str) -> StoreResult<Option<String>> {
        let kept = self.lock();
        Ok(kept.answers.get(organisation).and_then(|shelf| shelf.0.get(call)).map(|(_, answer)| answer.clone()))
    }

    async fn secrets(&self, organisation: &OrganisationId) -> StoreResult<Vec<HookSecret>> {
        Ok(self.lock().secrets.get(organisation).cloned().unwrap_or_default())
    }

    async fn set_secrets(&self, organisation: &OrganisationId, secrets: &[HookSecret]) -> StoreResult<()> {
        self.lock().secrets.insert(organisation.clone(), secrets.to_vec());
        Ok(())
    }
}
