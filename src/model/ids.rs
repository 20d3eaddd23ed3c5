//! Names of things: organisations, requests, calls, attempts, legs, workers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why a text is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: it must match {pattern}")]
pub struct IdError {
    what: &'static str,
    pattern: &'static str,
}

impl IdError {
    pub(super) const fn new(what: &'static str, pattern: &'static str) -> Self {
        Self { what, pattern }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The regular expression that every value matches.
            pub const PATTERN: &'static str = $pattern;

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&[u8]) -> bool = $check;
                if check(text.as_bytes()) { Ok(Self(text.into())) } else { Err(IdError { what: $what, pattern: $pattern }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    };
}

text_id!(
    /// A tenant. No dots (routing keys) and no braces (Redis hash tags).
    OrganisationId, "an organisation", "^[a-z0-9][a-z0-9_-]{0,62}$",
    |text| (1..=63).contains(&text.len())
        && text.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'_' | b'-'))
        && (text[0].is_ascii_lowercase() || text[0].is_ascii_digit())
);

text_id!(
    /// A campaign's name, chosen by the submitter; unique within its organisation while it is kept.
    RequestId, "a requestId", "^[A-Za-z0-9._:-]{1,128}$",
    |text| (1..=128).contains(&text.len())
        && text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b':' | b'-'))
);

text_id!(
    /// One daemon process; also the name under which it listens to a telephony backend.
    WorkerId, "a worker id", "^[A-Za-z0-9_-]{1,64}$",
    |text| (1..=64).contains(&text.len())
        && text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
);

text_id!(
    /// The public name of an API key: its first digits. It may be shown and logged.
    KeyId, "a key's id", "^[0-9a-f]{12}$",
    |text| text.len() == 12 && text.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
);

impl KeyId {
    /// The id of six bytes.
    pub(super) fn of(bytes: [u8; 6]) -> Self {
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self(format!("{number:012x}").into())
    }
}

text_id!(
    /// What people call an API key: whoever uses it, usually. Not unique.
    KeyLabel, "a label", r"^[^\s\p{Cc}]([^\p{Cc}]{0,62}[^\s\p{Cc}])?$", is_a_line
);

text_id!(
    /// What an organisation calls one way for a call to go.
    // Control characters by their numbers: not every reader of schemas knows them by their class.
    DispositionName, "a disposition", r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?$", is_a_line
);

/// Whether it is what people write on a line: at most 64 characters.
fn is_a_line(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.contains(char::is_control)
    })
}

/// The work for one destination: an 80-bit hash of organisation and request, and the destination's index.
///
/// Written as twenty hexadecimal digits, `-`, index; every character is allowed in a channel's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId {
    // First, since it tells most calls apart: whatever is kept by call is found with one comparison of numbers a step.
    index: u32,
    request: [u8; 10],
}

impl CallId {
    /// The regular expression that every value matches.
    pub const PATTERN: &'static str = "^[0-9a-f]{20}-(0|[1-9][0-9]{0,9})$";

    /// The call for the `index`th destination of a request.
    pub fn new(organisation: &OrganisationId, request: &RequestId, index: u32) -> Self {
        // Neither id can contain a newline, so the pair has one spelling only.
        let digest = Sha256::new()
            .chain_update(organisation.as_str())
            .chain_update("\n")
            .chain_update(request.as_str())
            .finalize();
        let mut hash = [0; 10];
        hash.copy_from_slice(&digest[..10]);
        Self { request: hash, index }
    }

    /// The call of another destination of the same request.
    #[must_use]
    pub const fn sibling(self, index: u32) -> Self {
        Self { request: self.request, index }
    }

    /// The destination's place in its request, from 0.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The hash that all calls of one request share.
    pub const fn request_hash(self) -> [u8; 10] {
        self.request
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hash = [0; 20];
        for (pair, byte) in hash.chunks_exact_mut(2).zip(self.request) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&hash).map_err(|_| fmt::Error)?)?;
        write!(f, "-{}", self.index)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CallId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { what: "a callId", pattern: Self::PATTERN };
        let (hash, index) = text.split_once('-').ok_or_else(|| error.clone())?;
        if hash.len() != 20 || !hash.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)) {
            return Err(error);
        }
        let mut request = [0; 10];
        for (byte, pair) in request.iter_mut().zip(hash.as_bytes().chunks_exact(2)) {
            let nibble = |c: u8| if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 };
            *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
        }
        Ok(Self { request, index: parse_plain(index).ok_or(error)? })
    }
}

/// One claim of a call, and the one dial that may follow from it: `{callId}.{claim}`, claims counted from 1.
///
/// The contracts' attempt *number* counts only dials and is carried separately.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The call this attempt belongs to.
    pub call: CallId,
    /// How many times the call had been claimed, this claim included.
    pub claim: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call, self.claim)
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AttemptId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError { what: "an attempt id", pattern: "^[0-9a-f]{20}-[0-9]{1,10}\\.[0-9]{1,10}$" };
        let (call, claim) = text.split_once('.').ok_or_else(error)?;
        Ok(Self { call: call.parse()?, claim: parse_plain(claim).ok_or_else(error)? })
    }
}

/// What a leg is in its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LegRole {
    /// The person who was dialled.
    Callee,
    /// The target of a transfer.
    Transfer,
    /// Somebody added to the call.
    Participant,
    /// A supervisor.
    Supervisor,
}

impl LegRole {
    /// Whether it is somebody who was called in beside the flow.
    pub const fn is_third_party(self) -> bool {
        matches!(self, LegRole::Participant | LegRole::Supervisor)
    }
}

/// One channel of an attempt: `{attempt}` for the callee, `{attempt}.t1`, `.p1`, `.s1` for the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LegId {
    /// The attempt the leg belongs to.
    pub attempt: AttemptId,
    /// What the leg is.
    pub role: LegRole,
    /// Which of its role, from 1; 0 for the callee.
    pub ordinal: u16,
}

impl LegId {
    /// The callee's own leg; its text is the attempt's id.
    pub const fn callee(attempt: AttemptId) -> Self {
        Self { attempt, role: LegRole::Callee, ordinal: 0 }
    }

    /// The `ordinal`th transfer of the attempt, from 1.
    pub const fn transfer(attempt: AttemptId, ordinal: u16) -> Self {
        Self { attempt, role: LegRole::Transfer, ordinal }
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            LegRole::Callee => write!(f, "{}", self.attempt),
            LegRole::Transfer => write!(f, "{}.t{}", self.attempt, self.ordinal),
            LegRole::Participant => write!(f, "{}.p{}", self.attempt, self.ordinal),
            LegRole::Supervisor => write!(f, "{}.s{}", self.attempt, self.ordinal),
        }
    }
}

impl fmt::Debug for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LegId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error =
            || IdError { what: "a leg id", pattern: "^[0-9a-f]{20}-[0-9]{1,10}\\.[0-9]{1,10}(\\.[tps][0-9]{1,5})?$" };
        let mut parts = text.splitn(3, '.');
        let (call, claim) = (parts.next().unwrap_or_default(), parts.next().ok_or_else(error)?);
        let attempt = AttemptId { call: call.parse()?, claim: parse_plain(claim).ok_or_else(error)? };
        let Some(suffix) = parts.next() else { return Ok(Self::callee(attempt)) };
        let role = match suffix.as_bytes().first() {
            Some(b't') => LegRole::Transfer,
            Some(b'p') => LegRole::Participant,
            Some(b's') => LegRole::Supervisor,
            _ => return Err(error()),
        };
        let ordinal = parse_plain(&suffix[1..]).and_then(|n| u16::try_from(n).ok()).ok_or_else(error)?;
        Ok(Self { attempt, role, ordinal })
    }
}

/// Decimal digits only: no sign, no leading zero, so that every id has one spelling.
fn parse_plain(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        let call = CallId::new(&"bank".parse().unwrap(), &"request_10".parse().unwrap(), 7);
        assert_eq!(call.to_string().parse(), Ok(call));
        let attempt = AttemptId { call, claim: 3 };
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        for leg in [LegId::callee(attempt), LegId::transfer(attempt, 2)] {
            assert_eq!(leg.to_string().parse(), Ok(leg));
        }
        assert_eq!(LegId::callee(attempt).to_string(), attempt.to_string());
    }

    #[test]
    fn ids_have_one_spelling_only() {
        let call = CallId::new(&"bank".parse().unwrap(), &"r".parse().unwrap(), 7).to_string();
        for bad in [call.to_uppercase(), call.replace("-7", "-07"), call.replace("-7", "-+7"), call.replace('-', "")] {
            assert!(bad.parse::<CallId>().is_err(), "{bad}");
        }
        assert!("Bank".parse::<OrganisationId>().is_err());
        assert!("a.b".parse::<OrganisationId>().is_err());
        assert!("".parse::<RequestId>().is_err());
        assert!("x".repeat(129).parse::<RequestId>().is_err());
        for bad in ["", "0123456789a", "0123456789abc", "0123456789AB", "rc_0123456789"] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_are_what_people_write_and_nothing_that_hides() {
        for good in ["crm", "Vertrieb München, 2", &"é".repeat(64)] {
            assert!(good.parse::<KeyLabel>().is_ok(), "{good}");
        }
        for bad in ["", " crm", "crm ", "a\nb", "a\u{1b}b", &"é".repeat(65)] {
            assert!(bad.parse::<KeyLabel>().is_err(), "{bad:?}");
        }
    }
}
