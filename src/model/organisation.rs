//! What an organisation may do: its limit, weight, rates, numbers and rules.

use serde::{Deserialize, Serialize};

use super::Phone;

/// Settings of one organisation. Every field has a default, so an organisation nobody has configured works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Organisation {
    /// Concurrent calls, calls of other applications included.
    pub limit: u32,
    /// Share of the workers among backlogged organisations, relative to the others' weights; at least 1.
    pub weight: u32,
    /// How requests of equal priority share the slots.
    pub request_order: RequestOrder,
    /// New dials a second over all workers; null: no bound.
    pub calls_per_second: Option<u32>,
    /// Numbers it may show to callees, the first is the default; empty: any.
    pub caller_ids: Vec<Phone>,
    /// Numbers that begin so, `+` left out, are never dialled.
    pub denied_prefixes: Vec<String>,
    /// How long an ended request is kept, in seconds.
    pub retention_secs: u64,
}

impl Default for Organisation {
    fn default() -> Self {
        Self {
            limit: 6,
            weight: 1,
            request_order: RequestOrder::Turns,
            calls_per_second: None,
            caller_ids: Vec::new(),
            denied_prefixes: Vec::new(),
            retention_secs: 7 * 24 * 3600,
        }
    }
}

/// How requests of equal priority share an organisation's slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RequestOrder {
    /// In equal turns.
    Turns,
    /// Strictly first come, first served.
    FirstCome,
}
