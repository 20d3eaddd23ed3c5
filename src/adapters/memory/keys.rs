//! Keys of organisations in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::model::{ApiKeyRecord, KeyHash, KeyId, OrganisationId};
use crate::ports::store::StoreResult;
use crate::ports::{ApiKeys, Created};

/// Keys by their ids.
type Kept = BTreeMap<KeyId, (ApiKeyRecord, KeyHash)>;

/// Keys of organisations in memory.
#[derive(Debug, Default)]
pub struct MemoryKeys(Mutex<Kept>);

impl MemoryKeys {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ApiKeys for MemoryKeys {
    async fn create(&self, key: &ApiKeyRecord, hash: &KeyHash) -> StoreResult<Created> {
        let mut keys = self.lock();
        let kept = keys.entry(key.id.clone()).or_insert_with(|| (key.clone(), *hash));
        Ok(if (&kept.0, &kept.1) == (key, hash) { Created::Done } else { Created::Taken })
    }

    async fn list(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<ApiKeyRecord>> {
        let keys = self.lock();
        let named = |key: &&ApiKeyRecord| organisation.is_none_or(|organisation| key.organisation == *organisation);
        let mut listed: Vec<ApiKeyRecord> = keys.values().map(|(key, _)| key).filter(named).cloned().collect();
        // They come by id, and stay so within an instant.
        listed.sort_by_key(|key| key.created_at);
        Ok(listed)
    }

    async fn revoke(&self, organisation: Option<&OrganisationId>, id: &KeyId) -> StoreResult<Option<ApiKeyRecord>> {
        let mut keys = self.lock();
        let named = |key: &ApiKeyRecord| organisation.is_none_or(|organisation| key.organisation == *organisation);
        if !keys.get(id).is_some_and(|(key, _)| named(key)) {
            return Ok(None);
        }
        Ok(keys.remove(id).map(|(key, _)| key))
    }

    async fn find(&self, id: &KeyId, hash: &KeyHash) -> StoreResult<Option<ApiKeyRecord>> {
        let keys = self.lock();
        Ok(keys.get(id).filter(|(_, kept)| kept == hash).map(|(key, _)| key.clone()))
    }
}
