//! Keys by which organisations are known to whoever serves them over a network.
//!
//! A key in clear never comes here: whoever makes one draws it, sends its id and its hash, and shows it once; whoever is
//! shown one sends the same and hears whom it stands for. So asking again after a lost reply is the same question.

use async_trait::async_trait;

use super::store::StoreResult;
use crate::model::{ApiKeyRecord, KeyHash, KeyId, OrganisationId};

/// What making a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there: made now, or by the same question before.
    Done,
    /// Another key has its id, and is untouched: draw another.
    Taken,
}

/// The keys of all organisations.
///
/// Each operation is atomic, and the effect of asking twice is that of asking once; only a key that was revoked between
/// two equal questions for it is made again by the second.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    /// Has a key count from now on.
    async fn create(&self, key: &ApiKeyRecord, hash: &KeyHash) -> StoreResult<Created>;

    /// The keys of an organisation, or of all, the oldest first, those of one instant by id.
    async fn list(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<ApiKeyRecord>>;

    /// Has a key count no more. None if there is none of that id, or it is not the organisation's that is named.
    async fn revoke(&self, organisation: Option<&OrganisationId>, id: &KeyId) -> StoreResult<Option<ApiKeyRecord>>;

    /// The key of that id, if that is its hash.
    async fn find(&self, id: &KeyId, hash: &KeyHash) -> StoreResult<Option<ApiKeyRecord>>;
}
