//! Whether a sound request comes too late: its hours leave no time in which anybody could be called.
//!
//! It is told what time it is: `request check` asks the clock on the wall, a run its own.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::amounts::counted;
use crate::model::request::WindowZone;
use crate::model::{CallingWindow, Destination, RequestHeader, Timestamp};
use crate::policy::window::{WindowState, state, zone, zones_for};

/// How many changes of a window are looked at. The first is its opening, unless it does not open within the days that
/// one look sees; a window that is still closed after so many is left to the run.
const LOOKS: u32 = 8;

/// Hours that leave no time to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untimely {
    /// The field that says so.
    pub path: &'static str,
    /// What comes of it.
    pub message: String,
}

impl std::fmt::Display for Untimely {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "warning: {}: {}", self.path, self.message)
    }
}

/// What is untimely about a request that begins at `now`. Of `people`, none is asked for unless each has a clock.
///
/// # Errors
/// Those of `people`.
pub fn look<D: Borrow<Destination>, E>(
    header: &RequestHeader,
    now: Timestamp,
    people: impl IntoIterator<Item = Result<D, E>>,
) -> Result<Option<Untimely>, E> {
    let Some(expiry) = header.expires_at else { return Ok(None) };
    if expiry <= now {
        let message = format!("{expiry} is past, as it is {now}: nobody is called");
        return Ok(Some(Untimely { path: "expiresAt", message }));
    }
    let Some(window) = &header.calling_window else { return Ok(None) };
    let start = header.scheduled_at.map_or(now, |at| at.max(now));
    let never = |what: String| {
        let message = format!("never opens between {start} and expiresAt, {expiry}{what}");
        Some(Untimely { path: "callingWindow", message })
    };
    if let WindowZone::Named(name) = &window.time_zone {
        // A zone that is unknown was refused with the request.
        let opens = zone(name).map_or(true, |zone| opens(window, &[zone], start, expiry));
        return Ok(if opens { None } else { never(": nobody is called".to_owned()) });
    }
    let (mut late, mut all) = (0, 0_u64);
    // Few clocks stand for many people.
    let mut clocks: BTreeMap<Vec<String>, bool> = BTreeMap::new();
    for person in people {
        let person = person?;
        let person: &Destination = person.borrow();
        // What is no number is not called anyway.
        let Some(phone) = person.number.phone() else { continue };
        let Ok(zones) = zones_for(window, person.time_zone.as_deref(), phone) else { continue };
        let names = zones.iter().map(|zone| zone.iana_name().unwrap_or_default().to_owned()).collect();
        all += 1;
        late += u64::from(!*clocks.entry(names).or_insert_with(|| opens(window, &zones, start, expiry)));
    }
    Ok(match late {
        0 => None,
        late if late == all => never(": nobody is called".to_owned()),
        1 => never(format!(" for 1 of {}, which is not called", counted(all, "destination"))),
        late => never(format!(" for {late} of {all} destinations, which are not called")),
    })
}

/// Whether a window is open at any time from `start` on before `end`, as far as that can be seen.
fn opens(window: &CallingWindow, zones: &[TimeZone], start: Timestamp, end: Timestamp) -> bool {
    let mut at = start;
    for _ in 0..LOOKS {
        match state(window, zones, at) {
            _ if at >= end => return false,
            WindowState::Open { .. } => return true,
            WindowState::Closed { until } => at = until,
        }
    }
    true
}
