//! Who picks up: the simulated network's magic numbers, and the settings of everybody else.

use std::path::{Path, PathBuf};

use clap::Args;

use super::documents::read_small;
use super::{Failure, values};
use crate::daemon::{Chance, Keys, NetworkSettings, Shares, Span};

/// What `run --help` says of numbers.
pub const MAGIC_NUMBERS: &str = "\
Magic numbers: +999, two digits for what happens, five of your choice.
  +999 10 …   rings; a person answers and listens to the end
  +999 13 …   rings; an answering machine answers
  +999 20 …   busy
  +999 30 …   rings until we give up
  +999 40 …   unknown number
  +999 50 …   rings; the call is declined
  +999 60 …   rings; a person answers and hangs up 1.5 s later
  +999 70 …   rings; a person answers and presses keys, one per gather: those behind
              the five digits, so +999 70 00001 1 presses 1
  +999 80 …   congestion
  +999 90 …   unreachable, without ringing
Any other number belongs to a seeded population.";

/// How the simulated people behave.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The people at the other end")]
pub struct NetworkArgs {
    /// Chooses everybody's behaviour: the same seed tells the same story.
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = values::whole(0..=u64::MAX))]
    seed: Option<u64>,
    /// Settings of the network as JSON: what the options below set, and more (see docs/cli.md).
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// A person answers: a weight. If any of these eight is given, those left out are 0.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    answer: Option<f64>,
    /// An answering machine answers.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    voicemail: Option<f64>,
    /// The line is engaged.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    busy: Option<f64>,
    /// It rings until we give up.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    unanswered: Option<f64>,
    /// The call is declined.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    reject: Option<f64>,
    /// It never rings.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    unreachable: Option<f64>,
    /// There is no such number.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    invalid: Option<f64>,
    /// The network has no way.
    #[arg(long, allow_negative_numbers = true, value_name = "WEIGHT", value_parser = values::number(0.0..=1_000.0))]
    congestion: Option<f64>,
    /// How likely a person presses a key when asked for one, 0 to 1.
    #[arg(long, allow_negative_numbers = true, value_name = "CHANCE", value_parser = values::number(0.0..=1.0))]
    presses: Option<f64>,
    /// The keys they press; each is as likely as it stands here often.
    #[arg(long, value_name = "KEYS")]
    press_keys: Option<String>,
    /// How long it rings before a person answers, in seconds.
    #[arg(long, allow_hyphen_values = true, value_name = "FROM,TO", value_parser = span)]
    ring: Option<Span>,
}

fn span(text: &str) -> Result<Span, String> {
    let wrong = |_| "must be two numbers of seconds, shortest and longest, such as 2,20".to_owned();
    let Some((from, to)) = text.split_once(',') else {
        let one: f64 = text.trim().parse().map_err(wrong)?;
        return Err(format!(
            "must be two numbers of seconds, shortest and longest; for always {one} write {one},{one}"
        ));
    };
    let (from, to) = (from.trim().parse().map_err(wrong)?, to.trim().parse().map_err(wrong)?);
    Span::new(from, to).map_err(|error| error.to_string())
}

impl NetworkArgs {
    /// The file that settings are read from, if any.
    pub fn file_read(&self) -> Option<&Path> {
        self.network.as_deref()
    }

    /// The settings of the network.
    pub fn settings(&self) -> Result<NetworkSettings, Failure> {
        let mut settings = self.file()?;
        // The log of dials is for tests; a million of them would only take room.
        settings.dial_log = 0;
        settings.seed = self.seed.unwrap_or(settings.seed);
        let population = &mut settings.population;
        if let Some(shares) = self.shares()? {
            population.shares = shares;
        }
        let wrong = |option: &str, error: &dyn std::error::Error| Failure::usage(format!("{option}: {error}"));
        if let Some(chance) = self.presses {
            population.presses = Chance::new(chance).map_err(|error| wrong("--presses", &error))?;
        }
        if let Some(keys) = &self.press_keys {
            population.keys = keys.parse::<Keys>().map_err(|error| wrong("--press-keys", &error))?;
        }
        population.ring = self.ring.unwrap_or(population.ring);
        Ok(settings)
    }

    fn file(&self) -> Result<NetworkSettings, Failure> {
        let Some(path) = &self.network else { return Ok(NetworkSettings::default()) };
        let shown = path.display().to_string();
        let text = read_small(path)?;
        serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))
    }

    fn shares(&self) -> Result<Option<Shares>, Failure> {
        /// Weights may have fractions; the network counts in whole numbers.
        const SCALE: f64 = 10_000.0;
        let given = [
            ("--answer", self.answer),
            ("--voicemail", self.voicemail),
            ("--busy", self.busy),
            ("--unanswered", self.unanswered),
            ("--reject", self.reject),
            ("--unreachable", self.unreachable),
            ("--invalid", self.invalid),
            ("--congestion", self.congestion),
        ];
        if given.iter().all(|(_, weight)| weight.is_none()) {
            return Ok(None);
        }
        let mut weights = [0_u32; 8];
        for (place, (option, weight)) in weights.iter_mut().zip(given) {
            let weight = weight.unwrap_or(0.0);
            if !(0.0..=1_000.0).contains(&weight) {
                return Err(Failure::usage(format!("{option}: a weight is a number from 0 to 1000")));
            }
            // At most ten million, so nothing is cut off.
            *place = (weight * SCALE).round() as u32;
        }
        let [answer, machine, busy, unanswered, reject, unreachable, invalid, congestion] = weights;
        if weights.iter().all(|weight| *weight == 0) {
            return Err(Failure::usage("at least one weight must be more than 0"));
        }
        Ok(Some(Shares { answer, machine, busy, unanswered, reject, unreachable, invalid, congestion }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_left_out_count_nothing() {
        let args = NetworkArgs { answer: Some(0.6), busy: Some(0.2), ..NetworkArgs::default() };
        let shares = args.settings().unwrap().population.shares;
        assert_eq!((shares.answer, shares.busy, shares.unanswered), (6_000, 2_000, 0));
    }

    #[test]
    fn impossible_settings_are_refused() {
        for args in [
            NetworkArgs { answer: Some(f64::NAN), ..NetworkArgs::default() },
            NetworkArgs { answer: Some(-1.0), ..NetworkArgs::default() },
            NetworkArgs { answer: Some(0.0), ..NetworkArgs::default() },
            NetworkArgs { presses: Some(2.0), ..NetworkArgs::default() },
            NetworkArgs { press_keys: Some("1x".to_owned()), ..NetworkArgs::default() },
        ] {
            assert!(matches!(args.settings(), Err(Failure::BadInput(_))), "{args:?}");
        }
    }
}
