//! The interface over HTTP before parts that are held in memory: what the playground and an embedded run have in common.

use std::sync::Arc;

use super::api::settings_of;
use super::worker::{DaemonError, random_number};
use crate::adapters::memory::{
    MemoryArchive, MemoryCommandBus, MemoryEventLog, MemoryGate, MemoryKeys, MemoryQueue, MemoryStore,
};
use crate::api::{Api, ApiPorts, Server};
use crate::config;
use crate::dispatch::Programs;
use crate::model::{ApiKey, ApiKeyRecord, KeyLabel, OrganisationId, Scope, Timestamp};
use crate::ports::{ApiKeys as _, Clock};

/// Most destinations in a request.
const MOST_DESTINATIONS: u32 = 1_000_000;

/// What it asks.
pub(super) struct Behind {
    pub store: Arc<MemoryStore>,
    pub queue: Arc<MemoryQueue>,
    pub commands: Arc<MemoryCommandBus>,
    pub keys: Arc<MemoryKeys>,
    pub log: MemoryEventLog,
    pub programs: Arc<Programs>,
    pub clock: Arc<dyn Clock>,
}

/// Listens where the settings say; nobody is answered before it serves. Must be called within a runtime.
///
/// # Errors
/// When nobody can listen there.
pub(super) async fn listen(api: &config::Api, behind: Behind) -> Result<Server, DaemonError> {
    let Behind { store, queue, commands, keys, log, programs, clock } = behind;
    let ports = ApiPorts {
        store: Arc::<MemoryStore>::clone(&store),
        keys,
        gate: Arc::new(MemoryGate::new(queue, commands, Arc::clone(&clock))),
        events: Arc::new(log),
        recordings: store,
        // The phone network keeps nothing.
        archive: Arc::new(MemoryArchive::default()),
        flows: programs,
        clock,
        random: Arc::new(random_number),
    };
    let server = Server::listen(&api.listen, Api::new(ports, settings_of(api, MOST_DESTINATIONS)?)).await;
    server.map_err(|error| DaemonError::Settings(error.to_string()))
}

/// Has a key count.
///
/// # Errors
/// When keys cannot be kept.
pub(super) async fn let_in(
    keys: &MemoryKeys,
    key: &ApiKey,
    organisation: OrganisationId,
    label: KeyLabel,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), DaemonError> {
    let record = ApiKeyRecord {
        id: key.id().clone(),
        organisation,
        label,
        scopes: scopes.iter().copied().collect(),
        created_at: now,
    };
    // Nobody else's has its id: it was drawn just now, or is the only one.
    keys.create(&record, &key.hash()).await?;
    Ok(())
}
