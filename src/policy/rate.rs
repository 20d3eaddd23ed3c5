//! Calls per second: the generic cell rate algorithm over one number, the theoretical arrival time.
//!
//! Dials are spaced evenly. Whoever comes late may catch up a tenth of a second's worth at once, never more, so that
//! no second sees more than a tenth above the rate and a late wake-up costs nothing.

use std::time::Duration;

use crate::model::Timestamp;

/// When the next dial would be due if all came evenly: microseconds since the Unix epoch.
///
/// Microseconds since the epoch stay exact in a double, as Redis scripts calculate with, until the year 2255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ArrivalTime(i64);

impl ArrivalTime {
    /// From microseconds since the Unix epoch; 0 or anything past: no dial was ever made.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// What a rate allows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many may be dialled now, at most as many as were wanted.
    pub allowed: u32,
    /// To be kept for the next time, if they are dialled.
    pub arrival: ArrivalTime,
    /// When one more may be dialled: not before `now`, rounded up to a millisecond.
    pub next: Timestamp,
}

const SECOND: i64 = 1_000_000;

/// A rate in the terms of the algorithm.
struct Pace {
    /// Microseconds from one dial to the next.
    spacing: i64,
    /// How many may be caught up at once.
    burst: i64,
}

impl Pace {
    /// None for a rate of 0.
    fn of(per_second: u32) -> Option<Self> {
        // A million a second is as good as no bound, and as fine as microseconds go.
        let rate = i64::from(per_second).min(SECOND);
        // Rounded up: rather one dial in a million late than one too many.
        (rate > 0).then(|| Self { spacing: (SECOND + rate - 1) / rate, burst: (rate / 10).max(1) })
    }

    /// How much before its time a dial may be made.
    fn tolerance(&self) -> i64 {
        (self.burst - 1) * self.spacing
    }
}

/// The first millisecond that is not before an instant.
fn rounded_up(micros: i64) -> Timestamp {
    Timestamp::from_millis(micros.saturating_add(999).div_euclid(1000))
}

/// How many of `want` dials may be made at `now`, given the arrival time kept from the last ones.
///
/// A rate of 0 allows nothing and asks to be looked at again a second later.
pub fn allow(arrival: ArrivalTime, now: Timestamp, per_second: u32, want: u32) -> Allowance {
    let now_micros = now.as_millis().saturating_mul(1000);
    let Some(pace) = Pace::of(per_second) else {
        return Allowance { allowed: 0, arrival, next: Timestamp::from_millis(now.as_millis().saturating_add(1000)) };
    };
    let (spacing, tolerance) = (pace.spacing, pace.tolerance());
    let base = arrival.0.max(now_micros);
    let ready = now_micros.saturating_add(tolerance).saturating_sub(base);
    let room = if ready < 0 { 0 } else { ready / spacing + 1 };
    let allowed = room.min(i64::from(want));
    let arrival = if allowed == 0 { arrival } else { ArrivalTime(base.saturating_add(allowed * spacing)) };
    let next = rounded_up(arrival.0.saturating_sub(tolerance).max(now_micros));
    // `room` is at most `burst`, itself at most 100,000.
    Allowance { allowed: u32::try_from(allowed).unwrap_or(0), arrival, next }
}

/// How many dials may be made from `now` until `horizon` later, both included.
pub fn within(arrival: ArrivalTime, now: Timestamp, per_second: u32, horizon: Duration) -> u32 {
    let Some(pace) = Pace::of(per_second) else { return 0 };
    let micros = |at: Timestamp| at.as_millis().saturating_mul(1000);
    let base = arrival.0.max(micros(now));
    let ready = micros(now + horizon).saturating_add(pace.tolerance()).saturating_sub(base);
    let room = if ready < 0 { 0 } else { ready / pace.spacing + 1 };
    u32::try_from(room).unwrap_or(u32::MAX)
}

/// When `count` dials may be made at once, rounded up to a millisecond: it may be past. None if they never may.
pub fn ready_at(arrival: ArrivalTime, per_second: u32, count: u32) -> Option<Timestamp> {
    let pace = Pace::of(per_second)?;
    let count = i64::from(count.max(1));
    let early = pace.tolerance() - (count - 1) * pace.spacing;
    (count <= pace.burst).then(|| rounded_up(arrival.0.saturating_sub(early)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::VIRTUAL_START;

    #[test]
    fn five_a_second_are_spaced_by_a_fifth() {
        let mut arrival = ArrivalTime::default();
        let mut now = NOW;
        let mut times = Vec::new();
        while times.len() < 6 {
            let got = allow(arrival, now, 5, 100);
            arrival = got.arrival;
            times.extend((0..got.allowed).map(|_| now.since(NOW).as_millis()));
            now = got.next.max(now + Duration::from_millis(1));
        }
        assert_eq!(times, [0, 200, 400, 600, 800, 1000]);
    }

    #[test]
    fn whoever_comes_late_catches_up_a_tenth_of_a_second() {
        let first = allow(ArrivalTime::default(), NOW, 100, 1_000);
        assert_eq!(first.allowed, 10);
        let again = allow(first.arrival, NOW, 100, 1_000);
        assert_eq!((again.allowed, again.arrival), (0, first.arrival));
        assert_eq!(again.next, NOW + Duration::from_millis(10));
        assert_eq!(allow(first.arrival, NOW + Duration::from_secs(3600), 100, 1_000).allowed, 10);
    }

    #[test]
    fn nothing_is_allowed_at_rate_zero_and_nothing_overflows() {
        assert_eq!(allow(ArrivalTime::default(), NOW, 0, 5).allowed, 0);
        let far = Timestamp::from_millis(i64::MAX);
        assert_eq!(allow(ArrivalTime::from_micros(i64::MAX), far, u32::MAX, u32::MAX).arrival.as_micros(), i64::MAX);
        let early = allow(ArrivalTime::from_micros(i64::MIN), Timestamp::from_millis(i64::MIN), 1, 1);
        assert_eq!(early.allowed, 1);
    }

    #[test]
    fn as_many_come_within_a_time_as_are_allowed_one_after_the_other() {
        for per_second in [0, 1, 5, 20, 30] {
            let mut arrival = allow(ArrivalTime::default(), NOW, per_second, 1).arrival;
            let expected = [0, 1, 999, 1000, 2500].map(|millis| within(arrival, NOW, per_second, after(millis)));
            let mut made = [0; 5];
            for millis in 0..=2500 {
                let now = allow(arrival, NOW + after(millis), per_second, u32::MAX);
                arrival = now.arrival;
                for (count, until) in made.iter_mut().zip([0, 1, 999, 1000, 2500]) {
                    *count += if millis <= until { now.allowed } else { 0 };
                }
            }
            assert_eq!(made, expected, "{per_second}");
        }
        assert_eq!(within(ArrivalTime::default(), NOW, 1, Duration::MAX), u32::MAX, "nothing overflows");
    }

    fn after(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn several_at_once_are_ready_when_they_are_allowed() {
        for rate in [1, 9, 10, 37, 100, 499, 3_000_000] {
            let arrival = allow(ArrivalTime::default(), NOW, rate, u32::MAX).arrival;
            let burst = (rate.min(1_000_000) / 10).max(1);
            for count in [1, burst.div_ceil(2), burst] {
                let at = ready_at(arrival, rate, count).unwrap();
                assert!(allow(arrival, at, rate, u32::MAX).allowed >= count, "{count} of {rate}");
                let before = at - Duration::from_millis(1);
                assert!(allow(arrival, before, rate, u32::MAX).allowed < count, "{count} of {rate}");
            }
            assert_eq!(ready_at(arrival, rate, burst + 1), None);
        }
        assert_eq!(ready_at(ArrivalTime::default(), 0, 1), None);
        assert!(ready_at(ArrivalTime::from_micros(i64::MAX), 1, u32::MAX).is_none());
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_a_tenth_above_the_rate(
            rate in 1..500_u32, steps in proptest::collection::vec((0..300_u64, 0..50_u32), 1..300),
        ) {
            let (mut arrival, mut now) = (ArrivalTime::default(), NOW);
            let mut dialled: Vec<(Timestamp, u32)> = Vec::new();
            for (wait, want) in steps {
                now = now + Duration::from_millis(wait);
                let got = allow(arrival, now, rate, want);
                prop_assert!(got.allowed <= want && got.next >= now);
                arrival = got.arrival;
                dialled.push((now, got.allowed));
                let second: u32 = dialled.iter().filter(|(at, _)| now.since(*at) < Duration::from_secs(1)).map(|(_, n)| n).sum();
                prop_assert!(second <= rate + (rate / 10).max(1));
            }
        }

        #[test]
        fn somebody_always_waiting_gets_the_full_rate(rate in 1..500_u32) {
            let (mut arrival, mut now, mut total) = (ArrivalTime::default(), NOW, 0);
            while now.since(NOW) < Duration::from_secs(10) {
                let got = allow(arrival, now, rate, u32::MAX);
                (arrival, total) = (got.arrival, total + got.allowed);
                prop_assert!(got.next > now || got.allowed > 0);
                now = got.next;
            }
            prop_assert!(total >= rate * 10 - rate.div_ceil(1000) && total <= rate * 10 + rate / 10 + 1, "{total}");
        }
    }
}
