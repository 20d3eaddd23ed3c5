//! What a cluster is told of a process of this deployment: on a port of its own, if the settings name one.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::addresses::check_address;
use super::deployment::Deployment;
use super::worker::DaemonError;
use crate::adapters::amqp::{Broker, Client};
use crate::adapters::http::{Vital, Vitals, lives};
use crate::config::{self, Settings};
use crate::dispatch::Progress;
use crate::model::OrganisationId;
use crate::ports::{Clock, Telephony};
use crate::telemetry::{Exposition, Role};

/// Whether what is to be served can be.
///
/// # Errors
/// When the address is none, or an organisation's name.
pub(super) fn check(settings: &config::Metrics) -> Result<(), DaemonError> {
    if let Some(wrong) = settings.organisations.iter().find(|name| name.parse::<OrganisationId>().is_err()) {
        return Err(DaemonError::Settings(format!("metrics.organisations: {wrong:?} is the name of no organisation")));
    }
    if settings.listen.is_empty() { Ok(()) } else { check_address("metrics.listen", &settings.listen) }
}

/// Counts from now on, if anybody is to read it.
///
/// # Errors
/// When somebody else counts in this process.
pub(super) fn count(settings: &config::Metrics, role: Role) -> Result<Option<Exposition>, DaemonError> {
    check(settings)?;
    if settings.listen.is_empty() {
        return Ok(None);
    }
    Exposition::install(role).map(Some).map_err(|error| DaemonError::Settings(format!("metrics: {error}")))
}

/// Listens, and serves for as long as the future is held.
///
/// # Errors
/// When nobody can listen there.
pub(super) async fn serve(
    settings: &config::Metrics,
    exposition: Exposition,
    checks: Vec<Vital>,
    clock: &Arc<dyn Clock>,
) -> Result<impl Future<Output = ()> + Send + use<>, DaemonError> {
    let listening = Vitals::listen(&settings.listen, exposition, checks, Arc::clone(clock)).await;
    let vitals = listening.map_err(|error| DaemonError::Settings(format!("metrics.listen: {error}")))?;
    if let Ok(address) = vitals.address() {
        tracing::info!(%address, "metrics are served");
    }
    Ok(vitals.serve())
}

/// Whether a process with these settings lives; none if they have it serve nothing.
///
/// # Errors
/// Why it does not.
pub fn is_alive(settings: &Settings) -> Result<Option<()>, DaemonError> {
    if settings.metrics.listen.is_empty() {
        return Ok(None);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let wrong = |why: String| DaemonError::Settings(format!("metrics.listen: {why}"));
        let at =
            tokio::net::lookup_host(&settings.metrics.listen).await.map_err(|error| wrong(error.to_string()))?.next();
        lives(at.ok_or_else(|| wrong("no such host".to_owned()))?).await.map(Some).map_err(DaemonError::Dead)
    })
}

/// Whether the database answers.
pub(super) fn redis(deployment: &Deployment) -> Vital {
    let database = Arc::clone(deployment.database());
    let check = move || {
        let database = Arc::clone(&database);
        async move { database.time().await.map(drop).map_err(|error| error.to_string()) }.boxed()
    };
    Vital { name: "redis", check: Box::new(check) }
}

/// Whether a worker is connected to the broker.
pub(super) fn broker(broker: Broker) -> Vital {
    vital("broker", move || if broker.is_up() { Ok(()) } else { Err("not connected") })
}

/// Whether a client is connected to the broker.
pub(super) fn broker_of(client: Arc<Client>) -> Vital {
    vital("broker", move || if client.is_up() { Ok(()) } else { Err("not connected") })
}

/// Whether the phone network is heard.
pub(super) fn backend(telephony: Arc<dyn Telephony>) -> Vital {
    vital("telephony", move || if telephony.is_heard() { Ok(()) } else { Err("not heard") })
}

/// Whether a worker works.
pub(super) fn worker(progress: watch::Receiver<Progress>) -> Vital {
    vital("worker", move || match *progress.borrow() {
        Progress::Waiting => Err("waits for Redis, for its name, or for the phone network"),
        Progress::Working => Ok(()),
        Progress::Draining => Err("drains"),
    })
}

/// Whether a process was not told to end.
pub(super) fn not_ending(ending: CancellationToken) -> Vital {
    vital("api", move || if ending.is_cancelled() { Err("ends") } else { Ok(()) })
}

fn vital(name: &'static str, check: impl Fn() -> Result<(), &'static str> + Send + Sync + 'static) -> Vital {
    Vital { name, check: Box::new(move || std::future::ready(check().map_err(str::to_owned)).boxed()) }
}
