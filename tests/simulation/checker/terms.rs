//! I7: a dial is within its request's time and its people's hours, read on their clocks anew.

use futures_util::FutureExt as _;
use jiff::tz::TimeZone;
use robocall::model::request::WindowZone;
use robocall::model::{CallingWindow, Destination, RequestHeader, Timestamp};
use robocall::policy::prefix_zones;
use robocall::ports::store::{CampaignStore, Held, RequestKey};

use super::{Checker, key_of};

/// Whether a request's terms allow a dial to a destination at an instant; else why not.
pub(super) fn objection(header: &RequestHeader, destination: &Destination, at: Timestamp) -> Option<String> {
    if let Some(scheduled) = header.scheduled_at.filter(|scheduled| at < *scheduled) {
        return Some(format!("before {scheduled}, for which it is scheduled"));
    }
    if let Some(expiry) = header.expires_at.filter(|expiry| *expiry <= at) {
        return Some(format!("after {expiry}, when its time is over"));
    }
    let window = header.calling_window.as_ref()?;
    let zones = zones(window, destination);
    let closed = zones.is_empty() || !zones.iter().all(|zone| shows_open(window, zone, at));
    closed.then(|| format!("at {at}, outside {window:?} in {zones:?}"))
}

fn zones(window: &CallingWindow, destination: &Destination) -> Vec<TimeZone> {
    let names: Vec<&str> = match (&window.time_zone, &destination.time_zone, destination.number.phone()) {
        (WindowZone::Named(name), ..) => vec![name],
        (WindowZone::Recipient, Some(name), _) => vec![name],
        (WindowZone::Recipient, None, Some(phone)) => prefix_zones::zones_of(phone).to_vec(),
        (WindowZone::Recipient, None, None) => Vec::new(),
    };
    names.into_iter().map(|name| TimeZone::get(name).unwrap()).collect()
}

/// Whether the clock on somebody's wall shows a time within the window.
fn shows_open(window: &CallingWindow, zone: &TimeZone, at: Timestamp) -> bool {
    let wall = at.to_jiff().to_zoned(zone.clone());
    let minute = u16::try_from(i32::from(wall.hour()) * 60 + i32::from(wall.minute())).unwrap();
    let day = wall.weekday().to_monday_zero_offset();
    let opens = |day: i8| window.days & (1 << day) != 0;
    let (from, to) = (window.from_minute, window.to_minute);
    if from < to {
        opens(day) && from <= minute && minute < to
    } else {
        (opens(day) && minute >= from) || (opens((day + 6) % 7) && minute < to)
    }
}

impl Checker {
    pub(super) fn header(&self, key: &RequestKey) -> Option<std::sync::Arc<RequestHeader>> {
        self.store.request(key).now_or_never().and_then(Result::ok).and_then(|request| request.header)
    }

    /// A dial was committed to: its request's terms allow it.
    pub(super) fn check_terms(&self, held: &Held, destination: &Destination, at: Timestamp) {
        let Some(header) = self.header(&key_of(held)) else {
            return self.broken(format!("I9: {} was dialled for an unknown request", held.attempt));
        };
        let objection = objection(&header, destination, at);
        self.expect(objection.is_none(), || format!("I7: {} was dialled {objection:?}", held.attempt));
        match header.calling_window.as_ref().map(|window| &window.time_zone) {
            Some(WindowZone::Recipient) => self.count("dials within recipients' hours"),
            Some(WindowZone::Named(_)) => self.count("dials within named hours"),
            None => {}
        }
        if header.scheduled_at.is_some() {
            self.count("dials that were scheduled");
        }
    }
}
