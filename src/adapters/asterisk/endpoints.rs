//! From whom a leg leads to, to what Asterisk dials: an operator's template for each kind of destination.
//!
//! What is filled in was validated when it was read ([`Target`]): letters, digits and marks that mean nothing in a dial
//! string.

use std::str::FromStr;

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
}

/// The placeholders of each kind: the whole destination, and the same without what it begins with.
const EXTERNAL: (&str, &str, &str) = ("number", "digits", "{number} (+6591234567) or {digits} (6591234567)");
const EXTENSION: (&str, &str, &str) = ("extension", "extension", "{extension}");
const QUEUE: (&str, &str, &str) = ("queue", "queue", "{queue}");
const SIP: (&str, &str, &str) = ("uri", "address", "{uri} (sip:bob@pbx.example) or {address} (bob@pbx.example)");

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
                _ => return Err(unknown(&from[..=end])),
            });
            holes += 1;
            rest = &from[end + 1..];
        }
        pieces.push(Piece::Text(rest.into()));
        if holes == 0 { Err(InvalidTemplate::NoPlaceholder(known)) } else { Ok(Self(pieces)) }
    }

    fn filled(&self, whole: &str, bare: &str) -> String {
        let text = |piece| match piece {
            &Piece::Text(ref text) => &**text,
            Piece::Whole => whole,
            Piece::Bare => bare,
        };
        self.0.iter().map(text).collect()
    }
}

/// How every kind of destination is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// In the order in which they are tried; at least one.
    trunks: Vec<(Box<str>, Template)>,
    extension: Template,
    queue: Template,
    sip: Template,
}

/// What an operator writes for each kind of destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    /// For numbers of the public network: a trunk's name, and how it is dialled.
    pub trunks: Vec<(String, String)>,
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
    pub fn read(&self) -> Result<Endpoints, (String, InvalidTemplate)> {
        let read = |setting: String, text: &str, known| Template::read(text, known).map_err(|error| (setting, error));
        let trunks = self
            .trunks
            .iter()
            .map(|(name, text)| Ok((Box::from(name.as_str()), read(format!("trunks.{name}"), text, EXTERNAL)?)));
        Ok(Endpoints {
            trunks: trunks.collect::<Result<_, _>>()?,
            extension: read("extension".to_owned(), &self.extension, EXTENSION)?,
            queue: read("queue".to_owned(), &self.queue, QUEUE)?,
            sip: read("sip".to_owned(), &self.sip, SIP)?,
        })
    }
}

impl Endpoints {
    /// What Asterisk dials for a destination; none if that leads over a trunk and there are none so many.
    pub fn of(&self, target: &Target, trunk: usize) -> Option<String> {
        let whole = target.as_dialled();
        Some(match target {
            Target::External(_) => {
                let (_, template) = self.trunks.get(trunk)?;
                template.filled(&whole, whole.trim_start_matches('+'))
            }
            Target::Extension(number) => self.extension.filled(number, number),
            Target::Queue(name) => self.queue.filled(name, name),
            Target::Sip(uri) => self.sip.filled(uri, uri.strip_prefix("sip:").unwrap_or(uri)),
        })
    }
}

impl FromStr for Templates {
    type Err = InvalidTemplate;

    /// The usual templates for one trunk: an endpoint of `pjsip.conf` by this name.
    fn from_str(endpoint: &str) -> Result<Self, InvalidTemplate> {
        Ok(Self {
            trunks: vec![(endpoint.to_owned(), format!("PJSIP/{{number}}@{endpoint}"))],
            extension: "PJSIP/{extension}".to_owned(),
            queue: "Local/{queue}@robocall-queues".to_owned(),
            sip: format!("PJSIP/{endpoint}/{{uri}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(target: &str) -> String {
        let endpoints = "carrier".parse::<Templates>().unwrap().read().unwrap();
        endpoints.of(&target.parse().unwrap(), 0).unwrap()
    }

    #[test]
    fn every_kind_of_destination_has_its_template() {
        assert_eq!(dialled("+6591234567"), "PJSIP/+6591234567@carrier");
        assert_eq!(dialled("Ext:1000"), "PJSIP/1000");
        assert_eq!(dialled("Queue:sales"), "Local/sales@robocall-queues");
        assert_eq!(dialled("sip:bob@pbx.example:5061"), "PJSIP/carrier/sip:bob@pbx.example:5061");
    }

    #[test]
    fn a_number_can_go_without_its_plus() {
        let template = Template::read("PJSIP/00{digits}@carrier", EXTERNAL).unwrap();
        assert_eq!(template.filled("+6591234567", "6591234567"), "PJSIP/006591234567@carrier");
    }

    #[test]
    fn trunks_are_taken_in_their_order() {
        let mut templates: Templates = "one".parse().unwrap();
        templates.trunks.push(("two".to_owned(), "PJSIP/{digits}@two".to_owned()));
        let (endpoints, target) = (templates.read().unwrap(), "+6591234567".parse().unwrap());
        assert_eq!(endpoints.of(&target, 1).as_deref(), Some("PJSIP/6591234567@two"));
        assert_eq!(endpoints.of(&target, 2), None);
    }

    #[test]
    fn what_would_dial_nobody_or_the_wrong_one_is_refused() {
        for bad in ["", "carrier", "/x", "PJSIP/", "PJSIP/carrier", "PJSIP/{extension}@x", "PJSIP/{number", "PJSIP/}{"]
        {
            assert!(Template::read(bad, EXTERNAL).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_template_is_named() {
        let templates = Templates { queue: "Local/x".to_owned(), ..Templates::from_str("carrier").unwrap() };
        assert_eq!(templates.read().unwrap_err().0, "queue");
    }
}
