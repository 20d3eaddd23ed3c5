//! What may be asked of a request, or of a live call, while it runs: the kinds of commands, what becomes of them, and the
//! bodies in which both are written. They are the same whichever way a command comes.
//!
//! **Invariant:** pure. Who carries a command out, and how it gets there, is not known here.

mod body;
mod read;
mod reply;
mod standing;

use sha2::{Digest as _, Sha256};

use crate::callflow::call::{Invitation, Refusal};
use crate::callflow::program::{Target, TransferKind};
use crate::model::{
    CallId, Happening, KeyLabel, LegId, LegRole, OrganisationId, RequestId, RequestStatus, TraceParent,
};

pub use body::{
    AddParticipantBody, CallBody, CancelBody, CancelMode, EndSessionBody, RecordBody, RequestBody, SomebodyBody,
    SomebodyType, SuperviseBody, TransferBody, TransferType, body,
};
pub use read::{CALL_COMMANDS, REQUEST_COMMANDS, read, session_name};
pub use reply::ReplyBody;
pub use standing::Standing;

/// A command from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its id; a command given twice is carried out once.
    pub id: Box<str>,
    /// The tenant it is for.
    pub organisation: OrganisationId,
    /// Who gave it: an API key's label, `amqp`; none if that is not known.
    pub actor: Option<KeyLabel>,
    /// How the request or call must stand for it to be carried out; none: however it stands.
    pub expect: Option<Standing>,
    /// What it is a part of; none if it came without a trace. It is no part of what is to be done: the same command may come
    /// again in another.
    pub trace: Option<TraceParent>,
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
    /// Transfer the callee of a live call to somebody.
    Transfer {
        /// The call.
        call: CallId,
        /// To whom.
        target: Target,
        /// How they are joined.
        kind: TransferKind,
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
            CommandKind::Transfer { .. } => "transfer",
            CommandKind::EndSession { .. } => "endSession",
            CommandKind::Record { .. } => "record",
        }
    }

    /// The request that it is to; none if it is to a call.
    pub const fn request(&self) -> Option<&RequestId> {
        match self {
            CommandKind::Pause(request) | CommandKind::Resume(request) | CommandKind::Cancel { request, .. } => {
                Some(request)
            }
            CommandKind::HangUp(_)
            | CommandKind::Invite { .. }
            | CommandKind::Transfer { .. }
            | CommandKind::EndSession { .. }
            | CommandKind::Record { .. } => None,
        }
    }

    /// The call that it is to; none if it is to a request.
    pub const fn call(&self) -> Option<CallId> {
        match self {
            CommandKind::HangUp(call)
            | CommandKind::Invite { call, .. }
            | CommandKind::Transfer { call, .. }
            | CommandKind::EndSession { call, .. }
            | CommandKind::Record { call, .. } => Some(*call),
            CommandKind::Pause(_) | CommandKind::Resume(_) | CommandKind::Cancel { .. } => None,
        }
    }

    /// By which another command of its name, to the same request or call, is told from it: never 0.
    pub fn digest(&self) -> u32 {
        let said = match self {
            CommandKind::Pause(_) | CommandKind::Resume(_) | CommandKind::HangUp(_) => String::new(),
            CommandKind::Cancel { hang_up: on, .. } | CommandKind::Record { on, .. } => on.to_string(),
            CommandKind::Invite { invitation: Invitation { target, caller, session, .. }, .. } => {
                let caller = caller.map(|caller| caller.to_string()).unwrap_or_default();
                format!("{} {caller} {session:?}", target.as_written())
            }
            CommandKind::Transfer { target, kind, .. } => format!("{} {kind:?}", target.as_written()),
            CommandKind::EndSession { session: SessionName::Leg(leg), .. } => leg.to_string(),
            CommandKind::EndSession { session: SessionName::Target(target), .. } => target.as_written(),
        };
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(said));
        u32::from_be_bytes([a, b, c, d]).max(1)
    }
}

impl Command {
    /// What a call remembers of it once it is carried out.
    pub fn executed(&self) -> Happening {
        Happening::CommandExecuted {
            command: self.kind.name().into(),
            id: self.id.clone(),
            actor: self.actor.clone(),
            digest: self.kind.digest(),
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// Carried out.
    Done,
    /// Nothing was done: the request had ended before, like this.
    Ended(RequestStatus),
    /// Somebody is called in, or the callee transferred to them, under this name; or they were there already.
    Invited(LegId),
    /// It cannot be done as things stand.
    Refused(Refusal),
    /// Nothing was done: the request or call does not stand as was expected.
    Unmet {
        /// As was expected.
        expected: Standing,
        /// As it is.
        found: Standing,
    },
    /// No such request or call, or it has ended.
    NotFound,
    /// The worker that owned the call is being replaced: ask again.
    Adopting,
    /// Nobody answered in time.
    Unavailable,
}

#[cfg(test)]
mod tests;
