//! How long a worker leaves the store alone between claims that bring nothing.
//!
//! Whatever becomes ready wakes every worker that has room, and one of them gets it. Where much becomes ready, a hundred workers
//! would ask without a pause, ninety-nine of them in vain; so whoever asked in vain lately waits before it asks again, and
//! the longer the more often that was. **Invariant:** a claim that follows on no vain one waits for nothing, and none waits
//! longer than [`LONGEST`]: a rate's dials may come that late without being lost (`policy::rate`), and I5 gives a second.

use std::time::Duration;

use crate::model::Timestamp;
use crate::ports::store::ProcessId;

/// The first pause.
const SHORTEST: Duration = Duration::from_millis(2);

/// The longest: less than the tenth of a second that a rate may catch up.
pub const LONGEST: Duration = Duration::from_millis(64);

/// After so long without a vain claim there is no haste to be slowed down.
const CALM: Duration = Duration::from_millis(256);

/// What one worker has asked in vain.
pub struct Restraint {
    /// Tells workers apart, so that those who were woken together do not wait together.
    salt: u64,
    vain: u32,
    last: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Restraint {
    /// None yet.
    pub fn of(process: ProcessId) -> Self {
        let folded = (process.0 >> 64) ^ process.0;
        // Whatever numbers processes have, their first digits differ by this.
        let salt = u64::try_from(folded & u128::from(u64::MAX)).unwrap_or_default().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { salt, vain: 0, last: None, until: None }
    }

    /// A claim brought nothing.
    pub fn in_vain(&mut self, now: Timestamp) {
        if self.last.is_none_or(|last| now.since(last) > CALM) {
            (self.vain, self.until) = (0, None);
        } else {
            self.vain = self.vain.saturating_add(1);
            let pause = SHORTEST.saturating_mul(1 << (self.vain - 1).min(16)).min(LONGEST);
            let digit = u32::try_from(self.salt.rotate_left(self.vain.wrapping_mul(8)) & 0xff).unwrap_or_default();
            // Half of it at least.
            self.until = Some(now + (pause + pause * digit / 255) / 2);
        }
        self.last = Some(now);
    }

    /// Until when to leave the store alone, if it is to be.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Timestamp = Timestamp::VIRTUAL_START;

    fn at(millis: u64) -> Timestamp {
        BEGIN + Duration::from_millis(millis)
    }

    /// Asks in vain whenever it may for so long; when that was, in milliseconds.
    fn asks(process: u128, millis: u64) -> Vec<u64> {
        let mut restraint = Restraint::of(ProcessId(process));
        let mut asked = Vec::new();
        for now in 0..millis {
            if restraint.until(at(now)).is_none() {
                restraint.in_vain(at(now));
                asked.push(now);
            }
        }
        asked
    }

    #[test]
    fn a_claim_that_follows_on_no_vain_one_waits_for_nothing() {
        let mut restraint = Restraint::of(ProcessId(1));
        assert_eq!(restraint.until(at(0)), None);
        restraint.in_vain(at(0));
        assert_eq!(restraint.until(at(0)), None, "the first may be asked again at once");
        for now in [300, 600, 900] {
            restraint.in_vain(at(now));
            assert_eq!(restraint.until(at(now)), None, "so seldom does no harm");
        }
    }

    #[test]
    fn whoever_is_woken_all_the_time_asks_less_and_less_often_but_never_waits_longer_than_that() {
        let asked = asks(7, 10_000);
        assert!(asked.len() < 10_000 / 32 + 10, "{} times in ten seconds", asked.len());
        let widest = asked.windows(2).map(|two| two[1] - two[0]).max();
        assert!(widest <= Some(64), "{asked:?}");
        assert!(asked[..4].iter().all(|at| *at < 20), "it begins gently: {asked:?}");
    }

    #[test]
    fn those_who_are_woken_together_do_not_ask_together() {
        let together = |others: &[Vec<u64>], at: u64| others.iter().filter(|asked| asked.contains(&at)).count();
        let workers: Vec<Vec<u64>> = (1..=100).map(|process| asks(process, 2_000)).collect();
        let most = (1_000..2_000).map(|at| together(&workers, at)).max();
        assert!(most < Some(20), "{most:?} of a hundred in one millisecond");
        let silent = (1_000..2_000).filter(|at| together(&workers, *at) == 0).count();
        assert!(silent < 500, "somebody asks nearly always: {silent} silent milliseconds of a thousand");
    }
}
