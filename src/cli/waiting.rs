//! Why nothing is dialled just now, and when that ends: a run that waits must not look like one that hangs.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::amounts::lasting;
use crate::daemon::{Glimpse, Pace};
use crate::model::status::RequestSummary;
use crate::model::{CallStatus, Happening, RequestHeader, RequestStatus, Timestamp};
use crate::policy::window::{HORIZON_DAYS, WindowState, state, zones_for};
use crate::ports::store::{CallSnapshot, SlotUse};

/// For how many looks in a row nothing may happen before it is asked why: between two calls there is always a moment.
const PATIENCE: u32 = 5;

/// Watches for times in which nothing can be dialled.
#[derive(Default)]
pub struct Watch {
    idle: u32,
    waiting: Option<Waiting>,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    why: Why,
    /// When it ends; none: not within the days that were looked at.
    until: Option<Timestamp>,
    /// On whose clock people read it.
    zone: Option<TimeZone>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Scheduled,
    Window,
    Retry,
}

impl Watch {
    /// Looks; what is waited for, if anything is, in words.
    pub fn look(&mut self, glimpse: &Glimpse, summary: &RequestSummary, slots: SlotUse, pace: Pace) -> Option<String> {
        let counts = &summary.counts;
        let at_rest = counts.on_progress == 0 && slots.leased == 0 && counts.queued + counts.retry_scheduled > 0;
        // In virtual time, waits are over before anybody has read about them.
        if !at_rest || pace == Pace::Instant {
            *self = Self::default();
            return None;
        }
        self.idle = self.idle.saturating_add(1);
        if self.idle < PATIENCE {
            return None;
        }
        let now = glimpse.now();
        if self.waiting.as_ref().is_none_or(|waiting| waiting.until.is_some_and(|until| until <= now)) {
            self.waiting = waiting(glimpse, now);
        }
        self.waiting.as_ref().map(|waiting| waiting.in_words(now, pace))
    }
}

fn waiting(glimpse: &Glimpse, now: Timestamp) -> Option<Waiting> {
    of_time(&*glimpse.header()?, glimpse.pages().flatten(), now)
}

/// What is waited for that time brings.
fn of_time(header: &RequestHeader, calls: impl Iterator<Item = CallSnapshot>, now: Timestamp) -> Option<Waiting> {
    if let Some(at) = header.scheduled_at.filter(|at| *at > now) {
        return Some(Waiting { why: Why::Scheduled, until: Some(at), zone: None });
    }
    let waits = |call: &CallSnapshot| matches!(call.status, CallStatus::Queued | CallStatus::RetryScheduled);
    earliest(header, calls.filter(waits), now)
}

/// Why nothing of a request is dialled as it stands, in words, if that is known. Calls are looked at only if nothing else
/// keeps them.
pub fn reason(
    summary: &RequestSummary,
    header: &RequestHeader,
    slots: SlotUse,
    calls: impl Iterator<Item = CallSnapshot>,
    now: Timestamp,
) -> Option<String> {
    let counts = &summary.counts;
    if summary.status.is_final() || counts.queued + counts.retry_scheduled == 0 {
        return None;
    }
    if summary.status == RequestStatus::Paused {
        return Some("waiting: it is paused".to_owned());
    }
    match slots {
        SlotUse { limit: 0, .. } => Some("waiting: the organisation's limit is 0".to_owned()),
        SlotUse { external: u32::MAX, .. } => {
            Some("waiting: what others use of the organisation's slots is no number".to_owned())
        }
        SlotUse { limit, external, .. } if external >= limit => {
            Some(format!("waiting: others use {external} of the organisation's {limit} slots"))
        }
        SlotUse { .. } => of_time(header, calls, now).map(|waiting| waiting.in_words(now, Pace::Real)),
    }
}

/// What the first of the calls to be dialled waits for; none if there is one that does not wait.
fn earliest(header: &RequestHeader, calls: impl Iterator<Item = CallSnapshot>, now: Timestamp) -> Option<Waiting> {
    // Few clocks stand for many people.
    let mut clocks: BTreeMap<Vec<String>, Option<Waiting>> = BTreeMap::new();
    let mut first: Option<Waiting> = None;
    for call in calls {
        let retry = due(&call).filter(|due| *due > now).map(|until| Waiting {
            why: Why::Retry,
            until: Some(until),
            zone: None,
        });
        let window = header.calling_window.as_ref().and_then(|window| {
            let zones =
                zones_for(window, call.destination.time_zone.as_deref(), call.destination.number.phone()?).ok()?;
            let names = zones.iter().map(|zone| zone.iana_name().unwrap_or_default().to_owned()).collect();
            let closed = || match state(window, &zones, now) {
                WindowState::Open { .. } => None,
                WindowState::Closed { until } => {
                    let seen = until < now + HORIZON;
                    Some(Waiting { why: Why::Window, until: seen.then_some(until), zone: zones.first().cloned() })
                }
            };
            clocks.entry(names).or_insert_with(closed).clone()
        });
        // A retry that is due while the window is closed waits for the window.
        let waits = match (retry, window) {
            (Some(retry), Some(window)) if window.until.is_some_and(|until| Some(until) <= retry.until) => retry,
            (_, Some(window)) => window,
            (Some(retry), None) => retry,
            (None, None) => return None,
        };
        let sooner = |than: &Waiting| waits.until.is_some_and(|at| than.until.is_none_or(|other| at < other));
        if first.as_ref().is_none_or(sooner) {
            first = Some(waits);
        }
    }
    first
}

/// A little less than what is looked at: what is not seen is told as that.
const HORIZON: Duration = Duration::from_secs(HORIZON_DAYS.unsigned_abs() * 24 * 3600 - 60);

/// When a call's next dial is due, if it waits for one.
fn due(call: &CallSnapshot) -> Option<Timestamp> {
    if call.status != CallStatus::RetryScheduled {
        return None;
    }
    call.history.iter().rev().find_map(|fact| match fact.what {
        Happening::RetryScheduled { due, .. } => Some(due),
        _ => None,
    })
}

impl Waiting {
    fn in_words(&self, now: Timestamp, pace: Pace) -> String {
        let Some(until) = self.until else {
            return format!("waiting: the calling window does not open within {HORIZON_DAYS} days");
        };
        let what = match self.why {
            Why::Scheduled => "waiting: nothing is dialled before scheduledAt,",
            Why::Window => "waiting: the calling window opens",
            Why::Retry => "waiting: the next dial is due",
        };
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let there = until.to_jiff().to_zoned(zone);
        let left = until.since(now);
        let mut words = format!(
            "{what} {} {}, in {}",
            there.strftime("%Y-%m-%d %H:%M:%S"),
            there.time_zone().iana_name().unwrap_or("UTC"),
            lasting(left)
        );
        if let Pace::Times(speed) = pace {
            // A speed is positive; what is too long for a length of time is not told.
            if let Ok(real) = Duration::try_from_secs_f64(left.as_secs_f64() / speed) {
                words.push_str(&format!(" ({} at this speed)", lasting(real)));
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::Counts;

    #[test]
    fn what_keeps_a_request_from_being_dialled_is_told_the_nearest_to_the_operator_first() {
        let request = crate::conformance::store::scene::header("r");
        let of = |status, queued| RequestSummary {
            request_id: request.id.clone(),
            status,
            total: 3,
            duplicates: 0,
            counts: Counts { queued, completed: 3 - queued, ..Counts::default() },
            flow_hash: None,
            errors: Vec::new(),
            error_count: 0,
            reason: None,
            trace: None,
        };
        let free = SlotUse { limit: 6, ..SlotUse::default() };
        let told = |status, queued, slots| {
            reason(&of(status, queued), &request, slots, std::iter::empty(), Timestamp::VIRTUAL_START)
        };
        let none = SlotUse { limit: 0, ..free };
        let paused = told(RequestStatus::Paused, 2, none);
        assert_eq!(paused.as_deref(), Some("waiting: it is paused"));
        let limited = told(RequestStatus::OnProgress, 2, none);
        assert_eq!(limited.as_deref(), Some("waiting: the organisation's limit is 0"));
        let others = told(RequestStatus::OnProgress, 2, SlotUse { external: 6, ..free });
        assert_eq!(others.as_deref(), Some("waiting: others use 6 of the organisation's 6 slots"));
        let unread = told(RequestStatus::OnProgress, 2, SlotUse { external: u32::MAX, ..free });
        assert!(unread.is_some_and(|words| words.ends_with("is no number")));
        assert_eq!(told(RequestStatus::OnProgress, 2, free), None, "somebody is about to be dialled");
        assert_eq!(told(RequestStatus::OnProgress, 0, none), None, "nobody is left to be dialled");
        assert_eq!(told(RequestStatus::Cancelled, 2, none), None, "nobody ever will be");
    }

    #[test]
    fn a_wait_is_told_with_its_end_on_the_clock_of_whoever_is_called() {
        let now = Timestamp::VIRTUAL_START;
        let until = Some(now + Duration::from_secs(16 * 3600));
        let mut waiting = Waiting { why: Why::Window, until, zone: TimeZone::get("Asia/Singapore").ok() };
        assert_eq!(
            waiting.in_words(now, Pace::Real),
            "waiting: the calling window opens 2026-01-06 09:00:00 Asia/Singapore, in 16 h 0 min"
        );
        assert!(waiting.in_words(now, Pace::Times(60.0)).ends_with("in 16 h 0 min (16 min 0 s at this speed)"));
        waiting.until = None;
        assert_eq!(waiting.in_words(now, Pace::Real), "waiting: the calling window does not open within 15 days");
    }
}
