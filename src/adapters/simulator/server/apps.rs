//! Who listens to an app: the youngest stream, even after connections were lost or the network began anew.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use tokio::sync::mpsc::UnboundedReceiver;

use super::Shared;
use crate::model::{LegId, Timestamp, WorkerId};
use crate::ports::telephony::{LegReport, LegState};

/// Most apps that a network remembers.
const MOST_APPS: usize = 100_000;

/// The youngest stream of each app. An age is a time, so that it tells streams of an earlier process from newer ones.
#[derive(Default)]
pub(super) struct Ages {
    youngest: BTreeMap<WorkerId, u64>,
}

/// What asking for a stream came to.
pub(super) enum Listening {
    /// Reports, from this instant on, at which these legs live.
    Heard {
        /// How young the stream is.
        age: u64,
        /// The app's legs.
        legs: Vec<(LegId, LegState)>,
        /// What happens to them.
        reports: UnboundedReceiver<LegReport>,
    },
    /// A younger stream was opened.
    Superseded,
    /// There are too many apps.
    TooMany,
}

impl Ages {
    /// The age of a stream that is opened, or gone on with; none if a younger one was opened.
    fn admit(&mut self, app: &WorkerId, since: Option<u64>, now: Timestamp) -> Option<u64> {
        let before = self.youngest.get(app).copied();
        let age = match since {
            Some(since) if before.is_some_and(|before| before > since) => return None,
            Some(since) => since,
            None => {
                u64::try_from(now.as_millis()).unwrap_or(0).max(before.map_or(0, |before| before.saturating_add(1)))
            }
        };
        self.youngest.insert(app.clone(), age);
        Some(age)
    }
}

impl Shared {
    pub(super) fn listen(&self, app: &WorkerId, since: Option<u64>) -> Listening {
        // Held while the network is asked, so that streams begin in the order of their ages.
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        if ages.youngest.len() >= MOST_APPS && !ages.youngest.contains_key(app) {
            return Listening::TooMany;
        }
        let Some(age) = ages.admit(app, since, self.wall.now()) else { return Listening::Superseded };
        let (reports, legs) = self.network.ask(|exchange, _| (exchange.listen(app), exchange.legs_of(Some(app))));
        Listening::Heard { age, legs, reports }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_stream_wins_whoever_comes_back_first() {
        let app: WorkerId = "w1".parse().unwrap();
        let now = Timestamp::VIRTUAL_START;
        let mut ages = Ages::default();
        let first = ages.admit(&app, None, now).unwrap();
        let second = ages.admit(&app, None, now).unwrap();
        assert!(second > first, "even within a millisecond");
        assert_eq!(ages.admit(&app, Some(first), now), None);
        assert_eq!(ages.admit(&app, Some(second), now), Some(second));

        for (one, then, won) in [(first, second, Some(second)), (second, first, None)] {
            let mut restarted = Ages::default();
            assert_eq!(restarted.admit(&app, Some(one), now), Some(one));
            assert_eq!(restarted.admit(&app, Some(then), now), won);
        }
    }

    #[test]
    fn a_stream_is_younger_than_any_of_an_earlier_process() {
        let app: WorkerId = "w1".parse().unwrap();
        let before = Ages::default().admit(&app, None, Timestamp::from_millis(1_000)).unwrap();
        let mut restarted = Ages::default();
        let newer = restarted.admit(&app, None, Timestamp::from_millis(2_000)).unwrap();
        assert_eq!(restarted.admit(&app, Some(before), Timestamp::from_millis(3_000)), None);
        assert!(newer > before);
    }
}
