//! A time that follows the wall clock and never goes back.
//!
//! The wall clock alone prolongs whatever was promised until an instant when somebody sets it back; the monotonic clock
//! alone stands still while a machine is suspended, and other machines do not. This one goes at least nearly as fast as
//! the monotonic clock, and at once to wherever the wall clock is ahead.

use std::time::{Duration, Instant};

/// While the wall clock is behind, this part of the time that passes is not shown: a tenth.
const HELD_BACK: u32 = 10;

/// The last time shown, and when that was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    shown: Duration,
    at: Instant,
}

impl Steady {
    /// A time that agrees with the wall clock.
    pub fn at(wall: Duration, monotonic: Instant) -> Self {
        Self { shown: wall, at: monotonic }
    }

    /// The time, given what the two clocks of the system show; since 1970, like the wall clock's.
    pub fn read(&mut self, wall: Duration, monotonic: Instant) -> Duration {
        let passed = monotonic.saturating_duration_since(self.at);
        let steady = self.shown.saturating_add(passed);
        let ahead = steady.saturating_sub(wall);
        self.shown = if ahead.is_zero() { wall } else { steady - ahead.min(passed / HELD_BACK) };
        self.at = self.at.max(monotonic);
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: Duration = Duration::from_secs(1_700_000_000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
    fn begin() -> (Steady, Instant) {
        let now = Instant::now();
        (Steady::at(WALL, now), now)
    }

    #[test]
    fn it_follows_the_wall_clock_while_that_goes_on() {
        let (mut steady, begin) = begin();
        for passed in [0, 1, 1, 7, 3600] {
            assert_eq!(steady.read(WALL + secs(passed), begin + secs(passed)), WALL + secs(passed));
        }
    }

    #[test]
    fn a_clock_set_back_by_a_minute_prolongs_twenty_seconds_by_two_at_most() {
        let (mut steady, begin) = begin();
        let until = steady.read(WALL, begin) + secs(20);
        let shown =
            |steady: &mut Steady, passed: u64| steady.read(WALL + secs(passed) - secs(60), begin + secs(passed));
        let over = (1..).find(|passed| shown(&mut steady, *passed) >= until);
        assert_eq!(over, Some(23), "a tenth is held back");
    }

    #[test]
    fn after_a_step_back_it_never_goes_back_and_agrees_in_the_end() {
        let (mut steady, begin) = begin();
        let mut last = steady.read(WALL, begin);
        for passed in 1..600 {
            let now = steady.read(WALL + secs(passed) - secs(60), begin + secs(passed));
            assert!(now > last && now < last + secs(1));
            last = now;
        }
        assert_eq!(steady.read(WALL + secs(600) - secs(60), begin + secs(600)), WALL + secs(540));
        assert_eq!(steady.read(WALL + secs(601) - secs(60), begin + secs(601)), WALL + secs(541));
    }

    #[test]
    fn however_often_it_is_read_it_holds_back_no_more() {
        let (mut steady, begin) = begin();
        let step = Duration::from_micros(7);
        let mut now = WALL;
        for reading in 1..=1_000_000 {
            now = steady.read(WALL - secs(60), begin + step * reading);
        }
        assert!(now >= WALL + Duration::from_millis(6_290), "{:?}", now - WALL);
    }

    #[test]
    fn a_machine_that_was_suspended_finds_that_time_has_passed() {
        let (mut steady, begin) = begin();
        assert_eq!(steady.read(WALL + secs(3600), begin + secs(1)), WALL + secs(3600));
    }
}
