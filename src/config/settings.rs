//! The settings of a daemon: every key, its unit and its default.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;
use crate::model::WorkerId;

/// Everything a daemon is told.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// This worker.
    pub worker: Worker,
    /// The broker.
    pub amqp: Amqp,
    /// The database.
    pub redis: Redis,
    /// The phone network.
    pub telephony: Telephony,
    /// Asterisk, if that is the phone network.
    pub asterisk: Asterisk,
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
#[serde(rename_all = "camelCase")]
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

/// Asterisk.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asterisk {
    /// Where the ARI of each node is, such as `http://10.0.0.7:8088/ari`; a list, or text with commas.
    #[serde(deserialize_with = "list")]
    pub nodes: Vec<String>,
    /// A user of `ari.conf`, the same on every node.
    pub user: String,
    /// The user's password.
    #[serde(serialize_with = "hidden")]
    pub password: SecretString,
    /// A file that holds the password, read at the start.
    pub password_file: Option<PathBuf>,
    /// Most legs a node carries at a time, whoever made them; 0: as many as come.
    pub max_legs: u32,
    /// Most legs a worker makes on a node in a second; 0: as many as come.
    pub legs_per_second: u32,
    /// Names of the ways to the public network, in the order in which they are tried; a list, or text with commas.
    #[serde(deserialize_with = "list")]
    pub trunks: Vec<String>,
    /// How numbers of the public network are dialled.
    pub external: String,
    /// How `Ext:1000` is dialled.
    pub extension: String,
    /// How `Queue:sales` is dialled.
    pub queue: String,
    /// How `sip:user@host` is dialled.
    pub sip: String,
    /// What the names of recordings begin with; a folder within Asterisk's own for recordings ends with `/`.
    pub recordings: String,
}

impl Default for Asterisk {
    fn default() -> Self {
        Self {
            nodes: vec!["http://127.0.0.1:8088/ari".to_owned()],
            user: "robocall".to_owned(),
            password: SecretString::from(""),
            password_file: None,
            max_legs: 0,
            legs_per_second: 0,
            trunks: vec!["carrier".to_owned()],
            external: "PJSIP/{number}@{trunk}".to_owned(),
            extension: "PJSIP/{extension}".to_owned(),
            queue: "Local/{queue}@robocall-queues/n".to_owned(),
            sip: "PJSIP/{trunk}/{uri}".to_owned(),
            recordings: String::new(),
        }
    }
}

/// A list, or text with commas: variables are text.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of texts, or text with commas")]
    enum List {
        Text(String),
        Items(Vec<String>),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Text(text) => {
            text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
        }
        List::Items(items) => items,
    })
}

/// What stands where a secret is not shown.
const HIDDEN: &str = "(hidden)";

fn hidden<S: Serializer>(_: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
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
