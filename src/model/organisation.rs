//! What an organisation may do: its limit, weight, rates, numbers and rules.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::status::RequestError;
use super::{DispositionName, OrganisationHook, Phone};

/// Settings of one organisation. Every field has a default, so an organisation nobody has configured works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Organisation {
    /// Concurrent calls, calls of other applications included.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: u32,
    /// Share of the workers among backlogged organisations, relative to the others' weights; at least 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: u32,
    /// How requests of equal priority share the slots.
    pub request_order: RequestOrder,
    /// New dials a second over all workers; null: no bound.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub calls_per_second: Option<u32>,
    /// Numbers it may show to callees, the first is the default; empty: any.
    pub caller_ids: Vec<Phone>,
    /// Numbers that begin so, `+` left out, are never dialled.
    #[schemars(inner(regex(pattern = "^[0-9]{1,15}$")))]
    pub denied_prefixes: Vec<String>,
    /// How long an ended request is kept, in seconds.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub retention_secs: u64,
    /// How long what was recorded of a call is kept after its end, in seconds; null: as the operator has it.
    // Left out as hooks are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 315_360_000))]
    pub recording_retention_secs: Option<u64>,
    /// Where its events are sent; each address once. What they are signed with is not among the settings.
    // Left out if there are none: workers of earlier versions know no such field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub hooks: Vec<OrganisationHook>,
    /// Its names for how a call went; empty: any may be used.
    // Left out as hooks are, and so is the time zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub dispositions: Vec<DispositionName>,
    /// On whose clock times without an offset are read, an IANA name; null: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
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
            recording_retention_secs: None,
            hooks: Vec::new(),
            dispositions: Vec::new(),
            time_zone: None,
        }
    }
}

impl Organisation {
    /// Most slots, calls a second, and weight.
    pub const MOST: u32 = 1_000_000;

    /// How long an ended request can be kept, in seconds: a minute to a year.
    pub const RETENTION: RangeInclusive<u64> = 60..=31_536_000;

    /// How long what was recorded can be kept, in seconds: a minute to ten years.
    pub const RECORDING_RETENTION: RangeInclusive<u64> = 60..=315_360_000;

    /// Most webhooks.
    pub const MOST_HOOKS: usize = 20;

    /// Most names for how a call went.
    pub const MOST_DISPOSITIONS: usize = 200;

    /// Names of the settings that are other than they were, in alphabetical order.
    pub fn changed_since(&self, before: &Self) -> Vec<Box<str>> {
        let fields = |settings: &Self| match serde_json::to_value(settings) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let (before, after) = (fields(before), fields(self));
        // What is not used is not written.
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name))
            .map(|name| name.as_str().into())
            .collect()
    }

    /// Everything that is out of bounds.
    pub fn problems(&self) -> Vec<RequestError> {
        let most = u64::from(Self::MOST);
        let mut problems = Vec::new();
        for (name, value, bounds) in [
            ("limit", u64::from(self.limit), 0..=most),
            ("weight", u64::from(self.weight), 1..=most),
            ("callsPerSecond", u64::from(self.calls_per_second.unwrap_or(1)), 1..=most),
            ("retentionSecs", self.retention_secs, Self::RETENTION),
            (
                "recordingRetentionSecs",
                self.recording_retention_secs.unwrap_or(*Self::RECORDING_RETENTION.start()),
                Self::RECORDING_RETENTION,
            ),
        ] {
            if !bounds.contains(&value) {
                let message = format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
                problems.push(RequestError { path: name.to_owned(), message });
            }
        }
        if self.hooks.len() > Self::MOST_HOOKS {
            let message = format!("must hold at most {} hooks", Self::MOST_HOOKS);
            problems.push(RequestError { path: "hooks".to_owned(), message });
        }
        for (index, hook) in self.hooks.iter().enumerate() {
            if self.hooks[..index].iter().any(|other| other.url == hook.url) {
                let (path, message) = (format!("hooks[{index}].url"), "is there twice".to_owned());
                problems.push(RequestError { path, message });
            }
        }
        if self.dispositions.len() > Self::MOST_DISPOSITIONS {
            let message = format!("must hold at most {} names", Self::MOST_DISPOSITIONS);
            problems.push(RequestError { path: "dispositions".to_owned(), message });
        }
        for (index, name) in self.dispositions.iter().enumerate() {
            if self.dispositions[..index].contains(name) {
                let (path, message) = (format!("dispositions[{index}]"), "is there twice".to_owned());
                problems.push(RequestError { path, message });
            }
        }
        let is_zone = |name: &str| jiff::tz::db().get(name).is_ok_and(|zone| !zone.is_unknown());
        if self.time_zone.as_deref().is_some_and(|name| !is_zone(name)) {
            let message = "is not a known IANA time zone: write it like Asia/Singapore".to_owned();
            problems.push(RequestError { path: "timeZone".to_owned(), message });
        }
        for (index, prefix) in self.denied_prefixes.iter().enumerate() {
            if !((1..=15).contains(&prefix.len()) && prefix.bytes().all(|digit| digit.is_ascii_digit())) {
                let (path, message) = (format!("deniedPrefixes[{index}]"), "must be 1 to 15 digits".to_owned());
                problems.push(RequestError { path, message });
            }
        }
        problems
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_that_are_not_used_are_not_written_so_that_earlier_versions_can_read_the_rest() {
        let written = serde_json::to_value(Organisation::default()).unwrap();
        let names: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(!names.contains(&"hooks") && !names.contains(&"dispositions") && !names.contains(&"timeZone"));
        assert!(!names.contains(&"recordingRetentionSecs"));
        assert_eq!(serde_json::from_value::<Organisation>(written).unwrap(), Organisation::default());
        let mut used = Organisation { time_zone: Some("Asia/Singapore".to_owned()), ..Organisation::default() };
        used.dispositions.push("Promise to pay".parse().unwrap());
        let written = serde_json::to_value(&used).unwrap();
        assert_eq!(serde_json::from_value::<Organisation>(written).unwrap(), used);
    }

    #[test]
    fn names_of_dispositions_stand_there_once_and_the_time_zone_is_one() {
        let problems = |settings: Value| -> Vec<String> {
            let settings: Organisation = serde_json::from_value(settings).unwrap();
            settings.problems().into_iter().map(|problem| problem.path).collect()
        };
        assert_eq!(problems(json!({"dispositions": ["a", "b"], "timeZone": "Europe/Berlin"})), [""; 0]);
        for zone in ["Berlin", "+08:00", "", "Etc/Unknown"] {
            assert_eq!(
                problems(json!({"dispositions": ["a", "b", "a"], "timeZone": zone})),
                ["dispositions[2]", "timeZone"]
            );
        }
    }

    #[test]
    fn whatever_is_other_than_it_was_is_named_and_nothing_else() {
        let unset = Organisation::default();
        assert_eq!(unset.changed_since(&unset), [""; 0].map(Box::from));
        let mut after = Organisation { limit: 9, time_zone: Some("Asia/Singapore".to_owned()), ..unset.clone() };
        after.caller_ids.push("+6531580000".parse().unwrap());
        let names = ["callerIds", "limit", "timeZone"].map(Box::from);
        assert_eq!(after.changed_since(&unset), names);
        assert_eq!(unset.changed_since(&after), names, "what is taken away is changed as well");
    }
}
