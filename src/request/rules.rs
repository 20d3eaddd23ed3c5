//! The fields of a request that are objects themselves: retries, calling window, hooks, parts.

use std::time::Duration;

use serde_json::Value;

use super::zones::{self, Zones};
use crate::model::request::{Hook, Part, WindowZone};
use crate::model::{CallingWindow, DispositionResult, EventFilter, HookUrl, RetryPolicy};
use crate::reading::{Fields, Problems, element, kind_of, member, nearest, not_an_object, not_one_of};

/// How many parts a request may have.
pub const MAX_PARTS: u32 = 10_000;
/// How many hooks a request may have.
pub const MAX_HOOKS: usize = 10;
/// How many waits a retry policy may list.
pub const MAX_DELAYS: usize = 10;
/// The longest wait before a retry: a week, in seconds.
pub const MAX_DELAY_SECS: u64 = 7 * 24 * 3600;

/// The days of a calling window; their place is their bit.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Results after which another dial may follow.
const RETRYABLE: [(&str, DispositionResult); 4] = [
    ("busy", DispositionResult::Busy),
    ("unanswered", DispositionResult::Unanswered),
    ("unreachable", DispositionResult::Unreachable),
    ("congestion", DispositionResult::Congestion),
];

/// Results that are final, and why.
const FINAL: [(&str, &str); 7] = [
    ("answered", "somebody picked up"),
    ("rejected", "a person or device declined"),
    ("invalidNumber", "the network does not know the number"),
    ("cancelled", "somebody wanted it to stop"),
    ("blocked", "a rule forbade the dial"),
    ("expired", "its time is over"),
    ("unknown", "the person may have been reached already"),
];

/// The object `name` of a request, if it is there.
fn object<'v, 'p>(fields: &'p mut Fields<'v, '_>, name: &'static str) -> Option<Fields<'v, 'p>> {
    let value = fields.optional(name)?;
    Fields::of(value, fields.path_of(name), fields.problems)
}

/// `retry`; the policy without retries if it is absent or wrong.
pub(super) fn retry(fields: &mut Fields<'_, '_>) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    let Some(mut fields) = object(fields, "retry") else { return policy };
    if let Some(most) = fields.integer("maxAttempts", 1..=10) {
        policy.max_attempts = u32::try_from(most).unwrap_or(1);
    }
    if let Some(list) = fields.array("on") {
        let path = fields.path_of("on");
        if list.is_empty() {
            fields.refuse("on", "must name at least one result");
        }
        let named: Vec<_> = list
            .iter()
            .enumerate()
            .filter_map(|(at, value)| retryable(value, || element(&path, at), fields.problems))
            .collect();
        // In the order of the contracts: which was named first means nothing.
        policy.on = DispositionResult::ALL.into_iter().filter(|result| named.contains(result)).collect();
    }
    if let Some(list) = fields.array("delaySecs") {
        let path = fields.path_of("delaySecs");
        if !(1..=MAX_DELAYS).contains(&list.len()) {
            fields.refuse("delaySecs", format!("must hold 1 to {MAX_DELAYS} waits"));
        }
        policy.delays.clear();
        for (at, value) in list.iter().enumerate() {
            match value.as_u64().filter(|secs| (1..=MAX_DELAY_SECS).contains(secs)) {
                Some(secs) => policy.delays.push(Duration::from_secs(secs)),
                None => {
                    let message = format!("must be a whole number from 1 to {MAX_DELAY_SECS}");
                    fields.problems.add(element(&path, at), message);
                }
            }
        }
    }
    fields.finish();
    policy
}

fn retryable(value: &Value, path: impl Fn() -> String, problems: &mut Problems) -> Option<DispositionResult> {
    let word = value.as_str().unwrap_or_default();
    if let Some((_, result)) = RETRYABLE.iter().find(|(known, _)| *known == word) {
        return Some(*result);
    }
    let message = match FINAL.iter().find(|(known, _)| *known == word) {
        Some((_, why)) => format!("`{word}` is never retried: {why}"),
        None => not_one_of(value, RETRYABLE.iter().map(|(word, _)| *word)),
    };
    problems.add(path(), message);
    None
}

/// `callingWindow`; none if it is absent or wrong.
pub(super) fn calling_window(fields: &mut Fields<'_, '_>) -> Option<CallingWindow> {
    let mut fields = object(fields, "callingWindow")?;
    let time_zone = fields.required_string("timeZone").and_then(|name| match name {
        "recipient" => Some(WindowZone::Recipient),
        name => match Zones::default().find(name) {
            Some(spelled) => Some(WindowZone::Named((*spelled).into())),
            None => {
                let message = match nearest(name, ["recipient"]) {
                    Some(near) => format!("is not a known IANA time zone; did you mean `{near}`?"),
                    None => match zones::unknown(name) {
                        meant if meant.ends_with('?') => meant,
                        other => format!("{other}, or \"recipient\" for each recipient's own"),
                    },
                };
                fields.refuse("timeZone", message);
                None
            }
        },
    });
    let days = days(&mut fields);
    let from = minute(&mut fields, "from", "from 00:00 to 23:59", 24 * 60 - 1);
    let to = minute(&mut fields, "to", "from 00:00 to 24:00", 24 * 60);
    if from.is_some() && from == to {
        fields.refuse("to", "must differ from `from`; whole days are 00:00 to 24:00");
    }
    fields.finish();
    Some(CallingWindow { time_zone: time_zone?, days: days?, from_minute: from?, to_minute: to? })
}

/// The days on which a window opens: all seven if nothing is said.
fn days(fields: &mut Fields<'_, '_>) -> Option<u8> {
    if fields.optional("days").is_none() {
        return Some(0b111_1111);
    }
    let list = fields.array("days")?;
    if list.is_empty() {
        fields.refuse("days", "must name at least one day");
        return None;
    }
    let path = fields.path_of("days");
    let mut days = Some(0);
    for (at, value) in list.iter().enumerate() {
        match value.as_str().and_then(|word| DAYS.iter().position(|day| *day == word)) {
            Some(day) => days = days.map(|days: u8| days | 1 << day),
            None => {
                fields.problems.add(element(&path, at), not_one_of(value, DAYS.iter().copied()));
                days = None;
            }
        }
    }
    days
}

/// A time of day as `HH:MM`, in minutes after midnight.
fn minute(fields: &mut Fields<'_, '_>, name: &'static str, bounds: &str, most: u16) -> Option<u16> {
    let text = fields.required_string(name)?;
    let minute = match *text.as_bytes() {
        [h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] => {
            let two = |tens: u8, ones: u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
            Some(two(h1, h2) * 60 + two(m1, m2)).filter(|minute| *minute <= most)
        }
        _ => None,
    };
    if minute.is_none() {
        fields.refuse(name, format!("must be a time of day as HH:MM, {bounds}"));
    }
    minute
}

/// `hooks`; those that are wrong are left out.
pub(super) fn hooks(fields: &mut Fields<'_, '_>) -> Vec<Hook> {
    let Some(list) = fields.array("hooks") else { return Vec::new() };
    if list.len() > MAX_HOOKS {
        fields.refuse("hooks", format!("must hold at most {MAX_HOOKS} hooks"));
        return Vec::new();
    }
    let path = fields.path_of("hooks");
    let mut hooks = Vec::new();
    for (at, value) in list.iter().enumerate() {
        let path = element(&path, at);
        if value.is_object() {
            hooks.extend(Fields::of(value, path, fields.problems).and_then(hook));
        } else {
            fields.problems.add(path, not_an_object(value, "url"));
        }
    }
    hooks
}

fn hook(mut fields: Fields<'_, '_>) -> Option<Hook> {
    let url = fields.required_string("url").and_then(|url| match HookUrl::fault(url) {
        None => Some(url.into()),
        Some(fault) => {
            fields.refuse("url", fault);
            None
        }
    });
    let mut events = Vec::new();
    for (at, value) in fields.array("events").unwrap_or_default().iter().enumerate() {
        match event_filter(value) {
            Ok(kind) => events.push(kind),
            Err(message) => fields.problems.add(element(&member(fields.path(), "events"), at), message),
        }
    }
    fields.finish();
    events.sort_unstable();
    events.dedup();
    Some(Hook { url: url?, events: events.iter().map(|filter| filter.as_str().into()).collect() })
}

/// Kinds of events, with or without the prefix they have on the wire.
fn event_filter(value: &Value) -> Result<EventFilter, String> {
    let text = value.as_str().ok_or_else(|| format!("must be a string, not {}", kind_of(value)))?;
    text.parse().map_err(|unknown| {
        let name = text.strip_prefix("robocall.").unwrap_or(text);
        match nearest(name, EventFilter::all()) {
            Some(near) => format!("unknown event type, did you mean `{near}`?"),
            None => unknown,
        }
    })
}

/// `part`; none if it is absent or wrong.
pub(super) fn part(fields: &mut Fields<'_, '_>) -> Option<Part> {
    let mut fields = object(fields, "part")?;
    fields.required("index");
    fields.required("count");
    let index = fields.integer("index", 0..=u64::from(MAX_PARTS - 1)).and_then(|index| u32::try_from(index).ok());
    let count = fields.integer("count", 1..=u64::from(MAX_PARTS)).and_then(|count| u32::try_from(count).ok());
    if let (Some(index), Some(count)) = (index, count)
        && index >= count
    {
        fields.refuse("index", "must be less than count: parts are numbered from 0");
    }
    fields.finish();
    Some(Part { index: index?, count: count? })
}
