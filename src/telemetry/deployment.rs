//! What the processes of the interface see.

use std::time::Duration;

use super::catalogue::{
    ANSWER, ANSWERED, BACKLOG, CENSUS, DEAD, DURABLE, HOOK, HOOK_LEAD, HOOKS, IDLE, ORGANISATION_BACKLOG,
    ORGANISATION_EXTERNAL, ORGANISATION_LEASED, ORGANISATION_LIMIT, QUEUED, SLOT_DRIFT, SLOT_LIMIT, SLOTS_EXTERNAL,
    SLOTS_FREE, SLOTS_LEASED, SLOTS_SUSPECT, SLOTS_UNREADABLE, STREAMS, WANTED,
};
use super::servers::Stopwatch;
use super::traces;
use crate::model::{OrganisationId, Timestamp};
use crate::ports::Standing;

/// A question was answered with this status.
pub fn answered(asked: Stopwatch, status: u16) {
    let code = match status {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    tracing::debug!(status, "answered");
    traces::is_answered(status);
    ANSWERED.count([code]);
    ANSWER.record([], asked.elapsed().as_secs_f64());
}

/// Somebody who listens to live events; counted for as long as this is held.
#[derive(Debug)]
pub struct Listening(());

impl Listening {
    /// Somebody listens from now on.
    pub fn begin() -> Self {
        STREAMS.change([], 1.0);
        Self(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        STREAMS.change([], -1.0);
    }
}

/// What came of an attempt to deliver to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was delivered.
    Delivered,
    /// It is tried again.
    Retried,
    /// It is a dead letter now.
    Dead,
    /// The receiver wants nothing any more.
    Gone,
}

/// An attempt to deliver to a webhook is settled.
pub fn hook_settled(delivery: Delivery) {
    let outcome = match delivery {
        Delivery::Delivered => "delivered",
        Delivery::Retried => "retried",
        Delivery::Dead => "dead",
        Delivery::Gone => "gone",
    };
    HOOKS.count([outcome]);
}

/// A webhook answered, or was given up.
pub fn hook_answered(sent: Stopwatch) {
    HOOK.record([], sent.elapsed().as_secs_f64());
}

/// Whether this process delivers to webhooks.
pub fn hooks_are_led_here(here: bool) {
    HOOK_LEAD.set([], f64::from(u8::from(here)));
}

/// How all organisations stand, so long after the last time. Those that are listed are told apart.
pub fn standings(standings: &[Standing], listed: impl Fn(&OrganisationId) -> bool, since: Duration, now: Timestamp) {
    let sum = |of: fn(&Standing) -> u32| standings.iter().map(of).map(f64::from).sum::<f64>();
    SLOT_LIMIT.set([], sum(|one| one.slots.limit));
    SLOTS_LEASED.set([], sum(|one| one.slots.leased));
    // What cannot be read is no number of slots.
    SLOTS_EXTERNAL.set([], sum(external));
    SLOTS_SUSPECT.set([], sum(|one| one.slots.suspect));
    SLOTS_FREE.set([], sum(Standing::free));
    SLOT_DRIFT.set([], sum(Standing::drift));
    SLOTS_UNREADABLE.set([], sum(|one| u32::from(one.slots.external == u32::MAX)));
    BACKLOG.set([], sum(|one| one.soon));
    WANTED.set([], sum(Standing::wanted));
    let idle: u64 = standings.iter().map(|one| u64::from(one.idle())).sum();
    IDLE.add([], idle.saturating_mul(since.as_millis().try_into().unwrap_or(u64::MAX)) / 1000);
    CENSUS.set([], Duration::from_millis(now.as_millis().unsigned_abs()).as_secs_f64());
    for one in standings.iter().filter(|one| listed(&one.organisation)) {
        let word = || [one.organisation.as_str()];
        ORGANISATION_LIMIT.set(word(), one.slots.limit.into());
        ORGANISATION_LEASED.set(word(), one.slots.leased.into());
        ORGANISATION_EXTERNAL.set(word(), external(one).into());
        ORGANISATION_BACKLOG.set(word(), one.soon.into());
    }
}

/// How organisations stand has not been learnt for a while: what was said of it holds no more.
pub fn standings_unknown() {
    for gauge in [
        &SLOT_LIMIT,
        &SLOTS_LEASED,
        &SLOTS_EXTERNAL,
        &SLOTS_SUSPECT,
        &SLOTS_FREE,
        &SLOT_DRIFT,
        &SLOTS_UNREADABLE,
        &BACKLOG,
        &WANTED,
    ] {
        gauge.set([], f64::NAN);
    }
}

/// What waits at the broker has not been learnt for a while.
pub fn queues_unknown() {
    QUEUED.set([], f64::NAN);
    DEAD.set([], f64::NAN);
}

fn external(standing: &Standing) -> u32 {
    if standing.slots.external == u32::MAX { 0 } else { standing.slots.external }
}

/// Requests that wait in the broker's queue, and those among its dead letters.
pub fn queues(waiting: u32, dead: u32) {
    QUEUED.set([], waiting.into());
    DEAD.set([], dead.into());
}

/// Whether the database keeps what it acknowledges.
pub fn durable(durable: bool) {
    DURABLE.set([], f64::from(u8::from(durable)));
}
