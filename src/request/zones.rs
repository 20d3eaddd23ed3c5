//! IANA time zone names, checked against the database that is compiled in.

use std::sync::Arc;

use crate::reading::nearest;

/// Letters in which a name may differ from the one that was meant.
const MOST_SLIPS: usize = 3;

/// The wording for a name that is not in the database. Looks at all of its names: not for every destination of many.
pub(super) fn unknown(name: &str) -> String {
    if name.len() <= 64 && name.starts_with(['+', '-']) || name.starts_with("UTC+") || name.starts_with("UTC-") {
        return "must be an IANA time zone such as Asia/Singapore, not an offset".to_owned();
    }
    let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
    // The list is long: what merely resembles one of its names was hardly meant.
    let slip = |near: &&str| name.len() > 3 && strsim::levenshtein(name, near) <= MOST_SLIPS;
    match of_city(name, &known).or_else(|| nearest(name, known.iter().map(String::as_str)).filter(slip)) {
        Some(near) => format!("is not a known IANA time zone; did you mean `{near}`?"),
        None => "is not a known IANA time zone: write it like Asia/Singapore".to_owned(),
    }
}

/// The zone whose last part is the name: people say Berlin for Europe/Berlin.
fn of_city<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let city = |zone: &str| zone.rsplit('/').next().unwrap_or_default().to_lowercase();
    let asked = city(name).replace(' ', "_");
    known.iter().find(|zone| zone.contains('/') && city(zone) == asked).map(String::as_str)
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

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn the_zone_that_was_meant_is_named() {
        for (written, meant) in [
            ("Asia/Singapor", "Asia/Singapore"),
            ("Berlin", "Europe/Berlin"),
            ("new york", "America/New_York"),
            ("Europe/Pariss", "Europe/Paris"),
            ("Asia/New_York", "America/New_York"),
        ] {
            assert_eq!(unknown(written), format!("is not a known IANA time zone; did you mean `{meant}`?"));
        }
        assert!(!unknown(&"x".repeat(100_000)).contains("did you mean"));
    }
}
