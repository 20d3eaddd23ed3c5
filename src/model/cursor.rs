//! Where a page of requests ends.

use std::fmt;
use std::str::FromStr;

use super::{CallId, IdError, Timestamp};

/// The place of a request among those of its organisation, in the order in which they were accepted; a page that begins
/// after one holds older ones. Opaque to whoever is given it, written in one way only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestCursor {
    at: u64,
    request: [u8; 10],
}

/// Digits of the time: enough for the year 9999.
const TIME: usize = 12;

impl RequestCursor {
    /// The place of the request that a call is one of, if it was accepted at that time.
    pub fn new(accepted_at: Timestamp, call: CallId) -> Self {
        // Nothing is accepted before 1970.
        Self { at: u64::try_from(accepted_at.as_millis()).unwrap_or(0), request: call.request_hash() }
    }
}

impl fmt::Display for RequestCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0TIME$x}", self.at)?;
        self.request.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestCursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError::new("a cursor of requests", "^[0-9a-f]{32}$");
        if text.len() != TIME + 20 || !text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)) {
            return Err(error);
        }
        let (at, hash) = text.split_at(TIME);
        let hash = u128::from_str_radix(hash, 16).map_err(|_| error.clone())?;
        let mut request = [0; 10];
        request.copy_from_slice(&hash.to_be_bytes()[6..]);
        Ok(Self { at: u64::from_str_radix(at, 16).map_err(|_| error)?, request })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(at: Timestamp, request: &str) -> RequestCursor {
        RequestCursor::new(at, CallId::new(&"bank".parse().unwrap(), &request.parse().unwrap(), 0))
    }

    #[test]
    fn a_cursor_survives_its_text_and_sorts_as_it_does() {
        let mut cursors = Vec::new();
        for at in [0, 1, 1_767_603_600_000, 253_402_300_799_999] {
            cursors.extend(["r", "s", "t"].map(|request| cursor(Timestamp::from_millis(at), request)));
        }
        cursors.sort();
        for cursor in &cursors {
            assert_eq!(cursor.to_string().parse(), Ok(*cursor));
            assert_eq!(cursor.to_string().len(), 32);
        }
        assert!(cursors.is_sorted_by_key(ToString::to_string));
    }

    #[test]
    fn a_cursor_has_one_spelling_only() {
        let good = cursor(Timestamp::VIRTUAL_START, "r").to_string();
        for bad in ["", "0", &good[1..], &format!("0{good}"), &good.to_uppercase(), &format!("+{}", &good[1..])] {
            assert!(bad.parse::<RequestCursor>().is_err(), "{bad:?}");
        }
        assert!("é".repeat(16).parse::<RequestCursor>().is_err());
    }
}
