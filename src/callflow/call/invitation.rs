//! What may be asked for from outside, and why it is refused.

use serde::{Deserialize, Serialize};

use crate::callflow::program::Target;
use crate::model::{LegRole, Phone, SessionType};

/// Somebody to be called in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// As what: [`LegRole::Participant`] or [`LegRole::Supervisor`].
    pub role: LegRole,
    /// Whom.
    pub target: Target,
    /// The number to show, if not the one that the callee saw.
    pub caller: Option<Phone>,
    /// What they hear, and who hears them.
    pub session: SessionType,
}

/// Why a command is not carried out: nobody is called in, no recording is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// The callee has not picked up, or it is still found out who did.
    #[error("the call has not been answered yet")]
    NotAnswered,
    /// The call is over but for its last moments.
    #[error("the call is ending")]
    Ending,
    /// Nobody of our side is in the call who could be coached.
    #[error("nobody has joined the call who could be coached")]
    NobodyToCoach,
    /// Somebody rings already to whom the callee is to be transferred.
    #[error("another transfer is under way")]
    TransferUnderWay,
    /// The callee was sent on by a blind transfer.
    #[error("the callee has been handed over")]
    HandedOver,
    /// There are as many others in the call as there may be.
    #[error("too many others are in the call already")]
    TooMany,
    /// The organisation's rules forbid the number.
    #[error("the organisation's rules forbid this number")]
    Forbidden,
    /// It is none of the numbers that the organisation may show.
    #[error("the organisation may not show this number")]
    CallerIdInvalid,
    /// Its id is another command's.
    #[error("another command was given under this id")]
    IdTaken,
    /// The call has carried out as many commands as its history has room for.
    #[error("too many commands were given to this call")]
    TooManyCommands,
    /// Whoever gave it expected something else.
    #[error("the request or call does not stand as was expected")]
    Unexpected,
}
