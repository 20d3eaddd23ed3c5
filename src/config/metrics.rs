//! The settings of what can be seen of a process.

use serde::{Deserialize, Serialize};

use super::settings::words;

/// What can be seen of a process.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where `/metrics`, `/livez` and `/readyz` are served, `host:port`; empty: nowhere.
    pub listen: String,
    /// Organisations that have series of their own; a list, or text with blanks between.
    #[serde(deserialize_with = "words")]
    pub organisations: Vec<String>,
}
