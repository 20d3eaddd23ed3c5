//! Asterisk, if that is the phone network.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::settings::{hidden, words};

/// Asterisk.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asterisk {
    /// Where the ARI of each node is, such as `http://10.0.0.7:8088/ari`; a list, or text with blanks between.
    #[serde(deserialize_with = "words")]
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
    /// Names of the ways to the public network, in the order in which they are tried; a list, or text with blanks between.
    #[serde(deserialize_with = "words")]
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
