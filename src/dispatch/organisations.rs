//! Organisations' settings, read again once they are a second old.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::ports::Ports;
use crate::model::{Organisation, OrganisationId, Timestamp};
use crate::ports::StoreResult;

/// How long settings are believed.
const FRESH: Duration = Duration::from_secs(1);

/// Most organisations remembered; past it, all are read again when next needed.
const KEPT: usize = 10_000;

/// What is known of organisations.
#[derive(Debug, Default)]
pub struct Organisations(Mutex<BTreeMap<OrganisationId, (Timestamp, Arc<Organisation>)>>);

impl Organisations {
    /// The settings of one organisation, at most a second old.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn of(&self, ports: &Ports, id: &OrganisationId) -> StoreResult<Arc<Organisation>> {
        let now = ports.clock.now();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some((_, settings)) = known.filter(|(read_at, _)| now.since(*read_at) < FRESH) {
            return Ok(settings);
        }
        let settings = Arc::new(ports.store.organisation(id).await?);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= KEPT {
            remembered.clear();
        }
        remembered.insert(id.clone(), (now, Arc::clone(&settings)));
        Ok(settings)
    }
}
