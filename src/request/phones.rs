//! Phone numbers as people send them: what is wrong with one, and which were there before.

use std::collections::HashSet;

use crate::model::Phone;
use crate::model::phone::InvalidPhone;

/// The number `text` stands for, or what is wrong with it. The wording never repeats the text: it may be long, and it
/// may be somebody's number.
pub(super) fn read(text: &str) -> Result<Phone, String> {
    text.parse().map_err(|error: InvalidPhone| {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let hint = if text.is_empty() {
            " (it is empty)"
        } else if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            " (digits only: no spaces, no punctuation)"
        } else if digits.starts_with('0') {
            " (it begins with the country code, not with 0)"
        } else if digits.len() > 15 {
            " (it has more than 15 digits)"
        } else {
            ""
        };
        format!("{error}{hint}")
    })
}

/// The wording for a number that came as a JSON number.
pub(super) const UNQUOTED: &str = "must be a string, not a number: put it in quotes";

/// Numbers that were there before.
///
/// **Invariant:** nothing asks for the order of its members, so its randomly keyed hash, which a hostile list of
/// numbers cannot foresee, shows nowhere.
#[derive(Default)]
pub(super) struct SeenPhones(HashSet<u64>);

impl SeenPhones {
    /// Whether the number is new.
    pub(super) fn insert(&mut self, phone: Phone) -> bool {
        self.0.insert(phone.digits())
    }

    /// Whether the number was there before.
    pub(super) fn contains(&self, phone: Phone) -> bool {
        self.0.contains(&phone.digits())
    }

    /// How many different numbers there were.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
