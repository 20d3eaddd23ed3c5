//! Webhooks: where events are sent besides the log, which of them, in whose shape, and signed with what.
//!
//! **Invariant:** a secret in clear is written by nothing that shows or serialises: whoever wants it must say so.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::EventType;

/// Most bytes of an address.
const MAX_URL: usize = 2048;

/// An address events are sent to: `https://` or `http://`, a host, and neither user nor password.
///
/// Whether it may be connected to is looked at when that is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HookUrl(Box<str>);

impl HookUrl {
    /// A regular expression: what matches it is such an address.
    pub const PATTERN: &'static str =
        r##"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9._~-][!-"$-.0->A-\[\]-~]*([/?#\\][!-~]*)?$"##;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme and host alone: what stands behind them is often as good as a password.
    pub fn shown(&self) -> &str {
        let begin = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0[begin..].find(['/', '?', '#', '\\']).map_or(self.0.len(), |at| begin + at);
        &self.0[..end]
    }

    /// What is wrong with a text that should be such an address, if anything.
    pub fn fault(url: &str) -> Option<String> {
        if url.len() > MAX_URL {
            return Some(format!("is longer than {MAX_URL} bytes"));
        }
        let scheme = url.split_once("://").map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        let Some(("http" | "https", rest)) = scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) else {
            return Some("must begin with https:// or http://".to_owned());
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        if authority.contains('@') {
            return Some("must not carry a user name or password".to_owned());
        }
        if authority.is_empty() || authority.starts_with(':') {
            return Some("must name a host".to_owned());
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some("must be ASCII without spaces: encode what else it holds".to_owned());
        }
        None
    }
}

impl FromStr for HookUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match Self::fault(text) {
            None => Ok(Self(text.into())),
            Some(fault) => Err(fault),
        }
    }
}

impl TryFrom<String> for HookUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HookUrl> for String {
    fn from(url: HookUrl) -> Self {
        url.0.into()
    }
}

impl schemars::JsonSchema for HookUrl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HookUrl".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": MAX_URL, "pattern": Self::PATTERN})
    }
}

/// Which events: those of a type (`call.ended`), or all whose type begins with a word (`call`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventFilter(Box<str>);

impl EventFilter {
    /// The type or the word, without a prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Everything a filter can say: the first words, then the types.
    pub fn all() -> impl Iterator<Item = &'static str> + Clone {
        let types = || EventType::ALL.iter().map(|kind| kind.as_str());
        let first = |kind: &'static str| kind.split('.').next().unwrap_or(kind);
        let mut before = "";
        // Types of one word stand together.
        let words = types().map(first).filter(move |word| std::mem::replace(&mut before, word) != *word);
        words.chain(types())
    }

    /// Whether filters let a type through; without any, everything is.
    pub fn let_through<'f>(filters: impl IntoIterator<Item = &'f str>, kind: &str) -> bool {
        let mut any = false;
        for filter in filters {
            any = true;
            if kind.strip_prefix(filter).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
                return true;
            }
        }
        !any
    }
}

impl FromStr for EventFilter {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("robocall.").unwrap_or(text);
        if Self::all().any(|known| known == name) {
            return Ok(Self(name.into()));
        }
        Err("unknown event type, such as `call.ended`".to_owned())
    }
}

impl TryFrom<String> for EventFilter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<EventFilter> for String {
    fn from(filter: EventFilter) -> Self {
        filter.0.into()
    }
}

impl schemars::JsonSchema for EventFilter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventFilter".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "enum": Self::all().collect::<Vec<_>>(),
            "description": "A type of events, or the first word of several"
        })
    }
}

/// A webhook of an organisation: every event of it that the filters let through is sent there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrganisationHook {
    /// Where to.
    pub url: HookUrl,
    /// Which; empty: all.
    #[serde(default)]
    pub events: Vec<EventFilter>,
    /// The operator's template that gives them another shape; null: as they are.
    #[serde(default)]
    pub template: Option<TemplateName>,
}

/// Name of an operator's template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateName(Box<str>);

impl TemplateName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let sound = (1..=64).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-');
        if sound { Ok(Self(text.into())) } else { Err("must be 1 to 64 of a-z, 0-9, _ and -".to_owned()) }
    }
}

impl TryFrom<String> for TemplateName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TemplateName> for String {
    fn from(name: TemplateName) -> Self {
        name.0.into()
    }
}

impl schemars::JsonSchema for TemplateName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TemplateName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[a-z0-9_-]{1,64}$"})
    }
}

/// What every signing secret begins with.
const SECRET_PREFIX: &str = "whsec_";

/// Bytes of a secret that may be given, and of one that is drawn.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of a secret that is drawn.
pub const DRAWN_SECRET_BYTES: usize = 32;

/// A secret that webhooks are signed with: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSecret(Box<[u8]>);

/// A text that is no secret. The error does not repeat it: all but a character of it may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a signing secret: whsec_ and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl HookSecret {
    /// The secret of bytes that nobody can guess.
    pub fn from_random(bytes: [u8; DRAWN_SECRET_BYTES]) -> Self {
        Self(bytes.into())
    }

    /// The secret itself: for whoever checks signatures, and for whoever keeps it.
    pub fn expose(&self) -> String {
        format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    /// The key that signatures are made with.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// Its public name: the beginning of its hash.
    pub fn id(&self) -> String {
        Sha256::digest(&self.0)[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl FromStr for HookSecret {
    type Err = InvalidSecret;
    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(InvalidSecret)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if SECRET_BYTES.contains(&bytes.len()) { Ok(Self(bytes.into())) } else { Err(InvalidSecret) }
    }
}

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "whsec_… ({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_types_and_their_first_words() {
        for (filters, kind, through) in [
            (&[][..], "call.ended", true),
            (&["call"], "call.ended", true),
            (&["call.ended"], "call.ended", true),
            (&["call.ended"], "call.answered", false),
            (&["request", "call.answered"], "request.completed", true),
            (&["call.end"], "call.ended", false),
            (&["c"], "call.ended", false),
        ] {
            assert_eq!(EventFilter::let_through(filters.iter().copied(), kind), through, "{filters:?} {kind}");
        }
        let words: Vec<&str> = EventFilter::all().filter(|name| !name.contains('.')).collect();
        assert_eq!(words, ["request", "call", "step", "leg", "recording", "command"]);
        assert_eq!("robocall.call".parse::<EventFilter>().unwrap().as_str(), "call");
        assert!("calls".parse::<EventFilter>().is_err());
    }

    #[test]
    fn a_log_shows_no_path_of_an_address_and_nothing_of_a_secret() {
        for (url, shown) in [
            ("https://example.com/services/T0/B0/secret", "https://example.com"),
            ("HTTP://[::1]:8080?token=x", "HTTP://[::1]:8080"),
            ("https://example.com", "https://example.com"),
        ] {
            assert_eq!(url.parse::<HookUrl>().unwrap().shown(), shown);
        }
        let secret = HookSecret::from_random([7; 32]);
        assert_eq!(secret.expose().parse::<HookSecret>().unwrap(), secret);
        let text = format!("{secret:?}");
        assert!(!text.contains(&secret.expose()[6..12]) && text.contains(&secret.id()), "{text}");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        for bad in
            ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!", "whsec_MfKQ9r8GKYqrTwjUPD8"]
        {
            assert_eq!(bad.parse::<HookSecret>(), Err(InvalidSecret), "{bad}");
        }
        assert!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse::<HookSecret>().is_ok());
    }
}
