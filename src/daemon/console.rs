//! A deployment as somebody at a terminal reaches it: one command at a time, each server looked for within seconds, and
//! named with its address if it does not answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::runtime::{Builder, Runtime};

use super::deployment::Deployment;
use super::phones::Phones;
use super::worker::DaemonError;
use crate::adapters::amqp::{Client, ClientError, reachability};
use crate::adapters::clock::SystemClock;
use crate::config::{self, Settings};
use crate::model::status::RequestSummary;
use crate::model::{OrganisationId, Timestamp};
use crate::ports::hooks::Keeping;
use crate::ports::store::{CallSnapshot, RequestKey, RequestSnapshot, SlotUse};
use crate::ports::{ApiKeys, CampaignStore, Clock, HookStore, StoreError, StoreResult};

/// How long the broker may take to let us in.
const LET_IN_WITHIN: Duration = Duration::from_secs(5);

/// How long the database may take for one answer, connecting included.
const STORE_WITHIN: Duration = Duration::from_secs(8);

/// Calls read at a time.
const PAGE: u32 = 1_000;

/// One of the servers of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// RabbitMQ.
    Broker,
    /// Redis or Valkey.
    Database,
    /// The telephony backend.
    PhoneNetwork,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Server::Broker => "the broker",
            Server::Database => "the database",
            Server::PhoneNetwork => "the phone network",
        })
    }
}

/// Why a deployment did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The settings cannot be used, or the system refuses a runtime.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A server does not answer, or does not let us in.
    #[error("{server} at {address} does not answer: {why}")]
    Unreachable {
        /// Which.
        server: Server,
        /// Where, without its password.
        address: String,
        /// In words.
        why: String,
    },
    /// The servers answer; no worker did in time.
    #[error("no worker has answered within {0:?}")]
    Unanswered(Duration),
    /// There is no such thing.
    #[error("there is no such thing")]
    NotFound,
    /// It was understood and refused.
    #[error("{0}")]
    Refused(String),
    /// The database holds what is not understood, or does not do what it must.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}

/// A deployment, from outside. Its connections are served while something is waited for.
pub struct Console {
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    pub(super) deployment: Deployment,
    pub(super) broker_at: String,
    pub(super) database_at: String,
    pub(super) phones: Phones,
    pub(super) speech: config::Speech,
    /// The beginning of the database's keys.
    pub(super) prefix: String,
}

impl Console {
    /// Puts clients together; no server is asked yet.
    ///
    /// # Errors
    /// When a setting cannot be used, or the system refuses a runtime.
    pub fn open(settings: &Settings) -> Result<Self, DaemonError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let deployment = {
            let _inside = runtime.enter();
            Deployment::new(settings, Arc::clone(&clock))?
        };
        let phones = Phones::of(settings, Arc::clone(&clock), None)?;
        Ok(Self {
            runtime,
            clock,
            deployment,
            broker_at: address(settings.amqp.url.expose_secret()),
            database_at: address(settings.redis.url.expose_secret()),
            phones,
            speech: settings.speech.clone(),
            prefix: settings.redis.prefix.clone(),
        })
    }

    /// Waits for something.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Lets some time pass.
    pub fn pause(&self, length: Duration) {
        self.wait(self.clock.sleep_until(self.clock.now() + length));
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time's source.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What `future` gives, unless it takes longer than `bound`.
    pub async fn within<T>(&self, bound: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.clock.sleep_until(self.clock.now() + bound) => None,
        }
    }

    /// A client of the broker, connected.
    ///
    /// # Errors
    /// When the broker does not answer, or does not let us in.
    pub fn client(&self) -> Result<Client, ConsoleError> {
        self.wait(async {
            let answers = reachability(self.deployment.amqp_settings(), &*self.clock).await;
            answers.map_err(|error| self.of_broker(error))?;
            let client = self.deployment.client()?;
            client.connected(LET_IN_WITHIN).await.map_err(|error| self.of_broker(error))?;
            Ok(client)
        })
    }

    /// What the broker answers.
    ///
    /// # Errors
    /// As the client says, with the broker's address.
    pub fn ask_broker<T>(&self, asked: impl Future<Output = Result<T, ClientError>>) -> Result<T, ConsoleError> {
        self.wait(asked).map_err(|error| self.of_broker(error))
    }

    pub(super) fn of_broker(&self, error: ClientError) -> ConsoleError {
        match error {
            ClientError::Unavailable(why) => self.without_broker(&why),
            ClientError::Full => self.without_broker(&error.to_string()),
            ClientError::Unanswered(bound) => ConsoleError::Unanswered(bound),
            ClientError::NotFound => ConsoleError::NotFound,
            error @ (ClientError::Unroutable | ClientError::TooLarge { .. } | ClientError::Refused(_)) => {
                ConsoleError::Refused(error.to_string())
            }
        }
    }

    fn without_broker(&self, why: &str) -> ConsoleError {
        ConsoleError::Unreachable { server: Server::Broker, address: self.broker_at.clone(), why: plain(why) }
    }

    /// The waiting room.
    pub fn store(&self) -> Arc<dyn CampaignStore> {
        self.deployment.store()
    }

    /// The keys of organisations.
    pub fn keys(&self) -> Arc<dyn ApiKeys> {
        self.deployment.keys()
    }

    /// What webhooks have yet to be sent.
    pub fn hooks(&self) -> Arc<dyn HookStore> {
        // Nothing is put there by whoever only looks.
        self.deployment.hooks(Keeping::default())
    }

    /// What the database answers.
    ///
    /// # Errors
    /// As the store says, with the database's address.
    pub fn ask_store<T>(&self, asked: impl Future<Output = StoreResult<T>>) -> Result<T, ConsoleError> {
        self.ask_store_within(STORE_WITHIN, asked)
    }

    /// The same of many answers, which may take so long together.
    pub(super) fn ask_store_within<T>(
        &self,
        bound: Duration,
        asked: impl Future<Output = StoreResult<T>>,
    ) -> Result<T, ConsoleError> {
        let answer = self.wait(self.within(bound, asked));
        let why = match answer {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(StoreError::NotFound)) => return Err(ConsoleError::NotFound),
            Some(Err(StoreError::Refused(why))) => return Err(ConsoleError::Unusable(why)),
            Some(Err(error @ (StoreError::IdTaken | StoreError::Unmet { .. }))) => {
                return Err(ConsoleError::Unusable(error.to_string()));
            }
            Some(Err(StoreError::Unavailable(why))) => why,
            Some(Err(error @ StoreError::Forgotten)) => error.to_string(),
            None => format!("no answer within {bound:?}"),
        };
        Err(ConsoleError::Unreachable { server: Server::Database, address: self.database_at.clone(), why: plain(&why) })
    }

    /// A request as it is now.
    ///
    /// # Errors
    /// When there is none of that name, or the database does not answer.
    pub fn request(&self, key: &RequestKey) -> Result<RequestSnapshot, ConsoleError> {
        self.ask_store(self.store().request(key))
    }

    /// How far a request is, and its organisation's slots.
    ///
    /// # Errors
    /// When there is none of that name, or the database does not answer.
    pub fn progress(&self, key: &RequestKey) -> Result<(RequestSummary, SlotUse), ConsoleError> {
        let store = self.store();
        self.ask_store(async { Ok((store.request(key).await?.summary, store.slot_use(&key.organisation).await?)) })
    }

    /// A request's calls in its order, a page at a time: from one on, at most so many.
    pub fn pages(
        &self,
        key: &RequestKey,
        from: u32,
        most: u32,
    ) -> impl Iterator<Item = Result<Vec<CallSnapshot>, ConsoleError>> {
        let (store, end, mut from) = (self.store(), from.saturating_add(most), from);
        std::iter::from_fn(move || {
            let want = PAGE.min(end.saturating_sub(from));
            if want == 0 {
                return None;
            }
            let page = self.ask_store(store.calls(key, from, want));
            // Destinations that never came leave gaps: only the end of all of them is the end.
            from = match &page {
                Ok(page) => page.last()?.destination.index + 1,
                Err(_) => end,
            };
            Some(page)
        })
    }

    /// An organisation's slots.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn slots(&self, organisation: &OrganisationId) -> Result<SlotUse, ConsoleError> {
        self.ask_store(self.store().slot_use(organisation))
    }
}

/// A reason without the system's number.
pub(super) fn plain(why: &str) -> String {
    why.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Where a URL leads, without who is asked for and with which password.
fn address(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    place.split(['/', '?']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_password() {
        assert_eq!(address("amqp://guest:se@sa/me@broker:5672/%2f?heartbeat=3"), "broker:5672");
        assert_eq!(address("redis://db:6379/0"), "db:6379");
        assert_eq!(address("rediss://:0012345@db/"), "db");
        assert_eq!(address("db:6379"), "db:6379");
    }
}
