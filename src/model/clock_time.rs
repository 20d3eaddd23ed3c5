//! Points in time as the contracts write them: UTC, milliseconds, `Z`.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Where instants are counted from.
const EPOCH: jiff::civil::DateTime = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The instant at which virtual time begins: 2026-01-05T09:00:00Z, a Monday morning.
    pub const VIRTUAL_START: Timestamp = Timestamp(1_767_603_600_000);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How much later `self` is than `earlier`; zero if it is not later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 with an offset (`2026-01-05T09:00:00+08:00`), as the contracts ask of incoming times: all that it
    /// can write, up to the last second of the year 9999.
    ///
    /// # Errors
    /// When the text is not a date and time with an offset.
    pub fn parse_rfc3339(text: &str) -> Result<Self, InvalidTimestamp> {
        match text.parse::<jiff::Timestamp>() {
            Ok(parsed) => Ok(Self(parsed.as_millisecond())),
            Err(_) => Self::parse_by_parts(text).ok_or(InvalidTimestamp),
        }
    }

    /// Reads what jiff's instants leave out for the sake of offsets: the last hours of 9999, which people write for
    /// "never".
    fn parse_by_parts(text: &str) -> Option<Self> {
        let parts = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(text).ok()?;
        let there = parts.date().to_datetime(parts.time()?);
        let offset = parts.to_numeric_offset()?;
        let since = there.duration_since(EPOCH).as_millis() - i128::from(offset.seconds()) * 1000;
        i64::try_from(since).ok().map(Self)
    }

    /// The wall clock in UTC at that instant, as far as there are years for it.
    fn civil(self) -> jiff::civil::DateTime {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => jiff::tz::Offset::UTC.to_datetime(at),
            Err(_) => EPOCH.saturating_add(jiff::SignedDuration::from_millis(self.0)),
        }
    }

    /// The same instant for calendar arithmetic. Instants beyond jiff's range are clamped to it.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// As the contracts write it; none before the year 0, which takes a sign.
    ///
    /// A Status document holds fifteen of these a call: written so, one costs a third of what a formatter takes.
    fn written(self) -> Option<[u8; 24]> {
        let there = self.civil();
        let mut text = *b"yyyy-mm-ddThh:mm:ss.mmmZ";
        write_digits(&mut text[..4], there.year())?;
        write_digits(&mut text[5..7], there.month().into())?;
        write_digits(&mut text[8..10], there.day().into())?;
        write_digits(&mut text[11..13], there.hour().into())?;
        write_digits(&mut text[14..16], there.minute().into())?;
        write_digits(&mut text[17..19], there.second().into())?;
        write_digits(&mut text[20..23], there.millisecond())?;
        Some(text)
    }
}

/// Fills a place with a number's last decimal digits; none if it is negative.
fn write_digits(place: &mut [u8], number: i16) -> Option<()> {
    let mut rest = u16::try_from(number).ok()?;
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[usize::from(rest % 10)];
        rest /= 10;
    }
    Some(())
}

/// The text is not RFC 3339 with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time with an offset, such as 2026-01-05T09:00:00+08:00, up to the year 9999")]
pub struct InvalidTimestamp;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}Z", self.civil())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, length: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, length: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_i64(self.0);
        }
        let text = self.written();
        match text.as_ref().and_then(|text| std::str::from_utf8(text).ok()) {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            Timestamp::parse_rfc3339(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Timestamp)
        }
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339; outgoing times are UTC with milliseconds"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_milliseconds_and_reads_offsets() {
        assert_eq!(Timestamp::VIRTUAL_START.to_string(), "2026-01-05T09:00:00.000Z");
        let there = Timestamp::parse_rfc3339("2026-01-05T17:00:00.250+08:00").unwrap();
        assert_eq!(there, Timestamp::VIRTUAL_START + Duration::from_millis(250));
        assert_eq!(there.to_string(), "2026-01-05T09:00:00.250Z");
        assert!(Timestamp::parse_rfc3339("2026-01-05T09:00:00").is_err());
        assert_eq!(serde_json::to_string(&there).unwrap(), "\"2026-01-05T09:00:00.250Z\"");
    }

    #[test]
    fn the_last_second_of_the_calendar_is_taken_and_shown() {
        for text in ["9999-12-30T23:00:00.000Z", "9999-12-31T23:59:59.000Z", "9999-12-31T23:59:59.999Z"] {
            assert_eq!(Timestamp::parse_rfc3339(text).unwrap().to_string(), text);
        }
        let there = Timestamp::parse_rfc3339("9999-12-31T23:59:59+08:00").unwrap();
        assert_eq!(there.to_string(), "9999-12-31T15:59:59.000Z");
        for text in ["10000-01-01T00:00:00Z", "9999-12-32T00:00:00Z", "9999-12-31T24:00:00Z", "9999-12-31T23:59:59"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn is_shown_and_serialised_alike_from_the_first_year_to_the_last() {
        let (first, last) = (Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX));
        let steps = (-40_000..40_000).map(|step: i64| Timestamp::from_millis(step * 7_654_321_987));
        for at in steps.chain([first, last, Timestamp::default(), Timestamp::from_millis(-1)]) {
            assert_eq!(serde_json::to_string(&at).unwrap(), format!("\"{at}\""));
        }
    }
}
