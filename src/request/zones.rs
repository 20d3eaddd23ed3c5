//! IANA time zone names, checked against the database that is compiled in.

use std::sync::Arc;

/// The wording for a name that is not in the database.
pub(super) fn unknown(name: &str) -> String {
    if name.len() <= 64 && name.starts_with(['+', '-']) || name.starts_with("UTC+") || name.starts_with("UTC-") {
        return "must be an IANA time zone such as Asia/Singapore, not an offset".to_owned();
    }
    "is not a known IANA time zone: write it like Asia/Singapore".to_owned()
}

/// Looks time zones up; the latest is remembered, as lists are often sorted by region.
#[derive(Default)]
pub(super) struct Zones {
    latest: Option<(Box<str>, Arc<str>)>,
}

impl Zones {
    /// The zone's name in the database's own spelling.
    pub(super) fn find(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some((_, spelled)) = self.latest.as_ref().filter(|(asked, _)| **asked == *name) {
            return Some(spelled.clone());
        }
        let zone = jiff::tz::db().get(name).ok()?;
        // `Etc/Unknown` is in no place: jiff knows it, but nobody's clock can be read there.
        let spelled: Arc<str> = zone.iana_name().filter(|_| !zone.is_unknown())?.into();
        self.latest = Some((name.into(), spelled.clone()));
        Some(spelled)
    }
}
