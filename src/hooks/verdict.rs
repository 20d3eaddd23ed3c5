//! What a receiver's answer means, and how long to wait after a failure.

use std::time::Duration;

use crate::model::Timestamp;
use crate::ports::hooks::Sent;

/// The first wait of an event that failed, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The first pause of an endpoint that fails whatever it is sent, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The longest wait that a receiver can ask for.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Gone: nothing is to be sent there any more.
const GONE: u16 = 410;

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// The receiver wants nothing any more.
    Gone,
    /// It has to be tried again.
    Failed {
        /// Why, in words.
        why: String,
        /// How long the receiver wants to be left alone.
        wait: Option<Duration>,
    },
    /// Nothing was sent, which was not the receiver's doing.
    NotTried,
    /// It can never be sent.
    Hopeless(String),
}

/// What an answer means. A redirection is a failure: where it leads was not chosen by whoever owns the hook.
pub fn judge(sent: &Sent, now: Timestamp) -> Verdict {
    match sent {
        Sent::Answered { status: 200..=299, .. } => Verdict::Delivered,
        Sent::Answered { status: GONE, .. } => Verdict::Gone,
        Sent::Answered { status, retry_after, .. } => Verdict::Failed {
            why: match status {
                300..=399 => format!("answered {status}: redirections are not followed"),
                _ => format!("answered {status}"),
            },
            wait: retry_after.as_deref().and_then(|text| retry_after_of(text, now)),
        },
        Sent::Failed(why) => Verdict::Failed { why: why.clone(), wait: None },
    }
}

/// `Retry-After`: seconds, or a date; at most an hour. What is neither says nothing.
fn retry_after_of(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Timestamp::from_millis(at.as_millisecond()).since(now)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// The wait after so many tries of an event. `chance` is from 0 to 1.
pub fn wait_after(tries: u32, chance: f64) -> Duration {
    jittered(FIRST_WAIT, tries.saturating_sub(1), LONGEST_WAIT, chance)
}

/// The pause of an endpoint after so many failures more than it may have.
pub fn pause_after(failures: u32, chance: f64) -> Duration {
    jittered(FIRST_PAUSE, failures, LONGEST_PAUSE, chance)
}

/// Twice as long each time, and somewhere between half of that and all of it: receivers that fell together are not to be
/// met together.
fn jittered(first: Duration, doublings: u32, longest: Duration, chance: f64) -> Duration {
    let full = first.saturating_mul(1 << doublings.min(20)).min(longest);
    full.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> Verdict {
        let sent = Sent::Answered { status, retry_after: retry_after.map(str::to_owned), body: Vec::new() };
        judge(&sent, Timestamp::VIRTUAL_START)
    }

    fn wait(retry_after: &str) -> Option<Duration> {
        match answered(503, Some(retry_after)) {
            Verdict::Failed { wait, .. } => wait,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_hundreds_are_delivered_and_410_is_for_good_and_all_else_is_tried_again() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(answered(status, None), Verdict::Delivered);
        }
        assert_eq!(answered(410, None), Verdict::Gone);
        for status in [100, 301, 302, 307, 400, 401, 404, 409, 429, 500, 503, 999] {
            assert!(matches!(answered(status, None), Verdict::Failed { wait: None, .. }), "{status}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_time_in_seconds_or_until_a_date_and_for_an_hour_at_most() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait("120"), seconds(120));
        assert_eq!(wait(" 0 "), seconds(0));
        assert_eq!(wait("Mon, 05 Jan 2026 09:02:00 GMT"), seconds(120));
        assert_eq!(wait("Mon, 05 Jan 2026 08:00:00 GMT"), seconds(0));
        assert_eq!(wait("Tue, 05 Jan 2027 08:00:00 GMT"), seconds(3600));
        assert_eq!(wait("99999999999999999999999999"), seconds(3600));
        for nothing in ["", "-1", "soon", "1.5", "+5", "Mon, 99 Jan 2026 09:02:00 GMT"] {
            assert_eq!(wait(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn waits_double_up_to_a_bound_and_are_never_less_than_half() {
        for tries in 1..100 {
            let (short, long) = (wait_after(tries, 0.0), wait_after(tries, 1.0));
            assert!(short * 2 == long && long <= LONGEST_WAIT && long >= FIRST_WAIT);
            assert!(tries > 9 || long == FIRST_WAIT * (1 << (tries - 1)));
            assert!(pause_after(tries, 0.3) <= LONGEST_PAUSE);
        }
    }
}
