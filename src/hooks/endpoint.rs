//! One endpoint: what it has yet to be sent, in which order, and when. Pure: time and chance are arguments.
//!
//! **Invariants**
//! - Of one subject only the oldest event that is neither delivered nor dead is ever sent.
//! - An endpoint that failed five times in a row is sent one event at a time, with growing pauses; each time another one, so
//!   that an event it can never take keeps no other from it for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::verdict::{Verdict, pause_after, wait_after};
use crate::model::Timestamp;
use crate::ports::hooks::{EndpointRecord, PendingEvent};

/// Failures in a row after which an endpoint is left alone for a while.
pub const BREAKER: u32 = 5;

/// Events for which every endpoint has room, however much waits for others of its organisation.
const RESERVED: usize = 8;

/// How long an event waits that could not be tried, for reasons of our own.
const UNTRIED_WAIT: Duration = Duration::from_secs(1);

/// What an endpoint may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Messages on their way to it at a time.
    pub in_flight: usize,
    /// Events that wait for it; what comes later is read from the log again.
    pub pending: usize,
    /// Bytes of these.
    pub pending_bytes: u64,
    /// Bytes of what waits for all endpoints of an organisation; past that each has room for a few events only.
    pub organisation_bytes: u64,
    /// How long an event is tried.
    pub give_up: Duration,
}

/// What is to be done with an event after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was delivered.
    Done,
    /// It waits for another try.
    Again(PendingEvent),
    /// It is given up, for this reason.
    Dead(PendingEvent, String),
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What is kept of it.
    pub record: EndpointRecord,
    rules: Rules,
    pending: BTreeMap<u64, PendingEvent>,
    /// Events of each subject, in order.
    lines: BTreeMap<Box<str>, BTreeSet<u64>>,
    /// The first of each line, unless it is on its way: by when it is due.
    ready: BTreeSet<(Timestamp, u64)>,
    /// By how long they wait.
    ages: BTreeSet<(Timestamp, u64)>,
    /// Since when.
    on_their_way: BTreeMap<u64, Timestamp>,
    /// Their subjects.
    busy: BTreeSet<Box<str>>,
    ids: BTreeSet<Box<str>>,
    bytes: u64,
    /// Until when the receiver wants to be left alone, by what it said to this process.
    left_alone: Option<Timestamp>,
}

impl Endpoint {
    /// An endpoint as it was kept. Whatever waits is due at once, unless the endpoint is left alone: how it fares is not
    /// known to whoever has just taken it up.
    pub fn restored(record: EndpointRecord, pending: Vec<PendingEvent>, rules: Rules, now: Timestamp) -> Self {
        let mut endpoint = Self {
            record,
            rules,
            pending: BTreeMap::new(),
            lines: BTreeMap::new(),
            ready: BTreeSet::new(),
            ages: BTreeSet::new(),
            on_their_way: BTreeMap::new(),
            busy: BTreeSet::new(),
            ids: BTreeSet::new(),
            bytes: 0,
            left_alone: None,
        };
        for mut event in pending {
            event.due = event.due.min(now);
            endpoint.add(event);
        }
        endpoint
    }

    /// Whether nothing needs to be kept of it.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.record.cursor.is_none() && self.record.disabled_at.is_none()
    }

    /// Whether it has room for another event, when so many bytes wait for its organisation.
    pub fn has_room(&self, of_organisation: u64) -> bool {
        let is_crowded = of_organisation >= self.rules.organisation_bytes && self.pending.len() >= RESERVED;
        self.pending.len() < self.rules.pending && self.bytes < self.rules.pending_bytes && !is_crowded
    }

    /// Whether so little waits that reading on is worth it.
    pub fn has_much_room(&self, of_organisation: u64) -> bool {
        let is_crowded = of_organisation >= self.rules.organisation_bytes && self.pending.len() > RESERVED / 2;
        self.pending.len() <= self.rules.pending / 2 && self.bytes <= self.rules.pending_bytes / 2 && !is_crowded
    }

    /// Bytes of what waits.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Since when an event is on its way, if it is.
    pub fn sent_since(&self, offset: u64) -> Option<Timestamp> {
        self.on_their_way.get(&offset).copied()
    }

    /// Whether nothing is on its way to it.
    pub fn is_quiet(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Whether it is sent anything: it is neither gone nor does it fail whatever it is sent.
    pub fn is_well(&self) -> bool {
        self.record.disabled_at.is_none() && !self.is_broken()
    }

    fn is_broken(&self) -> bool {
        self.record.failures >= BREAKER
    }

    /// Takes an event on; false if it waits already, having been published twice.
    pub fn add(&mut self, event: PendingEvent) -> bool {
        if self.pending.contains_key(&event.offset) || !self.ids.insert(event.id.clone()) {
            return false;
        }
        let offset = event.offset;
        let line = self.lines.entry(event.subject.clone()).or_default();
        if let Some(first) = line.first().and_then(|first| self.pending.get(first)) {
            self.ready.remove(&(first.due, first.offset));
        }
        line.insert(offset);
        let subject = event.subject.clone();
        self.ages.insert((event.since, offset));
        self.bytes += u64::from(event.bytes);
        self.pending.insert(offset, event);
        self.put_first(&subject);
        true
    }

    /// When there is something to be done next: to send, or to give up.
    pub fn next_at(&self) -> Option<Timestamp> {
        let oldest = self.ages.iter().find(|(_, offset)| !self.on_their_way.contains_key(offset));
        let given_up = oldest.map(|(since, _)| *since + self.rules.give_up);
        self.sent_at().into_iter().chain(given_up).min()
    }

    fn sent_at(&self) -> Option<Timestamp> {
        let most = if self.record.failures > 0 { 1 } else { self.rules.in_flight };
        if self.record.disabled_at.is_some() || self.on_their_way.len() >= most {
            return None;
        }
        let (due, _) = *self.ready.first()?;
        let rest_is_over = self.record.not_before.unwrap_or(Timestamp::from_millis(i64::MIN));
        // One that fails whatever it is sent is looked after at its own pace, not at its events'.
        Some(if self.is_broken() { rest_is_over } else { due.max(rest_is_over) })
    }

    /// The event to send now, if there is one. It is on its way until it is settled.
    pub fn next(&mut self, now: Timestamp) -> Option<PendingEvent> {
        if self.sent_at()? > now {
            return None;
        }
        let (_, offset) = self.ready.pop_first()?;
        let event = self.pending.get(&offset)?.clone();
        self.on_their_way.insert(offset, now);
        self.busy.insert(event.subject.clone());
        Some(event)
    }

    /// Notes what came of a try. `chance` is from 0 to 1.
    pub fn settle(&mut self, offset: u64, verdict: &Verdict, now: Timestamp, chance: f64) -> Option<Settled> {
        self.on_their_way.remove(&offset)?;
        let subject = self.pending.get(&offset)?.subject.clone();
        self.busy.remove(&subject);
        match verdict {
            Verdict::Delivered => {
                let was_broken = self.is_broken();
                self.is_healthy();
                // What it took was on its way already when it asked for time.
                self.record.not_before = self.left_alone.filter(|until| *until > now);
                self.remove(offset)?;
                if was_broken {
                    self.hurry(now);
                }
                Some(Settled::Done)
            }
            Verdict::Gone => {
                self.record.disabled_at = Some(now);
                self.record.last_error = Some("answered 410: it is gone".into());
                self.put_first(&subject);
                self.pending.get(&offset).cloned().map(Settled::Again)
            }
            Verdict::NotTried => {
                let event = self.pending.get_mut(&offset)?;
                event.due = now + UNTRIED_WAIT;
                let event = event.clone();
                self.put_first(&subject);
                Some(Settled::Again(event))
            }
            Verdict::Hopeless(why) => self.remove(offset).map(|event| Settled::Dead(event, why.clone())),
            Verdict::Failed { why, wait } => {
                self.record.failures = self.record.failures.saturating_add(1);
                self.record.last_error = Some(shortened(why));
                let pause = self.is_broken().then(|| pause_after(self.record.failures - BREAKER, chance));
                self.left_alone = self.left_alone.max(wait.map(|wait| now + wait));
                if let Some(rest) = pause.max(*wait) {
                    self.record.not_before = self.record.not_before.max(Some(now + rest));
                }
                let event = self.pending.get_mut(&offset)?;
                event.tries = event.tries.saturating_add(1);
                event.due = now + wait_after(event.tries, chance);
                if now >= event.since + self.rules.give_up {
                    return self.remove(offset).map(|event| Settled::Dead(event, why.clone()));
                }
                let event = event.clone();
                self.put_first(&subject);
                Some(Settled::Again(event))
            }
        }
    }

    /// The events that were tried for long enough; they are gone from here.
    pub fn expired(&mut self, now: Timestamp) -> Vec<(PendingEvent, String)> {
        let old = self.ages.iter().take_while(|(since, _)| *since + self.rules.give_up <= now);
        let old: Vec<u64> =
            old.map(|(_, offset)| *offset).filter(|offset| !self.on_their_way.contains_key(offset)).collect();
        let why = self.record.last_error.clone().unwrap_or_else(|| "nobody was there to send it".into());
        old.into_iter().filter_map(|offset| self.remove(offset)).map(|event| (event, why.to_string())).collect()
    }

    /// Drops an event that is not on its way.
    pub fn forget(&mut self, offset: u64) -> Option<PendingEvent> {
        if self.on_their_way.contains_key(&offset) { None } else { self.remove(offset) }
    }

    /// Sends to it again, and at once.
    pub fn enable(&mut self, now: Timestamp) {
        (self.record.disabled_at, self.left_alone) = (None, None);
        self.is_healthy();
        self.hurry(now);
    }

    fn is_healthy(&mut self) {
        (self.record.failures, self.record.not_before, self.record.last_error) = (0, None, None);
    }

    /// Everything that waits is due now.
    fn hurry(&mut self, now: Timestamp) {
        let mut ready = BTreeSet::new();
        for (_, offset) in std::mem::take(&mut self.ready) {
            if let Some(event) = self.pending.get_mut(&offset) {
                event.due = event.due.min(now);
                ready.insert((event.due, offset));
            }
        }
        self.ready = ready;
        self.pending.values_mut().for_each(|event| event.due = event.due.min(now));
    }

    /// Has the first of a line be ready, unless one of the line is on its way.
    fn put_first(&mut self, subject: &str) {
        if self.busy.contains(subject) {
            return;
        }
        let Some(first) = self.lines.get(subject).and_then(|line| line.first()) else { return };
        if let Some(event) = self.pending.get(first) {
            self.ready.insert((event.due, event.offset));
        }
    }

    fn remove(&mut self, offset: u64) -> Option<PendingEvent> {
        let event = self.pending.remove(&offset)?;
        self.ready.remove(&(event.due, offset));
        self.ages.remove(&(event.since, offset));
        self.ids.remove(&event.id);
        self.bytes -= u64::from(event.bytes);
        let is_empty = self.lines.get_mut(&event.subject).is_none_or(|line| {
            line.remove(&offset);
            line.is_empty()
        });
        if is_empty {
            self.lines.remove(&event.subject);
        } else {
            self.put_first(&event.subject);
        }
        Some(event)
    }
}

/// The beginning of a reason: a receiver's words are kept for as long as it fails.
fn shortened(why: &str) -> Box<str> {
    why.chars().take(200).collect::<String>().into()
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
