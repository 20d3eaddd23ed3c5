//! How long to wait before trying again: longer each time, bounded, and not the same for everybody.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::model::Timestamp;

/// The first wait is at most this long.
const FIRST: Duration = Duration::from_millis(200);

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that grow until something succeeds.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Something succeeded: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait: between half of the step and all of it, so that workers that fail together do not come back
    /// together. Chance is drawn from the name and the time, since there is no other here.
    pub fn next(&mut self, name: &str, now: Timestamp) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(5)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let mut hash = DefaultHasher::new();
        (name, now.as_millis(), self.failures).hash(&mut hash);
        let share = f64::from(u32::try_from(hash.finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        step.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_bounded_differ_and_begin_anew() {
        let now = Timestamp::VIRTUAL_START;
        let (mut one, mut other) = (Backoff::default(), Backoff::default());
        let waits: Vec<Duration> = (0..40).map(|_| one.next("one", now)).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[3] > waits[0]);
        assert!(waits[10..].iter().all(|wait| *wait <= LONGEST && *wait >= LONGEST / 2));
        assert_ne!(waits[0], other.next("other", now));
        one.reset();
        assert!(one.next("one", now) <= FIRST);
    }
}
