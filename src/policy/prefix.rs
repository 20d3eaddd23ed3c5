//! Numbers that must never be dialled: premium services, whole countries.
//!
//! The same rules hold for every leg that leaves: destinations, transfers, participants, supervisors.

use crate::model::Phone;

/// The prefix is not 1 to 15 digits, the first not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a denied prefix is 1 to 15 digits of an international number, such as 1900 or 882")]
pub struct InvalidPrefix;

/// The digits of a prefix as an operator writes it, a leading `+` left out.
///
/// # Errors
/// When it is not the beginning of an E.164 number. An empty prefix would deny everything and is refused as well.
pub fn parse(prefix: &str) -> Result<&str, InvalidPrefix> {
    let digits = prefix.strip_prefix('+').unwrap_or(prefix);
    let well_formed =
        (1..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|c| c.is_ascii_digit());
    if well_formed { Ok(digits) } else { Err(InvalidPrefix) }
}

/// The first rule that forbids a number. Rules that [`parse`] refuses match nothing: they are kept out where rules
/// are set.
pub fn denied_by(phone: Phone, denied_prefixes: &[String]) -> Option<&str> {
    denied_prefixes
        .iter()
        .map(String::as_str)
        .find(|prefix| parse(prefix).is_ok_and(|digits| begins_with(phone, digits)))
}

/// Whether the number's digits begin with `prefix`, itself digits.
pub(super) fn begins_with(phone: Phone, prefix: &str) -> bool {
    let Ok(wanted) = prefix.parse::<u64>() else { return false };
    let mut head = phone.digits();
    while head > wanted {
        head /= 10;
    }
    // Neither side has leading zeros, so equal values have equal digits.
    head == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phone(text: &str) -> Phone {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_is_denied_by_the_first_rule_it_begins_with() {
        let rules = ["882".to_owned(), "+1900".to_owned(), "1".to_owned()];
        assert_eq!(denied_by(phone("+19005551234"), &rules), Some("+1900"));
        assert_eq!(denied_by(phone("+12125551234"), &rules), Some("1"));
        assert_eq!(denied_by(phone("+8821234"), &rules), Some("882"));
        assert_eq!(denied_by(phone("+6512345678"), &rules), None);
        assert_eq!(denied_by(phone("+88"), &rules), None, "shorter than the rule");
    }

    #[test]
    fn malformed_rules_are_refused_and_match_nothing() {
        for bad in ["", "+", "0", "019", "1 900", "1900*", "++1", "１", "1234567890123456"] {
            assert_eq!(parse(bad), Err(InvalidPrefix), "{bad:?}");
            assert_eq!(denied_by(phone("+19005551234"), &[bad.to_owned()]), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_text(number in "[1-9][0-9]{1,14}", prefix in "[1-9][0-9]{0,4}") {
            prop_assert_eq!(begins_with(phone(&number), &prefix), number.starts_with(&prefix));
        }
    }
}
