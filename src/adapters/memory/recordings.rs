//! Which recordings there are.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::state::State;
use super::store::MemoryStore;
use crate::model::{AttemptId, OrganisationId, Recording, Timestamp};
use crate::ports::{RecordingIndex, StoreResult};

impl State {
    fn recordings_of(&self, organisation: &OrganisationId) -> Option<&BTreeMap<AttemptId, Recording>> {
        self.org_names.get(organisation).map(|ix| &self.org(*ix).recordings)
    }
}

#[async_trait]
impl RecordingIndex for MemoryStore {
    async fn recording(&self, organisation: &OrganisationId, attempt: AttemptId) -> StoreResult<Option<Recording>> {
        Ok(self.with(|state| state.recordings_of(organisation)?.get(&attempt).cloned()))
    }

    async fn recordings_before(
        &self,
        organisation: &OrganisationId,
        before: Timestamp,
        behind: Option<&Recording>,
        limit: u32,
    ) -> StoreResult<Vec<Recording>> {
        Ok(self.with(|state| {
            let known = state.recordings_of(organisation).into_iter().flat_map(BTreeMap::values);
            let place = |recording: &Recording| (recording.ended_at, recording.attempt.to_string());
            let behind = behind.map(place);
            let is_wanted = |recording: &&Recording| {
                recording.ended_at < before && behind.as_ref().is_none_or(|behind| place(recording) > *behind)
            };
            let mut found: Vec<_> = known.filter(is_wanted).cloned().collect();
            found.sort_by_cached_key(place);
            found.truncate(limit as usize);
            found
        }))
    }

    async fn forget_recording(&self, organisation: &OrganisationId, attempt: AttemptId) -> StoreResult<()> {
        self.with(|state| {
            if let Some(ix) = state.org_names.get(organisation).copied() {
                state.org_mut(ix).recordings.remove(&attempt);
            }
        });
        Ok(())
    }

    async fn organisations(&self, _: u64) -> StoreResult<(Vec<OrganisationId>, u64)> {
        Ok((self.with(|state| state.orgs.iter().map(|org| org.id.clone()).collect()), 0))
    }
}
