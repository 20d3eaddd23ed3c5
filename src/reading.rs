//! Reads JSON objects that people wrote: every problem at once, each with its path, unknown names with the nearest
//! known one.
//!
//! It owns how problems are collected and worded; what the fields mean is its callers' business.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::model::status::RequestError;

mod locate;
mod shown;

pub use locate::{locate, locate_nearest};
pub use shown::{is_hidden, shown, unspeakable};

/// Problems found so far: the first hundred in words, the others counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    first: Vec<RequestError>,
    count: u32,
}

impl Problems {
    /// How many are kept in words.
    pub const KEPT: usize = 100;

    /// Notes that something at `path` is wrong. Both may hold foreign text: what is hidden in it is escaped here.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        if self.first.len() < Self::KEPT {
            let safe = |text: String| match shown(&text) {
                Cow::Owned(escaped) => escaped,
                Cow::Borrowed(_) => text,
            };
            self.first.push(RequestError { path: safe(path.into()), message: safe(message.into()) });
        }
        self.count = self.count.saturating_add(1);
    }

    /// Notes all of another list behind those of this one.
    pub fn append(&mut self, other: Problems) {
        self.first.extend(other.first);
        self.first.truncate(Self::KEPT);
        self.count = self.count.saturating_add(other.count);
    }

    /// Whether further ones are only counted: their wording can be spared.
    pub fn is_full(&self) -> bool {
        self.first.len() >= Self::KEPT
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are in all.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The first of them, in the order found.
    pub fn first(&self) -> &[RequestError] {
        &self.first
    }

    /// The first of them, and how many there are in all.
    pub fn into_parts(self) -> (Vec<RequestError>, u32) {
        (self.first, self.count)
    }
}

/// The path of a member of the object at `path`.
pub fn member(path: &str, name: impl Display) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// The path of an element of the array at `path`.
pub fn element(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// What a value is, for people.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The complaint about a value that is no object. Of a text, which is mostly all that was meant, the shape is shown that
/// it has as an object: the text under the name `key`.
pub fn not_an_object(value: &Value, key: &str) -> String {
    let shape = match value {
        Value::String(text) if text.chars().count() <= 64 => format!(": write {{\"{key}\": {value}}}"),
        Value::String(_) => format!(": write {{\"{key}\": \"…\"}}"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    format!("must be an object, not {}{shape}", kind_of(value))
}

/// The nearest of the known names, if one is near enough to have been meant.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase();
    let scored =
        known.into_iter().map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate));
    scored.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// The wording for a name that does not belong, cut to a readable length.
pub fn unknown_field<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown field, did you mean `{near}`?"),
        None => "unknown field".to_owned(),
    }
}

/// The wording for a value that is none of the known words.
pub fn not_one_of<'k>(value: &Value, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let choices: Vec<&str> = known.clone().collect();
    let near = value.as_str().and_then(|word| nearest(word, known));
    format!("must be one of: {}{}", choices.join(", "), did_you_mean(near))
}

/// The hint at the end of a complaint: `; did you mean …?`, or nothing.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// A name for a path: cut so that a hostile key cannot fill the report, and escaped so that it hides nothing.
pub fn shown_name(name: &str) -> String {
    match name.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", shown(&name[..end])),
        None => shown(name).into_owned(),
    }
}

/// The fields of one object, taken one by one; what was not asked for is unknown.
///
/// JSON null counts as absent everywhere.
pub struct Fields<'v, 'p> {
    path: String,
    map: &'v Map<String, Value>,
    asked: Vec<&'static str>,
    /// Where problems go.
    pub problems: &'p mut Problems,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// The fields of `value`, or a problem if it is not an object.
    pub fn of(value: &'v Value, path: impl Into<String>, problems: &'p mut Problems) -> Option<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Some(Self { path, map, asked: Vec::new(), problems }),
            other => {
                problems.add(path, format!("must be an object, not {}", kind_of(other)));
                None
            }
        }
    }

    /// Where the object stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of one of its fields.
    pub fn path_of(&self, name: &str) -> String {
        member(&self.path, name)
    }

    /// Notes that a field is wrong.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        let path = self.path_of(name);
        self.problems.add(path, message);
    }

    /// The field's value, if it is there.
    pub fn optional(&mut self, name: &'static str) -> Option<&'v Value> {
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The field's value, or a problem.
    pub fn required(&mut self, name: &'static str) -> Option<&'v Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.refuse(name, "is missing");
        }
        value
    }

    /// A string, if it is there.
    pub fn string(&mut self, name: &'static str) -> Option<&'v str> {
        let value = self.optional(name)?;
        self.as_string(name, value)
    }

    /// A string, or a problem.
    pub fn required_string(&mut self, name: &'static str) -> Option<&'v str> {
        let value = self.required(name)?;
        self.as_string(name, value)
    }

    fn as_string(&mut self, name: &str, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.refuse(name, format!("must be a string, not {}", kind_of(value)));
        }
        text
    }

    /// A boolean, as such or as `"true"` and `"false"`, if it is there.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let value = self.optional(name)?;
        let boolean = match value {
            Value::Bool(boolean) => Some(*boolean),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => None,
        };
        if boolean.is_none() {
            self.refuse(name, "must be true or false");
        }
        boolean
    }

    /// A whole number within bounds, if it is there.
    pub fn integer(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let value = self.optional(name)?;
        let number = value.as_u64().filter(|number| bounds.contains(number));
        if number.is_none() {
            self.refuse(name, format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }

    /// One of a list of words, if it is there.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let value = self.optional(name)?;
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            self.refuse(name, not_one_of(value, words.iter().map(|(word, _)| *word)));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// An array, if it is there.
    pub fn array(&mut self, name: &'static str) -> Option<&'v [Value]> {
        let value = self.optional(name)?;
        let array = value.as_array().map(Vec::as_slice);
        if array.is_none() {
            self.refuse(name, format!("must be an array, not {}", kind_of(value)));
        }
        array
    }

    /// Ends the reading: every field that nobody asked for is a problem.
    pub fn finish(self) {
        for name in self.map.keys().filter(|name| !self.asked.contains(&name.as_str())) {
            self.problems.add(member(&self.path, shown_name(name)), unknown_field(name, self.asked.iter().copied()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_problems_are_found_at_once_and_near_names_are_named() {
        let value = json!({"priorty": 3, "ringTimeoutSecs": 500, "enableCallRecording": "yes", "requestId": 7});
        let mut problems = Problems::default();
        let mut fields = Fields::of(&value, "", &mut problems).unwrap();
        assert_eq!(fields.required_string("requestId"), None);
        assert_eq!(fields.integer("priority", 0..=9), None);
        assert_eq!(fields.integer("ringTimeoutSecs", 1..=120), None);
        assert_eq!(fields.boolean("enableCallRecording"), None);
        fields.finish();
        let words: Vec<String> = problems.first().iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "requestId: must be a string, not a number",
                "ringTimeoutSecs: must be a whole number from 1 to 120",
                "enableCallRecording: must be true or false",
                "priorty: unknown field, did you mean `priority`?",
            ]
        );
    }

    #[test]
    fn the_first_hundred_are_kept_and_all_are_counted() {
        let mut problems = Problems::default();
        for index in 0..250 {
            problems.add(element("destinations", index), "no");
        }
        assert_eq!((problems.first().len(), problems.count()), (100, 250));
    }
}
