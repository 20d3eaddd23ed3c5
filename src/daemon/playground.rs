//! Everything in one process, for as long as one likes: workers on a simulated phone network, and the interface over HTTP.
//! Nothing outlives it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::interface::{self, Behind};
use super::keys::new_api_key;
use super::silent_speech;
use super::worker::DaemonError;
use crate::adapters::clock::SystemClock;
use crate::adapters::memory::{
    EventSink, MemoryCommandBus, MemoryEventBus, MemoryEventLog, MemoryKeys, MemoryQueue, MemoryStore,
};
use crate::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use crate::config;
use crate::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use crate::model::{ApiKey, KeyLabel, OrganisationId, Scope};
use crate::ports::store::ProcessId;
use crate::ports::{ApiKeys, CampaignStore, Clock};

/// What a playground is like.
pub struct PlaygroundSettings {
    /// The interface.
    pub api: config::Api,
    /// The phone network.
    pub network: NetworkSettings,
    /// How many times as fast as on the wall time goes.
    pub speed: f64,
    /// Flows that requests may name.
    pub flows: FlowCatalogue,
    /// Who hears events, in the order of publishing.
    pub sinks: Vec<EventSink>,
}

/// Everything in one process. Its parts end when it is dropped.
pub struct Playground {
    /// The waiting room.
    pub store: Arc<dyn CampaignStore>,
    address: SocketAddr,
    keys: Arc<MemoryKeys>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    parts: JoinSet<()>,
}

impl Playground {
    /// Puts everything together and lets it run. Must be called within a runtime.
    ///
    /// # Errors
    /// When time cannot go so fast, or nobody can listen there.
    pub async fn start(settings: PlaygroundSettings) -> Result<Self, DaemonError> {
        let PlaygroundSettings { api, network, speed, flows, sinks } = settings;
        let clock = SystemClock::at_speed(speed).map_err(|error| DaemonError::Settings(error.to_string()))?;
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let network = SimulatedNetwork::new(Arc::clone(&clock), network);
        let recordings = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let store: Arc<dyn CampaignStore> = Arc::<MemoryStore>::clone(&recordings);
        let (queue, commands) = (Arc::new(MemoryQueue::new()), Arc::new(MemoryCommandBus::new()));
        let (log, mut sinks) = (MemoryEventLog::default(), sinks);
        sinks.push(log.sink());
        let (keys, speech) = (Arc::new(MemoryKeys::default()), silent_speech());
        let programs = Arc::new(Programs::new(flows, Arc::clone(&speech)));
        let worker = Worker::new(
            Arc::new(Ports {
                clock: Arc::clone(&clock),
                queue: Arc::clone(&queue) as _,
                store: Arc::clone(&store),
                events: Arc::new(MemoryEventBus::new(sinks)),
                commands: Arc::clone(&commands) as _,
                telephony: network.telephony(),
                speech,
            }),
            Arc::clone(&programs),
            // The store is this process's own: no other process ever asks it.
            WorkerSettings::new(
                "embedded-1"
                    .parse()
                    .map_err(|error: crate::model::IdError| DaemonError::Settings(error.to_string()))?,
                ProcessId(1),
            ),
        );
        let behind = Behind {
            store: recordings,
            queue,
            commands,
            keys: Arc::clone(&keys),
            log,
            programs,
            clock: Arc::clone(&clock),
        };
        let server = interface::listen(&api, behind).await?;
        let (address, stop, mut parts) = (server.address()?, CancellationToken::new(), JoinSet::<()>::new());
        parts.spawn(async move { match network.run().await {} });
        parts.spawn(async move {
            if let Err(error) = worker.run(Shutdown::default()).await {
                tracing::error!(%error, "the worker has ended");
            }
        });
        parts.spawn(server.serve(stop.clone()));
        Ok(Self { store, address, keys, clock, stop, parts })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a key of an organisation.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub async fn new_key(
        &self,
        organisation: OrganisationId,
        label: KeyLabel,
        scopes: &[Scope],
    ) -> Result<ApiKey, DaemonError> {
        let key = new_api_key()?;
        interface::let_in(&self.keys, &key, organisation, label, scopes, self.clock.now()).await?;
        Ok(key)
    }

    /// The keys that there are.
    pub fn keys(&self) -> Arc<dyn ApiKeys> {
        Arc::clone(&self.keys) as _
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Ends when a part of it has, which none does by itself.
    pub async fn broken(&mut self) {
        self.parts.join_next().await;
    }

    /// Lets what is under way be answered, and ends.
    pub async fn end(mut self) {
        self.stop.cancel();
        // The server ends within its bound; the others never do.
        self.parts.join_next().await;
    }
}
