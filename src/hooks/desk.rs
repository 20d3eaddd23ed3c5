//! All endpoints, and what has changed since it was last written down. Pure: time and chance are arguments.
//!
//! **Invariant:** what is remembered here and not among the changes is in the store: whoever writes the changes down, all at
//! once, can be followed by anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::{Endpoint, Rules, Settled};
pub use super::turns::Places;
use super::turns::Turns;
use super::verdict::Verdict;
use crate::model::hook::TemplateName;
use crate::model::{HookUrl, OrganisationId, Timestamp};
use crate::ports::hooks::{Change, DeadEvent, EndpointKey, EndpointRecord, HookBook, LoggedHookEvent, PendingEvent};
use crate::telemetry::deployment::{self as telemetry, Delivery};

/// Most endpoints of an organisation of which something is kept; events for others are dead at once.
pub(super) const MOST_ENDPOINTS: usize = 1_000;

/// Whoever takes longer to answer is slow, and so is whoever fails.
const SLOW: Duration = Duration::from_secs(1);

/// What an event is about, and who wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The event's id.
    pub id: Box<str>,
    /// What it is about.
    pub subject: Box<str>,
    /// Where it is sent, and in which shape; each address once.
    pub targets: Vec<(HookUrl, Option<TemplateName>)>,
}

/// Whether reading on for an endpoint that lags makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// It does.
    GoOn,
    /// It has no room at the moment, or is sent nothing.
    Later,
    /// It does not lag any more.
    Joined,
}

/// All endpoints.
pub struct Desk {
    rules: Rules,
    /// Everything in the log before this was taken note of.
    position: u64,
    /// As which the first event of the log counts.
    base: u64,
    /// The id of the last event before the position, if it is known.
    last: Option<Arc<str>>,
    written: Option<(u64, Option<Arc<str>>)>,
    endpoints: BTreeMap<EndpointKey, Endpoint>,
    turns: Turns,
    changed: BTreeSet<EndpointKey>,
    changes: Vec<Change>,
}

impl Desk {
    /// Everything as it was kept. `position`: where reading begins.
    pub fn restored(book: HookBook, position: u64, rules: Rules, now: Timestamp) -> Self {
        let mut desk = Self {
            rules,
            position,
            base: book.base,
            written: book.position.map(|position| (position, book.last.clone())),
            last: book.last,
            endpoints: BTreeMap::new(),
            turns: Turns::default(),
            changed: BTreeSet::new(),
            changes: Vec::new(),
        };
        for (key, record, pending) in book.endpoints {
            desk.endpoints.insert(key.clone(), Endpoint::restored(record, pending, rules, now));
            desk.plan(&key);
        }
        desk
    }

    /// Everything in the log before this was taken note of.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The id of the last event before that, if it is known.
    pub fn last(&self) -> Option<Arc<str>> {
        self.last.clone()
    }

    /// Takes note of the id of the last event before the position, which whoever wrote that did not keep.
    pub fn know_last(&mut self, id: Option<Arc<str>>) {
        self.last = id.or(self.last.take());
    }

    /// As which the first event of the log counts.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Takes note of a log that was begun anew: what comes of it comes behind everything that was read of the one before,
    /// and what was not read of that is gone.
    pub fn begin_anew(&mut self) {
        self.base = self.position;
        self.changes.push(Change::Anew(self.base));
    }

    /// Takes note of an event of the log for everybody who keeps up.
    pub fn take(&mut self, event: &LoggedHookEvent, wanted: Option<&Wanted>, now: Timestamp) {
        if event.offset < self.position {
            return;
        }
        (self.position, self.last) = (event.offset + 1, event.id.clone());
        let Some(wanted) = wanted else { return };
        for (url, template) in &wanted.targets {
            let key = EndpointKey { organisation: event.organisation.clone(), url: url.clone() };
            let load = self.load(&key.organisation);
            let endpoint = self.endpoint(&key, now);
            if endpoint.record.cursor.is_some() {
                continue;
            }
            if endpoint.has_room(load) {
                self.add(&key, event, wanted, template.clone(), now);
            } else {
                endpoint.record.cursor = Some(event.offset);
                self.changed.insert(key);
            }
        }
    }

    fn endpoint(&mut self, key: &EndpointKey, now: Timestamp) -> &mut Endpoint {
        let rules = self.rules;
        self.endpoints
            .entry(key.clone())
            .or_insert_with(|| Endpoint::restored(EndpointRecord::default(), Vec::new(), rules, now))
    }

    fn add(
        &mut self,
        key: &EndpointKey,
        event: &LoggedHookEvent,
        wanted: &Wanted,
        template: Option<TemplateName>,
        now: Timestamp,
    ) {
        let pending = PendingEvent {
            offset: event.offset,
            id: wanted.id.clone(),
            kind: event.kind.clone(),
            subject: wanted.subject.clone(),
            template,
            since: now,
            tries: 0,
            due: now,
            bytes: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
        };
        let is_crowded = self.is_crowded(key);
        if !self.endpoint(key, now).add(pending.clone()) {
            return;
        }
        self.changed.insert(key.clone());
        self.changes.push(Change::Add(key.clone(), pending.clone(), event.body.clone()));
        if is_crowded {
            let removed = self.endpoint(key, now).forget(pending.offset);
            let why = "too many addresses of the organisation do not answer".to_owned();
            removed.into_iter().for_each(|event| self.bury(key, event, why.clone(), now));
        }
        self.plan(key);
    }

    /// Whether it is one too many of its organisation.
    fn is_crowded(&self, key: &EndpointKey) -> bool {
        if self.endpoints.len() <= MOST_ENDPOINTS {
            return false;
        }
        let others = self.endpoints.keys().filter(|other| other.organisation == key.organisation);
        others.count() > MOST_ENDPOINTS && self.endpoints.get(key).is_none_or(Endpoint::is_idle)
    }

    /// Endpoints that lag and could take something on, and where in the log each is.
    pub fn laggards(&self) -> impl Iterator<Item = (&EndpointKey, u64)> {
        let lagging =
            self.endpoints.iter().filter_map(|(key, endpoint)| Some((key, endpoint, endpoint.record.cursor?)));
        let able = |key: &EndpointKey, endpoint: &Endpoint| {
            endpoint.is_well() && endpoint.has_much_room(self.load(&key.organisation))
        };
        lagging.filter(move |(key, endpoint, _)| able(key, endpoint)).map(|(key, _, cursor)| (key, cursor))
    }

    /// Whether an event that was read for one that lags is worth looking at, before anybody asks who wants it.
    pub fn judge_catch_up(&mut self, key: &EndpointKey, event: &LoggedHookEvent) -> CatchUp {
        let (position, load) = (self.position, self.load(&key.organisation));
        let Some(endpoint) = self.endpoints.get_mut(key) else { return CatchUp::Joined };
        match endpoint.record.cursor {
            None => CatchUp::Joined,
            Some(_) if event.offset >= position => {
                endpoint.record.cursor = None;
                self.changed.insert(key.clone());
                CatchUp::Joined
            }
            Some(_) if endpoint.has_room(load) && endpoint.is_well() => CatchUp::GoOn,
            Some(_) => CatchUp::Later,
        }
    }

    /// Takes note of an event for one that lags.
    pub fn catch_up(
        &mut self,
        key: &EndpointKey,
        event: &LoggedHookEvent,
        wanted: Option<&Wanted>,
        now: Timestamp,
    ) -> CatchUp {
        let judged = self.judge_catch_up(key, event);
        if judged != CatchUp::GoOn {
            return judged;
        }
        if let Some(wanted) = wanted
            && event.organisation == key.organisation
            && let Some((_, template)) = wanted.targets.iter().find(|(url, _)| *url == key.url)
        {
            self.add(key, event, wanted, template.clone(), now);
        }
        let position = self.position;
        let Some(endpoint) = self.endpoints.get_mut(key) else { return CatchUp::Joined };
        let next = event.offset + 1;
        endpoint.record.cursor = (next < position).then_some(next);
        self.changed.insert(key.clone());
        if next < position { CatchUp::GoOn } else { CatchUp::Joined }
    }

    /// The next event to be sent, and to whom.
    pub fn next(&mut self, now: Timestamp, places: Places) -> Option<(EndpointKey, PendingEvent)> {
        let mut passed_over = None;
        loop {
            let is_quiet = |key: &EndpointKey| self.endpoints.get(key).is_none_or(Endpoint::is_quiet);
            let (at, key) = self.turns.next(now, places, passed_over.as_ref(), is_quiet)?;
            let endpoint = self.endpoints.get_mut(&key)?;
            let (dead, next) = (endpoint.expired(now), endpoint.next(now));
            for (event, why) in dead {
                self.bury(&key, event, why, now);
            }
            if next.is_some() {
                self.turns.served(&key, now);
            }
            self.plan(&key);
            match next {
                Some(event) => return Some((key, event)),
                None => passed_over = Some((at, key)),
            }
        }
    }

    /// When something becomes due after `now`: what is due already waits for a place.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.turns.next_after(now)
    }

    /// Notes what came of sending an event.
    pub fn settle(&mut self, key: &EndpointKey, offset: u64, verdict: &Verdict, now: Timestamp, chance: f64) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        let took = endpoint.sent_since(offset).map(|since| now.since(since)).unwrap_or_default();
        self.turns.answered(key, took > SLOW || matches!(verdict, Verdict::Failed { .. }));
        match endpoint.settle(offset, verdict, now, chance) {
            Some(Settled::Done) => {
                telemetry::hook_settled(if *verdict == Verdict::Gone { Delivery::Gone } else { Delivery::Delivered });
                self.changes.push(Change::Remove(key.clone(), offset));
            }
            Some(Settled::Again(event)) => {
                if *verdict != Verdict::NotTried {
                    telemetry::hook_settled(Delivery::Retried);
                }
                self.changes.push(Change::Update(key.clone(), event));
            }
            Some(Settled::Dead(event, why)) => {
                telemetry::hook_settled(Delivery::Dead);
                self.bury(key, event, why, now);
            }
            None => return,
        }
        self.changed.insert(key.clone());
        self.plan(key);
    }

    fn bury(&mut self, key: &EndpointKey, event: PendingEvent, reason: String, now: Timestamp) {
        self.changed.insert(key.clone());
        self.changes.push(Change::Bury(DeadEvent {
            id: dead_id(key, event.offset),
            endpoint: Some(key.clone()),
            event: Some(event),
            gap: None,
            at: now,
            reason: reason.into(),
        }));
    }

    /// Writes down that events are not in the log any more: for one that lags, or for everybody.
    pub fn note_gap(&mut self, key: Option<&EndpointKey>, from: u64, to: u64, now: Timestamp) {
        let id = match key {
            Some(key) => dead_id(key, from),
            None => format!("gap-{from}").into(),
        };
        let reason = "the log of events does not go back so far any more".into();
        self.changes.push(Change::Bury(DeadEvent {
            id,
            endpoint: key.cloned(),
            event: None,
            gap: Some((from, to)),
            at: now,
            reason,
        }));
    }

    /// Keeps what a receiver answered.
    pub fn keep(&mut self, key: &EndpointKey, call: &str, answer: String, now: Timestamp) {
        let (organisation, call) = (key.organisation.clone(), call.into());
        self.changes.push(Change::Keep { organisation, call, answer, at: now });
    }

    /// Sends to an endpoint again.
    pub fn enable(&mut self, key: &EndpointKey, now: Timestamp) {
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.enable(now);
            self.changed.insert(key.clone());
            self.plan(key);
        }
    }

    /// Takes a dead letter up again, if there is room.
    pub fn raise(&mut self, dead: &DeadEvent, now: Timestamp) {
        let (Some(key), Some(event)) = (&dead.endpoint, &dead.event) else { return };
        let event = PendingEvent { since: now, due: now, tries: 0, ..event.clone() };
        let load = self.load(&key.organisation);
        let endpoint = self.endpoint(key, now);
        if endpoint.has_room(load) && endpoint.add(event.clone()) {
            self.changes.push(Change::Raise(dead.clone(), event));
        }
        self.changed.insert(key.clone());
        self.plan(key);
    }

    /// Notes that a wish needs no more care.
    pub fn granted(&mut self, wish: Box<str>) {
        self.changes.push(Change::Granted(wish));
    }

    /// What is to be written down. What needs not be kept is forgotten.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.changes);
        for key in std::mem::take(&mut self.changed) {
            let Some(endpoint) = self.endpoints.get(&key) else { continue };
            if endpoint.is_idle() {
                self.endpoints.remove(&key);
                self.plan(&key);
                changes.push(Change::Forget(key));
            } else {
                changes.push(Change::Endpoint(key, endpoint.record.clone()));
            }
        }
        if self.written.as_ref().is_none_or(|(position, last)| (*position, last) != (self.position, &self.last)) {
            self.written = Some((self.position, self.last.clone()));
            changes.push(Change::Position(self.position, self.last.clone()));
        }
        changes
    }

    /// Has it be an endpoint's turn when there is something to be done for it.
    fn plan(&mut self, key: &EndpointKey) {
        match self.endpoints.get(key) {
            Some(endpoint) => self.turns.plan(key, endpoint.next_at(), endpoint.bytes()),
            None => self.turns.forget(key),
        }
    }

    /// Bytes of what waits for an organisation.
    fn load(&self, organisation: &OrganisationId) -> u64 {
        self.turns.load(organisation)
    }
}

/// A dead letter's name: short, and the same however often it is given up.
fn dead_id(key: &EndpointKey, offset: u64) -> Box<str> {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::digest(key.url.as_str());
    format!("{:02x}{:02x}{:02x}{:02x}-{offset}", hash[0], hash[1], hash[2], hash[3]).into()
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
