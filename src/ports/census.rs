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

    /// Whether what other applications hold is no number: nothing is dialled until it is.
    pub fn is_external_unreadable(&self) -> bool {
        self.slots.external == u32::MAX
    }

    /// Slots that are taken although the limit does not allow it.
    pub fn drift(&self) -> u32 {
        // Others' slots that cannot be read count as all there are.
        if self.is_external_unreadable() {
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

/// Whose standing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of organisations with work or calls; others may be left out.
    Busy,
    /// Of every organisation of which the store knows that it has, or had, work or calls.
    Known,
}

/// An organisation of which the store holds what this version does not understand: nothing is dialled for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The tenant.
    pub organisation: OrganisationId,
    /// What is wrong, in words.
    pub why: String,
}

/// How organisations stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Those that can be read.
    pub read: Vec<Standing>,
    /// Those that cannot.
    pub unread: Vec<Unread>,
}

/// Whoever knows how all organisations stand.
#[async_trait]
pub trait Census: Send + Sync + 'static {
    /// How organisations stand, `horizon` ahead. One that cannot be read hides no other.
    async fn standings(&self, whose: Whose, horizon: Duration) -> StoreResult<Standings>;
}
