//! The waiting room: requests and their destinations, slots, ownership, checkpoints, and what was not yet confirmed.
//!
//! Each operation is atomic, looks at the store's own time, and may be repeated when no answer came.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::bell::Listener;
use crate::callflow::call::CallState;
use crate::model::event::{CallContext, OrganisationEvent, RequestCommand, RequestEvent};
use crate::model::note::{CallNote, CallNotes};
use crate::model::status::{RejectReason, RequestError, RequestSummary};
use crate::model::{
    AttemptId, CallId, CallStatus, Destination, Disposition, Fact, KeyLabel, LegId, Organisation, OrganisationId,
    Phone, RequestCursor, RequestHeader, RequestId, RequestStatus, StepStatus, Timestamp, TraceParent, Via, WorkerId,
};

/// What the store answers.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why the store did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer came: whether it took effect is unknown, and asking again is right.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// There is no such request.
    #[error("no such request")]
    NotFound,
    /// The store has lost what it knew of a call: its owner is to say it again ([`CampaignStore::reassert`]).
    #[error("the store has lost what it knew of the call")]
    Forgotten,
    /// Another command was given under this id.
    #[error("another command was given under this id")]
    IdTaken,
    /// Nothing was done: the request does not stand as was expected.
    #[error("the request is {}", found.as_str())]
    Unmet {
        /// How it stands.
        found: RequestStatus,
    },
    /// The store cannot do that, however often it is asked: a mistake of whoever asks, or data it does not understand.
    #[error("the store refuses: {0}")]
    Refused(String),
}

/// A request's full name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey {
    /// The tenant.
    pub organisation: OrganisationId,
    /// The request.
    pub request: RequestId,
}

/// Proof of ownership: raised each time a call changes hands, so that an earlier owner is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// One life of a process: a worker that comes back under its name is another process. Drawn anew at every start, so that
/// no two that ever run are taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u128);

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// An attempt in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The tenant.
    pub organisation: OrganisationId,
    /// The request.
    pub request: RequestId,
    /// The attempt.
    pub attempt: AttemptId,
    /// The holder's proof.
    pub token: Token,
}

/// How many destinations a request, or a part of one, has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Destinations, duplicates not counted.
    pub total: u32,
    /// Destinations left out because their number stood there before.
    pub duplicates: u32,
}

/// What opening a request for loading found.
#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    /// It is to be loaded, from this chunk on.
    Load {
        /// Number of the next chunk, from 0.
        next_chunk: u32,
    },
    /// The same request was sealed before.
    Known(RequestSummary),
    /// Another request of this name exists; it is untouched.
    Conflict,
}

/// Destinations that share a calling window's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The clock they share, if the request's window asks for recipients' time: IANA zones, all of which must be open.
    pub zones: Vec<Box<str>>,
    /// The destinations, in file order; their indices count within the part.
    pub destinations: Vec<Destination>,
}

/// What loading a chunk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It is stored.
    Stored,
    /// It is not the next: it was stored before, or comes too early.
    Expected {
        /// Number of the next chunk.
        next_chunk: u32,
    },
}

/// A request that is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// Its name.
    pub key: RequestKey,
    /// Why.
    pub reason: RejectReason,
    /// The first hundred errors.
    pub errors: Vec<RequestError>,
    /// How many there are in all.
    pub error_count: u32,
    /// What it was a part of for whoever submitted it.
    pub trace: Option<TraceParent>,
}

/// A destination in a worker's hands, not yet dialled.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The attempt and the proof of holding it.
    pub held: Held,
    /// The request's header.
    pub header: Arc<RequestHeader>,
    /// Whom to call.
    pub destination: Destination,
    /// When the request was sealed.
    pub queued_at: Timestamp,
    /// The call's history from earlier attempts.
    pub history: Vec<Fact>,
    /// How many of its events are confirmed: whoever goes on with a call publishes the others first, so that its own do
    /// not overtake those of an earlier owner.
    pub confirmed: u32,
}

/// What claiming brought.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// What the worker holds now.
    pub claims: Vec<Claim>,
    /// When more may become claimable without a wake-up: a retry or schedule comes due, a window opens, a rate
    /// allows, or other applications may have given slots back.
    pub again_at: Option<Timestamp>,
}

/// What committing to a dial found.
#[derive(Clone, Debug, PartialEq)]
pub enum DialDecision {
    /// Dial now: the INVITE follows within a second of `committed_at`, or never.
    Dial {
        /// When the store committed, by its own clock.
        committed_at: Timestamp,
        /// Whether an earlier question did it, whose answer was lost: it counts from then.
        again: bool,
        /// The call's history now, the new `Dialing` included.
        history: Vec<Fact>,
        /// What it meant for the request.
        events: Vec<RequestEvent>,
    },
    /// Not now; the claim is given back.
    GivenBack {
        /// Why.
        why: NotNow,
        /// What it meant for the request, which may have waited for this call only.
        events: Vec<RequestEvent>,
    },
    /// Never: the number is on the do-not-call list, and the call has ended as `blocked`. Nothing comes in exchange.
    Blocked(Finished),
    /// The call is somebody else's.
    Fenced,
}

/// Why a claim was given back instead of dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The request is paused.
    Paused,
    /// The request is cancelled, or its time is over.
    Over,
    /// The organisation's calls a second are used up.
    Rate,
    /// The calling window has closed.
    Window,
    /// Other applications took the slot, or the limit was lowered.
    NoSlot,
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// How it ended.
    pub disposition: Disposition,
    /// What was wrong with the destination or its request, so that it was refused undialled: the call has `failed`,
    /// whatever its disposition. None if it was dialled, or if a rule forbids the number itself: then it is `blocked`.
    pub refusal: Option<StepStatus>,
    /// When another attempt is due, if policy grants one. The store grants none if the request is over by then.
    pub retry_at: Option<Timestamp>,
    /// Where what was recorded of it is kept, if it is.
    pub recording: Option<Box<str>>,
}

impl AttemptEnd {
    /// An end after which nothing is tried again.
    pub const fn of(disposition: Disposition) -> Self {
        Self { disposition, refusal: None, retry_at: None, recording: None }
    }
}

/// What a write under a token found.
#[derive(Clone, Debug, PartialEq)]
pub enum Written<T> {
    /// Written, now or when it was asked before.
    Done(T),
    /// The call is somebody else's: touch it no more.
    Fenced,
}

/// What ending an attempt brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finished {
    /// The whole history of the call, its last fact included.
    pub history: Vec<Fact>,
    /// What it meant for the request.
    pub events: Vec<RequestEvent>,
    /// Other destinations the worker holds instead.
    pub refill: Vec<Claim>,
}

/// What asking for a slot for a second leg found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAnswer {
    /// It is held.
    Granted,
    /// None is free; the leg waits in line, before new dials. Ask again after a wake-up.
    Waiting,
}

/// How far a held call is, to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Claimed, not dialled.
    Claimed,
    /// Committed to a dial, or further.
    Dialing,
}

/// What renewing found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Somebody else's: not renewed.
    pub lost: Vec<Held>,
    /// Renewed, and to be hung up: their request was cancelled so.
    pub hang_up: Vec<Held>,
    /// Lost by the store itself: to be said again by whoever holds them, or let go if they were not dialled.
    pub forgotten: Vec<Held>,
}

/// A call whose owner has not renewed it for a whole time to live, or has handed it over.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// The attempt, with its owner's proof.
    pub held: Held,
    /// The owner.
    pub worker: WorkerId,
    /// Under whose name the backend reports on its legs: the worker that dialled it.
    pub app: WorkerId,
    /// How far it is.
    pub stage: Stage,
    /// When even the longest call allowed is surely over.
    pub over_at: Timestamp,
    /// Whether its owner has given it up: then nobody waits for it to renew, whatever befell the store meanwhile.
    pub handed_over: bool,
}

/// A call taken over.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// The call, in the adopter's hands now.
    pub claim: Claim,
    /// How far it is.
    pub stage: Stage,
    /// Where its flow stood at the last checkpoint; none if it was not dialled.
    pub state: Option<CallState>,
    /// Whether it is to be hung up: its request was cancelled so.
    pub hang_up: bool,
}

/// Events of a call that nobody holds, of a request or of an organisation, which were stored but not confirmed.
#[derive(Clone, Debug)]
pub enum Unconfirmed {
    /// Of a call.
    Call {
        /// The call's request.
        header: Arc<RequestHeader>,
        /// Whom it calls.
        destination: Destination,
        /// When the request was sealed.
        queued_at: Timestamp,
        /// The call's history.
        history: Vec<Fact>,
        /// How many of its events are confirmed.
        confirmed: u32,
    },
    /// Of a request.
    Request(RequestEvent),
    /// Of an organisation itself.
    Organisation(OrganisationEvent),
}

/// How many events of their own, of `limit`, each of so many organisations gets told at a time; one at least.
pub(crate) fn share_of(limit: u32, organisations: usize) -> u32 {
    (limit / u32::try_from(organisations).unwrap_or(u32::MAX).max(1)).max(1)
}

/// Whose an event is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A call's.
    Call(CallId),
    /// A request's own.
    Request(RequestId),
    /// The organisation's own.
    Organisation,
}

/// That the bus has confirmed all events of a call up to one, or one of a request's or an organisation's own: several
/// workers publish those, and none of them knows what the others were told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The tenant.
    pub organisation: OrganisationId,
    /// Whose it is.
    pub subject: Subject,
    /// The confirmed event's `seq`.
    pub seq: u32,
}

impl Confirmation {
    /// Of all events of a call up to one.
    pub const fn of_call(organisation: OrganisationId, call: CallId, seq: u32) -> Self {
        Self { organisation, subject: Subject::Call(call), seq }
    }

    /// Of a request's own.
    pub fn of_request(key: RequestKey, seq: u32) -> Self {
        let RequestKey { organisation, request } = key;
        Self { organisation, subject: Subject::Request(request), seq }
    }

    /// Of an organisation's own.
    pub const fn of_organisation(organisation: OrganisationId, seq: u32) -> Self {
        Self { organisation, subject: Subject::Organisation, seq }
    }
}

/// What is done to a request as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Dial nothing more until resumed.
    Pause,
    /// Go on.
    Resume,
    /// Dial nothing more, ever.
    Cancel {
        /// Whether live calls are to be hung up, too, whoever carries them; otherwise they go on to their end.
        hang_up: bool,
    },
}

impl Control {
    /// Its name, as in the routing key of its command.
    pub const fn name(self) -> &'static str {
        match self {
            Control::Pause => "pause",
            Control::Resume => "resume",
            Control::Cancel { .. } => "cancel",
        }
    }
}

/// A command to a request or to an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its id: given again under it, it is answered as before and not carried out again.
    pub id: Box<str>,
    /// Who gave it, if that is known.
    pub actor: Option<KeyLabel>,
    /// How the request must stand for it; none: however it stands.
    pub expect: Option<RequestStatus>,
}

impl Given {
    /// The command, as events tell of it.
    pub fn named(&self, control: Control) -> RequestCommand {
        RequestCommand { name: control.name().into(), id: self.id.clone(), actor: self.actor.clone(), call: None }
    }

    /// Under which name [`CampaignStore::remember`] knows what is noted under this id.
    pub fn id_of_note(&self) -> String {
        format!("note/{}", self.id)
    }

    /// The same of what is noted about a call.
    pub fn noting(&self, note: &CallNote, call: CallId) -> RequestCommand {
        RequestCommand { name: note.name().into(), id: self.id.clone(), actor: self.actor.clone(), call: Some(call) }
    }

    /// The same of what changes an organisation.
    pub fn changing(&self, what: OrganisationChange) -> RequestCommand {
        RequestCommand { name: what.name().into(), id: self.id.clone(), actor: self.actor.clone(), call: None }
    }
}

/// What of an organisation is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrganisationChange {
    /// Its settings.
    Settings,
    /// Its do-not-call list.
    DoNotCall,
}

impl OrganisationChange {
    /// Its name, as events tell of it.
    pub const fn name(self) -> &'static str {
        match self {
            OrganisationChange::Settings => "organisation",
            OrganisationChange::DoNotCall => "doNotCall",
        }
    }
}

/// Under which name [`CampaignStore::remember`] knows that a request is queued and no worker has looked at it yet: forgotten
/// when one opens or rejects it.
pub fn id_of_queued(request: &RequestId) -> String {
    format!("queued/{request}")
}

/// How long commands to requests are known again.
pub const COMMANDS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Longest id under which something is given, in bytes; none is empty.
pub const LONGEST_COMMAND_ID: usize = 255;

/// Longest answer that is kept, in bytes.
pub const LONGEST_ANSWER: usize = 4_096;

impl StoreError {
    /// Refuses what no command's id can be.
    pub(crate) fn unless_id(id: &str) -> StoreResult<()> {
        let fits = (1..=LONGEST_COMMAND_ID).contains(&id.len());
        if fits { Ok(()) } else { Err(Self::Refused(format!("an id has 1 to {LONGEST_COMMAND_ID} bytes"))) }
    }

    /// Refuses an answer that is too long to be kept.
    pub(crate) fn unless_answer(answer: &[u8]) -> StoreResult<()> {
        let fits = answer.len() <= LONGEST_ANSWER;
        if fits { Ok(()) } else { Err(Self::Refused(format!("an answer has at most {LONGEST_ANSWER} bytes"))) }
    }
}

/// What is known of something that is to be done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// Nothing was, until now.
    First,
    /// It was asked before, and what was answered. None: nobody has answered, and whoever wanted to may be dead. It is
    /// to be done again then, which must be harmless.
    Again(Option<Box<[u8]>>),
    /// Something else was asked under this id.
    Different,
}

/// What controlling a request brought.
#[derive(Clone, Debug)]
pub struct Controlled {
    /// The request now.
    pub summary: RequestSummary,
    /// What it meant.
    pub events: Vec<RequestEvent>,
    /// Calls that are live, and who owns them.
    pub live: Vec<(Held, WorkerId)>,
    /// Whether the command was given before: nothing was done now, and the summary is that of then.
    pub again: bool,
}

/// One destination and its call, for Status.
#[derive(Clone, Debug)]
pub struct CallSnapshot {
    /// Whom it calls.
    pub destination: Destination,
    /// How far it is.
    pub status: CallStatus,
    /// Its history.
    pub history: Vec<Fact>,
}

/// A request for Status.
#[derive(Clone, Debug)]
pub struct RequestSnapshot {
    /// The summary.
    pub summary: RequestSummary,
    /// The header; none if it was rejected.
    pub header: Option<Arc<RequestHeader>>,
    /// When it was sealed.
    pub queued_at: Option<Timestamp>,
}

/// Which requests of an organisation are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Those with one of these statuses; none: all.
    pub statuses: Option<BTreeSet<RequestStatus>>,
    /// Those that come after an earlier page.
    pub after: Option<RequestCursor>,
}

/// Some of an organisation's requests.
#[derive(Clone, Debug, Default)]
pub struct RequestPage {
    /// The newest first.
    pub requests: Vec<RequestSnapshot>,
    /// After which the next page begins; none if nothing follows.
    pub next: Option<RequestCursor>,
}

/// A call in somebody's hands.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// The attempt, and its holder's proof.
    pub held: Held,
    /// Who holds it.
    pub worker: WorkerId,
    /// How far the hands are.
    pub stage: Stage,
    /// Until when its holder's word is good; past that it is a suspect.
    pub renewed_until: Timestamp,
    /// Whom it calls.
    pub destination: Destination,
    /// Its history.
    pub history: Vec<Fact>,
}

/// What a change of settings does with the limit, whose key other applications write, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitChange {
    /// It is neither looked at nor written, whatever its key holds.
    Kept,
    /// It is set as the other settings are.
    Set,
}

/// An organisation's slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotUse {
    /// Concurrent calls allowed.
    pub limit: u32,
    /// Held by other applications.
    pub external: u32,
    /// Held by us, suspects included.
    pub leased: u32,
    /// Held by owners who have not renewed in time.
    pub suspect: u32,
}

/// The waiting room.
#[async_trait]
pub trait CampaignStore: Send + Sync + 'static {
    // Intake.

    /// Opens a request (or the part of one that its header names) for loading, or finds it known. A request that is
    /// being loaded with the same content goes on where it stopped.
    async fn open_request(&self, header: &Arc<RequestHeader>, totals: Totals) -> StoreResult<Opened>;

    /// Stores the `number`th chunk of a request's part; only the next one is taken.
    async fn load_chunk(&self, key: &RequestKey, part: u32, number: u32, chunk: &Chunk) -> StoreResult<Loaded>;

    /// Seals a request's part; the request can be dialled when all its parts are sealed.
    async fn seal(&self, key: &RequestKey, part: u32) -> StoreResult<(RequestSummary, Vec<RequestEvent>)>;

    /// Writes down durably that a request was refused. One that exists under its name is left as it is, but the event
    /// is made all the same.
    async fn reject(&self, rejection: &Rejection) -> StoreResult<(RequestSummary, Vec<RequestEvent>)>;

    // Dispatch.

    /// Claims at most `want` destinations for a worker from the organisation whose turn it is, or from several that stand
    /// at the same place. May bring none although others have work: `again_at` is then at once.
    async fn claim(&self, worker: &WorkerId, want: u32) -> StoreResult<Claims>;

    /// Commits to dialling a claim, if everything still allows it; otherwise gives it back, or ends it if its number is
    /// on the do-not-call list. What was committed to or ended is answered again; requests' events are told once.
    async fn begin_dial(
        &self,
        held: &Held,
        worker: &WorkerId,
        via: &Via,
        state: &CallState,
    ) -> StoreResult<DialDecision>;

    /// Gives an undialled claim back to where it came from. Answers what it meant for the request, which ends with it if
    /// it was over but for this claim; told once.
    async fn give_back(&self, held: &Held) -> StoreResult<Written<Vec<RequestEvent>>>;

    /// Appends facts to a call's history, which had `after` facts before, and stores where its flow stands. Slots of
    /// second legs that the state does not name (any more) go back, and so do places in line.
    async fn checkpoint(&self, held: &Held, after: u32, facts: &[Fact], state: &CallState) -> StoreResult<Written<()>>;

    /// Ends an attempt: appends its last facts to a history of `after` facts, releases its leases, counts, schedules
    /// the retry, and claims up to `refill` other destinations of the organisation.
    async fn finish(
        &self,
        held: &Held,
        worker: &WorkerId,
        after: u32,
        facts: &[Fact],
        end: AttemptEnd,
        refill: u32,
    ) -> StoreResult<Written<Finished>>;

    /// Asks for a slot for a second leg; it waits in line until `until`.
    async fn request_slot(&self, held: &Held, leg: LegId, until: Timestamp) -> StoreResult<Written<SlotAnswer>>;

    /// Puts a number on the organisation's do-not-call list, durably; whether it was not on it.
    ///
    /// `given`: as what; [`EventType::CommandExecuted`], an event of the organisation, tells of it unless nothing was changed,
    /// and waits for whoever looks for what is not confirmed. None: nothing tells of it here; a call's `optOut` is told by
    /// the call.
    ///
    /// [`EventType::CommandExecuted`]: crate::model::EventType::CommandExecuted
    async fn block_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool>;

    /// Takes a number off that list again, which is told in the same way; whether it was on it.
    async fn unblock_number(
        &self,
        organisation: &OrganisationId,
        phone: Phone,
        given: Option<&Given>,
    ) -> StoreResult<bool>;

    /// Whether a number is on that list.
    async fn is_blocked(&self, organisation: &OrganisationId, phone: Phone) -> StoreResult<bool>;

    /// Every number on that list, in order.
    async fn blocked_numbers(&self, organisation: &OrganisationId) -> StoreResult<Vec<Phone>>;

    // Ownership.

    /// Renews everything the worker holds, leases of second legs included.
    async fn renew(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<Renewed>;

    /// Gives calls up for others to adopt at once: their leases, those of second legs included, are over, still count, and
    /// are under a proof that nobody holds. Calls that are not held under the proof shown are left as they are.
    async fn hand_over(&self, worker: &WorkerId, held: &[Held]) -> StoreResult<()>;

    /// Says again what the store has lost of a dialled call: its whole history, and where its flow stands. Answers what
    /// that meant for its request, which may be lost altogether: then the call goes on, holding its slot, to its end.
    async fn reassert(
        &self,
        held: &Held,
        worker: &WorkerId,
        call: &CallContext,
        history: &[Fact],
        state: &CallState,
    ) -> StoreResult<Written<Vec<RequestEvent>>>;

    /// Calls that were handed over, then those whose owners have not renewed them in time; at most `limit`.
    async fn suspects(&self, limit: u32) -> StoreResult<Vec<Suspect>>;

    /// Whether `process` alone may listen to the backend's reports for `app`, for one time to live from now: a worker
    /// that lives locks its own name, an adopter the names of those it looks after.
    async fn lock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<bool>;

    /// Lets others listen for `app` at once; the lock of another process stays.
    async fn unlock_app(&self, app: &WorkerId, process: ProcessId) -> StoreResult<()>;

    /// Takes a suspect over, if it still is one: under a new token, its leases renewed.
    async fn adopt(&self, suspect: &Held, adopter: &WorkerId) -> StoreResult<Written<Adopted>>;

    // What leaves.

    /// Notes what the bus has confirmed.
    async fn confirm(&self, confirmations: &[Confirmation]) -> StoreResult<()>;

    /// Events that were stored before `before`, are not confirmed, and have nobody to publish them: those of requests and
    /// calls first; of organisations' own, of which there may be very many, of each some.
    async fn unconfirmed(&self, before: Timestamp, limit: u32) -> StoreResult<Vec<Unconfirmed>>;

    // Requests and organisations.

    /// Pauses, resumes or cancels a request; the event that tells of it names the command. One that was given within [`COMMANDS_KEPT`] is answered as it was then,
    /// with its event as long as nobody has confirmed that; [`StoreError::IdTaken`] if its id is another's,
    /// [`StoreError::Unmet`] if it is new and the request does not stand as it expects.
    async fn control(&self, key: &RequestKey, control: Control, given: Option<&Given>) -> StoreResult<Controlled>;

    /// Notes for `life` that something is done under an id of the organisation's; `fingerprint` tells it from other things.
    async fn remember(
        &self,
        organisation: &OrganisationId,
        id: &str,
        fingerprint: &[u8; 32],
        life: Duration,
    ) -> StoreResult<Remembered>;

    /// Keeps the first answer to what is remembered, for as long as that is.
    async fn answered(&self, organisation: &OrganisationId, id: &str, answer: &[u8]) -> StoreResult<()>;

    /// What was answered to what is remembered, if anything was.
    async fn recalled(&self, organisation: &OrganisationId, id: &str) -> StoreResult<Option<Box<[u8]>>>;

    /// Who owns a live call.
    async fn owner(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<Option<(Held, WorkerId)>>;

    /// The request that a call is one of, live or ended, for as long as the request is kept: a call's id holds a hash of it.
    async fn request_of(&self, organisation: &OrganisationId, call: CallId) -> StoreResult<RequestId>;

    /// Every call of an organisation, or of one of its requests, that is in somebody's hands: claimed or dialled; by
    /// request and place in it.
    async fn live_calls(
        &self,
        organisation: &OrganisationId,
        request: Option<&RequestId>,
    ) -> StoreResult<Vec<LiveCall>>;

    /// Carries out what time alone brings: schedules, expiry, parts that never came, retention. Answers what it meant
    /// and when to look again.
    async fn sweep(&self) -> StoreResult<(Vec<RequestEvent>, Option<Timestamp>)>;

    /// One request.
    async fn request(&self, key: &RequestKey) -> StoreResult<RequestSnapshot>;

    /// The organisation's requests, the newest first by when the first of them was acknowledged or refused, at most
    /// `limit` and at least one if there is any. What comes meanwhile changes no page but the first.
    async fn requests(
        &self,
        organisation: &OrganisationId,
        filter: &RequestFilter,
        limit: u32,
    ) -> StoreResult<RequestPage>;

    /// Its calls in request order from an index on, at most `limit`.
    async fn calls(&self, key: &RequestKey, from: u32, limit: u32) -> StoreResult<Vec<CallSnapshot>>;

    /// Notes something about a call, live or ended, for as long as its request is kept. Answers all that is noted then.
    ///
    /// `given`: as what; [`EventType::CommandExecuted`], an event of the request, tells of it and waits for whoever looks for
    /// what is not confirmed. What was noted under its id within [`COMMANDS_KEPT`] is not noted again;
    /// [`StoreError::IdTaken`] if that was something else.
    ///
    /// [`EventType::CommandExecuted`]: crate::model::EventType::CommandExecuted
    async fn annotate(
        &self,
        key: &RequestKey,
        index: u32,
        note: &CallNote,
        given: Option<&Given>,
    ) -> StoreResult<CallNotes>;

    /// What is noted about a call.
    async fn notes(&self, key: &RequestKey, index: u32) -> StoreResult<CallNotes>;

    /// The organisation's settings.
    async fn organisation(&self, organisation: &OrganisationId) -> StoreResult<Organisation>;

    /// Sets them if they are still as somebody has read them; whether they were. Told as what is done to the do-not-call
    /// list is ([`CampaignStore::block_number`]), with the names of those that are other than before.
    async fn change_organisation(
        &self,
        organisation: &OrganisationId,
        before: &Organisation,
        after: Organisation,
        limit: LimitChange,
        given: Option<&Given>,
    ) -> StoreResult<bool>;

    /// Sets them, whatever they are; nothing tells of it.
    async fn set_organisation(&self, organisation: &OrganisationId, settings: Organisation) -> StoreResult<()>;

    /// Sets what other applications hold, as they write it: none, or text that should be a whole number.
    async fn set_external(&self, organisation: &OrganisationId, value: Option<String>) -> StoreResult<()>;

    /// The organisation's slots.
    async fn slot_use(&self, organisation: &OrganisationId) -> StoreResult<SlotUse>;

    /// Hears whenever something may have become claimable, or a slot may have become free.
    fn wakeups(&self) -> Listener;
}
