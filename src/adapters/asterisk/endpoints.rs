//! From whom a leg leads to, to what Asterisk dials: an operator's template for each kind of destination.
//!
//! What is filled in was validated when it was read ([`Target`]): letters, digits and marks that mean nothing in a dial
//! string.

use crate::callflow::program::Target;

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It does not begin with a channel technology.
    #[error("must begin with a channel technology, as in PJSIP/{{number}}@carrier")]
    NoTechnology,
    /// It has a placeholder of another kind of destination, or a lone brace.
    #[error("knows no {0:?}: {1} can be filled in")]
    UnknownPlaceholder(String, &'static str),
    /// There is no way to the public network.
    #[error("at least one is needed")]
    NoTrunk,
    /// Its name could mean something in a dial string.
    #[error("{0:?} is no name of a trunk: letters, digits and - _ . are")]
    OddTrunk(String),
    /// All of several trunks would be the same one.
    #[error("must have {{trunk}} in it, since there are several")]
    OneTrunkForAll,
    /// Everybody would be connected to the same place.
    #[error("has no placeholder: {0} can be filled in")]
    NoPlaceholder(&'static str),
}

/// A dial string with a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    /// The destination as it is named: `+6591234567`, `1000`, `sales`, `sip:bob@pbx.example`.
    Whole,
    /// Without the `+` of a number, or the `sip:` of an address.
    Bare,
    /// The trunk's name.
    Trunk,
}

/// The placeholders of each kind: the whole destination, and the same without what it begins with.
const EXTERNAL: (&str, &str, &str) = ("number", "digits", "{number} (+6591234567), {digits} (6591234567) and {trunk}");
const EXTENSION: (&str, &str, &str) = ("extension", "extension", "{extension}");
const QUEUE: (&str, &str, &str) = ("queue", "queue", "{queue}");
const SIP: (&str, &str, &str) =
    ("uri", "address", "{uri} (sip:bob@pbx.example), {address} (bob@pbx.example) and {trunk}, which is the first");

impl Template {
    fn read(text: &str, (whole, bare, known): (&str, &str, &'static str)) -> Result<Self, InvalidTemplate> {
        let has_technology = text.split_once('/').is_some_and(|(technology, rest)| {
            !technology.is_empty() && technology.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !rest.is_empty()
        });
        if !has_technology {
            return Err(InvalidTemplate::NoTechnology);
        }
        let (mut pieces, mut rest, mut holes) = (Vec::new(), text, 0);
        while let Some(at) = rest.find(['{', '}']) {
            let unknown = |text: &str| InvalidTemplate::UnknownPlaceholder(text.to_owned(), known);
            let (before, from) = rest.split_at(at);
            let end = from.find('}').ok_or_else(|| unknown(from))?;
            pieces.push(Piece::Text(before.into()));
            pieces.push(match from.get(1..end) {
                Some(name) if name == whole => Piece::Whole,
                Some(name) if name == bare => Piece::Bare,
                Some("trunk") => Piece::Trunk,
                _ => return Err(unknown(&from[..=end])),
            });
            holes += usize::from(!matches!(pieces.last(), Some(Piece::Trunk)));
            rest = &from[end + 1..];
        }
        pieces.push(Piece::Text(rest.into()));
        if holes == 0 { Err(InvalidTemplate::NoPlaceholder(known)) } else { Ok(Self(pieces)) }
    }

    fn filled(&self, whole: &str, bare: &str, trunk: &str) -> String {
        let text = |piece: &'_ Piece| match piece {
            Piece::Text(text) => text.to_string(),
            Piece::Whole => whole.to_owned(),
            Piece::Bare => bare.to_owned(),
            Piece::Trunk => trunk.to_owned(),
        };
        self.0.iter().map(text).collect()
    }

    fn names_a_trunk(&self) -> bool {
        self.0.contains(&Piece::Trunk)
    }
}

/// How every kind of destination is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// In the order in which they are tried; at least one.
    trunks: Vec<Box<str>>,
    external: Template,
    extension: Template,
    queue: Template,
    sip: Template,
}

/// What an operator writes for each kind of destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    /// The ways to the public network, in the order in which they are tried.
    pub trunks: Vec<String>,
    /// For numbers of the public network.
    pub external: String,
    /// For `Ext:1000`.
    pub extension: String,
    /// For `Queue:sales`.
    pub queue: String,
    /// For `sip:user@host`.
    pub sip: String,
}

impl Templates {
    /// Reads them.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used, and why.
    pub fn read(&self) -> Result<Endpoints, (&'static str, InvalidTemplate)> {
        let read = |setting, text: &str, known| Template::read(text, known).map_err(|error| (setting, error));
        let external = read("external", &self.external, EXTERNAL)?;
        if self.trunks.is_empty() {
            return Err(("trunks", InvalidTemplate::NoTrunk));
        }
        if self.trunks.len() > 1 && !external.names_a_trunk() {
            return Err(("external", InvalidTemplate::OneTrunkForAll));
        }
        let is_word = |name: &&String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            !name.is_empty() && name.bytes().all(plain)
        };
        if let Some(odd) = self.trunks.iter().find(|name| !is_word(name)) {
            return Err(("trunks", InvalidTemplate::OddTrunk(odd.clone())));
        }
        Ok(Endpoints {
            trunks: self.trunks.iter().map(|name| name.as_str().into()).collect(),
            external,
            extension: read("extension", &self.extension, EXTENSION)?,
            queue: read("queue", &self.queue, QUEUE)?,
            sip: read("sip", &self.sip, SIP)?,
        })
    }
}

impl Endpoints {
    /// The trunks' names, in the order in which they are tried.
    pub fn trunks(&self) -> &[Box<str>] {
        &self.trunks
    }

    /// What Asterisk dials for a destination; none if that leads over a trunk and there are none so many.
    pub fn of(&self, target: &Target, trunk: usize) -> Option<String> {
        let (whole, trunk) = (target.as_dialled(), self.trunks.get(trunk)?);
        Some(match target {
            Target::External(_) => self.external.filled(&whole, whole.trim_start_matches('+'), trunk),
            Target::Extension(number) => self.extension.filled(number, number, trunk),
            Target::Queue(name) => self.queue.filled(name, name, trunk),
            Target::Sip(uri) => self.sip.filled(uri, uri.strip_prefix("sip:").unwrap_or(uri), trunk),
        })
    }
}

impl Endpoints {
    /// Endpoints of Asterisk's own that destinations lead over whatever they are: of `PJSIP/{number}@carrier` and
    /// `PJSIP/carrier/{uri}`, `carrier`. Their technologies and names, each once.
    pub fn fixed(&self) -> Vec<(String, String)> {
        let mut fixed = Vec::new();
        for trunk in &self.trunks {
            for text in [self.external.filled("?", "?", trunk), self.sip.filled("?", "?", trunk)] {
                let Some((technology, rest)) = text.split_once('/') else { continue };
                let name = match rest.split_once('@') {
                    Some((_, name)) => name,
                    None => rest.split('/').next().unwrap_or_default(),
                };
                let endpoint = (technology.to_owned(), name.to_owned());
                if technology == "PJSIP" && !name.contains('?') && !fixed.contains(&endpoint) {
                    fixed.push(endpoint);
                }
            }
        }
        fixed
    }
}

impl Default for Templates {
    /// For one trunk, the endpoint `carrier` of `pjsip.conf`.
    fn default() -> Self {
        Self {
            trunks: vec!["carrier".to_owned()],
            external: "PJSIP/{number}@{trunk}".to_owned(),
            extension: "PJSIP/{extension}".to_owned(),
            queue: "Local/{queue}@robocall-queues/n".to_owned(),
            sip: "PJSIP/{trunk}/{uri}".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(target: &str) -> String {
        Templates::default().read().unwrap().of(&target.parse().unwrap(), 0).unwrap()
    }

    #[test]
    fn every_kind_of_destination_has_its_template() {
        assert_eq!(dialled("+6591234567"), "PJSIP/+6591234567@carrier");
        assert_eq!(dialled("Ext:1000"), "PJSIP/1000");
        assert_eq!(dialled("Queue:sales"), "Local/sales@robocall-queues/n");
        assert_eq!(dialled("sip:bob@pbx.example:5061"), "PJSIP/carrier/sip:bob@pbx.example:5061");
    }

    #[test]
    fn a_number_can_go_without_its_plus() {
        let template = Template::read("PJSIP/00{digits}@x", EXTERNAL).unwrap();
        assert_eq!(template.filled("+6591234567", "6591234567", "y"), "PJSIP/006591234567@x");
    }

    #[test]
    fn trunks_are_taken_in_their_order() {
        let templates = Templates { trunks: vec!["one".to_owned(), "two".to_owned()], ..Templates::default() };
        let (endpoints, target) = (templates.read().unwrap(), "+6591234567".parse().unwrap());
        assert_eq!(endpoints.of(&target, 0).as_deref(), Some("PJSIP/+6591234567@one"));
        assert_eq!(endpoints.of(&target, 1).as_deref(), Some("PJSIP/+6591234567@two"));
        assert_eq!(endpoints.of(&target, 2), None);
    }

    #[test]
    fn the_endpoints_that_must_be_there_are_known() {
        let trunks = vec!["one".to_owned(), "two".to_owned()];
        let fixed = Templates { trunks, ..Templates::default() }.read().unwrap().fixed();
        assert_eq!(fixed, [("PJSIP".to_owned(), "one".to_owned()), ("PJSIP".to_owned(), "two".to_owned())]);
    }

    #[test]
    fn what_would_dial_nobody_or_the_wrong_one_is_refused() {
        let texts =
            ["", "carrier", "/x", "PJSIP/", "PJSIP/{trunk}", "PJSIP/{extension}@x", "PJSIP/{number", "PJSIP/}{"];
        for bad in texts {
            assert!(Template::read(bad, EXTERNAL).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_setting_is_named() {
        let good = Templates::default;
        let two = vec!["one".to_owned(), "two".to_owned()];
        for (named, bad) in [
            ("queue", Templates { queue: "Local/x".to_owned(), ..good() }),
            ("trunks", Templates { trunks: Vec::new(), ..good() }),
            ("trunks", Templates { trunks: vec!["a@b".to_owned()], ..good() }),
            ("external", Templates { trunks: two, external: "PJSIP/{number}@one".to_owned(), ..good() }),
        ] {
            assert_eq!(bad.read().unwrap_err().0, named);
        }
    }
}
