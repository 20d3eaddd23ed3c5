//! Calling windows: whether people may be called now, and until when that holds.
//!
//! A window is read on the clock on the person's wall, minute by minute: a clock that is put forward skips what it
//! skips, a clock that is put back shows an hour twice and the window is open in both or closed in both.

use jiff::tz::TimeZone;

use super::prefix_zones;
use crate::model::request::WindowZone;
use crate::model::{CallingWindow, Phone, Timestamp};

/// Whether a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowState {
    /// People may be called.
    Open {
        /// When it closes.
        until: Timestamp,
    },
    /// Nobody may be called.
    Closed {
        /// When it opens.
        until: Timestamp,
    },
}

impl WindowState {
    /// Until when that holds.
    pub const fn until(self) -> Timestamp {
        match self {
            WindowState::Open { until } | WindowState::Closed { until } => until,
        }
    }
}

/// How far ahead a change is looked for. `until` is never later than that; a window that does not change before (all
/// week long, no day at all, zones that never share an hour) is simply asked again then.
pub const HORIZON_DAYS: i64 = 15;

const SECOND: i64 = 1;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 24 * 60 * MINUTE;

/// The name is not in the time zone database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone of the IANA database")]
pub struct UnknownZone(pub Box<str>);

/// The zone of that name.
///
/// # Errors
/// When the database does not have it.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZone::get(name).map_err(|_| UnknownZone(name.into()))
}

/// The zones in which a window must be open before a destination is dialled: the window's own, or for `recipient` the
/// destination's, or else all of its number's prefix.
///
/// # Errors
/// When a zone that was named does not exist.
pub fn zones_for(
    window: &CallingWindow,
    destination_zone: Option<&str>,
    phone: Phone,
) -> Result<Vec<TimeZone>, UnknownZone> {
    match (&window.time_zone, destination_zone) {
        (WindowZone::Named(name), _) => Ok(vec![zone(name)?]),
        (WindowZone::Recipient, Some(name)) => Ok(vec![zone(name)?]),
        (WindowZone::Recipient, None) => prefix_zones::zones_of(phone).iter().map(|name| zone(name)).collect(),
    }
}

/// Whether a window is open at `at` in all of `zones`. In no zone at all it is closed.
pub fn state(window: &CallingWindow, zones: &[TimeZone], at: Timestamp) -> WindowState {
    // Whole seconds: offsets and boundaries have no smaller parts, and rounding down never passes a boundary.
    let start = at.to_jiff().as_second();
    let horizon = start.saturating_add(HORIZON_DAYS * DAY);
    let hours = Hours::new(window);
    let mut now = start;
    // Each turn either ends or moves on to an opening; a window has at most one a day, and each zone adds its shifts.
    while now < horizon && !zones.is_empty() {
        let mut next_opening = now;
        let mut first_closing = horizon;
        for zone in zones {
            let (open, change) = hours.look(zone, now, horizon);
            if open {
                first_closing = first_closing.min(change);
            } else {
                next_opening = next_opening.max(change);
            }
        }
        if next_opening == now {
            return if now == start {
                WindowState::Open { until: seconds(first_closing) }
            } else {
                WindowState::Closed { until: seconds(now) }
            };
        }
        now = next_opening;
    }
    WindowState::Closed { until: seconds(horizon) }
}

fn seconds(second: i64) -> Timestamp {
    Timestamp::from_millis(second.saturating_mul(1000))
}

/// A window in seconds after midnight.
struct Hours {
    days: u8,
    from: i64,
    to: i64,
}

impl Hours {
    fn new(window: &CallingWindow) -> Self {
        let seconds = |minute: u16| (i64::from(minute) * MINUTE).min(DAY);
        Self { days: window.days, from: seconds(window.from_minute), to: seconds(window.to_minute) }
    }

    /// Whether a wall clock that shows `local` seconds since 1970-01-01T00:00 is within the window.
    fn shows_open(&self, local: i64) -> bool {
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        if self.from < self.to {
            self.opens_on(day) && (self.from..self.to).contains(&second)
        } else {
            // Past midnight; equal ends make it a whole day.
            (self.opens_on(day) && second >= self.from) || (self.opens_on(day - 1) && second < self.to)
        }
    }

    /// 1970-01-01 was a Thursday; Monday is 0.
    fn opens_on(&self, day: i64) -> bool {
        self.days & (1 << (day + 3).rem_euclid(7)) != 0
    }

    /// The first second after `local` at which what the clock shows may matter.
    fn next_boundary(&self, local: i64) -> i64 {
        let midnight = local.div_euclid(DAY) * DAY;
        let after = [midnight + self.from, midnight + self.to].into_iter().filter(|boundary| *boundary > local).min();
        after.unwrap_or(midnight + DAY)
    }

    /// Whether the window is open in one zone, and when that changes, at the latest at `horizon`.
    fn look(&self, zone: &TimeZone, now: i64, horizon: i64) -> (bool, i64) {
        let mut at = now;
        let (mut offset, mut shift) = offset_at(zone, at, horizon);
        let open = self.shows_open(at + offset);
        while at < horizon {
            at = (self.next_boundary(at + offset) - offset).min(shift).min(horizon);
            if at == shift {
                (offset, shift) = offset_at(zone, at, horizon);
            }
            if self.shows_open(at + offset) != open {
                return (open, at);
            }
        }
        (open, horizon)
    }
}

/// A zone's offset at an instant in seconds, and when it changes next.
fn offset_at(zone: &TimeZone, at: i64, horizon: i64) -> (i64, i64) {
    let instant = Timestamp::from_millis(at.saturating_mul(1000)).to_jiff();
    let shift = zone.following(instant).next().map_or(horizon, |transition| transition.timestamp().as_second());
    (i64::from(zone.to_offset(instant).seconds()), shift)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
