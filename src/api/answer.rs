//! Answers: JSON of what was asked for, or why not.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Api, STORE_WITHIN};
use crate::command::Standing;
use crate::model::status::RequestError;
use crate::ports::{GateError, StoreError, StoreResult};
use crate::reading::Problems;

/// Why something is not answered, or not done, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Word {
    /// It breaks the contracts.
    Invalid,
    /// It cannot be done as things stand.
    Conflict,
    /// No key, or none that is known.
    Unauthorised,
    /// The key is not good for it.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// It has too many bytes.
    TooLarge,
    /// Too many questions.
    RateLimited,
    /// The call is changing hands: ask again.
    Adopting,
    /// There are no such bytes.
    OutOfRange,
    /// A part of the deployment does not answer: ask again.
    Unavailable,
}

/// Why something is not answered, or not done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub(super) struct Refusal {
    #[serde(skip)]
    code: u16,
    #[serde(skip)]
    retry_after: Option<u32>,
    /// In a word.
    status: Word,
    /// In words.
    message: String,
    /// Everything that is wrong with what was sent; the first hundred.
    errors: Vec<RequestError>,
    /// How the request or call must have stood for a command, if it does not stand so.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Standing>,
    /// How it stands instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Standing>,
}

impl Refusal {
    fn new(code: StatusCode, status: Word, message: impl Into<String>) -> Self {
        Self {
            code: code.as_u16(),
            retry_after: None,
            status,
            message: message.into(),
            errors: Vec::new(),
            expected: None,
            found: None,
        }
    }

    /// What was sent breaks the contracts.
    pub fn invalid(problems: Problems) -> Self {
        let (errors, count) = problems.into_parts();
        let message = match (&*errors, count) {
            ([only], 1) => only.to_string(),
            (_, count) => format!("{count} things are wrong"),
        };
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, Word::Invalid, message) }
    }

    /// One thing is wrong.
    pub fn wrong(path: &str, message: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.add(path, message);
        Self::invalid(problems)
    }

    pub fn conflict(path: &str, message: impl Into<String>) -> Self {
        let Self { message, errors, .. } = Self::wrong(path, message);
        Self { errors, ..Self::new(StatusCode::CONFLICT, Word::Conflict, message) }
    }

    /// A request or call does not stand as a command expects.
    pub fn unmet(expected: Standing, found: Standing) -> Self {
        let refusal = Self::conflict("expect", format!("it is {found}, not {expected}"));
        Self { expected: Some(expected), found: Some(found), ..refusal }
    }

    pub fn unauthorised(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Word::Unauthorised, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Word::Forbidden, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Word::NotFound, message)
    }

    pub fn no_such_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Word::Invalid, "there is no such method here")
    }

    pub fn no_json() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Word::Invalid, "content-type must be application/json")
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Word::TooLarge, message)
    }

    pub fn out_of_range(message: impl Into<String>) -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, Word::OutOfRange, message)
    }

    pub fn rate_limited(retry_after: u32, message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Word::RateLimited, message);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    pub fn adopting() -> Self {
        let message = "the call is just changing hands: ask again";
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, Word::Adopting, message) }
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, Word::Unavailable, message) }
    }

    /// It may be done all the same, and then is told of as an event.
    pub fn unanswered() -> Self {
        let message = "no worker has answered in time: it may yet be carried out, and an event tells if it is";
        Self::new(StatusCode::GATEWAY_TIMEOUT, Word::Unavailable, message)
    }

    /// The first thing that is wrong with what was sent.
    pub fn first(&self) -> Option<&RequestError> {
        self.errors.first()
    }

    /// In words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.status == Word::NotFound
    }

    /// The same, but if it says that there is no such thing, with what there is not.
    pub fn about(self, what: impl FnOnce() -> String) -> Self {
        if self.is_not_found() { Self::not_found(what()) } else { self }
    }

    /// The same, said as an older interface says it.
    pub fn saying(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The same, but what is wrong stands elsewhere; what is wrong in several places that are one there is said once.
    pub fn at(mut self, place: impl Fn(&str) -> String) -> Self {
        let mut placed: Vec<RequestError> = Vec::new();
        for error in std::mem::take(&mut self.errors) {
            let error = RequestError { path: place(&error.path), message: error.message };
            if !placed.contains(&error) {
                placed.push(error);
            }
        }
        self.message = match &*placed {
            [] => self.message,
            [only] => only.to_string(),
            several => format!("{} things are wrong", several.len()),
        };
        Self { errors: placed, ..self }
    }

    /// Whether it says that there is no such thing.
    pub fn says_not_found(&self) -> bool {
        self.status == Word::NotFound
    }

    /// As a response.
    pub fn respond(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(code, &self);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found("there is no such thing"),
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "the store does not answer a question");
                Self::unavailable("the store does not answer")
            }
            StoreError::IdTaken => Self::conflict("Idempotency-Key", error.to_string()),
            StoreError::Unmet { .. } => Self::conflict("", error.to_string()),
            error @ (StoreError::Forgotten | StoreError::Refused(_)) => {
                tracing::error!(%error, "the store refuses a question");
                Self::unavailable("the store cannot answer this")
            }
        }
    }
}

impl From<GateError> for Refusal {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Unavailable(why) => {
                tracing::warn!(why, "the broker does not answer");
                Self::unavailable("the broker does not answer: ask again")
            }
            GateError::Unanswered => Self::unanswered(),
            GateError::TooLarge { .. } => Self::too_large(error.to_string()),
            GateError::Refused(why) => Self::unavailable(why),
        }
    }
}

impl Api {
    /// What the store answers, or why it does not.
    pub(super) async fn ask<T>(&self, asked: impl Future<Output = StoreResult<T>>) -> Result<T, Refusal> {
        let answer = self.within(STORE_WITHIN, asked).await;
        answer.unwrap_or_else(|| Err(StoreError::Unavailable("no answer in time".to_owned()))).map_err(Refusal::from)
    }
}

/// A document as a response.
pub(super) fn json(code: StatusCode, document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(bytes) => bytes_of_json(code, bytes),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// JSON that is written already.
pub(super) fn bytes_of_json(code: StatusCode, bytes: impl Into<Body>) -> Response {
    let mut response = plain(code);
    *response.body_mut() = bytes.into();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A response without a body.
pub(super) fn plain(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    // What is answered depends on the key, and is of now.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
