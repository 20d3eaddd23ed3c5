//! Status as the contracts show it: how far a request, a call and a step are. [`CallEntry`] says it of one call, folded
//! from its history.

mod detail;
mod entry;
mod fold;
mod live;

pub(super) use entry::display;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DispositionResult, RequestId, TraceParent};

pub use detail::{CallDetail, Moment, ParticipantEntry, ParticipantStatus, RecordingEntry, TransferEntry};
pub use entry::{AttemptEntry, CallEntry, CallState, DialStatus, LegEntry, LegTarget, StepEntry, StepInfo, StepLabel};
pub use live::LiveState;

macro_rules! request_statuses {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// How far a request is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum RequestStatus {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl RequestStatus {
            /// Every status, in the order of the contracts.
            pub const ALL: &'static [RequestStatus] = &[$(RequestStatus::$name,)*];

            /// As the contracts write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(RequestStatus::$name => $text,)* }
            }
        }
    };
}

request_statuses! {
    /// Accepted, nothing dialled yet.
    Submitted = "submitted",
    /// Waits for its `scheduledAt`.
    Scheduled = "scheduled",
    /// Calls are being made.
    OnProgress = "onProgress",
    /// Nothing new is dialled until it is resumed.
    Paused = "paused",
    /// Every call has ended.
    Completed = "completed",
    /// Cancelled; calls that were live may have gone on to their end.
    Cancelled = "cancelled",
    /// Its time was over before anything was dialled.
    Expired = "expired",
    /// Rejected, or incomplete.
    Failed = "failed",
}

impl RequestStatus {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Expired | Self::Failed)
    }
}

macro_rules! call_statuses {
    ($($(#[$doc:meta])* $name:ident = $field:ident,)*) => {
        /// How far a call is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub enum CallStatus {
            $($(#[$doc])* $name,)*
        }

        impl CallStatus {
            /// Every status, in the order of the contracts.
            pub const ALL: &'static [CallStatus] = &[$(CallStatus::$name,)*];
        }

        /// How many calls of a request have which status.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "each field counts the status of its name")]
        pub struct Counts {
            $(pub $field: u32,)*
        }

        impl Counts {
            /// The count of one status.
            pub fn of(&self, status: CallStatus) -> u32 {
                match status { $(CallStatus::$name => self.$field,)* }
            }

            /// The count of one status, to be changed.
            pub fn of_mut(&mut self, status: CallStatus) -> &mut u32 {
                match status { $(CallStatus::$name => &mut self.$field,)* }
            }

            /// All calls.
            pub fn total(&self) -> u32 {
                0 $(+ self.$field)*
            }

            /// Calls to which nothing more happens.
            pub fn ended(&self) -> u32 {
                CallStatus::ALL.iter().filter(|status| status.is_final()).map(|status| self.of(*status)).sum()
            }
        }
    };
}

call_statuses! {
    /// Waits for its first dial.
    Queued = queued,
    /// Dialled, not ended.
    OnProgress = on_progress,
    /// Waits for another dial.
    RetryScheduled = retry_scheduled,
    /// Answered, however it went on.
    Completed = completed,
    /// Ended unanswered, or refused.
    Failed = failed,
    /// Ended undialled because its request was cancelled.
    Cancelled = cancelled,
    /// Ended undialled because its time was over.
    Expired = expired,
    /// Ended undialled because a rule forbade the dial.
    Blocked = blocked,
    /// Dialled; what became of it cannot be learnt.
    Unknown = unknown,
}

impl CallStatus {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::OnProgress | Self::RetryScheduled)
    }

    /// The final status of a call whose last attempt, or refusal, ended so.
    pub const fn after(result: DispositionResult) -> Self {
        match result {
            DispositionResult::Answered => Self::Completed,
            DispositionResult::Cancelled => Self::Cancelled,
            DispositionResult::Blocked => Self::Blocked,
            DispositionResult::Expired => Self::Expired,
            DispositionResult::Unknown => Self::Unknown,
            DispositionResult::Busy
            | DispositionResult::Unanswered
            | DispositionResult::Rejected
            | DispositionResult::Unreachable
            | DispositionResult::InvalidNumber
            | DispositionResult::Congestion => Self::Failed,
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum StepStatus {
    SuccessOk,
    ErrorConcurrentCallLimitReached,
    ErrorDestInvalid,
    ErrorDestNotSupported,
    ErrorCallerIdInvalid,
    ErrorRateLimitExceeded,
    ErrorMissingProperty,
    ErrorMsgTooLong,
    ErrorMsgCannotConvertText,
    ErrorMsgInvalidLanguage,
    ErrorSessionEnded,
    ErrorTimeout,
    ErrorInternal,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum TransferStatus {
    Ringing,
    Answered,
    Unanswered,
    Busy,
    Failed,
}

/// A request without its calls. `details` are added where Status is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestSummary {
    /// The request.
    pub request_id: RequestId,
    /// How far it is.
    pub status: RequestStatus,
    /// Destinations, duplicates not counted.
    pub total: u32,
    /// Destinations left out because their number stood there before.
    pub duplicates: u32,
    /// How many calls have which status.
    pub counts: Counts,
    /// SHA-256 of the frozen flow, hexadecimal; null if it was never accepted.
    pub flow_hash: Option<String>,
    /// Why it was refused: the first hundred.
    pub errors: Vec<RequestError>,
    /// How many errors there were in all.
    pub error_count: u32,
    /// Why it was refused; null if it was not.
    pub reason: Option<RejectReason>,
    /// The trace that it belongs to: told in the envelopes of its events only.
    #[serde(skip)]
    pub trace: Option<TraceParent>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RejectReason {
    /// It breaks the contracts.
    Invalid,
    /// Another request of that id exists.
    Conflict,
    /// It is larger than a message may be.
    TooLarge,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestError {
    /// Where, such as `destinations[3].phone`; empty for the document itself.
    pub path: String,
    /// What, and what would be right.
    pub message: String,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}
