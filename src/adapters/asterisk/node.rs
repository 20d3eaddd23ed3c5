//! One Asterisk: how it is asked, how much it carries, how fast it is given legs.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::ari::http::{Http, InvalidAddress};
use super::settings::{AsteriskSettings, NodeSettings};
use crate::model::Timestamp;
use crate::ports::{Clock, TelephonyError};

/// Unanswered questions, or legs that were not made, after which a node is given legs only if there is no other with
/// room.
const DOUBTFUL: u32 = 3;

/// Seconds for which a call may have to wait for its turn once it is claimed: time enough to prepare it meanwhile, and
/// far less than it may be acted upon.
const SOON: u32 = 5;

type Pace = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<std::time::Instant>>;

/// One Asterisk.
pub struct Node {
    /// What logs call it.
    pub name: String,
    /// How it is asked.
    pub http: Http,
    most: Option<usize>,
    pace: Option<Pace>,
    /// How many callees' legs may be made within [`SOON`].
    soon: Option<usize>,
    /// Legs that waited for no turn and that nobody has waited for yet.
    ahead: AtomicU32,
    /// Legs of others that were there at the last look.
    others: AtomicUsize,
    /// Legs in a row that it did not make.
    unmade: AtomicU32,
    clock: Arc<dyn Clock>,
}

impl Node {
    /// A node; nothing is asked yet.
    ///
    /// # Errors
    /// When its address is none.
    pub fn new(node: &NodeSettings, settings: &AsteriskSettings) -> Result<Self, InvalidAddress> {
        let clock = Arc::clone(&settings.clock);
        let http = Http::new(&node.url, &node.user, &node.password, Arc::clone(&clock), settings.answer_within)?;
        // A leg at a time: what comes in a burst rings in a burst.
        let quota = |rate: NonZeroU32| Quota::per_second(rate).allow_burst(NonZeroU32::MIN);
        Ok(Self {
            name: node.name.clone(),
            http,
            most: node.max_legs.map(|most| usize::try_from(most.get()).unwrap_or(usize::MAX)),
            pace: node.legs_per_second.map(|rate| Pace::direct_with_clock(quota(rate), MonotonicClock)),
            soon: node
                .legs_per_second
                .map(|rate| usize::try_from(rate.get().saturating_mul(SOON)).unwrap_or(usize::MAX)),
            ahead: AtomicU32::new(0),
            others: AtomicUsize::new(0),
            unmade: AtomicU32::new(0),
            clock,
        })
    }

    /// Notes how many legs of others a look found.
    pub fn has_others(&self, legs: usize) {
        self.others.store(legs, Ordering::Relaxed);
    }

    /// Legs that may be made besides `own` of this process.
    pub fn room(&self, own: usize) -> usize {
        let taken = own.saturating_add(self.others.load(Ordering::Relaxed));
        self.most.map_or(usize::MAX, |most| most.saturating_sub(taken))
    }

    /// Notes whether it made a leg that it was asked for.
    pub fn has_made(&self, made: bool) {
        if made {
            self.unmade.store(0, Ordering::Relaxed);
        } else {
            self.unmade.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How willingly it is given a leg, the lowest first: doubtful ones last, then by how full they are, in thousandths.
    pub fn rank(&self, own: usize) -> (bool, usize) {
        let fullness = self.most.map_or(own, |most| own.saturating_mul(1000) / most.max(1));
        (self.http.unanswered().max(self.unmade.load(Ordering::Relaxed)) >= DOUBTFUL, fullness)
    }

    /// Callees it may have, of which `own` are there now: besides them no more than it is soon given, so that whoever
    /// claims more does not wait in vain for their turns.
    pub fn callees(&self, own: usize) -> usize {
        self.soon.map_or(usize::MAX, |soon| own.saturating_add(soon))
    }

    /// Notes a leg that waits for no turn; the next callee waits for its, too.
    pub fn goes_ahead(&self) {
        if self.pace.is_some() {
            self.ahead.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until another callee's leg may be made.
    ///
    /// # Errors
    /// When that is too late.
    pub async fn turn(&self, not_after: Timestamp) -> Result<(), TelephonyError> {
        let Some(pace) = &self.pace else { return Ok(()) };
        loop {
            match pace.check() {
                // Whoever went ahead has had this one.
                Ok(()) if self.pays_for_one() => {}
                Ok(()) => return Ok(()),
                Err(later) => {
                    let at = self.clock.now() + later.wait_time_from(MonotonicClock.now());
                    if at > not_after {
                        return Err(TelephonyError::TooLate);
                    }
                    self.clock.sleep_until(at).await;
                }
            }
        }
    }

    fn pays_for_one(&self) -> bool {
        let one_less = |ahead: u32| ahead.checked_sub(1);
        self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}
