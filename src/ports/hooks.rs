//! What delivering events to webhooks asks of the world: the log that events are read from, a place where what is not
//! delivered yet is kept, and somebody who sends.
//!
//! One deliverer at a time holds the lead. Whatever it changes is changed under its proof, so that one that stood still
//! changes nothing that its successor has taken up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::store::{ProcessId, StoreError, StoreResult};
use crate::model::hook::TemplateName;
use crate::model::{HookSecret, HookUrl, OrganisationId, Timestamp};

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedHookEvent {
    /// Its place in the log; ascending, not without gaps.
    pub offset: u64,
    /// The event's id, by which a log is known again; none if it has none.
    pub id: Option<Arc<str>>,
    /// The tenant.
    pub organisation: OrganisationId,
    /// Its type without the prefix, such as `call.ended`.
    pub kind: Box<str>,
    /// The CloudEvent in JSON.
    pub body: Vec<u8>,
}

/// The log of events.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// The offset that the next event will have, or one before which there is nothing more to read.
    ///
    /// # Errors
    /// When the log does not answer, or does not say.
    async fn end(&self) -> StoreResult<u64>;

    /// The offset of the oldest event that is kept; none if there is none.
    async fn first(&self) -> StoreResult<Option<u64>>;

    /// Reads what is published from now on: all of it, once this has answered.
    async fn listen(&self) -> StoreResult<Box<dyn LogReader>>;

    /// Reads from an offset on, or from the first event that is kept after it.
    async fn read(&self, from: u64) -> StoreResult<Box<dyn LogReader>>;
}

/// Somebody who reads the log.
#[async_trait]
pub trait LogReader: Send {
    /// The next event; waits for it, through lost connections. One whose offset is not above that of the one before is of
    /// another log, which was begun when the one before was lost, and everything there is of it follows. Must not be dropped half-way by whoever wants to read on.
    async fn next(&mut self) -> LoggedHookEvent;
}

/// Whom events are sent to: an address of an organisation. Two organisations with one address are two endpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointKey {
    /// The tenant.
    pub organisation: OrganisationId,
    /// Where to.
    pub url: HookUrl,
}

/// What is kept of an endpoint, besides what it has yet to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointRecord {
    /// From where on the log has yet to be read for it; none: it keeps up with the rest.
    pub cursor: Option<u64>,
    /// Since when nothing is sent there any more, since it said that it is gone.
    pub disabled_at: Option<Timestamp>,
    /// Failures since the last success.
    pub failures: u32,
    /// Nothing is sent before.
    pub not_before: Option<Timestamp>,
    /// What came of the last failure, in words.
    pub last_error: Option<Box<str>>,
}

/// An event that has yet to be delivered to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingEvent {
    /// Its place in the log: its name among those of its endpoint.
    pub offset: u64,
    /// The event's id.
    pub id: Box<str>,
    /// The event's type, without the prefix.
    pub kind: Box<str>,
    /// What it is about: events of one subject are delivered in order.
    pub subject: Box<str>,
    /// The template that shapes it.
    pub template: Option<TemplateName>,
    /// Since when it waits.
    pub since: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub due: Timestamp,
    /// Bytes of the event.
    pub bytes: u32,
}

/// What could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadEvent {
    /// Its name among the dead letters of its organisation.
    pub id: Box<str>,
    /// Whom it was for; none if whoever it was for is not known: a gap in the log.
    pub endpoint: Option<EndpointKey>,
    /// The event; none for a gap in the log.
    pub event: Option<PendingEvent>,
    /// Events from here up to there are not in the log any more.
    pub gap: Option<(u64, u64)>,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub reason: Box<str>,
}

/// Whose lead it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The process.
    pub process: ProcessId,
    /// Grows with every change of hands.
    pub token: u64,
}

/// A change under a lead. Each can be made twice with the effect of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything in the log before this was taken note of; and the id of the last event before, if it is known.
    Position(u64, Option<Arc<str>>),
    /// The log was begun anew: its first event counts as this one.
    Anew(u64),
    /// What is kept of an endpoint.
    Endpoint(EndpointKey, EndpointRecord),
    /// An endpoint of which nothing needs to be kept; whatever it had yet to be sent is gone with it.
    Forget(EndpointKey),
    /// An event has yet to be delivered.
    Add(EndpointKey, PendingEvent, Vec<u8>),
    /// It was tried, and is to be tried again.
    Update(EndpointKey, PendingEvent),
    /// It was delivered.
    Remove(EndpointKey, u64),
    /// It is given up.
    Bury(DeadEvent),
    /// A dead letter has yet to be delivered again, or is not there.
    Raise(DeadEvent, PendingEvent),
    /// What a receiver answered about a call.
    Keep {
        /// The tenant.
        organisation: OrganisationId,
        /// The call.
        call: Box<str>,
        /// What was answered.
        answer: String,
        /// When.
        at: Timestamp,
    },
    /// A wish was granted, or cannot be.
    Granted(Box<str>),
}

/// How much is kept of what grows with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Most dead letters of an organisation; the oldest go first.
    pub dead: u32,
    /// How long dead letters are kept.
    pub dead_for: Duration,
    /// Most calls of an organisation of which an answer is kept.
    pub answers: u32,
    /// How long answers are kept.
    pub answers_for: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { dead: 1_000, dead_for: 14 * day, answers: 100_000, answers_for: 7 * day }
    }
}

/// Everything a deliverer needs to know when it takes the lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookBook {
    /// Everything in the log before this was taken note of; none: nobody has ever delivered.
    pub position: Option<u64>,
    /// The id of the last event before that, by which the log is known again; none if nothing was read yet, or whoever wrote the
    /// position kept none.
    pub last: Option<Arc<str>>,
    /// As which the first event of the log counts, which is not 0 if the log was begun anew: places are never used twice.
    pub base: u64,
    /// Endpoints, in order, and what each has yet to be sent, in the order of the log.
    pub endpoints: Vec<(EndpointKey, EndpointRecord, Vec<PendingEvent>)>,
}

/// An endpoint as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointGlimpse {
    /// Which.
    pub key: EndpointKey,
    /// What is kept of it.
    pub record: EndpointRecord,
    /// Events it has yet to be sent.
    pub pending: u64,
}

/// What somebody at a terminal asks of whoever has the lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WishKind {
    /// Send to an endpoint again that said it is gone; one that fails is tried at once.
    Enable(EndpointKey),
    /// Try a dead letter again; all of the organisation's, if none is named.
    Retry(OrganisationId, Option<Box<str>>),
}

/// A wish and its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Its name: a wish made twice is one.
    pub id: Box<str>,
    /// What is wished.
    pub kind: WishKind,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Another has the lead: whatever is remembered is out of date.
    #[error("another process delivers")]
    Fenced,
    /// The store did not answer, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where what is not delivered yet is kept. Each operation is atomic, and may be repeated.
#[async_trait]
pub trait HookStore: Send + Sync + 'static {
    /// Takes the lead for so long, or keeps it; none if another has it.
    async fn lead(&self, process: ProcessId, life: Duration) -> StoreResult<Option<Lead>>;

    /// Leaves the lead to others, if it is held.
    async fn resign(&self, lead: Lead) -> StoreResult<()>;

    /// Everything that has yet to be delivered.
    async fn load(&self) -> StoreResult<HookBook>;

    /// Makes changes, all or none.
    ///
    /// # Errors
    /// [`ChangeError::Fenced`] if the lead is another's; none was made.
    async fn change(&self, lead: Lead, changes: &[Change]) -> Result<(), ChangeError>;

    /// The body of an event that has yet to be delivered.
    async fn body(&self, endpoint: &EndpointKey, offset: u64) -> StoreResult<Option<Vec<u8>>>;

    /// Endpoints of an organisation, or of all, in order, of which something is kept.
    async fn endpoints(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<EndpointGlimpse>>;

    /// Dead letters of an organisation, the oldest first, at most so many; those of gaps that concern everybody if none
    /// is named.
    async fn dead(&self, organisation: Option<&OrganisationId>, limit: u32) -> StoreResult<Vec<DeadEvent>>;

    /// Organisations that have dead letters, in order.
    async fn with_dead(&self) -> StoreResult<Vec<OrganisationId>>;

    /// Asks something of whoever has the lead. False if too much is wished already.
    async fn wish(&self, wish: &Wish) -> StoreResult<bool>;

    /// What is wished and was not granted yet, the oldest first.
    async fn wishes(&self) -> StoreResult<Vec<Wish>>;

    /// What the receiver of an operator's template answered about a call.
    async fn answer(&self, organisation: &OrganisationId, call: &str) -> StoreResult<Option<String>>;

    /// What an organisation's webhooks are signed with, the newest first.
    async fn secrets(&self, organisation: &OrganisationId) -> StoreResult<Vec<HookSecret>>;

    /// Sets it.
    async fn set_secrets(&self, organisation: &OrganisationId, secrets: &[HookSecret]) -> StoreResult<()>;
}

/// One message to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Where to.
    pub url: HookUrl,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Vec<u8>,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The receiver answered.
    Answered {
        /// Status code.
        status: u16,
        /// `Retry-After` as it was written.
        retry_after: Option<String>,
        /// The beginning of the answer's body.
        body: Vec<u8>,
    },
    /// There was no answer, or the address may not be connected to; in words.
    Failed(String),
}

/// Somebody who sends.
#[async_trait]
pub trait HookSender: Send + Sync + 'static {
    /// Sends one message, once, and hears what came of it, within a bound of its own.
    async fn send(&self, post: Post) -> Sent;
}
