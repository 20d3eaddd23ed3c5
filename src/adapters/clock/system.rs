//! The system's clock, which can be made to run faster or slower.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;

use super::steady::Steady;
use crate::model::Timestamp;
use crate::ports::Clock;

/// How long a sleep goes on without looking at the wall clock, so that a step forward (a correction, a machine that was
/// suspended) is noticed within this time.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// A nap of nothing would spin: the part of a millisecond that is left at a high speed is rounded up to this.
const SHORTEST_NAP: Duration = Duration::from_micros(50);

/// The system's clock. Needs a tokio runtime with its timer enabled.
///
/// It follows the wall clock forward at once and never goes back: after the wall clock was set back it goes on a little
/// slower until the two agree ([`Steady`]). So whatever is believed for a while, as authority over calls is, is believed
/// for a tenth too long at most, and a machine that was suspended finds it over.
#[derive(Debug)]
pub struct SystemClock {
    pace: Arc<Pace>,
}

#[derive(Debug)]
enum Pace {
    /// The wall clock, steadied.
    Wall(Mutex<Steady>),
    /// Time that began at `origin` when the monotonic clock stood at `started`.
    Scaled { origin: Timestamp, started: Instant, speed: f64 },
}

/// The speed is no positive number, or too large to be told from it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("the speed must be between {min} and {max}, not {0}", min = SystemClock::SLOWEST, max = SystemClock::FASTEST)]
pub struct InvalidSpeed(f64);

impl SystemClock {
    /// The least speed that can be asked for.
    pub const SLOWEST: f64 = 0.001;
    /// The greatest speed that can be asked for; the timer's step of a millisecond is then 100 seconds.
    pub const FASTEST: f64 = 100_000.0;

    /// Time as it is.
    pub fn new() -> Self {
        Self { pace: Arc::new(Pace::Wall(Mutex::new(Steady::at(wall(), monotonic())))) }
    }

    /// Time that runs `speed` times as fast as the system's, from now on.
    ///
    /// # Errors
    /// When the speed is not between [`Self::SLOWEST`] and [`Self::FASTEST`].
    pub fn at_speed(speed: f64) -> Result<Self, InvalidSpeed> {
        if !(Self::SLOWEST..=Self::FASTEST).contains(&speed) {
            return Err(InvalidSpeed(speed));
        }
        let origin = Timestamp::from_millis(i64::try_from(wall().as_millis()).unwrap_or(i64::MAX));
        Ok(Self { pace: Arc::new(Pace::Scaled { origin, started: monotonic(), speed }) })
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    fn now(&self) -> Timestamp {
        match self {
            Pace::Wall(steady) => {
                let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
                // Read in the lock: nobody else may have shown a later time in between.
                let shown = steady.read(wall(), monotonic());
                Timestamp::from_millis(i64::try_from(shown.as_millis()).unwrap_or(i64::MAX))
            }
            Pace::Scaled { origin, started, speed } => *origin + scale(started.elapsed(), *speed),
        }
    }

    /// How long to sleep before looking again, `left` before the time.
    fn nap(&self, left: Duration) -> Duration {
        let real = match self {
            Pace::Wall(_) => left,
            Pace::Scaled { speed, .. } => scale(left, 1.0 / speed),
        };
        real.clamp(SHORTEST_NAP, LONGEST_NAP)
    }
}

/// Time since 1970. A machine whose clock stands before that gets 1970: no calling window is open then, and nothing is
/// dialled.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn monotonic() -> Instant {
    Instant::now()
}

fn scale(length: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(length.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.pace.now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let pace = Arc::clone(&self.pace);
        Box::pin(async move {
            loop {
                let left = at.since(pace.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(pace.nap(left)).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn the_wall_clock_tells_this_century() {
        let now = SystemClock::new().now();
        assert!(now > Timestamp::parse_rfc3339("2024-01-01T00:00:00Z").unwrap(), "{now}");
    }

    #[test]
    fn a_sleep_ends_at_its_time_and_not_before() {
        runtime().block_on(async {
            let clock = SystemClock::new();
            let at = clock.now() + Duration::from_millis(20);
            clock.sleep_until(at).await;
            assert!(clock.now() >= at);
            clock.sleep_until(at - Duration::from_secs(3600)).await;
        });
    }

    #[test]
    fn an_hour_at_speed_a_hundred_thousand_takes_a_moment() {
        runtime().block_on(async {
            let clock = SystemClock::at_speed(100_000.0).unwrap();
            let begin = clock.now();
            let real = SystemClock::new();
            let really = real.now();
            clock.sleep_until(begin + Duration::from_secs(3600)).await;
            assert!(clock.now().since(begin) >= Duration::from_secs(3600));
            assert!(real.now().since(really) < Duration::from_secs(5));
        });
    }

    #[test]
    fn slow_motion_takes_longer_than_the_time_it_shows() {
        runtime().block_on(async {
            let (slow, real) = (SystemClock::at_speed(0.1).unwrap(), SystemClock::new());
            let (begin, really) = (slow.now(), real.now());
            slow.sleep_until(begin + Duration::from_millis(5)).await;
            // The two clocks' milliseconds do not begin together.
            assert!(real.now().since(really) >= Duration::from_millis(35));
        });
    }

    #[test]
    fn impossible_speeds_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(SystemClock::at_speed(bad).is_err(), "{bad}");
        }
        let said = SystemClock::at_speed(0.0).unwrap_err().to_string();
        assert_eq!(said, "the speed must be between 0.001 and 100000, not 0");
    }
}
