//! The servers of a deployment, as workers and the command line reach them.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::addresses::check_url;
use super::worker::DaemonError;
use crate::adapters::amqp::{AmqpSettings, Broker, Client, Topology};
use crate::adapters::redis::{RedisHooks, RedisSettings, RedisStore};
use crate::config::Settings;
use crate::ports::hooks::Keeping;
use crate::ports::store::ProcessId;
use crate::ports::{ApiKeys, CampaignStore, Clock, HookStore, RecordingIndex, StoreError};

/// How soon a database that did not say whether it may forget is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// The servers of a deployment.
pub struct Deployment {
    clock: Arc<dyn Clock>,
    store: Arc<RedisStore>,
    amqp: AmqpSettings,
    require_durable: bool,
    wait_replicas: u32,
}

impl Deployment {
    /// Puts clients together; servers need not be there yet. Must be called within a runtime.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, DaemonError> {
        let redis = &settings.redis;
        let schemes = ["redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix", "unix"];
        check_url("redis.url", redis.url.expose_secret(), &schemes)?;
        check_url("amqp.url", settings.amqp.url.expose_secret(), &["amqp", "amqps"])?;
        let store = RedisStore::new(&RedisSettings {
            url: redis.url.clone(),
            prefix: redis.prefix.clone(),
            default_limit: redis.default_limit,
            wait_replicas: redis.wait_replicas,
        });
        let store = store.map_err(|error| match error {
            StoreError::Refused(why) => DaemonError::Settings(format!("redis.url: {why}")),
            error => DaemonError::Settings(format!("redis.url: {error}")),
        })?;
        let amqp = &settings.amqp;
        let names = Topology::prefixed(&amqp.prefix);
        let amqp = AmqpSettings {
            trusted: settings.trusted()?,
            prefetch: amqp.prefetch.max(1),
            heartbeat: Duration::from_secs(u64::from(amqp.heartbeat_secs.max(1))),
            retention: Duration::from_secs(u64::from(amqp.event_log_hours) * 3600),
            names: names.map_err(|error| DaemonError::Settings(format!("amqp.prefix: {error}")))?,
            ..AmqpSettings::at(amqp.url.clone())
        };
        Ok(Self {
            clock,
            store: Arc::new(store),
            amqp,
            require_durable: redis.require_durable,
            wait_replicas: redis.wait_replicas,
        })
    }

    /// Looks for requests that the database has lost, for as long as the future is held. From this call on nothing is
    /// claimed after a loss until that is done.
    ///
    /// # Errors
    /// When the broker's address is none.
    pub fn lost_requests(&self, process: ProcessId) -> Result<impl Future<Output = ()> + Send + use<>, DaemonError> {
        Ok(super::lost::look_for_ever(Arc::clone(&self.store), self.client()?, Arc::clone(&self.clock), process))
    }

    /// How the broker is reached.
    pub(super) fn amqp_settings(&self) -> &AmqpSettings {
        &self.amqp
    }

    /// Whether workers refuse a database that may forget.
    pub(super) const fn requires_durable(&self) -> bool {
        self.require_durable
    }

    /// Replicas that must have a dial before it is made.
    pub(super) const fn wait_replicas(&self) -> u32 {
        self.wait_replicas
    }

    /// The database itself.
    pub(super) fn database(&self) -> &Arc<RedisStore> {
        &self.store
    }

    /// The keys of organisations.
    pub fn keys(&self) -> Arc<dyn ApiKeys> {
        Arc::<RedisStore>::clone(&self.store)
    }

    /// What webhooks have yet to be sent, of which so much is kept.
    pub fn hooks(&self, keeping: Keeping) -> Arc<dyn HookStore> {
        Arc::new(RedisHooks::new(Arc::clone(&self.store), keeping))
    }

    /// The waiting room.
    pub fn store(&self) -> Arc<dyn CampaignStore> {
        Arc::<RedisStore>::clone(&self.store)
    }

    /// Which recordings there are.
    pub fn recordings(&self) -> Arc<dyn RecordingIndex> {
        Arc::<RedisStore>::clone(&self.store)
    }

    /// A worker's connections to the broker.
    ///
    /// # Errors
    /// When its address is none.
    pub fn broker(&self) -> Result<Broker, DaemonError> {
        Broker::connect(self.amqp.clone(), &self.clock)
            .map_err(|error| DaemonError::Settings(format!("amqp.url: {error}")))
    }

    /// A client of the broker.
    ///
    /// # Errors
    /// When its address is none.
    pub fn client(&self) -> Result<Client, DaemonError> {
        let client = Client::new(self.amqp.clone(), Arc::clone(&self.clock));
        client.map_err(|error| DaemonError::Settings(format!("amqp.url: {error}")))
    }

    /// Looks whether the database may forget: warns, or refuses if the settings ask for that. It is waited for: one that is away may
    /// be durable, and whoever starts everything at once has no order.
    ///
    /// # Errors
    /// When it may forget and must not.
    pub async fn check_durability(&self) -> Result<(), DaemonError> {
        let mut is_told = false;
        loop {
            match self.store.durability().await {
                Ok(weaknesses) if self.require_durable && !weaknesses.is_empty() => {
                    return Err(DaemonError::Settings(format!("redis.require_durable: {}", weaknesses.join("; "))));
                }
                Ok(weaknesses) => {
                    for weakness in weaknesses {
                        tracing::warn!(%weakness, "the database may forget");
                    }
                    return Ok(());
                }
                Err(error @ StoreError::Unavailable(_)) if self.require_durable => {
                    if !is_told {
                        tracing::warn!(%error, "nothing is done before the database says that it does not forget");
                    }
                    is_told = true;
                }
                Err(error) if self.require_durable => return Err(error.into()),
                // It is absent, or does not let us in: said by whoever asks it.
                Err(StoreError::Unavailable(_))
                    if matches!(self.store.time().await, Err(StoreError::Unavailable(_))) => {}
                // It does not tell: looked at again by `doctor`.
                Err(error) => {
                    tracing::warn!(%error, "whether the database may forget is not known");
                    return Ok(());
                }
            }
            self.clock.sleep_until(self.clock.now() + ASKED_AGAIN).await;
        }
    }
}
