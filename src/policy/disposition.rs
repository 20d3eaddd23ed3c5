//! How an attempt ended: what was seen decides first, what the network said only after.
//!
//! Cause codes alone mislead: a phone that is switched off and a phone nobody picks up both end with 19/480, and a
//! callee's hang-up may carry cause 0. Whether it rang, whether it was answered and whether we asked for the end are
//! facts of our own.

use serde::{Deserialize, Serialize};

use crate::model::{Disposition, DispositionResult, Party};

/// What the backend said of a leg's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LegEnd {
    /// Q.850 cause, if any came.
    pub cause: Option<u8>,
    /// SIP status, if any came.
    pub sip: Option<u16>,
    /// Who ended it, where the backend knows.
    pub by: Option<Party>,
    /// The backend knows nothing of the leg any more: how it ended cannot be learnt.
    pub lost: bool,
}

/// Why we hung up, if we did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// It had rung long enough.
    RingTimeout,
    /// Somebody wanted the call to end, or the call the leg belonged to ended.
    Requested,
    /// The flow came to its end.
    Flow,
    /// The call had lasted as long as it may.
    Limit,
}

/// What was seen of a leg before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// It was reported ringing.
    pub rang: bool,
    /// It was up.
    pub answered: bool,
    /// We asked for its end before it came.
    pub asked: Option<Asked>,
}

/// How a leg ended.
pub fn classify(seen: Seen, end: LegEnd) -> Disposition {
    let (result, by) = if seen.answered {
        (DispositionResult::Answered, who_ended(seen, end))
    } else if end.lost {
        // It may have been answered while nobody looked.
        (DispositionResult::Unknown, end.by)
    } else {
        match seen.asked {
            Some(Asked::RingTimeout) => after_ring_timeout(seen.rang, end),
            Some(Asked::Requested | Asked::Flow | Asked::Limit) => (DispositionResult::Cancelled, Some(Party::Us)),
            None => {
                let result = verdict(end).unwrap_or_else(|| silence(seen.rang));
                let result = if seen.rang && result == DispositionResult::Congestion {
                    // It had been put through: what failed later did not keep it from ringing.
                    DispositionResult::Unanswered
                } else {
                    result
                };
                (result, end.by.or(usual_party(result)))
            }
        }
    };
    Disposition { result, by, cause: end.cause, sip: end.sip }
}

/// A call that was up: who ended it.
fn who_ended(seen: Seen, end: LegEnd) -> Option<Party> {
    if seen.asked.is_some() {
        return Some(Party::Us);
    }
    match (end.by, end.lost, end.cause) {
        (Some(party), ..) => Some(party),
        (None, true, _) => None,
        // Normal clearing, "normal, unspecified", or a BYE that gave no reason.
        (None, false, None | Some(0 | 16 | 31)) => Some(Party::Callee),
        (None, false, Some(_)) => Some(Party::Network),
    }
}

/// We gave up ringing. A callee who declined at the same moment has declined all the same.
fn after_ring_timeout(rang: bool, end: LegEnd) -> (DispositionResult, Option<Party>) {
    match verdict(end) {
        // Without ringing the same codes come from a channel that was never dialled.
        Some(result @ (DispositionResult::Busy | DispositionResult::Rejected)) if rang => (result, Some(Party::Callee)),
        _ => (silence(rang), Some(Party::Us)),
    }
}

/// Nobody picked up and nobody said why.
const fn silence(rang: bool) -> DispositionResult {
    if rang { DispositionResult::Unanswered } else { DispositionResult::Unreachable }
}

/// What the codes say by themselves; none where only the ringing tells. A SIP status that says something definite is
/// nearer to the far end than a cause, which gateways translate.
fn verdict(end: LegEnd) -> Option<DispositionResult> {
    let from_sip = end.sip.and_then(sip_verdict);
    let from_cause = end.cause.and_then(cause_verdict);
    match (from_sip, from_cause) {
        (Some(DispositionResult::Congestion) | None, Some(cause)) => Some(cause),
        (sip, _) => sip,
    }
}

/// Final SIP statuses, after RFC 3261, RFC 8197 (607) and RFC 8688 (608).
fn sip_verdict(status: u16) -> Option<DispositionResult> {
    Some(match status {
        486 | 600 => DispositionResult::Busy,
        401..=403 | 407 | 603 | 607 | 608 => DispositionResult::Rejected,
        301 | 404 | 410 | 416 | 484 | 485 | 604 => DispositionResult::InvalidNumber,
        // Gateway time-out: the other side did not speak, as with 408.
        504 => return None,
        // Codecs and features that do not fit: no way through, and not the callee's doing.
        405 | 406 | 415 | 420 | 421 | 482 | 483 | 488 | 500..=599 | 606 => DispositionResult::Congestion,
        _ => return None,
    })
}

/// Q.850 causes.
fn cause_verdict(cause: u8) -> Option<DispositionResult> {
    Some(match cause {
        // Unallocated, misdialled trunk prefix, number changed, incomplete.
        1 | 5 | 22 | 28 => DispositionResult::InvalidNumber,
        17 => DispositionResult::Busy,
        // Rejected; calls barred there.
        21 | 55 => DispositionResult::Rejected,
        // No route to the transit network, routing error, facility refused, then the classes "resource unavailable",
        // "service not available", "not implemented" and "incompatible", then interworking.
        2 | 25 | 29 | 34 | 38 | 41..=44 | 46 | 47 | 49 | 50 | 57 | 58 | 63 | 65..=79 | 88 | 127 => {
            DispositionResult::Congestion
        }
        _ => return None,
    })
}

/// Who ends an attempt so, as a rule.
const fn usual_party(result: DispositionResult) -> Option<Party> {
    match result {
        DispositionResult::Answered | DispositionResult::Busy | DispositionResult::Rejected => Some(Party::Callee),
        // The backend's own ring time-out is set by us and comes without a word from the other side.
        DispositionResult::Unanswered
        | DispositionResult::Cancelled
        | DispositionResult::Blocked
        | DispositionResult::Expired => Some(Party::Us),
        DispositionResult::Unreachable | DispositionResult::InvalidNumber | DispositionResult::Congestion => {
            Some(Party::Network)
        }
        DispositionResult::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DispositionResult::*;
    use proptest::prelude::*;

    fn end(cause: u8, sip: u16) -> LegEnd {
        LegEnd { cause: Some(cause), sip: (sip > 0).then_some(sip), ..LegEnd::default() }
    }

    const SILENT: Seen = Seen { rang: false, answered: false, asked: None };
    const RANG: Seen = Seen { rang: true, ..SILENT };
    const UP: Seen = Seen { rang: true, answered: true, asked: None };

    fn asked(seen: Seen, why: Asked) -> Seen {
        Seen { asked: Some(why), ..seen }
    }

    #[test]
    fn every_outcome_a_real_switch_was_seen_to_report_is_named_right() {
        for (what, seen, end, result, by) in [
            ("busy", SILENT, end(17, 486), Busy, Some(Party::Callee)),
            ("busy after ringing", RANG, end(17, 486), Busy, Some(Party::Callee)),
            ("unanswered, the switch's timer", RANG, end(19, 480), Unanswered, Some(Party::Us)),
            ("dead peer, before the transaction's timer", SILENT, end(19, 480), Unreachable, Some(Party::Network)),
            ("dead peer, after it", SILENT, end(18, 408), Unreachable, Some(Party::Network)),
            ("408 after ringing", RANG, end(18, 408), Unanswered, Some(Party::Us)),
            ("unknown number", SILENT, end(1, 404), InvalidNumber, Some(Party::Network)),
            ("declined", RANG, end(21, 603), Rejected, Some(Party::Callee)),
            ("forbidden", SILENT, end(21, 403), Rejected, Some(Party::Callee)),
            ("no circuit", SILENT, end(34, 503), Congestion, Some(Party::Network)),
            ("failed after ringing", RANG, end(34, 503), Unanswered, Some(Party::Us)),
            ("no code at all", SILENT, LegEnd::default(), Unreachable, Some(Party::Network)),
            ("busy behind a gateway's 503", SILENT, end(17, 503), Busy, Some(Party::Callee)),
            ("cause without status", SILENT, end(21, 0), Rejected, Some(Party::Callee)),
        ] {
            let got = classify(seen, end);
            assert_eq!((got.result, got.by), (result, by), "{what}");
            assert_eq!((got.cause, got.sip), (end.cause, end.sip), "{what}: the codes are kept");
        }
    }

    #[test]
    fn an_answered_call_stays_answered_and_says_who_ended_it() {
        for (what, seen, end, by) in [
            ("callee, no reason given", UP, end(0, 0), Some(Party::Callee)),
            ("callee, normal clearing", UP, end(16, 0), Some(Party::Callee)),
            ("network", UP, end(38, 0), Some(Party::Network)),
            ("we did", asked(UP, Asked::Flow), end(16, 0), Some(Party::Us)),
            ("the backend knows better", UP, LegEnd { by: Some(Party::Network), ..end(16, 0) }, Some(Party::Network)),
            ("nobody knows", UP, LegEnd { lost: true, ..LegEnd::default() }, None),
        ] {
            assert_eq!(classify(seen, end).by, by, "{what}");
            assert_eq!(classify(seen, end).result, Answered, "{what}");
        }
    }

    #[test]
    fn our_own_hang_up_is_not_taken_for_the_callees() {
        assert_eq!(classify(asked(RANG, Asked::Requested), end(16, 0)).result, Cancelled);
        assert_eq!(classify(asked(SILENT, Asked::Requested), end(21, 603)).result, Cancelled);
        assert_eq!(classify(asked(RANG, Asked::RingTimeout), end(16, 487)).result, Unanswered);
        assert_eq!(classify(asked(SILENT, Asked::RingTimeout), end(16, 487)).result, Unreachable);
    }

    #[test]
    fn somebody_who_declines_as_we_give_up_has_declined() {
        assert_eq!(classify(asked(RANG, Asked::RingTimeout), end(21, 603)).result, Rejected);
        // A channel that was never dialled ends with the same codes, and never rang.
        assert_eq!(classify(asked(SILENT, Asked::RingTimeout), end(21, 603)).result, Unreachable);
    }

    #[test]
    fn what_cannot_be_learnt_is_unknown() {
        let lost = LegEnd { lost: true, ..LegEnd::default() };
        for seen in [SILENT, RANG, asked(RANG, Asked::RingTimeout), asked(RANG, Asked::Requested)] {
            assert_eq!(classify(seen, lost).result, Unknown);
        }
    }

    proptest! {
        #[test]
        fn answered_is_reported_if_and_only_if_it_was_seen(
            rang: bool, answered: bool, cause: Option<u8>, sip: Option<u16>, lost: bool,
            asked in proptest::option::of(prop_oneof![
                Just(Asked::RingTimeout), Just(Asked::Requested), Just(Asked::Flow), Just(Asked::Limit)
            ]),
        ) {
            let got = classify(Seen { rang, answered, asked }, LegEnd { cause, sip, by: None, lost });
            prop_assert_eq!(got.result == Answered, answered);
            prop_assert_eq!((got.cause, got.sip), (cause, sip));
            prop_assert!(!matches!(got.result, Blocked | Expired));
            if rang { prop_assert!(got.result != Unreachable && got.result != Congestion); }
        }
    }
}
