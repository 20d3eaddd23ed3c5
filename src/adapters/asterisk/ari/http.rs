//! Requests to one Asterisk.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::poll_fn;
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::model::Timestamp;
use crate::model::phone::without_numbers;
use crate::ports::{Clock, TelephonyError};

/// Longest body of an answer: the listing of some ten thousand channels.
const LONGEST_ANSWER: usize = 64 << 20;

/// Connections that nobody uses are closed by us, before Asterisk does (`session_keep_alive`): what is written to one that
/// is just being closed may have arrived or not.
const IDLE: Duration = Duration::from_secs(8);

/// How much longer than others a question may take that lists everything there is.
const LISTING: u32 = 8;

/// What Asterisk answered. `Debug` belongs in errors: it tells of the reason of a refusal, and not what else there was.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// It did as asked.
    Done(Vec<u8>),
    /// There is no such thing (404).
    Missing,
    /// It refused (any other 4xx), with its status and reason.
    Refused(u16, String),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => f.write_str("done"),
            Self::Missing => f.write_str("there is no such thing"),
            Self::Refused(status, reason) => write!(f, "{status}: {reason}"),
        }
    }
}

/// What is asked.
pub struct Ask {
    /// How.
    pub method: Method,
    /// Path below `/ari`, its parts joined by `/`; they hold nothing that would have to be escaped.
    pub path: String,
    /// Parameters, if any.
    pub body: Option<Value>,
    /// After this nothing is sent any more.
    pub not_after: Option<Timestamp>,
}

impl Ask {
    /// Looks.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, not_after: None }
    }

    /// Does.
    pub fn post(path: impl Into<String>, body: Value, not_after: Timestamp) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(body), not_after: Some(not_after) }
    }

    /// Undoes.
    pub fn delete(path: impl Into<String>, not_after: Timestamp) -> Self {
        Self { method: Method::DELETE, path: path.into(), body: None, not_after: Some(not_after) }
    }
}

/// One Asterisk's REST interface. Connections are kept and shared.
pub struct Http {
    client: Client,
    base: String,
    user: String,
    password: SecretString,
    clock: Arc<dyn Clock>,
    answer_within: Duration,
    /// Questions in a row without an answer.
    unanswered: AtomicU32,
}

/// The address is none, or no client can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of an Asterisk is not http://host:port/ari or https://…: {0}")]
pub struct InvalidAddress(String);

impl Http {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(
        url: &str,
        user: &str,
        password: &SecretString,
        clock: Arc<dyn Clock>,
        answer_within: Duration,
    ) -> Result<Self, InvalidAddress> {
        let invalid = |why: &dyn std::fmt::Display| InvalidAddress(format!("{url}: {why}"));
        let parsed = reqwest::Url::parse(url).map_err(|error| invalid(&error))?;
        if parsed.password().is_some() || !parsed.username().is_empty() {
            return Err(InvalidAddress("user and password have settings of their own".to_owned()));
        }
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() || parsed.query().is_some() {
            return Err(invalid(&"a scheme http or https and a host are needed, and no query"));
        }
        let client = Client::builder()
            .connect_timeout(answer_within)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| invalid(&error))?;
        Ok(Self {
            client,
            base: url.trim_end_matches('/').to_owned(),
            user: user.to_owned(),
            password: password.clone(),
            clock,
            answer_within,
            unanswered: AtomicU32::new(0),
        })
    }

    /// Where the WebSocket of an app is, with the credentials in it.
    pub fn events_url(&self, app: &str) -> String {
        let base = self.base.replacen("http", "ws", 1);
        let (user, password) = (encoded(&self.user), encoded(self.password.expose_secret()));
        format!("{base}/events?app={}&api_key={user}:{password}", encoded(app))
    }

    /// Where something is, without credentials.
    pub fn address_of(&self, path: &str) -> Box<str> {
        format!("{}/{path}", self.base).into()
    }

    /// Questions in a row that were not answered.
    pub fn unanswered(&self) -> u32 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When it is too late to ask, or no answer comes that could be understood.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, TelephonyError> {
        let began_at = self.clock.now();
        if ask.not_after.is_some_and(|not_after| began_at > not_after) {
            return Err(TelephonyError::TooLate);
        }
        let lists = ask.method == Method::GET && matches!(&*ask.path, "channels" | "bridges");
        let until = began_at + if lists { self.answer_within * LISTING } else { self.answer_within };
        let answer = self.before(ask.not_after.map_or(until, |not_after| until.min(not_after)), self.send(ask)).await;
        match &answer {
            Ok(_) => self.unanswered.store(0, Ordering::Relaxed),
            Err(_) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
        answer
    }

    /// Looks at the time before every move: a process that stood still, or had to connect first, sends nothing late.
    async fn before<T>(
        &self,
        until: Timestamp,
        sent: impl Future<Output = Result<T, TelephonyError>>,
    ) -> Result<T, TelephonyError> {
        let (mut sent, mut over) = (pin!(sent), pin!(self.clock.sleep_until(until)));
        poll_fn(|context| {
            if self.clock.now() > until || over.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(TelephonyError::Unavailable("no answer in time".to_owned())));
            }
            sent.as_mut().poll(context)
        })
        .await
    }

    /// Opens something of any size; none if there is no such thing. Its body is the asker's to wait for.
    ///
    /// # Errors
    /// When no answer begins in time, or it is a refusal.
    pub async fn open(&self, path: &str) -> Result<Option<Response>, TelephonyError> {
        let request = self.client.get(format!("{}/{path}", self.base));
        let request = request.basic_auth(&self.user, Some(self.password.expose_secret()));
        let until = self.clock.now() + self.answer_within;
        let sent = async { request.send().await.map_err(|error| TelephonyError::Unavailable(innermost(&error))) };
        let response = self.before(until, sent).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(response)),
            status => Err(TelephonyError::Unavailable(format!("ARI answers {status}"))),
        }
    }

    async fn send(&self, ask: Ask) -> Result<Answer, TelephonyError> {
        let mut request = self.client.request(ask.method, format!("{}/{}", self.base, ask.path));
        request = request.basic_auth(&self.user, Some(self.password.expose_secret()));
        if let Some(body) = ask.body {
            request = request.json(&body);
        }
        let unavailable = |error: reqwest::Error| TelephonyError::Unavailable(innermost(&error));
        let mut response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(TelephonyError::Unavailable("an answer without end".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            StatusCode::NOT_FOUND => Ok(Answer::Missing),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(TelephonyError::Unavailable(format!("ARI does not let {} in ({status})", self.user)))
            }
            status if status.is_success() => Ok(Answer::Done(body)),
            status if status.is_client_error() => Ok(Answer::Refused(status.as_u16(), message(&body))),
            status => Err(TelephonyError::Unavailable(format!("{status}: {}", message(&body)))),
        }
    }
}

/// Reads an answer. What serde finds wrong it quotes, and that may be of people: told is only where it is.
pub fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, TelephonyError> {
    let told = |error: serde_json::Error| format!("an answer that cannot be read, wrong at {}", error.column());
    serde_json::from_slice(body).map_err(|error| TelephonyError::Unavailable(told(error)))
}

/// Asterisk's reason, as it writes it: `{"message": …}`. Whatever it may quote, no phone number gets into an error.
fn message(body: &[u8]) -> String {
    let reason = serde_json::from_slice::<Value>(body).ok();
    let reason = reason.as_ref().and_then(|body| body.get("message")?.as_str());
    let reason = reason.map_or_else(|| String::from_utf8_lossy(body), std::borrow::Cow::Borrowed);
    without_numbers(&reason).chars().take(200).collect()
}

/// The cause that says most, without the address and with it whatever it may hold.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// As a part of a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
