//! A question as it came: who asks, the path's and the query's parameters, the body.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::answer::Refusal;
use super::room::Place;
use crate::model::{ApiKey, ApiKeyRecord, OrganisationId, RequestId, TraceParent};
use crate::reading::{Problems, kind_of, not_one_of, shown_name, unknown_field};
use crate::request::strict_json;

/// How long a body may take to arrive, and how long room for it is waited for.
const ARRIVED_WITHIN: Duration = Duration::from_secs(60);

/// How much of a body that is too large is read all the same, in bytes, and for how long.
const LEFT: usize = 64 << 20;
const LEFT_WITHIN: Duration = Duration::from_secs(10);

/// Bodies up to this size need no room of their own.
pub(super) const SMALL: usize = 64 << 10;

/// Most parameters of a query: more than any operation has, and few enough to compare each with each.
const MOST_PARAMETERS: usize = 32;

/// The header that carries a command's id.
pub(super) const ONCE_HEADER: &str = "Idempotency-Key";

/// The header that says which trace a question is a part of.
pub(super) const TRACE_HEADER: &str = "traceparent";

/// Most characters of an id of a command.
const LONGEST_ID: usize = 128;

/// A question.
pub(super) struct Asked {
    /// Who asks.
    pub caller: ApiKeyRecord,
    /// With which key.
    pub key: ApiKey,
    /// The path's parameters, by name.
    pub path: Vec<(String, String)>,
    /// The query's.
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Cuts the connection.
    pub connection: CancellationToken,
}

/// The trace that somebody asks in. What cannot be read is none.
pub fn trace_of(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACE_HEADER)?.to_str().ok()?.parse().ok()
}

impl Asked {
    /// The tenant in which everything is looked up.
    pub const fn organisation(&self) -> &OrganisationId {
        &self.caller.organisation
    }

    /// The trace that it is a part of.
    pub fn trace(&self) -> Option<TraceParent> {
        trace_of(&self.headers)
    }

    /// A parameter of the path, as it is written there.
    pub fn written(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the path, as what it stands for.
    pub fn path<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, Refusal> {
        self.written(name).parse().map_err(|error: T::Err| Refusal::wrong(name, error.to_string()))
    }

    /// The body as an object; an empty one if there is none.
    pub fn object(&self) -> Result<Map<String, Value>, Refusal> {
        if self.body.is_empty() {
            return Ok(Map::new());
        }
        let mut problems = Problems::default();
        match strict_json(&self.body, &mut problems) {
            Some(Value::Object(fields)) if problems.is_empty() => Ok(fields),
            Some(Value::Object(_)) | None => Err(Refusal::invalid(problems)),
            Some(other) => Err(Refusal::wrong("", format!("must be an object, not {}", kind_of(&other)))),
        }
    }

    /// A name for a request that has none: with the same `Idempotency-Key` it is the same.
    pub fn name_for(&self, what: &str, api: &Api) -> Result<RequestId, Refusal> {
        let id = self.command_id(api)?;
        let name = if self.is_named() {
            let digest = Sha256::digest(&*id);
            digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
        } else {
            String::from(id)
        };
        format!("{what}-{name}").parse().map_err(|error: crate::model::IdError| Refusal::wrong("", error.to_string()))
    }

    /// Whether it has an id by which it is known again.
    pub fn is_named(&self) -> bool {
        self.headers.contains_key(ONCE_HEADER)
    }

    /// The command's id: as given, or one that nobody else has.
    pub fn command_id(&self, api: &Api) -> Result<Box<str>, Refusal> {
        match self.headers.get(ONCE_HEADER) {
            None => Ok(format!("{:032x}", (api.ports.random)()).into()),
            Some(id) => {
                let id = id.to_str().ok().filter(|id| {
                    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
                });
                id.map(Box::from).ok_or_else(|| {
                    Refusal::wrong(ONCE_HEADER, format!("must have 1 to {LONGEST_ID} visible ASCII characters"))
                })
            }
        }
    }
}

/// The parameters of a query, taken one by one; what was not asked for is unknown.
#[derive(Default)]
pub(super) struct Query {
    given: Vec<(String, String)>,
    asked: Vec<&'static str>,
    problems: Problems,
}

impl Query {
    /// The parameters of a query string; those written twice are problems.
    pub fn of(text: Option<&str>) -> Self {
        let mut query = Self::default();
        let given = form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        for (place, (name, value)) in given.enumerate() {
            if place == MOST_PARAMETERS {
                query.problems.add("", format!("a query may have {MOST_PARAMETERS} parameters"));
                break;
            }
            if query.given.iter().any(|(known, _)| *known == name) {
                query.problems.add(shown_name(&name), "is there twice");
            } else {
                query.given.push((name.into_owned(), value.into_owned()));
            }
        }
        query
    }

    /// A parameter's text, if it is there.
    pub fn text(&mut self, name: &'static str) -> Option<&str> {
        self.asked.push(name);
        self.given.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// A parameter as what it stands for, if it is there.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let parsed = self.text(name)?.parse();
        parsed.map_err(|error: T::Err| self.problems.add(name, error.to_string())).ok()
    }

    /// A whole number within bounds, if it is there.
    pub fn whole(&mut self, name: &'static str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let text = self.text(name)?;
        let plain = text.bytes().all(|digit| digit.is_ascii_digit());
        let number = text.parse().ok().filter(|number| plain && bounds.contains(number));
        if number.is_none() {
            self.problems.add(name, format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }

    /// One of a list of words, if it is there.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(name)?.to_owned();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            self.problems.add(name, not_one_of(&Value::String(text), words.iter().map(|(word, _)| *word)));
        }
        found
    }

    /// Notes that a parameter is wrong.
    pub fn refuse(&mut self, name: &'static str, message: impl Into<String>) {
        self.problems.add(name, message);
    }

    /// Ends the reading: every parameter that nobody asked for is a problem.
    pub fn finish(mut self) -> Result<(), Refusal> {
        for (name, _) in &self.given {
            if !self.asked.contains(&name.as_str()) {
                self.problems.add(shown_name(name), unknown_field(name, self.asked.iter().copied()));
            }
        }
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::invalid(self.problems)) }
    }
}

impl Api {
    /// Reads a body of at most so many bytes; what is held meanwhile is bounded over all questions.
    pub(super) async fn read_body(
        &self,
        organisation: &OrganisationId,
        headers: &HeaderMap,
        mut body: Body,
        most: usize,
    ) -> Result<(Bytes, Place), Refusal> {
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let size = announced.unwrap_or(most as u64);
        let reading = async {
            if size > most as u64 {
                return Err(Unread::TooLarge);
            }
            let place = if size > SMALL as u64 { self.room.take(organisation, size).await } else { Place::default() };
            Ok((collected(&mut body, most).await?, place))
        };
        match self.within(ARRIVED_WITHIN, reading).await {
            Some(Ok((bytes, place))) => Ok((bytes.into(), place)),
            Some(Err(Unread::TooLarge)) => {
                // Whoever asks first whether to send it is told before.
                if !headers.contains_key(header::EXPECT) {
                    self.within(LEFT_WITHIN, left(body)).await;
                }
                Err(Refusal::too_large(format!("a body may have {most} bytes")))
            }
            Some(Err(Unread::Broken(error))) => Err(Refusal::wrong("", format!("the body cannot be read: {error}"))),
            None => Err(Refusal::unavailable("the body has not arrived in time, or too many others are arriving")),
        }
    }
}

/// Why a body was not read.
enum Unread {
    TooLarge,
    Broken(axum::Error),
}

async fn collected(body: &mut Body, most: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Unread::Broken)?;
        let Ok(piece) = frame.into_data() else { continue };
        if bytes.len() + piece.len() > most {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Reads what is left of a body that is too large, within bounds: a client that is still writing when it is answered and
/// cut off would not see the answer.
async fn left(mut body: Body) {
    let mut bytes = 0;
    while bytes < LEFT
        && let Some(Ok(frame)) = body.frame().await
    {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
