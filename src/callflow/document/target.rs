//! Destinations of transfers, as flows write them.

use std::str::FromStr;

use crate::callflow::program::Target;

/// The regular expression that every destination matches.
pub const PATTERN: &str = r"^(\+[1-9][0-9]{1,14}|Ext:[A-Za-z0-9*#._-]{1,32}|Queue:[A-Za-z0-9._-]{1,64}|sip:[A-Za-z0-9+*#._-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?)$";

/// Most characters of one.
pub const LONGEST: usize = 253;

/// The text names nobody a call could be transferred to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be +E.164, Ext:1000, Queue:sales or sip:user@host{0}")]
pub struct InvalidTarget(String);

/// Reads `+6591234567`, `Ext:1000`, `Queue:sales`, `sip:user@host[:port]`. What comes out is safe in a dial string:
/// letters, digits and a few marks that mean nothing there.
impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if text.len() > LONGEST {
            return Err(because(format!("it is longer than {LONGEST} characters")));
        }
        if text.starts_with('+') {
            return text.parse().map(Target::External).map_err(|_| because("the number is not E.164"));
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(because(match text.len() {
                ..8 => format!("did you mean `Ext:{text}`?"),
                8..16 => format!("write `+{text}` if it is an international number"),
                _ => "bare digits are neither".to_owned(),
            }));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(InvalidTarget(String::new()));
        };
        match scheme {
            "Ext" if is_word(rest, 32, "*#._-") => Ok(Target::Extension(rest.into())),
            "Ext" => Err(because("an extension has 1 to 32 letters, digits and * # . _ -")),
            "Queue" if is_word(rest, 64, "._-") => Ok(Target::Queue(rest.into())),
            "Queue" => Err(because("a queue's name has 1 to 64 letters, digits and . _ -")),
            "sip" if is_sip_address(rest) => Ok(Target::Sip(text.into())),
            "sip" => Err(because("the address must be user@host or user@host:port, without parameters")),
            _ => match ["Ext", "Queue", "sip"].into_iter().find(|known| known.eq_ignore_ascii_case(scheme)) {
                Some(known) => Err(because(format!("write `{known}:`"))),
                None => Err(InvalidTarget(String::new())),
            },
        }
    }
}

fn because(reason: impl std::fmt::Display) -> InvalidTarget {
    InvalidTarget(format!(": {reason}"))
}

fn is_word(text: &str, longest: usize, marks: &str) -> bool {
    (1..=longest).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

fn is_sip_address(text: &str) -> bool {
    let Some((user, host)) = text.split_once('@') else { return false };
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let good_port = port.is_none_or(|port| {
        is_word(port, 5, "") && !port.starts_with('0') && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let good_host = host.split('.').all(|label| is_word(label, 63, "-"));
    is_word(user, 64, "+*#._-") && good_host && good_port
}

impl Target {
    /// As a flow writes it; [`FromStr`] reads it back.
    pub fn as_written(&self) -> String {
        match self {
            Target::Extension(number) => format!("Ext:{number}"),
            Target::External(_) | Target::Queue(_) | Target::Sip(_) => self.as_dialled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_and_written_back() {
        let written = [
            "+6591234567",
            "Ext:1000",
            "Ext:*72",
            "Queue:sales",
            "Queue:After-Hours_2",
            "sip:bob@pbx.example",
            "sip:+6512@10.0.0.7:5061",
        ];
        for text in written {
            assert_eq!(text.parse::<Target>().unwrap().as_written(), text);
        }
    }

    #[test]
    fn what_is_meant_is_guessed_but_not_done() {
        let hints = [
            ("1000", "did you mean `Ext:1000`?"),
            ("6591234567", "write `+6591234567`"),
            ("ext:1000", "write `Ext:`"),
            ("SIP:a@b", "write `sip:`"),
            ("+0123", "not E.164"),
            ("Queue:Sales Team", "a queue's name has"),
        ];
        for (text, hint) in hints {
            let message = text.parse::<Target>().unwrap_err().to_string();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }

    #[test]
    fn nothing_that_means_something_in_a_dial_string_gets_through() {
        let hostile = [
            "",
            ":",
            "Ext:",
            "Queue:",
            "sip:",
            "sip:a",
            "sip:@b",
            "sip:a@",
            "sip:a@b..c",
            "sip:a@b:0",
            "sip:a@b:65536",
            "sip:a@b:+80",
            "Ext:1&2",
            "Ext:1,30,tT",
            "Ext:${EXTEN}",
            "Ext:1/2",
            "Ext:1@ctx",
            "Ext:1\n2",
            "Ext:{{agent}}",
            "Queue:a|b",
            "Queue:a b",
            "sip:a@b;transport=tcp",
            "sip:a@b?x=y",
            "sip:a%40b@c",
            "sips:a@b",
            "tel:+123456",
            "+65 9123 4567",
            "+6591234567 ",
            "Ext:１",
        ];
        for text in hostile {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert!(format!("Ext:{}", "1".repeat(33)).parse::<Target>().is_err());
    }
}
