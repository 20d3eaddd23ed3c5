//! Who lives behind the numbers that are no magic numbers: how often they answer, and what they do then.
//!
//! The defaults describe a reminder campaign to mobile numbers in office hours: a good half is reached in person, a
//! quarter never picks up, and of those who are asked for a key most press the one they are asked for.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::callflow::program::Digit;

/// What the simulated network is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSettings {
    /// Chooses everybody's behaviour; the same seed tells the same story.
    pub seed: u64,
    /// How many of the latest dials the network's own log keeps; 0 keeps none. The counters count all of them.
    pub dial_log: u32,
    /// Who lives behind the numbers.
    pub population: Population,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self { seed: 1, dial_log: u32::MAX, population: Population::default() }
    }
}

/// The habits of the people and machines behind numbers that are no magic numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Population {
    /// What dials come to.
    pub shares: Shares,
    /// From the dial to the first ring, or to the network's refusal.
    pub post_dial: Span,
    /// How long it rings before a person answers or declines.
    pub ring: Span,
    /// How long it rings before a machine answers.
    pub machine_ring: Span,
    /// How long a machine's greeting takes, its beep included.
    pub greeting: Span,
    /// How long a machine records after its beep before it hangs up.
    pub machine_records: Span,
    /// People who hang up while they are still being talked to.
    pub early_hang_up: Chance,
    /// When those hang up, counted from their answer.
    pub patience: Span,
    /// How much silence people bear before they hang up: with nothing played to them and nobody joined with them.
    pub silence: Span,
    /// How likely a person presses a key when asked for one.
    pub presses: Chance,
    /// The keys they press; each is as likely as it stands here often.
    pub keys: Keys,
    /// How many of them press it before the message has ended.
    pub barge_in: Chance,
    /// How long the others take after the message's end.
    pub reaction: Span,
    /// How long two people talk once they are joined; then either hangs up.
    pub talk: Span,
    /// Those who answer extensions, queues and SIP addresses.
    pub staff: Staff,
}

impl Default for Population {
    fn default() -> Self {
        Self {
            shares: Shares::default(),
            post_dial: Span::millis_between(400, 2_500),
            ring: Span::millis_between(2_000, 22_000),
            machine_ring: Span::millis_between(12_000, 24_000),
            greeting: Span::millis_between(4_000, 12_000),
            machine_records: Span::millis_between(20_000, 60_000),
            early_hang_up: Chance(0.08),
            patience: Span::millis_between(1_500, 20_000),
            silence: Span::millis_between(10_000, 40_000),
            presses: Chance(0.7),
            keys: Keys([('1', 14), ('2', 3), ('9', 1), ('0', 1), ('5', 1)].map(repeated).concat()),
            barge_in: Chance(0.35),
            reaction: Span::millis_between(500, 3_500),
            talk: Span::millis_between(20_000, 180_000),
            staff: Staff::default(),
        }
    }
}

fn repeated((key, times): (char, usize)) -> Vec<Digit> {
    Digit::new(key).into_iter().cycle().take(times).collect()
}

/// What dials come to, as weights: each counts in proportion to the sum of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shares {
    /// A person answers.
    pub answer: u32,
    /// An answering machine answers.
    pub machine: u32,
    /// The line is engaged.
    pub busy: u32,
    /// It rings for as long as one lets it.
    pub unanswered: u32,
    /// A person declines after a few rings.
    pub reject: u32,
    /// It never rings: switched off, out of reach.
    pub unreachable: u32,
    /// There is no such number.
    pub invalid: u32,
    /// The network has no way to put the call through.
    pub congestion: u32,
}

impl Default for Shares {
    fn default() -> Self {
        Self { answer: 53, machine: 8, busy: 6, unanswered: 22, reject: 4, unreachable: 4, invalid: 2, congestion: 1 }
    }
}

impl Shares {
    /// A population that only ever answers in person.
    pub const ALL_ANSWER: Shares =
        Shares { answer: 1, machine: 0, busy: 0, unanswered: 0, reject: 0, unreachable: 0, invalid: 0, congestion: 0 };
}

/// Those who answer extensions, queues and SIP addresses: our side's people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Staff {
    /// How long it rings before they answer.
    pub ring: Span,
    /// How often they are on another call.
    pub busy: Chance,
    /// How often nobody is there.
    pub unanswered: Chance,
}

impl Default for Staff {
    fn default() -> Self {
        Self { ring: Span::millis_between(1_000, 4_000), busy: Chance(0.05), unanswered: Chance(0.05) }
    }
}

/// A setting that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// Not two numbers of seconds in order.
    #[error("a span is two numbers of seconds, the smaller first, from 0 to 86400")]
    Span,
    /// Not a probability.
    #[error("a chance is a number from 0 to 1")]
    Chance,
    /// Not keys.
    #[error("keys are a text of 0-9, * and #, with at least one of them")]
    Keys,
}

/// Between two lengths of time, each millisecond as likely as the other. Written as `[from, to]` in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "(f64, f64)", into = "(f64, f64)")]
#[schemars(with = "(f64, f64)")]
pub struct Span {
    from: u32,
    to: u32,
}

impl Span {
    /// Between two numbers of seconds.
    ///
    /// # Errors
    /// When they are not in order, or not within a day.
    pub fn new(from: f64, to: f64) -> Result<Self, InvalidSetting> {
        let day = Duration::from_secs(86_400);
        let millis = |seconds: f64| {
            let length = Duration::try_from_secs_f64(seconds).ok().filter(|length| *length <= day)?;
            u32::try_from((length + Duration::from_micros(500)).as_millis()).ok()
        };
        match (millis(from), millis(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => Err(InvalidSetting::Span),
        }
    }

    /// The same for constants of this room, whose order can be seen.
    pub(super) const fn millis_between(from: u32, to: u32) -> Self {
        Self { from, to }
    }

    pub(super) fn millis(self) -> (u64, u64) {
        (self.from.into(), self.to.max(self.from).into())
    }
}

impl TryFrom<(f64, f64)> for Span {
    type Error = InvalidSetting;
    fn try_from((from, to): (f64, f64)) -> Result<Self, InvalidSetting> {
        Self::new(from, to)
    }
}

impl From<Span> for (f64, f64) {
    fn from(span: Span) -> Self {
        (f64::from(span.from) / 1000.0, f64::from(span.to) / 1000.0)
    }
}

/// A probability, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Chance(f64);

impl Chance {
    /// It does not happen.
    pub const NEVER: Chance = Chance(0.0);
    /// It always happens.
    pub const ALWAYS: Chance = Chance(1.0);

    /// From a number.
    ///
    /// # Errors
    /// When it is not from 0 to 1.
    pub fn new(probability: f64) -> Result<Self, InvalidSetting> {
        if (0.0..=1.0).contains(&probability) { Ok(Self(probability)) } else { Err(InvalidSetting::Chance) }
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Chance {
    type Error = InvalidSetting;
    fn try_from(probability: f64) -> Result<Self, InvalidSetting> {
        Self::new(probability)
    }
}

impl From<Chance> for f64 {
    fn from(chance: Chance) -> Self {
        chance.0
    }
}

/// Keys to choose from, written as a text such as `"1112"`: a key is as likely as it stands there often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Keys(Vec<Digit>);

impl Keys {
    /// The keys, each as often as it was written. Never empty.
    pub fn as_slice(&self) -> &[Digit] {
        &self.0
    }
}

impl std::str::FromStr for Keys {
    type Err = InvalidSetting;
    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let keys: Option<Vec<Digit>> = text.chars().map(Digit::new).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or(InvalidSetting::Keys)
    }
}

impl TryFrom<String> for Keys {
    type Error = InvalidSetting;
    fn try_from(text: String) -> Result<Self, InvalidSetting> {
        text.parse()
    }
}

impl From<Keys> for String {
    fn from(keys: Keys) -> Self {
        keys.0.into_iter().map(Digit::as_char).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_their_text() {
        let text = serde_json::to_string_pretty(&NetworkSettings::default()).unwrap();
        assert!(text.contains(r#""keys": "11111111111111222905""#), "{text}");
        assert_eq!(serde_json::from_str::<NetworkSettings>(&text).unwrap(), NetworkSettings::default());
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let text = r#"{"population": {"ring": [1, 2.5], "shares": {"busy": 80}, "keys": "12#*", "presses": 1}}"#;
        let settings: NetworkSettings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.population.ring, Span::new(1.0, 2.5).unwrap());
        assert_eq!(settings.population.shares.busy, 80);
        assert_eq!(settings.population.shares.answer, Shares::default().answer);
        assert_eq!(settings.population.keys.as_slice().len(), 4);
        assert_eq!(settings.seed, 1);
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        for bad in [
            r#"{"sed": 1}"#,
            r#"{"population": {"shares": {"answers": 1}}}"#,
            r#"{"population": {"ring": [5, 1]}}"#,
            r#"{"population": {"ring": [-5, 1]}}"#,
            r#"{"population": {"ring": [1, 1e300]}}"#,
            r#"{"population": {"presses": 1.01}}"#,
            r#"{"population": {"keys": ""}}"#,
            r#"{"population": {"keys": "12a"}}"#,
        ] {
            assert!(serde_json::from_str::<NetworkSettings>(bad).is_err(), "{bad}");
        }
        assert!(Span::new(f64::NAN, 1.0).is_err());
        assert!(Chance::new(f64::NAN).is_err());
    }
}
