//! A timer for a task that is woken by other things most of the time.

use futures_util::future::BoxFuture;

use crate::model::Timestamp;
use crate::ports::Clock;

/// A timer that is set again only when it must ring earlier: ringing too early costs one look, setting it anew at each
/// of a call's twenty turns costs more.
#[derive(Default)]
pub struct Alarm(Option<(Timestamp, BoxFuture<'static, ()>)>);

impl Alarm {
    /// Completes at `at` or before.
    pub async fn rings(&mut self, clock: &dyn Clock, at: Timestamp) {
        let (_, sleep) = match &mut self.0 {
            Some(set) if set.0 <= at => set,
            other => other.insert((at, clock.sleep_until(at))),
        };
        sleep.await;
        self.0 = None;
    }

    /// Completes at `at` and not before.
    pub async fn rings_not_before(&mut self, clock: &dyn Clock, at: Timestamp) {
        while clock.now() < at {
            self.rings(clock, at).await;
        }
    }
}
