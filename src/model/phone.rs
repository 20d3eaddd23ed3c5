//! E.164 phone numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number after E.164: up to 15 digits, the first not 0. Shown with its `+`.
///
/// `Display` writes the whole number and belongs on the wire; `Debug` and [`Phone::masked`] hide the middle and belong in logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(u64);

/// The pattern of the contracts, as its users know it.
pub const PATTERN: &str = r"^\+?[1-9]\d{1,14}$";

/// The text does not match [`PATTERN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an E.164 phone number: it must match ^\\+?[1-9]\\d{{1,14}}$")]
pub struct InvalidPhone;

impl Phone {
    /// The digits as an integer, without the `+`.
    pub const fn digits(self) -> u64 {
        self.0
    }

    /// The number with all but its first two and last two digits hidden, for logs.
    pub fn masked(self) -> String {
        let digits = self.0.to_string();
        let hidden = digits.len().saturating_sub(4);
        let (head, tail) = if hidden == 0 { (0, 0) } else { (2, 2) };
        format!("+{}{}{}", &digits[..head], "*".repeat(digits.len() - head - tail), &digits[digits.len() - tail..])
    }
}

/// A text of somebody else's with everything in it masked that may be a phone number: six digits or more on end, or with
/// what numbers are written with between them.
pub fn without_numbers(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || " -./()".contains(c);
    let (mut masked, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(first);
        let stretch = &from[..from.find(|c| !is_part(c)).unwrap_or(from.len())];
        let number = stretch.trim_end_matches(|c: char| !c.is_ascii_digit());
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        masked.extend([before, if digits < 6 { number } else { "…" }]);
        rest = &from[number.len()..];
    }
    masked + rest
}

impl FromStr for Phone {
    type Err = InvalidPhone;
    fn from_str(text: &str) -> Result<Self, InvalidPhone> {
        let digits = text.strip_prefix('+').unwrap_or(text).as_bytes();
        let well_formed =
            (2..=15).contains(&digits.len()) && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
        if !well_formed {
            return Err(InvalidPhone);
        }
        Ok(Self(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for Phone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Phone)
        }
    }
}

impl schemars::JsonSchema for Phone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Phone".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_optional_and_comes_back() {
        assert_eq!("84917660247".parse::<Phone>().unwrap().to_string(), "+84917660247");
        assert_eq!("+84917660247".parse::<Phone>().unwrap().to_string(), "+84917660247");
    }

    #[test]
    fn refuses_what_is_not_e164() {
        for bad in ["", "+", "1", "0123", "+0123", "++12", "12a4", "+1234567890123456", "１２３", &"9".repeat(10_000)]
        {
            assert!(bad.parse::<Phone>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_others_say_is_told_without_numbers() {
        for (said, told) in [
            ("Invalid endpoint PJSIP/+84917660247@carrier", "Invalid endpoint PJSIP/+…@carrier"),
            ("849176 and 84917, 0123456789", "… and 84917, …"),
            ("tel: +84 917 660 247.", "tel: +…."),
            ("0917-66-02-47 (12) 3", "…"),
            ("409: Recording not in session", "409: Recording not in session"),
            ("nummér 1234567é", "nummér …é"),
        ] {
            assert_eq!(without_numbers(said), told);
        }
    }

    #[test]
    fn a_log_never_shows_the_middle() {
        assert_eq!(format!("{:?}", "+84917660247".parse::<Phone>().unwrap()), "+84*******47");
        assert_eq!("12".parse::<Phone>().unwrap().masked(), "+**");
    }
}
