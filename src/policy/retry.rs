//! Whether and when a call is dialled again.

use std::time::Duration;

use crate::model::{DispositionResult, RetryPolicy, Timestamp};

/// When a policy names no delay: nobody is dialled again within the same minute by an empty list.
const FALLBACK_DELAY: Duration = Duration::from_secs(300);

/// When the next dial is due after an attempt that ended with `result`; none: the call is over.
///
/// `dials_so_far` counts the dials of the call, the one that just ended included.
pub fn decide(policy: &RetryPolicy, result: DispositionResult, dials_so_far: u32, now: Timestamp) -> Option<Timestamp> {
    if !may_follow(result) || !policy.on.contains(&result) || dials_so_far >= policy.max_attempts {
        return None;
    }
    let nth = usize::try_from(dials_so_far.saturating_sub(1)).unwrap_or(usize::MAX);
    let delay = policy.delays.get(nth).or(policy.delays.last()).copied().unwrap_or(FALLBACK_DELAY);
    Some(now + delay)
}

/// Whether another dial may follow at all, whatever a policy lists: not after somebody was reached or said no, not
/// where it would be futile, and never where the last dial's fate is in doubt.
pub const fn may_follow(result: DispositionResult) -> bool {
    match result {
        DispositionResult::Busy
        | DispositionResult::Unanswered
        | DispositionResult::Unreachable
        | DispositionResult::Congestion => true,
        DispositionResult::Answered
        | DispositionResult::Rejected
        | DispositionResult::InvalidNumber
        | DispositionResult::Cancelled
        | DispositionResult::Blocked
        | DispositionResult::Expired
        | DispositionResult::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DispositionResult::*;

    const NOW: Timestamp = Timestamp::VIRTUAL_START;

    fn policy(max_attempts: u32, on: &[DispositionResult], delays: &[u64]) -> RetryPolicy {
        let delays = delays.iter().copied().map(Duration::from_secs).collect();
        RetryPolicy { max_attempts, on: on.to_vec(), delays }
    }

    #[test]
    fn the_last_delay_repeats_until_the_dials_are_used_up() {
        let policy = policy(5, &[Busy], &[300, 900]);
        let waits: Vec<_> = (1..=5).map(|dials| decide(&policy, Busy, dials, NOW).map(|due| due.since(NOW))).collect();
        let secs = |s| Some(Duration::from_secs(s));
        assert_eq!(waits, [secs(300), secs(900), secs(900), secs(900), None]);
    }

    #[test]
    fn one_attempt_means_no_retry() {
        assert_eq!(decide(&RetryPolicy::default(), Busy, 1, NOW), None);
    }

    #[test]
    fn only_listed_results_are_tried_again() {
        let policy = policy(3, &[Unanswered], &[60]);
        assert_eq!(decide(&policy, Busy, 1, NOW), None);
        assert_eq!(decide(&policy, Unanswered, 1, NOW), Some(NOW + Duration::from_secs(60)));
    }

    #[test]
    fn some_results_are_never_tried_again_even_if_listed() {
        let policy = policy(9, &DispositionResult::ALL, &[1]);
        let again: Vec<_> =
            DispositionResult::ALL.into_iter().filter(|result| decide(&policy, *result, 1, NOW).is_some()).collect();
        assert_eq!(again, [Busy, Unanswered, Unreachable, Congestion]);
    }

    #[test]
    fn an_empty_list_of_delays_does_not_dial_at_once() {
        assert_eq!(decide(&policy(2, &[Busy], &[]), Busy, 1, NOW), Some(NOW + FALLBACK_DELAY));
    }
}
