//! Events that leave: CloudEvents 1.0 in structured JSON.

mod written;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::status::{RequestSummary, StepLabel};
use super::{
    AttemptId, CallId, Destination, Fact, Happening, KeyLabel, OrganisationId, RequestHeader, RequestId, Timestamp,
    TraceParent,
};

pub use written::{CommandNote, LegNote, OrganisationData};

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kinds of events; on the wire prefixed with `robocall.`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl EventType {
            /// Every kind.
            pub const ALL: &'static [EventType] = &[$(EventType::$name,)*];

            /// The kind without its `robocall.` prefix, such as `call.ended`.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventType::$name => $text,)* }
            }
        }
    };
}

event_types! {
    /// A request was checked, loaded and sealed.
    RequestAccepted = "request.accepted",
    /// A request was refused.
    RequestRejected = "request.rejected",
    /// A request waits for its `scheduledAt`.
    RequestScheduled = "request.scheduled",
    /// A request's first dial.
    RequestStarted = "request.started",
    /// A request was paused.
    RequestPaused = "request.paused",
    /// A paused request goes on.
    RequestResumed = "request.resumed",
    /// A request was cancelled and is at rest.
    RequestCancelled = "request.cancelled",
    /// A request's time was over before anything was dialled.
    RequestExpired = "request.expired",
    /// Every call of a request has ended.
    RequestCompleted = "request.completed",
    /// The store lost a request.
    RequestLost = "request.lost",
    /// An attempt was committed to.
    CallDialing = "call.dialing",
    /// The callee's phone rings.
    CallRinging = "call.ringing",
    /// The callee picked up.
    CallAnswered = "call.answered",
    /// The call ended for good.
    CallEnded = "call.ended",
    /// An attempt ended and another follows.
    CallRetryScheduled = "call.retryScheduled",
    /// The callee asked not to be called again.
    CallOptedOut = "call.optedOut",
    /// A step began.
    StepStarted = "step.started",
    /// A step ended.
    StepFinished = "step.finished",
    /// A second leg was committed to.
    LegAdded = "leg.added",
    /// A second leg did not come about.
    LegFailed = "leg.failed",
    /// A second leg left.
    LegRemoved = "leg.removed",
    /// Recording began.
    RecordingStarted = "recording.started",
    /// Recording ended.
    RecordingStopped = "recording.stopped",
    /// A command from outside was carried out.
    CommandExecuted = "command.executed",
}

/// What every event of one call refers to.
#[derive(Debug)]
pub struct CallContext {
    /// The request.
    pub header: Arc<RequestHeader>,
    /// Names and paths of the flow's steps.
    pub steps: Arc<[StepLabel]>,
    /// The call.
    pub call: CallId,
    /// Whom it calls.
    pub destination: Destination,
    /// When the request was sealed.
    pub queued_at: Timestamp,
}

/// A beginning of a call's history, shared by all events that tell of it: an event costs no copy of what came before.
#[derive(Clone, Debug)]
pub struct Beginning {
    history: Arc<Vec<Fact>>,
    length: usize,
}

impl Beginning {
    /// The first `length` facts of a history; all of them if it has fewer.
    pub fn of(history: &Arc<Vec<Fact>>, length: usize) -> Self {
        Self { history: Arc::clone(history), length: length.min(history.len()) }
    }
}

impl std::ops::Deref for Beginning {
    type Target = [Fact];
    fn deref(&self) -> &[Fact] {
        &self.history[..self.length]
    }
}

/// One event, not yet written out: rendering costs more than everything else about it, and some buses drop it.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something happened in a call.
    Call {
        /// The call.
        context: Arc<CallContext>,
        /// Its history up to and including what happened.
        facts: Beginning,
        /// Place among the call's events, from 1.
        seq: u32,
    },
    /// Something happened to a request.
    Request(Arc<RequestEvent>),
    /// Something of an organisation itself was changed.
    Organisation(Arc<OrganisationEvent>),
}

/// What events of an organisation itself are about. A request may be called so, too: ids tell the two apart
/// ([`is_of_organisation`]).
pub const OF_ORGANISATION: &str = "organisation";

/// Something that happened to a request as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestEvent {
    /// The tenant.
    pub organisation: OrganisationId,
    /// The request.
    pub request: RequestId,
    /// Place among the request's events, from 1.
    pub seq: u32,
    /// What happened.
    pub kind: EventType,
    /// When.
    pub at: Timestamp,
    /// The request's summary at that moment.
    pub summary: RequestSummary,
    /// The command that caused it, if one did.
    #[serde(default)]
    pub command: Option<RequestCommand>,
}

/// A command that changed an organisation's settings, or its do-not-call list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationEvent {
    /// The tenant.
    pub organisation: OrganisationId,
    /// Place among the organisation's own events, from 1.
    pub seq: u32,
    /// When.
    pub at: Timestamp,
    /// The command.
    pub command: RequestCommand,
    /// What was changed: names of settings, or what became of the list ([`NUMBER_ADDED`], [`NUMBER_REMOVED`]). Never what
    /// it was or is: neither addresses of webhooks nor numbers are for whoever may read events.
    pub changed: Vec<Box<str>>,
}

/// Of the do-not-call list: there is a number more on it.
pub const NUMBER_ADDED: &str = "numberAdded";

/// Of the do-not-call list: there is a number less on it.
pub const NUMBER_REMOVED: &str = "numberRemoved";

/// A command that was given to a request, or to an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCommand {
    /// Its name, as in its routing key.
    pub name: Box<str>,
    /// Its id.
    pub id: Box<str>,
    /// Who gave it, if that is known.
    pub actor: Option<KeyLabel>,
    /// The one of the request's calls that it is about, if it is.
    #[serde(default)]
    pub call: Option<CallId>,
}

impl EventType {
    /// Whether it is what a command does to a request, or what is noted about one of its calls.
    pub const fn follows_a_command(self) -> bool {
        matches!(self, Self::RequestPaused | Self::RequestResumed | Self::RequestCancelled | Self::CommandExecuted)
    }
}

impl Event {
    /// The tenant.
    pub fn organisation(&self) -> &OrganisationId {
        match self {
            Event::Call { context, .. } => &context.header.organisation,
            Event::Request(event) => &event.organisation,
            Event::Organisation(event) => &event.organisation,
        }
    }

    /// The request, unless it is an event of an organisation itself.
    pub fn request(&self) -> Option<&RequestId> {
        match self {
            Event::Call { context, .. } => Some(&context.header.id),
            Event::Request(event) => Some(&event.request),
            Event::Organisation(_) => None,
        }
    }

    /// The trace of the submitter's that it belongs to.
    pub fn trace(&self) -> Option<TraceParent> {
        match self {
            Event::Call { context, .. } => context.header.trace,
            Event::Request(event) => event.summary.trace,
            Event::Organisation(_) => None,
        }
    }

    /// The call, if it is an event of one.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Event::Call { context, .. } => Some(context.call),
            Event::Request(_) | Event::Organisation(_) => None,
        }
    }

    /// Its place among the events of its call, its request or its organisation, from 1, without gaps.
    pub fn seq(&self) -> u32 {
        match self {
            Event::Call { seq, .. } => *seq,
            Event::Request(event) => event.seq,
            Event::Organisation(event) => event.seq,
        }
    }

    /// What kind of event it is.
    pub fn kind(&self) -> EventType {
        match self {
            Event::Call { .. } => {
                self.last_fact().and_then(|fact| fact.what.event_type()).unwrap_or(EventType::CallEnded)
            }
            Event::Request(event) => event.kind,
            Event::Organisation(_) => EventType::CommandExecuted,
        }
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Event::Call { .. } => self.last_fact().map(|fact| fact.at).unwrap_or_default(),
            Event::Request(event) => event.at,
            Event::Organisation(event) => event.at,
        }
    }

    /// The attempt it belongs to, if it is an event of a call: claim 0 if the call ended without one.
    pub fn attempt(&self) -> Option<AttemptId> {
        match self {
            Event::Call { context, facts, .. } => Some(AttemptId { call: context.call, claim: last_claim(facts) }),
            Event::Request(_) | Event::Organisation(_) => None,
        }
    }

    /// `{callId}.{attempt}.{seq}`, `{requestId}.r.{seq}` or `{organisation}.{milliseconds}.o.{seq}`; the same however often it is
    /// published. The instant tells changes apart that a database which was lost, or set back, numbers alike.
    pub fn id(&self) -> String {
        match self {
            Event::Call { context, facts, seq, .. } => format!("{}.{}.{seq}", context.call, last_claim(facts)),
            Event::Request(event) => format!("{}.r.{}", event.request, event.seq),
            Event::Organisation(event) => {
                format!("{}.{}.o.{}", event.organisation, event.at.as_millis(), event.seq)
            }
        }
    }

    fn last_fact(&self) -> Option<&Fact> {
        match self {
            Event::Call { facts, .. } => facts.last(),
            Event::Request(_) | Event::Organisation(_) => None,
        }
    }
}

/// Whether an event's id is that of an event of an organisation itself: no other has an `o` before its number.
pub fn is_of_organisation(id: &str) -> bool {
    id.rsplit('.').nth(1) == Some("o")
}

fn last_claim(facts: &[Fact]) -> u32 {
    let dialled = facts.iter().rev().find_map(|fact| match fact.what {
        Happening::Dialing { claim, .. } => Some(claim),
        _ => None,
    });
    dialled.unwrap_or(0)
}

/// Where the status of a call comes from when its entry is folded.
#[derive(Clone, Copy, Debug)]
pub enum CallStatusHint {
    /// From its history alone: right for every event.
    FromFacts,
    /// From the store, which knows ends that leave no history (a request cancelled or expired as a whole).
    Stored(super::CallStatus),
}
