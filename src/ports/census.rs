//! How all organisations stand: what operators and clusters are told, and nobody acts upon inside.

use std::time::Duration;

use async_trait::async_trait;

use super::store::{SlotUse, StoreResult};
use crate::model::OrganisationId;

/// How an organisation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The tenant.
    pub organisation: OrganisationId,
    /// Its slots.
    pub slots: SlotUse,
    /// Destinations that could be dialled now, had it slots for all of them: no more than its rate allows. Of a request whose
    /// destinations live by several clocks all count as soon as one of these clocks lets some be called. Of an organisation
    /// with more than a hundred requests the store may look at that many, and take the others for the same.
    pub due: u32,
    /// The same within some time from now: schedules, retries and windows that come until then included.
    pub soon: u32,
}

impl Standing {
    /// Slots that nobody holds.
    pub fn free(&self) -> u32 {
        self.slots.limit.saturating_sub(self.slots.external).saturating_sub(self.slots.leased)
    }

    /// Slots that are taken although the limit does not allow it.
    pub fn drift(&self) -> u32 {
        // Others' slots that cannot be read count as all there are.
        if self.slots.external == u32::MAX {
            return 0;
        }
        self.slots.external.saturating_add(self.slots.leased).saturating_sub(self.slots.limit)
    }

    /// Calls that could be made within that time.
    pub fn wanted(&self) -> u32 {
        self.soon.min(self.free())
    }

    /// Slots that stand idle now although somebody could be called.
    pub fn idle(&self) -> u32 {
        self.due.min(self.free())
    }
}

/// Whoever knows how all organisations stand.
#[async_trait]
pub trait Census: Send + Sync + 'static {
    /// How organisations with work or calls stand, `horizon` ahead. Others may be left out, and so are those of which the store
    /// holds what this version does not understand.
    async fn standings(&self, horizon: Duration) -> StoreResult<Vec<Standing>>;
}
