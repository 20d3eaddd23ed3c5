//! The settings of a daemon: every key, its unit and its default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Asterisk, ConfigError, Hooks, Metrics, Speech};
use crate::callflow::program::Gender;
use crate::model::WorkerId;

/// Everything a daemon is told.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// This worker.
    pub worker: Worker,
    /// The interface over HTTP.
    pub api: Api,
    /// The broker.
    pub amqp: Amqp,
    /// The database.
    pub redis: Redis,
    /// The phone network.
    pub telephony: Telephony,
    /// Asterisk, if that is the phone network.
    pub asterisk: Asterisk,
    /// What people hear.
    pub speech: Speech,
    /// Where events are sent.
    pub hooks: Hooks,
    /// What can be seen of the process.
    pub metrics: Metrics,
}

/// One worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Its name, unique among all that run; none: the host's name and a number drawn at the start.
    pub id: Option<WorkerId>,
    /// Most live calls at a time.
    pub capacity: u32,
    /// Requests loaded at a time, in turns.
    pub intakes: u16,
    /// Most destinations in a request over its parts.
    pub max_destinations: u32,
    /// How long live calls may go on after SIGTERM, in seconds, before they are handed over to other workers.
    pub grace_secs: u64,
    /// Folder of flows that requests may name; none: they carry their own.
    pub flows: Option<PathBuf>,
}

impl Default for Worker {
    fn default() -> Self {
        Self { id: None, capacity: 10_000, intakes: 4, max_destinations: 1_000_000, grace_secs: 600, flows: None }
    }
}

/// The interface over HTTP.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Where it listens, `host:port`.
    pub listen: String,
    /// Questions that one key may ask in a second, and as many at once.
    pub requests_per_second: u32,
    /// Keys nobody was seen with lately that may be tried from one address in a second, and five times as many at once.
    pub unknown_keys_per_second: u32,
    /// Networks of proxies that are believed when they say whom they were asked by.
    #[serde(deserialize_with = "words")]
    pub trusted_proxies: Vec<String>,
    /// Most connections at a time; others wait.
    pub max_connections: u32,
    /// Most who listen to events at a time; others are turned away.
    pub event_streams: u32,
    /// Requests that are held in memory at a time, in MiB; others wait.
    pub body_mb: u32,
    /// For how many days recordings are kept where the organisation does not say; 0: for ever.
    pub recording_days: u32,
    /// Voices that calls out may name, besides `female` and `male`.
    pub voices: BTreeMap<String, Voice>,
    /// Installed flows, by the ids of menus that `POST /v1/calls` names.
    pub menus: BTreeMap<String, String>,
}

/// A voice that has a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Voice {
    /// Its gender.
    #[serde(deserialize_with = "super::choices::gender")]
    pub gender: Gender,
    /// The language that it speaks (BCP 47); none: the default.
    pub language: Option<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            requests_per_second: 1_000,
            unknown_keys_per_second: 10,
            trusted_proxies: Vec::new(),
            max_connections: 4_096,
            event_streams: 1_000,
            body_mb: 256,
            recording_days: 0,
            voices: BTreeMap::new(),
            menus: BTreeMap::new(),
        }
    }
}

/// The broker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amqp {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    #[serde(serialize_with = "hidden")]
    pub url: SecretString,
    /// A file that holds the URL, read at the start.
    pub url_file: Option<PathBuf>,
    /// Certificates (PEM) to trust besides the system's.
    pub trusted_file: Option<PathBuf>,
    /// What the names of all exchanges and queues begin with.
    pub prefix: String,
    /// Unsettled requests a worker holds.
    pub prefetch: u16,
    /// How long a connection may be silent, in seconds, before a heartbeat is sent.
    pub heartbeat_secs: u16,
    /// How long the log of events is kept, in hours.
    pub event_log_hours: u32,
}

impl Default for Amqp {
    fn default() -> Self {
        Self {
            url: SecretString::from("amqp://guest:guest@127.0.0.1:5672/%2f"),
            url_file: None,
            trusted_file: None,
            prefix: String::new(),
            prefetch: 4,
            heartbeat_secs: 10,
            event_log_hours: 14 * 24,
        }
    }
}

/// The database.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://user:password@host:port/0`, or `rediss://`.
    #[serde(serialize_with = "hidden")]
    pub url: SecretString,
    /// A file that holds the URL, read at the start.
    pub url_file: Option<PathBuf>,
    /// What every key begins with.
    pub prefix: String,
    /// Concurrent calls of an organisation that has no limit of its own.
    pub default_limit: u32,
    /// Whether to refuse a server that may forget: one that evicts keys or writes nothing to disk.
    pub require_durable: bool,
    /// Replicas that must have a dial before it is made; 0: none are waited for.
    pub wait_replicas: u32,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: SecretString::from("redis://127.0.0.1:6379/"),
            url_file: None,
            prefix: "robocall".to_owned(),
            default_limit: crate::model::Organisation::default().limit,
            require_durable: false,
            wait_replicas: 0,
        }
    }
}

/// The phone network.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telephony {
    /// What it is.
    pub backend: Backend,
    /// `host:port` of a `robocall simulator`.
    pub simulator: String,
}

/// What the phone network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "camelCase")]
pub enum Backend {
    /// A simulated one, in a process of its own.
    Simulator,
    /// Asterisk.
    Asterisk,
}

impl Default for Telephony {
    fn default() -> Self {
        Self { backend: Backend::Simulator, simulator: "127.0.0.1:7460".to_owned() }
    }
}

/// A list of words, or one text with blanks between them, as a variable holds it.
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Words::deserialize(deserializer)? {
        Words::List(words) => words,
        Words::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
    })
}

/// What stands where a secret is not shown.
const HIDDEN: &str = "(hidden)";

pub(super) fn hidden<S: Serializer>(_: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(HIDDEN)
}

impl Settings {
    /// The same with secrets read from the files that hold them.
    pub(super) fn with_secrets_of_files(mut self) -> Result<Self, ConfigError> {
        for (secret, file) in [
            (&mut self.amqp.url, &self.amqp.url_file),
            (&mut self.redis.url, &self.redis.url_file),
            (&mut self.asterisk.password, &self.asterisk.password_file),
        ] {
            if let Some(file) = file {
                *secret = SecretString::from(read(file)?.trim_end_matches(['\r', '\n']).to_owned());
            }
        }
        if self.redis.url.expose_secret().is_empty() || self.amqp.url.expose_secret().is_empty() {
            return Err(ConfigError::Invalid("amqp.url and redis.url must not be empty".to_owned()));
        }
        Ok(self)
    }

    /// The certificates to trust at the broker, if any are named.
    ///
    /// # Errors
    /// When their file cannot be read.
    pub fn trusted(&self) -> Result<Option<String>, ConfigError> {
        self.amqp.trusted_file.as_deref().map(read).transpose()
    }
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|error| ConfigError::Unreadable { path: file.to_owned(), error })
}
