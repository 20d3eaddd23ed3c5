//! How many slots of an organisation are free.
//!
//! Other applications count their own calls in a text of their own writing. What it says is believed only as far as it
//! cannot make us exceed the limit.

/// How many slots other applications say they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum External {
    /// This many; 0 where nothing was ever written.
    InUse(u32),
    /// Less than none: a counter that was decremented too often. Counts as 0, and somebody should know.
    Negative,
    /// Not a number. Nothing is free until it is one again.
    Malformed,
}

impl External {
    /// Reads the counter as it is stored: decimal digits with an optional `-`, nothing else.
    pub fn parse(text: Option<&str>) -> Self {
        let Some(text) = text else { return External::InUse(0) };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
            return External::Malformed;
        }
        let is_zero = digits.bytes().all(|c| c == b'0');
        match (digits.len() < text.len(), is_zero) {
            (true, false) => External::Negative,
            (_, true) => External::InUse(0),
            // More than fits is more than any limit.
            (false, false) => External::InUse(digits.parse().unwrap_or(u32::MAX)),
        }
    }

    /// How many slots that makes: all there can be where it cannot be known.
    pub const fn in_use(self) -> u32 {
        match self {
            External::InUse(count) => count,
            External::Negative => 0,
            External::Malformed => u32::MAX,
        }
    }

    /// Whether an operator should be told.
    pub const fn is_alarming(self) -> bool {
        !matches!(self, External::InUse(_))
    }
}

/// How many slots may still be taken; 0 when more are in use than a lowered limit allows.
pub const fn free(limit: u32, external: External, leases: u32) -> u32 {
    match external {
        External::InUse(external) => limit.saturating_sub(external).saturating_sub(leases),
        External::Negative => limit.saturating_sub(leases),
        External::Malformed => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_others_write_is_read_with_suspicion() {
        for (text, external, free_of_six_with_one_leased) in [
            (None, External::InUse(0), 5),
            (Some("0"), External::InUse(0), 5),
            (Some("-0"), External::InUse(0), 5),
            (Some("2"), External::InUse(2), 3),
            (Some("6"), External::InUse(6), 0),
            (Some("99999999999999999999999"), External::InUse(u32::MAX), 0),
            (Some("-3"), External::Negative, 5),
            (Some("-99999999999999999999999"), External::Negative, 5),
            (Some(""), External::Malformed, 0),
            (Some("-"), External::Malformed, 0),
            (Some("+2"), External::Malformed, 0),
            (Some(" 2"), External::Malformed, 0),
            (Some("2.0"), External::Malformed, 0),
            (Some("0x2"), External::Malformed, 0),
            (Some("nan"), External::Malformed, 0),
            (Some("٢"), External::Malformed, 0),
        ] {
            assert_eq!(External::parse(text), external, "{text:?}");
            assert_eq!(free(6, external, 1), free_of_six_with_one_leased, "{text:?}");
            assert_eq!(5_u32.saturating_sub(external.in_use()), free_of_six_with_one_leased, "{text:?}");
            assert_eq!(external.is_alarming(), !matches!(external, External::InUse(_)));
        }
    }

    #[test]
    fn a_limit_lowered_below_use_frees_nothing() {
        assert_eq!(free(2, External::InUse(1), 4), 0);
    }

    proptest! {
        #[test]
        fn taking_what_is_free_never_exceeds_the_limit(limit: u32, text: Option<String>, leases: u32) {
            let external = External::parse(text.as_deref());
            let taken = free(limit, external, leases);
            let in_use = match external { External::InUse(n) => u64::from(n), _ => 0 };
            prop_assert!(taken == 0 || u64::from(taken) + u64::from(leases) + in_use <= u64::from(limit));
        }
    }
}
