//! How an attempt ended.

use serde::{Deserialize, Serialize};

/// How an attempt ended, who ended it, and what the network said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Disposition {
    /// What became of the dial.
    pub result: DispositionResult,
    /// Who ended the attempt; null where unknown.
    pub by: Option<Party>,
    /// Q.850 cause, as the backend reported it; null where it reported none.
    pub cause: Option<u8>,
    /// SIP status, as the backend reported it; null where it reported none.
    pub sip: Option<u16>,
}

impl Disposition {
    /// A disposition without network codes.
    pub const fn new(result: DispositionResult, by: Option<Party>) -> Self {
        Self { result, by, cause: None, sip: None }
    }
}

/// What became of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DispositionResult {
    /// Somebody or something picked up, however the call went on.
    Answered,
    /// The line was engaged.
    Busy,
    /// It rang, and nobody picked up.
    Unanswered,
    /// A person or device declined.
    Rejected,
    /// It never rang: switched off, out of reach, not registered.
    Unreachable,
    /// The network does not know the number.
    InvalidNumber,
    /// The network had no way to put the call through.
    Congestion,
    /// We gave up: the request was cancelled or the call was hung up while it rang.
    Cancelled,
    /// A rule forbade the dial: do-not-call list, prefix rules.
    Blocked,
    /// Its time was over before it could be dialled.
    Expired,
    /// What became of it cannot be learnt. Never dialled again.
    Unknown,
}

impl DispositionResult {
    /// Every result, in the order of the contracts.
    pub const ALL: [DispositionResult; 11] = [
        Self::Answered,
        Self::Busy,
        Self::Unanswered,
        Self::Rejected,
        Self::Unreachable,
        Self::InvalidNumber,
        Self::Congestion,
        Self::Cancelled,
        Self::Blocked,
        Self::Expired,
        Self::Unknown,
    ];
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Party {
    /// The flow, a limit, or a command.
    Us,
    /// The callee.
    Callee,
    /// The network between.
    Network,
}

/// Who or what picked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AnsweredBy {
    /// A person.
    Human,
    /// An answering machine.
    Machine,
    /// Detection was not asked for, or could not tell.
    Unknown,
}
