//! Where the broker is, how it is talked to, and what things are called there.

use std::time::Duration;

use secrecy::SecretString;

use crate::model::{OrganisationId, WorkerId};

/// How to reach the broker and how to use it.
#[derive(Clone, Debug)]
pub struct AmqpSettings {
    /// `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. Never logged.
    pub url: SecretString,
    /// Certificates (PEM) to trust besides the system's, for a private authority.
    pub trusted: Option<String>,
    /// What the broker's own tools call our connections.
    pub connection_name: String,
    /// How long a connection may be silent before a heartbeat is sent; after twice as long it counts as lost.
    pub heartbeat: Duration,
    /// How many unsettled requests a worker holds.
    pub prefetch: u16,
    /// Requests and commands that a client has on their way at a time; more wait. Each has a channel of its own, of
    /// which a connection may have some two thousand.
    pub on_their_way: usize,
    /// How long the event log is kept.
    pub retention: Duration,
    /// What things are called.
    pub names: Topology,
}

impl AmqpSettings {
    /// The defaults, at a broker of one's own.
    pub fn at(url: SecretString) -> Self {
        Self {
            url,
            trusted: None,
            connection_name: "robocall".to_owned(),
            heartbeat: Duration::from_secs(10),
            prefetch: 4,
            on_their_way: 512,
            retention: Duration::from_secs(14 * 24 * 3600),
            names: Topology::default(),
        }
    }
}

/// The names of exchanges and queues. All carry the same prefix, so that several installations, or tests, can share a
/// virtual host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    prefix: String,
}

/// A prefix that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix of names matches ^[A-Za-z0-9._-]{{0,64}}$")]
pub struct InvalidPrefix;

impl Topology {
    /// Names with something before them.
    ///
    /// # Errors
    /// When it is too long for names at the broker, or has other characters than letters, digits, `.`, `_`, `-`.
    pub fn prefixed(prefix: &str) -> Result<Self, InvalidPrefix> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
        if prefix.len() > 64 || !prefix.bytes().all(plain) {
            return Err(InvalidPrefix);
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// Exchange and queue of requests on their way in.
    pub fn requests(&self) -> String {
        format!("{}robocall.requests", self.prefix)
    }

    /// Exchange and queue of requests that were rejected, or that nobody survived.
    pub fn dead(&self) -> String {
        format!("{}robocall.requests.dead", self.prefix)
    }

    /// Exchange of events.
    pub fn events(&self) -> String {
        format!("{}robocall.events", self.prefix)
    }

    /// Stream in which every event is kept for a while.
    pub fn event_log(&self) -> String {
        format!("{}robocall.events.log", self.prefix)
    }

    /// Exchange and queue of commands that any worker can take.
    pub fn commands(&self) -> String {
        format!("{}robocall.commands", self.prefix)
    }

    /// Queue of orders to one worker. They are sent to it by its name and not through the exchange of commands, where
    /// an organisation might be called `worker`.
    pub fn orders(&self, worker: &WorkerId) -> String {
        format!("{}robocall.worker.{worker}", self.prefix)
    }

    /// Routing key of an organisation's requests.
    pub fn request_key(organisation: &OrganisationId) -> String {
        format!("requests.{organisation}")
    }

    /// The organisation of a routing key.
    pub(super) fn organisation_of(routing_key: &str) -> Option<OrganisationId> {
        routing_key.strip_prefix("requests.")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_is_read_from_its_routing_key_only() {
        let organisation = |key| Topology::organisation_of(key).map(|organisation| organisation.to_string());
        assert_eq!(organisation("requests.bank"), Some("bank".to_owned()));
        for wrong in ["requests.", "requests", "requests.Bank", "requests.bank.more", "bank", ""] {
            assert_eq!(organisation(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_before_every_name() {
        let names = Topology::prefixed("test-1.").unwrap();
        let worker = "w".parse().unwrap();
        let all = [
            names.requests(),
            names.dead(),
            names.events(),
            names.event_log(),
            names.commands(),
            names.orders(&worker),
        ];
        assert!(all.iter().all(|name| name.starts_with("test-1.robocall.")), "{all:?}");
        assert_eq!(Topology::prefixed("a b"), Err(InvalidPrefix));
        assert_eq!(Topology::prefixed(&"x".repeat(65)), Err(InvalidPrefix));
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", AmqpSettings::at("amqp://guest:sesame@localhost".to_owned().into()));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
