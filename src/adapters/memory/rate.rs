//! New dials a second, as a bucket of tokens: one second's worth can be saved up.
//!
//! Kept as the generic cell rate algorithm keeps it: one instant, in microseconds, and no refilling.

use crate::model::Timestamp;

/// What an organisation has used of its rate.
#[derive(Default)]
pub(super) struct Rate {
    /// When the bucket would be full, in microseconds since 1970.
    full_at: i64,
}

const SECOND: i64 = 1_000_000;

fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1000)
}

/// Microseconds for one dial. Rounded up: never faster than asked for.
fn interval(per_second: u32) -> i64 {
    let per_second = i64::from(per_second.max(1));
    (SECOND + per_second - 1) / per_second
}

impl Rate {
    /// How many dials are allowed at an instant.
    pub fn available(&self, now: Timestamp, per_second: Option<u32>) -> u32 {
        let Some(per_second) = per_second else { return u32::MAX };
        if per_second == 0 {
            return 0;
        }
        let step = interval(per_second);
        let room = micros(now).saturating_sub(self.full_at).max(0).saturating_add(self.spare(now, per_second));
        u32::try_from(room / step).unwrap_or(u32::MAX).min(per_second)
    }

    /// Microseconds' worth of tokens left when the bucket is not full.
    fn spare(&self, now: Timestamp, per_second: u32) -> i64 {
        let ahead = self.full_at.saturating_sub(micros(now)).max(0);
        (interval(per_second) * i64::from(per_second)).saturating_sub(ahead).max(0)
    }

    /// A dial was committed to.
    pub fn take(&mut self, now: Timestamp, per_second: Option<u32>) {
        if let Some(per_second) = per_second {
            self.full_at = self.full_at.max(micros(now)).saturating_add(interval(per_second));
        }
    }

    /// When `count` dials are allowed at once; none if they never are.
    pub fn allows_at(&self, count: u32, per_second: Option<u32>) -> Option<Timestamp> {
        let per_second = per_second.filter(|per_second| (1..=*per_second).contains(&count))?;
        let back = interval(per_second) * i64::from(per_second - count);
        let at = self.full_at.saturating_sub(back);
        Some(Timestamp::from_millis(at.saturating_add(999).div_euclid(1000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Timestamp = Timestamp::VIRTUAL_START;

    #[test]
    fn no_rate_is_no_bound_and_a_rate_of_zero_allows_nothing() {
        let mut rate = Rate::default();
        rate.take(START, None);
        assert_eq!(rate.available(START, None), u32::MAX);
        assert_eq!(rate.available(START, Some(0)), 0);
        assert_eq!(rate.allows_at(1, Some(0)), None);
    }

    #[test]
    fn a_second_can_be_saved_up_and_comes_back_piece_by_piece() {
        for per_second in [1, 3, 7, 50, 999] {
            let mut rate = Rate::default();
            for left in (0..per_second).rev() {
                rate.take(START, Some(per_second));
                assert_eq!(rate.available(START, Some(per_second)), left, "of {per_second}");
            }
            let next = rate.allows_at(1, Some(per_second)).unwrap();
            assert_eq!(rate.available(next - Duration::from_millis(1), Some(per_second)), 0);
            assert!(rate.available(next, Some(per_second)) >= 1);
            let full = rate.allows_at(per_second, Some(per_second)).unwrap();
            assert_eq!(rate.available(full, Some(per_second)), per_second);
            assert!(full.since(START) <= Duration::from_millis(1001));
        }
    }

    #[test]
    fn in_the_long_run_the_rate_is_kept() {
        let mut rate = Rate::default();
        let mut dialled = 0;
        for millis in 0..10_000 {
            let now = START + Duration::from_millis(millis);
            while rate.available(now, Some(7)) > 0 {
                rate.take(now, Some(7));
                dialled += 1;
            }
        }
        assert!((69..=77).contains(&dialled), "{dialled}");
    }
}
