//! Room for bodies and pages that are on their way: bounded over all questions, and of that half for one organisation, so that one
//! which announces much and sends nothing does not keep others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::OrganisationId;

/// Least room, in MiB: the largest body fits half of it.
const LEAST: usize = 32;

/// The room; a permit is a MiB.
pub(super) struct Room {
    all: Arc<Semaphore>,
    share: usize,
    shares: Mutex<BTreeMap<OrganisationId, Arc<Semaphore>>>,
}

/// Room that is taken until this is dropped.
#[derive(Default)]
#[expect(dead_code, reason = "they are held, not looked at")]
pub(super) struct Place {
    share: Option<OwnedSemaphorePermit>,
    all: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Room of so many MiB.
    pub fn of(mib: u32) -> Self {
        let most = usize::try_from(mib).unwrap_or(usize::MAX).clamp(LEAST, Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(most)), share: most / 2, shares: Mutex::default() }
    }

    /// Waits until there is room of so many bytes for an organisation.
    pub async fn take(&self, organisation: &OrganisationId, bytes: u64) -> Place {
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        let share = {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody waits in those that nobody else holds.
            shares.retain(|_, share| Arc::strong_count(share) > 1 || share.available_permits() < self.share);
            Arc::clone(shares.entry(organisation.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
        };
        // Neither is ever closed.
        let share = share.acquire_many_owned(mib).await.ok();
        let all = Arc::clone(&self.all).acquire_many_owned(mib).await.ok();
        Place { share, all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    const MIB: u64 = 1 << 20;

    #[test]
    fn one_organisation_leaves_half_of_the_room_to_others() {
        let (room, bank, clinic) = (Room::of(64), "bank".parse().unwrap(), "clinic".parse().unwrap());
        let take = |organisation: &OrganisationId| room.take(organisation, 16 * MIB).now_or_never();
        let held = (take(&bank).unwrap(), take(&bank).unwrap());
        assert!(take(&bank).is_none(), "it has its half");
        let others = (take(&clinic).unwrap(), take(&clinic).unwrap());
        drop(held);
        let again = take(&bank).unwrap();
        drop((others, again));
        let shop = "shop".parse().unwrap();
        drop(take(&shop));
        assert_eq!(room.shares.lock().unwrap().len(), 1, "those who need none are forgotten");
    }

    #[test]
    fn the_largest_body_finds_room_in_the_smallest() {
        let room = Room::of(0);
        assert!(room.take(&"bank".parse().unwrap(), 16 * MIB).now_or_never().is_some());
    }
}
