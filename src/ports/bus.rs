//! Events on their way out, and commands on their way in.

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::store::Held;
use crate::callflow::call::{Invitation, Refusal};
use crate::callflow::program::Target;
use crate::model::{CallId, Event, LegId, LegRole, OrganisationId, RequestId, Timestamp, WorkerId};

/// The bus did not confirm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event bus does not confirm: {0}")]
pub struct BusError(pub String);

/// Events on their way out.
pub trait EventBus: Send + Sync + 'static {
    /// Publishes one event, in the order of the calls of this function. The future completes when the bus has
    /// confirmed it, or after a bound of the bus's own; nobody needs to wait for that before publishing the next.
    ///
    /// # Errors
    /// The future fails when no confirmation came; the event may have been published all the same.
    fn publish(&self, event: Event) -> BoxFuture<'static, Result<(), BusError>>;

    /// Takes publishing up again. Once an event has not been confirmed, every later one fails without being published
    /// until this is called: otherwise a bus that heals by itself would let a later event overtake a lost one.
    fn recover(&self);
}

/// A command from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its id; a command given twice is carried out once.
    pub id: Box<str>,
    /// The tenant it is for.
    pub organisation: OrganisationId,
    /// What is to be done.
    pub kind: CommandKind,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// Dial nothing more of a request until it is resumed.
    Pause(RequestId),
    /// Go on with a paused request.
    Resume(RequestId),
    /// Dial nothing more of a request, ever.
    Cancel {
        /// The request.
        request: RequestId,
        /// Whether its live calls are hung up; otherwise they go on to their end.
        hang_up: bool,
    },
    /// Hang a live call up.
    HangUp(CallId),
    /// Call somebody into a live call, or give whoever is there another session.
    Invite {
        /// The call.
        call: CallId,
        /// Whom, and as what.
        invitation: Invitation,
    },
    /// End somebody's session in a live call, and nothing else.
    EndSession {
        /// The call.
        call: CallId,
        /// Whose.
        session: SessionName,
    },
    /// Record a live call, or record it no more.
    Record {
        /// The call.
        call: CallId,
        /// Which of the two.
        on: bool,
    },
}

/// How a session in a call is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionName {
    /// By its leg.
    Leg(LegId),
    /// By the supervisor who was called in.
    Target(Target),
}

impl CommandKind {
    /// Its name, as in its routing key.
    pub const fn name(&self) -> &'static str {
        match self {
            CommandKind::Pause(_) => "pause",
            CommandKind::Resume(_) => "resume",
            CommandKind::Cancel { .. } => "cancel",
            CommandKind::HangUp(_) => "hangup",
            CommandKind::Invite { invitation: Invitation { role: LegRole::Supervisor, .. }, .. } => "supervise",
            CommandKind::Invite { .. } => "addParticipant",
            CommandKind::EndSession { .. } => "endSession",
            CommandKind::Record { .. } => "record",
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// Carried out.
    Done,
    /// Somebody is called in under this name, or was there already.
    Invited(LegId),
    /// It cannot be done as things stand.
    Refused(Refusal),
    /// No such request or call, or it has ended.
    NotFound,
    /// The worker that owned the call is being replaced: ask again.
    Adopting,
    /// Nobody answered in time.
    Unavailable,
}

/// A command to a call, passed on to the call's owner. It names the attempt and the proof of holding it, and loses its
/// force soon: an owner that stood still must not carry out what was meant for an earlier state of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The command.
    pub command: Command,
    /// The attempt it is for, as it was held when the order was given.
    pub held: Held,
    /// Not to be carried out after this instant.
    pub not_after: Timestamp,
}

/// What reaches a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A command that any worker can take.
    Command(Command),
    /// An order to this one.
    Order(Order),
}

/// Commands on their way in.
#[async_trait]
pub trait CommandBus: Send + Sync + 'static {
    /// The next command this worker can take, or order to it. None when the bus is closed for good.
    async fn next(&self, worker: &WorkerId) -> Option<Incoming>;

    /// Passes a command on to the worker that owns its call; it may never arrive.
    async fn forward(&self, owner: &WorkerId, order: Order);

    /// Tells whoever gave it what became of a command.
    async fn answer(&self, command: &Command, reply: CommandReply);
}
