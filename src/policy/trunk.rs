//! Which of several trunks a dial takes, and when the next one is tried at once.

use crate::model::{Disposition, DispositionResult, Fact, Happening, Party};

/// Whether the network had no way through this trunk, and nobody's phone rang: another may have one. Not after a
/// time-out, for which a phone may ring yet, nor after anybody's decision.
pub fn fails_over(disposition: Disposition) -> bool {
    disposition.result == DispositionResult::Congestion
        && disposition.by != Some(Party::Us)
        && disposition.sip.is_some_and(|status| (500..600).contains(&status) && status != 504)
}

/// Which trunk, by its place, the next dial of a call takes: the one after the last dial's if that found no way, else the
/// first.
pub fn next(trunks: &[Box<str>], history: &[Fact]) -> usize {
    let last = history.iter().rev().find_map(|fact| match &fact.what {
        Happening::RetryScheduled { disposition, .. } => Some(fails_over(*disposition)),
        Happening::Dialing { .. } => Some(false),
        _ => None,
    });
    if last == Some(true) { after(trunks, history).unwrap_or(0) } else { 0 }
}

/// The trunk after the last dial's, if there is one.
pub fn after(trunks: &[Box<str>], history: &[Fact]) -> Option<usize> {
    let last = history.iter().rev().find_map(|fact| match &fact.what {
        Happening::Dialing { trunk, .. } => Some(trunk.as_deref()),
        _ => None,
    })??;
    let place = trunks.iter().position(|trunk| **trunk == *last)? + 1;
    (place < trunks.len()).then_some(place)
}

/// How many dials count against a retry policy: each round over the trunks once.
pub fn rounds(trunks: &[Box<str>], history: &[Fact]) -> u32 {
    let first = |trunk: &Option<Box<str>>| {
        let place = trunk.as_deref().and_then(|trunk| trunks.iter().position(|known| **known == *trunk));
        place.unwrap_or(0) == 0
    };
    let begins = |fact: &&Fact| matches!(&fact.what, Happening::Dialing { trunk, .. } if first(trunk));
    u32::try_from(history.iter().filter(begins).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn trunks(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| Box::from(*name)).collect()
    }

    fn end(result: DispositionResult, by: Party, sip: u16) -> Disposition {
        Disposition { result, by: Some(by), cause: Some(34), sip: Some(sip) }
    }

    const NO_WAY: fn() -> Disposition = || end(DispositionResult::Congestion, Party::Network, 503);

    /// Dials through these trunks, each ended so.
    fn history(dials: &[(&str, Disposition)]) -> Vec<Fact> {
        let at = Timestamp::VIRTUAL_START;
        let facts = dials.iter().zip(1..).flat_map(|((trunk, disposition), attempt)| {
            let (trunk, worker) = (Some(Box::from(*trunk)), "w".parse().unwrap());
            let dialing = Happening::Dialing { claim: attempt, attempt, caller: None, trunk, worker };
            let again = Happening::RetryScheduled { disposition: *disposition, due: at };
            [Fact { at, what: dialing }, Fact { at, what: again }]
        });
        facts.collect()
    }

    #[test]
    fn the_next_trunk_is_tried_only_where_the_network_had_no_way() {
        assert!(fails_over(NO_WAY()));
        for other in [
            end(DispositionResult::Congestion, Party::Us, 503),
            end(DispositionResult::Congestion, Party::Network, 504),
            end(DispositionResult::Congestion, Party::Network, 488),
            end(DispositionResult::Rejected, Party::Callee, 603),
            end(DispositionResult::Unreachable, Party::Network, 480),
            end(DispositionResult::Unanswered, Party::Us, 503),
            end(DispositionResult::Unknown, Party::Network, 503),
        ] {
            assert!(!fails_over(other), "{other:?}");
        }
    }

    #[test]
    fn trunks_are_tried_in_their_order_and_then_begun_anew() {
        let two = trunks(&["a", "b"]);
        assert_eq!(next(&two, &[]), 0);
        assert_eq!(next(&two, &history(&[("a", NO_WAY())])), 1);
        assert_eq!(next(&two, &history(&[("a", NO_WAY()), ("b", NO_WAY())])), 0);
        let busy = end(DispositionResult::Busy, Party::Callee, 486);
        assert_eq!(next(&two, &history(&[("a", busy)])), 0);
        assert_eq!(next(&two, &history(&[("a", NO_WAY()), ("b", busy)])), 0);
    }

    #[test]
    fn a_trunk_that_is_no_more_leads_to_the_first() {
        assert_eq!(next(&trunks(&["a", "b"]), &history(&[("z", NO_WAY())])), 0);
        assert_eq!(next(&[], &history(&[("z", NO_WAY())])), 0);
    }

    #[test]
    fn a_round_over_the_trunks_counts_once() {
        let two = trunks(&["a", "b"]);
        let tried = history(&[("a", NO_WAY()), ("b", NO_WAY()), ("a", NO_WAY()), ("b", NO_WAY())]);
        assert_eq!(rounds(&two, &tried), 2);
        assert_eq!(rounds(&[], &tried), 4, "a backend without trunks counts every dial");
    }
}
