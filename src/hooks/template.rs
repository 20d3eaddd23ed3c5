//! Other systems' shapes: an operator's template makes a form, a multipart form or a JSON object of an event.
//!
//! Placeholders are those of messages: a name and nothing else; where a value is found in the event, and into which word it
//! is changed, stands beside the fields. So no template can nest, loop, or render without bound.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::callflow::template::Template as Text;
use crate::model::EventFilter;

/// Types of events after which nothing more comes of their call or request.
const FINAL: [&str; 6] =
    ["call.ended", "request.rejected", "request.cancelled", "request.expired", "request.completed", "request.lost"];

/// The type of event that a recording is attached to: nothing more comes of its call.
const RECORDED: &str = "call.ended";

/// Most values of a receiver's answer that are kept, and most bytes of each.
const MOST_KEPT: usize = 16;
const MOST_KEPT_BYTES: usize = 256;

/// A template as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateDocument {
    /// What the fields become.
    pub content: Content,
    /// Only events after which nothing more comes.
    #[serde(default)]
    pub final_only: bool,
    /// Names for what is in the event.
    #[serde(default)]
    pub values: BTreeMap<String, ValueDocument>,
    /// The fields; one whose placeholder has no value is left out.
    pub fields: BTreeMap<String, FieldDocument>,
    /// Fields of some events only; if there are any, no others are sent.
    #[serde(default)]
    pub on: BTreeMap<EventFilter, BTreeMap<String, FieldDocument>>,
    /// What is kept of the answer, by paths such as `data.call_id`.
    #[serde(default)]
    pub keep: Vec<String>,
    /// The field that the call's recording is attached as, where a call has ended; of a multipart form only.
    pub recording: Option<String>,
}

/// What fields become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// An object of texts, or of lists of texts.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ValueDocument {
    /// At a path such as `data.destination`.
    Path(String),
    /// At a path, and into which words it is changed.
    Mapped {
        /// The path.
        from: String,
        /// Words by values.
        #[serde(default)]
        map: BTreeMap<String, String>,
        /// The word for every other value, and for none; without it a value that is not among the words stays as it is.
        otherwise: Option<String>,
    },
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FieldDocument {
    /// One text, with placeholders.
    One(String),
    /// Several: the field is there as often.
    Many(Vec<String>),
}

type Fields = BTreeMap<String, (bool, Vec<Text>)>;

/// A template that can be used.
#[derive(Clone, Debug)]
pub struct Template {
    content: Content,
    final_only: bool,
    values: BTreeMap<String, ValueDocument>,
    fields: Fields,
    on: BTreeMap<EventFilter, Fields>,
    keep: Vec<String>,
    recording: Option<String>,
}

/// A recording, to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What its file is called.
    pub name: String,
    /// A WAV file.
    pub bytes: Vec<u8>,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl TemplateDocument {
    /// Makes a template of it.
    ///
    /// # Errors
    /// When a field's text is more than text and placeholders, or a placeholder has no value.
    pub fn compile(self) -> Result<Template, String> {
        let values = self.values;
        let compile = |fields: BTreeMap<String, FieldDocument>| -> Result<Fields, String> {
            let compiled = fields.into_iter().map(|(name, field)| {
                let (is_list, texts) = match field {
                    FieldDocument::One(text) => (false, vec![text]),
                    FieldDocument::Many(texts) => (true, texts),
                };
                let texts: Result<Vec<Text>, String> =
                    texts.iter().map(|text| compiled(text, &values).map_err(|why| format!("{name}: {why}"))).collect();
                Ok((name, (is_list, texts?)))
            });
            compiled.collect()
        };
        let fields = compile(self.fields)?;
        let on =
            self.on.into_iter().map(|(kind, fields)| Ok((kind, compile(fields)?))).collect::<Result<_, String>>()?;
        if self.keep.len() > MOST_KEPT {
            return Err(format!("keep: must hold at most {MOST_KEPT} paths"));
        }
        let recording = self.recording;
        if recording.is_some() && self.content != Content::Multipart {
            return Err("recording: can be attached to multipart forms only".to_owned());
        }
        Ok(Template {
            content: self.content,
            final_only: self.final_only,
            fields,
            on,
            keep: self.keep,
            values,
            recording,
        })
    }
}

fn compiled(text: &str, values: &BTreeMap<String, ValueDocument>) -> Result<Text, String> {
    let text = Text::compile(text).map_err(|error| error.to_string())?;
    if let Some(name) = text.placeholders().find(|name| !values.contains_key(*name)) {
        return Err(format!("{{{{{name}}}}} is not among the values"));
    }
    Ok(text)
}

impl Template {
    /// Whether events of a type are sent.
    pub fn wants(&self, kind: &str) -> bool {
        let is_named = self.on.is_empty() || self.on.keys().any(|filter| is_let_through(filter, kind));
        is_named && (!self.final_only || FINAL.contains(&kind))
    }

    /// Whether the call's recording is attached to events of a type.
    pub fn wants_recording(&self, kind: &str) -> bool {
        self.recording.is_some() && kind == RECORDED
    }

    /// What is sent of an event, and with it a recording where one is wanted.
    ///
    /// # Errors
    /// When a field is too long with its placeholders filled in.
    pub fn render(&self, kind: &str, event: &Value, recording: Option<Attachment>) -> Result<Rendered, String> {
        let values: BTreeMap<&str, String> =
            self.values.iter().filter_map(|(name, value)| Some((name.as_str(), found(value, kind, event)?))).collect();
        let mut fields: BTreeMap<&str, &(bool, Vec<Text>)> =
            self.fields.iter().map(|(name, field)| (name.as_str(), field)).collect();
        for (_, more) in self.on.iter().filter(|(filter, _)| is_let_through(filter, kind)) {
            fields.extend(more.iter().map(|(name, field)| (name.as_str(), field)));
        }
        let mut filled: Vec<(&str, bool, Vec<String>)> = Vec::new();
        for (name, (is_list, texts)) in fields {
            let mut parts = Vec::new();
            for text in texts {
                if text.placeholders().all(|name| values.contains_key(name)) {
                    let part = text.render(|name| values.get(name).map(String::as_str));
                    parts.push(part.map_err(|error| format!("{name}: {error}"))?);
                }
            }
            if !parts.is_empty() {
                filled.push((name, *is_list, parts));
            }
        }
        Ok(match self.content {
            Content::Json => json(filled),
            Content::Form => form(&filled),
            Content::Multipart => {
                let name = self.recording.as_deref().filter(|_| self.wants_recording(kind));
                multipart(&filled, name.zip(recording), event)
            }
        })
    }

    /// What is kept of a receiver's answer: an object of what was found, by path. None if nothing was.
    pub fn kept(&self, answer: &[u8]) -> Option<String> {
        if self.keep.is_empty() {
            return None;
        }
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let found = self.keep.iter().filter_map(|path| {
            let text = text_of(at(path, &answer)?)?;
            (text.len() <= MOST_KEPT_BYTES).then(|| (path.clone(), Value::String(text)))
        });
        let found: serde_json::Map<String, Value> = found.collect();
        if found.is_empty() { None } else { Some(Value::Object(found).to_string()) }
    }
}

fn is_let_through(filter: &EventFilter, kind: &str) -> bool {
    EventFilter::let_through([filter.as_str()], kind)
}

fn at<'v>(path: &str, value: &'v Value) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, part| match value {
        Value::Object(members) => members.get(part),
        Value::Array(elements) => elements.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn found(value: &ValueDocument, kind: &str, event: &Value) -> Option<String> {
    let look = |path: &str| if path == "type" { Some(kind.to_owned()) } else { at(path, event).and_then(text_of) };
    match value {
        ValueDocument::Path(path) => look(path),
        ValueDocument::Mapped { from, map, otherwise } => {
            let found = look(from);
            let word = found.as_ref().and_then(|found| map.get(found)).or(otherwise.as_ref()).cloned();
            word.or(found)
        }
    }
}

fn json(fields: Vec<(&str, bool, Vec<String>)>) -> Rendered {
    let members = fields.into_iter().map(|(name, is_list, texts)| {
        let mut texts = texts.into_iter().map(Value::String);
        let value = if is_list { Value::Array(texts.collect()) } else { texts.next().unwrap_or(Value::Null) };
        (name.to_owned(), value)
    });
    let body = Value::Object(members.collect()).to_string().into_bytes();
    Rendered { content_type: "application/json".to_owned(), body }
}

fn pairs<'f>(fields: &'f [(&str, bool, Vec<String>)]) -> impl Iterator<Item = (&'f str, &'f str)> + Clone {
    fields.iter().flat_map(|(name, _, texts)| texts.iter().map(move |text| (*name, text.as_str())))
}

fn form(fields: &[(&str, bool, Vec<String>)]) -> Rendered {
    let mut body = String::new();
    for (name, text) in pairs(fields) {
        if !body.is_empty() {
            body.push('&');
        }
        push_encoded(&mut body, name);
        body.push('=');
        push_encoded(&mut body, text);
    }
    Rendered { content_type: "application/x-www-form-urlencoded".to_owned(), body: body.into_bytes() }
}

fn push_encoded(body: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => body.push(char::from(byte)),
            b' ' => body.push('+'),
            byte => body.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn multipart(fields: &[(&str, bool, Vec<String>)], file: Option<(&str, Attachment)>, event: &Value) -> Rendered {
    let is_in =
        |bytes: &[u8], boundary: &str| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
    let mut hash = Sha256::digest(event["id"].as_str().unwrap_or_default());
    let boundary = loop {
        let boundary: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        // Whoever writes a value may know the event's id, and guess; so may whoever speaks, in theory.
        let is_taken = pairs(fields).any(|(name, text)| name.contains(&boundary) || text.contains(&boundary));
        if !is_taken && !file.as_ref().is_some_and(|(_, file)| is_in(&file.bytes, &boundary)) {
            break boundary;
        }
        hash = Sha256::digest(hash);
    };
    let quoted = |name: &str| name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = Vec::new();
    for (name, text) in pairs(fields) {
        let name = quoted(name);
        let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some((name, Attachment { name: file, bytes })) = file {
        let (name, file) = (quoted(name), quoted(&file));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        );
        body.reserve_exact(head.len() + bytes.len() + boundary.len() + 8);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Rendered { content_type: format!("multipart/form-data; boundary={boundary}"), body }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
