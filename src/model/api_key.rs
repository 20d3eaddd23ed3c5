//! Keys by which an organisation is known: the key itself, its hash, and what is kept of it.
//!
//! **Invariant:** a key in clear is never serialised, and no `Debug` writes it: whoever wants it must say so.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{KeyId, KeyLabel, OrganisationId, Timestamp};

/// What every key begins with: whoever finds one in a file or a log knows what it is, and so does a scanner.
const PREFIX: &str = "rc_";

/// Random bytes of a key. The first six are its public id, the other 208 bits are the secret.
pub const RANDOM_BYTES: usize = 32;

/// Random bytes of the id.
const ID_BYTES: usize = 6;

/// Bytes of the checksum.
const CHECK_BYTES: usize = 4;

/// Characters before the checksum.
const CHECKED: usize = PREFIX.len() + 2 * RANDOM_BYTES + 1;

/// Characters of a key.
const LENGTH: usize = CHECKED + 2 * CHECK_BYTES;

/// A key in clear: `rc_`, its id, `_`, 52 digits of secret, 8 of a checksum; all digits are hexadecimal.
///
/// The checksum is the beginning of the SHA-256 of everything before it: a key that was cut or mistyped is told from one
/// that was revoked without asking anybody.
#[derive(Clone)]
pub struct ApiKey {
    id: KeyId,
    text: Box<str>,
}

/// A text that is no key. The error does not repeat it: all but a character of it may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: rc_, 12 digits, _, 60 digits (0-9, a-f), of which the last 8 follow from the others")]
pub struct InvalidKey;

impl ApiKey {
    /// The key of bytes that nobody can guess.
    pub fn from_random(bytes: [u8; RANDOM_BYTES]) -> Self {
        let [a, b, c, d, e, f, ..] = bytes;
        let id = KeyId::of([a, b, c, d, e, f]);
        let checked = format!("{PREFIX}{id}_{}", hexadecimal(&bytes[ID_BYTES..]));
        let check = checksum(&checked);
        Self { id, text: (checked + &check).into() }
    }

    /// Its public name.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.text.as_bytes()).into())
    }

    /// The key itself: for whoever it was made for, and for nobody else.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl FromStr for ApiKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let (checked, check) = text.split_at_checked(CHECKED).ok_or(InvalidKey)?;
        let digits = checked.strip_prefix(PREFIX).ok_or(InvalidKey)?;
        let (id, secret) = digits.split_once('_').ok_or(InvalidKey)?;
        let id = id.parse().map_err(|_| InvalidKey)?;
        let sound = text.len() == LENGTH && secret.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if sound && check == checksum(checked) { Ok(Self { id, text: text.into() }) } else { Err(InvalidKey) }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id)
    }
}

/// The SHA-256 of a key: all that is kept of it. A key has 208 bits that nobody can guess, so a plain hash is enough.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// Takes as long wherever two hashes differ.
impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hash of a key)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hexadecimal(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("not a SHA-256 in hexadecimal digits");
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(wrong()) };
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(wrong)
    }
}

/// What a key is good for. None contains another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Handing in requests, and pausing, resuming and cancelling them.
    Submit,
    /// Looking at requests, calls and events.
    Read,
    /// Taking part in live calls: hanging up, transferring, listening, recording.
    Supervise,
    /// Changing the organisation: its settings, its do-not-call list.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 4] = [Scope::Submit, Scope::Read, Scope::Supervise, Scope::Admin];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Submit => "submit",
            Scope::Read => "read",
            Scope::Supervise => "supervise",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be submit, read, supervise or admin")]
pub struct InvalidScope;

impl FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(InvalidScope)
    }
}

/// A key as everybody may see it.
///
/// What a later version adds is refused: it may bound what the key is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyRecord {
    /// Its public name, by which it is listed and revoked.
    pub id: KeyId,
    /// Whom it stands for.
    pub organisation: OrganisationId,
    /// What people call it.
    pub label: KeyLabel,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
}

fn checksum(checked: &str) -> String {
    hexadecimal(&Sha256::digest(checked.as_bytes())[..CHECK_BYTES])
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(first: u8) -> ApiKey {
        ApiKey::from_random(std::array::from_fn(|n| first.wrapping_add(u8::try_from(n).unwrap())))
    }

    #[test]
    fn a_key_comes_back_from_its_text() {
        let key = key(0xfa);
        let text = key.expose();
        assert_eq!(
            text, "rc_fafbfcfdfeff_000102030405060708090a0b0c0d0e0f10111213141516171819353a1146",
            "prefix, id, secret, checksum"
        );
        let back: ApiKey = text.parse().unwrap();
        assert_eq!((back.expose(), back.id(), back.hash()), (text, key.id(), key.hash()));
        assert_eq!(key.id().as_str(), "fafbfcfdfeff");
    }

    #[test]
    fn a_key_that_was_cut_or_mistyped_is_none() {
        let text = key(7).expose().to_owned();
        for at in 0..text.len() {
            assert!(text[..at].parse::<ApiKey>().is_err(), "{at}");
            let other = if text.as_bytes()[at] == b'0' { '1' } else { '0' };
            let mut mistyped = text.clone();
            mistyped.replace_range(at..=at, &other.to_string());
            assert!(mistyped.parse::<ApiKey>().is_err(), "{mistyped}");
        }
        for wrong in [format!("{text}0"), format!(" {text}"), text.to_uppercase(), "é".repeat(40), String::new()] {
            assert!(wrong.parse::<ApiKey>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn neither_a_log_nor_an_error_shows_a_key() {
        let key = key(7);
        let shown = format!("{key:?} {:?} {}", key.hash(), InvalidKey);
        let secret = &key.expose()[16..24];
        assert!(shown.starts_with("rc_0708090a0b0c_…") && !shown.contains(secret), "{shown}");
    }

    #[test]
    fn a_hash_comes_back_and_others_differ_wherever_they_do() {
        let hash = key(7).hash();
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<KeyHash>(&text).unwrap(), hash);
        for at in 0..32 {
            let mut other = hash;
            other.0[at] ^= 1;
            assert_ne!(other, hash, "{at}");
        }
        for wrong in ["", "00", &text[1..64], &format!("{}g0", &text[1..63]), &"é".repeat(32)] {
            assert!(serde_json::from_value::<KeyHash>(wrong.into()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_record_with_more_than_is_understood_is_refused() {
        let record = serde_json::json!({
            "id": "0123456789ab", "organisation": "bank", "label": "crm", "scopes": ["submit"],
            "createdAt": "2026-01-05T09:00:00.000Z",
        });
        assert!(serde_json::from_value::<ApiKeyRecord>(record.clone()).is_ok());
        let mut bounded = record;
        bounded["expiresAt"] = "2026-01-06T09:00:00.000Z".into();
        assert!(serde_json::from_value::<ApiKeyRecord>(bounded).is_err());
    }
}
