//! Values of options: what is taken, and words for what is not.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::model::RequestStatus;
use crate::model::status::LiveState;

/// A whole number within bounds.
pub fn whole<T>(bounds: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.trim().parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

/// A number within bounds, with or without a fraction.
pub fn number(bounds: RangeInclusive<f64>) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.trim().parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("must be a number from {} to {}", bounds.start(), bounds.end()))
    }
}

/// The status of a request, as it is written.
pub fn request_status(text: &str) -> Result<RequestStatus, String> {
    let found = RequestStatus::ALL.iter().find(|status| status.as_str() == text).copied();
    found.ok_or_else(|| not_one_of(text, RequestStatus::ALL.iter().map(|status| status.as_str())))
}

/// How far a live call is, as it is written.
pub fn live_state(text: &str) -> Result<LiveState, String> {
    let found = LiveState::ALL.iter().find(|state| state.as_str() == text).copied();
    found.ok_or_else(|| not_one_of(text, LiveState::ALL.iter().map(|state| state.as_str())))
}

fn not_one_of<'n>(text: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    crate::reading::not_one_of(&serde_json::Value::String(text.to_owned()), known)
}

/// What an organisation's name might have been meant to be.
pub fn organisation(text: &str) -> Result<crate::model::OrganisationId, String> {
    text.parse().map_err(|error| {
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
        let meant: String = text.trim().chars().map(kept).collect();
        let meant = meant.trim_matches(|c| c == '-' || c == '_');
        let hint = meant.parse::<crate::model::OrganisationId>().ok().map(|meant| meant.to_string());
        format!("{error}{}", crate::reading::did_you_mean(hint.as_deref()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_told_with_what_is() {
        assert_eq!(whole(1..=6_u32)(" 6"), Ok(6));
        for text in ["0", "7", "abc", "1.5", "-1", ""] {
            assert_eq!(whole(1..=6_u32)(text), Err("must be a whole number from 1 to 6".to_owned()), "{text}");
        }
        for text in ["NaN", "inf", "-0.1", "x"] {
            assert_eq!(number(0.0..=1.0)(text), Err("must be a number from 0 to 1".to_owned()), "{text}");
        }
    }

    #[test]
    fn an_organisation_that_is_none_is_told_what_it_might_be() {
        assert_eq!(organisation("acme").unwrap().as_str(), "acme");
        assert!(organisation("Acme Inc.").unwrap_err().ends_with("; did you mean `acme-inc`?"));
        assert!(!organisation("-").unwrap_err().contains("did you mean"));
    }
}
