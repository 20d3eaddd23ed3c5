//! Words of labels: the contracts' own, known before anything happens.

use crate::model::status::TransferStatus;
use crate::model::{CallStatus, DispositionResult, LegRole};

/// A list of words and the function that picks one, from the same lines: neither can miss one.
macro_rules! words {
    ($(#[$doc:meta])* $list:ident, $pick:ident: $type:ty { $($pattern:pat => $word:literal,)* }) => {
        $(#[$doc])*
        pub const $list: &[&str] = &[$($word,)*];

        pub const fn $pick(of: $type) -> &'static str {
            match of { $($pattern => $word,)* }
        }
    };
}

words! {
    /// How attempts end.
    RESULTS, result: DispositionResult {
        DispositionResult::Answered => "answered",
        DispositionResult::Busy => "busy",
        DispositionResult::Unanswered => "unanswered",
        DispositionResult::Rejected => "rejected",
        DispositionResult::Unreachable => "unreachable",
        DispositionResult::InvalidNumber => "invalidNumber",
        DispositionResult::Congestion => "congestion",
        DispositionResult::Cancelled => "cancelled",
        DispositionResult::Blocked => "blocked",
        DispositionResult::Expired => "expired",
        DispositionResult::Unknown => "unknown",
    }
}

words! {
    /// How transfers of a flow end.
    TRANSFERS, transfer: TransferStatus {
        TransferStatus::Ringing => "ringing",
        TransferStatus::Answered => "answered",
        TransferStatus::Unanswered => "unanswered",
        TransferStatus::Busy => "busy",
        TransferStatus::Failed => "failed",
    }
}

words! {
    /// Who is on a second leg.
    ROLES, role: LegRole {
        LegRole::Transfer => "transfer",
        LegRole::Participant => "participant",
        LegRole::Supervisor => "supervisor",
        // The first leg is no second one.
        LegRole::Callee => "callee",
    }
}

words! {
    /// Final statuses of calls.
    ENDS, end: CallStatus {
        CallStatus::Completed => "completed",
        CallStatus::Failed => "failed",
        CallStatus::Cancelled => "cancelled",
        CallStatus::Expired => "expired",
        CallStatus::Blocked => "blocked",
        CallStatus::Unknown => "unknown",
        // None of these is an end.
        CallStatus::Queued | CallStatus::OnProgress | CallStatus::RetryScheduled => "open",
    }
}

/// Kinds of steps.
pub const STEPS: &[&str] = &["play", "gather", "transfer", "hangup", "optOut"];

/// How far second legs come.
pub const LEGS: &[&str] = &["dialled", "answered", "failed"];

/// Commands that calls carry out.
pub const COMMANDS: &[&str] = &["hangup", "transfer", "addParticipant", "supervise", "endSession", "record", "other"];

/// Why a claim was not dialled.
pub const NOT_NOW: &[&str] = &["paused", "over", "rate", "window", "slot", "blocked", "refused", "channel", "unready"];

/// How requests are judged.
pub const REJECTIONS: &[&str] = &["accepted", "invalid", "conflict", "tooLarge"];

/// Kinds of answers over HTTP.
pub const ANSWERS: &[&str] = &["2xx", "3xx", "4xx", "5xx"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_the_contracts() {
        for of in DispositionResult::ALL {
            assert_eq!(json!(of), result(of));
        }
        for of in CallStatus::ALL.iter().filter(|status| status.is_final()) {
            assert_eq!(json!(of), end(*of));
        }
        for word in TRANSFERS {
            let of: TransferStatus = serde_json::from_value(json!(word)).expect("a status of transfers");
            assert_eq!(*word, transfer(of));
        }
    }
}
