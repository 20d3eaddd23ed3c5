//! Room for what is on its way or under way: bounded over all questions, and of that half for one organisation, so that one
//! which announces much and sends nothing, or asks for much and takes nothing, does not keep others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::OrganisationId;

/// Least room, in MiB: the largest body fits half of it.
const LEAST: usize = 32;

/// The room; a permit is a MiB, or one of those who have a place.
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
        Self::with(usize::try_from(mib).unwrap_or(usize::MAX).clamp(LEAST, Semaphore::MAX_PERMITS))
    }

    /// Room for so many at a time, however large; two at least.
    pub fn of_places(most: usize) -> Self {
        Self::with(most.clamp(2, Semaphore::MAX_PERMITS))
    }

    fn with(most: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), share: most / 2, shares: Mutex::default() }
    }

    fn share_of(&self, organisation: &OrganisationId) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits in those that nobody else holds.
        shares.retain(|_, share| Arc::strong_count(share) > 1 || share.available_permits() < self.share);
        Arc::clone(shares.entry(organisation.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
    }

    /// Waits until there is room of so many bytes for an organisation.
    pub async fn take(&self, organisation: &OrganisationId, bytes: u64) -> Place {
        self.take_permits(organisation, u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)).await
    }

    /// Waits until there is a place for an organisation.
    pub async fn take_one(&self, organisation: &OrganisationId) -> Place {
        self.take_permits(organisation, 1).await
    }

    async fn take_permits(&self, organisation: &OrganisationId, permits: u32) -> Place {
        // Neither is ever closed.
        let share = self.share_of(organisation).acquire_many_owned(permits).await.ok();
        let all = Arc::clone(&self.all).acquire_many_owned(permits).await.ok();
        Place { share, all }
    }

    /// A place for an organisation, if there is one now.
    pub fn try_one(&self, organisation: &OrganisationId) -> Option<Place> {
        let share = self.share_of(organisation).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { share: Some(share), all: Some(all) })
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

    #[test]
    fn one_organisation_leaves_half_of_the_places_to_others() {
        let (room, bank, clinic) = (Room::of_places(4), "bank".parse().unwrap(), "clinic".parse().unwrap());
        let held: Vec<Place> = std::iter::from_fn(|| room.try_one(&bank)).collect();
        assert_eq!(held.len(), 2);
        assert!(room.take_one(&bank).now_or_never().is_none(), "it waits for its own");
        let others = [room.try_one(&clinic).unwrap(), room.take_one(&clinic).now_or_never().unwrap()];
        assert!(room.try_one(&"shop".parse().unwrap()).is_none(), "there are no more");
        drop((held, others));
        assert!(room.try_one(&bank).is_some());
    }
}
