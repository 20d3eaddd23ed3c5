//! One element of the destinations: raw JSON in, a destination or everything that is wrong with it out.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::input::Position;
use super::phones;
use super::scanner::{DESTINATIONS, not_json};
use super::zones::{self, Zones};
use crate::model::{Destination, Number, Phone};
use crate::reading::{Problems, element, member, not_an_object, shown_name, unknown_field, unspeakable};

/// The names a destination may carry, in the order of the contracts.
pub const NAMES: [&str; 5] = ["phone", "caller", "properties", "externalId", "timeZone"];

/// How many properties a destination may have.
pub const MAX_PROPERTIES: usize = 64;
/// How long a property's name may be, in characters.
pub const MAX_PROPERTY_NAME: usize = 64;
/// How long a property's value may be, in characters.
pub const MAX_PROPERTY_VALUE: usize = 1000;
/// How long an `externalId` may be, in characters.
pub const MAX_EXTERNAL_ID: usize = 256;
/// How much of a number that is none is kept, in characters.
const MAX_INVALID: usize = 64;

/// Names and values as they are spoken, in the order given.
type Properties<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A destination that still borrows its JSON: most are only counted and hashed.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) number: Number,
    pub(super) caller: Option<Phone>,
    pub(super) external_id: Option<Cow<'a, str>>,
    pub(super) time_zone: Option<Arc<str>>,
    pub(super) properties: Properties<'a>,
}

impl Draft<'_> {
    /// The destination at `index` of its request.
    pub(super) fn into_destination(self, index: u32) -> Destination {
        let owned = |text: Cow<'_, str>| -> Box<str> { text.into() };
        Destination {
            index,
            number: self.number,
            caller: self.caller,
            external_id: self.external_id.map(owned),
            time_zone: self.time_zone.map(|zone| (*zone).into()),
            properties: self.properties.into_iter().map(|(name, value)| (owned(name), owned(value).into())).collect(),
        }
    }
}

/// What an element turned out to be.
#[derive(Debug)]
pub(super) enum Outcome<'a> {
    /// A destination that can be dialled.
    Good(Draft<'a>),
    /// One that breaks the rules: its number is [`Number::Invalid`], what can be kept of the rest is kept, and the
    /// problems were noted.
    Bad(Draft<'a>),
    /// No JSON: the document is broken, whatever the request says about bad destinations.
    Broken(String),
}

/// Reads destinations.
#[derive(Default)]
pub(super) struct DestinationReader {
    zones: Zones,
}

impl DestinationReader {
    /// Reads the `index`th element, which begins `at`; what breaks the rules goes to `problems`.
    pub(super) fn read<'a>(
        &mut self,
        raw: &'a [u8],
        index: usize,
        at: Position,
        problems: &mut Problems,
    ) -> Outcome<'a> {
        let text = match std::str::from_utf8(raw) {
            Ok(text) => text,
            Err(error) => {
                let at = at.after(&raw[..error.valid_up_to()]);
                return Outcome::Broken(format!("is not JSON: invalid UTF-8 at {at}"));
            }
        };
        let fields = match Members::parse(text) {
            Ok(Some(fields)) => fields,
            Ok(None) => {
                if problems.is_full() {
                    problems.add("", "");
                } else {
                    problems.add(element(DESTINATIONS, index), no_destination(text));
                }
                return Outcome::Bad(Draft::invalid(text));
            }
            Err(error) => return Outcome::Broken(not_json(&error, raw, at)),
        };
        let mut reading = Reading { index, problems, zones: &mut self.zones, sound: true };
        match reading.draft(&fields) {
            Ok(draft) if reading.sound => Outcome::Good(draft),
            Ok(draft) => Outcome::Bad(Draft { number: Number::Invalid(cut(&fields.phone_as_sent())), ..draft }),
            Err((part, error)) => {
                // The part is a slice of the element: its place follows from the addresses.
                let before = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(raw.len());
                Outcome::Broken(not_json(&error, part.as_bytes(), at.after(&raw[..before])))
            }
        }
    }
}

impl<'a> Draft<'a> {
    fn invalid(text: &str) -> Draft<'a> {
        Draft {
            number: Number::Invalid(cut(text)),
            caller: None,
            external_id: None,
            time_zone: None,
            properties: Vec::new(),
        }
    }
}

fn cut(text: &str) -> Box<str> {
    text.char_indices().nth(MAX_INVALID).map_or(text, |(end, _)| &text[..end]).into()
}

/// A string that is not JSON after all, and why.
type BadString<'a> = (&'a str, serde_json::Error);

/// One element being read.
struct Reading<'r> {
    index: usize,
    problems: &'r mut Problems,
    zones: &'r mut Zones,
    sound: bool,
}

impl Reading<'_> {
    fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.sound = false;
        let full = self.problems.is_full();
        let path = if full { String::new() } else { member(&element(DESTINATIONS, self.index), name) };
        self.problems.add(path, message);
    }

    fn draft<'a>(&mut self, fields: &Members<'a>) -> Result<Draft<'a>, BadString<'a>> {
        let phone = self.phone("phone", fields.known[0])?;
        if phone.is_none() && fields.known[0].is_none() {
            self.refuse("phone", "is missing");
        }
        let caller = self.phone("caller", fields.known[1])?;
        let properties = self.properties(fields.known[2])?;
        let external_id = self.string("externalId", fields.known[3])?.filter(|id| {
            let fits = fits(id, MAX_EXTERNAL_ID);
            if !fits {
                self.refuse("externalId", format!("is longer than {MAX_EXTERNAL_ID} characters"));
            }
            fits
        });
        let time_zone = self.string("timeZone", fields.known[4])?.and_then(|name| {
            let found = self.zones.find(&name);
            if found.is_none() {
                let message = if self.problems.is_full() { String::new() } else { zones::unknown(&name) };
                self.refuse("timeZone", message);
            }
            found
        });
        for name in &fields.twice {
            self.refuse(name, "is there twice");
        }
        for name in &fields.unknown {
            // To look for near names is not cheap, and a hostile list may be full of them.
            let message = if self.problems.is_full() { String::new() } else { unknown_field(name, NAMES) };
            self.refuse(&shown_name(name), message);
        }
        let number = phone.map_or_else(|| Number::Invalid("".into()), Number::Valid);
        Ok(Draft { number, caller, external_id, time_zone, properties })
    }

    fn phone<'a>(&mut self, name: &str, raw: Option<&'a RawValue>) -> Result<Option<Phone>, BadString<'a>> {
        let Some(raw) = raw else { return Ok(None) };
        if kind_of(raw.get()) == NUMBER {
            self.refuse(name, phones::UNQUOTED);
            return Ok(None);
        }
        let Some(text) = self.string(name, Some(raw))? else { return Ok(None) };
        Ok(phones::read(&text).map_err(|message| self.refuse(name, message)).ok())
    }

    fn string<'a>(&mut self, name: &str, raw: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, BadString<'a>> {
        let Some(raw) = raw.map(RawValue::get) else { return Ok(None) };
        let text = string_of(raw)?;
        if text.is_none() {
            self.refuse(name, format!("must be a string, not {}", kind_of(raw)));
        }
        Ok(text)
    }

    fn properties<'a>(&mut self, raw: Option<&'a RawValue>) -> Result<Properties<'a>, BadString<'a>> {
        let mut properties = Properties::new();
        let Some(raw) = raw.map(RawValue::get) else { return Ok(properties) };
        if !raw.starts_with('{') {
            self.refuse("properties", format!("must be an object, not {}", kind_of(raw)));
            return Ok(properties);
        }
        let (mut count, mut broken) = (0, None);
        let parsed = each_pair(raw, |name, raw| {
            count += 1;
            if count > MAX_PROPERTIES || broken.is_some() {
                return;
            }
            let complaint = if name.is_empty() {
                "has an empty name".to_owned()
            } else if !fits(&name, MAX_PROPERTY_NAME) {
                format!("has a name longer than {MAX_PROPERTY_NAME} characters")
            } else if properties.iter().any(|(known, _)| *known == name) {
                "is there twice".to_owned()
            } else {
                match spoken(raw.get()) {
                    Ok(Ok(value)) => return properties.push((name, value)),
                    Ok(Err(complaint)) => complaint,
                    Err(error) => return broken = Some(error),
                }
            };
            self.refuse(&member("properties", shown_name(&name)), complaint);
        });
        parsed.map_err(|error| (raw, error))?;
        if count > MAX_PROPERTIES {
            self.refuse("properties", format!("has more than {MAX_PROPERTIES} entries"));
        }
        broken.map_or(Ok(properties), Err)
    }
}

/// A property's value as it is spoken: numbers stay as they were written. The inner error is what is wrong with it.
fn spoken(raw: &str) -> Result<Result<Cow<'_, str>, String>, BadString<'_>> {
    let value = match string_of(raw)? {
        Some(text) => text,
        None if matches!(raw.as_bytes().first(), Some(b'{' | b'[' | b'n')) => {
            return Ok(Err(format!("must be a string, a number or a boolean, not {}", kind_of(raw))));
        }
        None => Cow::Borrowed(raw),
    };
    if !fits(&value, MAX_PROPERTY_VALUE) {
        return Ok(Err(format!("is longer than {MAX_PROPERTY_VALUE} characters")));
    }
    Ok(unspeakable(&value).map_or(Ok(value), Err))
}

/// The text of a JSON string; none if it is something else.
fn string_of(raw: &str) -> Result<Option<Cow<'_, str>>, BadString<'_>> {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return Ok(None) };
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Some(Cow::Borrowed(inner)));
    }
    serde_json::from_str::<String>(raw).map(|text| Some(Cow::Owned(text))).map_err(|error| (raw, error))
}

fn fits(text: &str, characters: usize) -> bool {
    text.len() <= characters || text.chars().count() <= characters
}

const NUMBER: &str = "a number";

/// The complaint about an element that is no object; what is no JSON string after all shows no shape.
fn no_destination(raw: &str) -> String {
    match string_of(raw) {
        Ok(Some(number)) => not_an_object(&Value::String(number.into_owned()), NAMES[0]),
        Ok(None) | Err(_) => format!("must be an object, not {}", kind_of(raw)),
    }
}

/// What a piece of valid JSON is, for people.
fn kind_of(raw: &str) -> &'static str {
    match raw.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => NUMBER,
    }
}

/// The fields of one element, still raw; JSON null counts as absent.
#[derive(Default)]
struct Members<'a> {
    /// Index by index as [`NAMES`].
    known: [Option<&'a RawValue>; 5],
    twice: Vec<&'static str>,
    unknown: Vec<Cow<'a, str>>,
}

impl<'a> Members<'a> {
    /// The fields of an object; none if it is something else.
    fn parse(text: &'a str) -> Result<Option<Self>, serde_json::Error> {
        if !text.starts_with('{') {
            serde_json::from_str::<&RawValue>(text)?;
            return Ok(None);
        }
        let mut members = Members::default();
        let mut present = [false; 5];
        each_pair(text, |name, raw| match NAMES.iter().position(|known| *known == name) {
            None => members.unknown.push(name),
            Some(which) if std::mem::replace(&mut present[which], true) => members.twice.push(NAMES[which]),
            Some(which) => members.known[which] = Some(raw).filter(|raw| raw.get() != "null"),
        })?;
        Ok(Some(members))
    }

    /// What stood in the place of the number.
    fn phone_as_sent(&self) -> Cow<'a, str> {
        let Some(raw) = self.known[0].map(RawValue::get) else { return Cow::Borrowed("") };
        string_of(raw).ok().flatten().unwrap_or(Cow::Borrowed(raw))
    }
}

/// Shows the members of an object in order, duplicates included.
fn each_pair<'a>(object: &'a str, each: impl FnMut(Cow<'a, str>, &'a RawValue)) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(object);
    json.deserialize_map(EachPair(each))?;
    json.end()
}

struct EachPair<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for EachPair<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = access.next_key()? {
            self.0(name, access.next_value()?);
        }
        Ok(())
    }
}

/// A name that borrows where it can: serde's `Cow` alone never does.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
