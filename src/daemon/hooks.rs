//! Events on their way to webhooks: the broker's log, the database, and HTTP, put together.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::deployment::Deployment;
use super::phones::archive;
use super::worker::DaemonError;
use crate::adapters::amqp::BrokerEventLog;
use crate::adapters::http::{HookReach, HttpHooks};
use crate::config::{Hooks, Settings};
use crate::hooks::{HookPorts, HookSettings, Rules, deliver};
use crate::model::HookSecret;
use crate::model::hook::DRAWN_SECRET_BYTES;
use crate::policy::network::Network;
use crate::ports::Clock;
use crate::ports::hooks::Keeping;
use crate::ports::store::ProcessId;

/// Most hours, and most days, that anything is kept.
const MOST_HOURS: u32 = 24 * 366;

const fn seconds(seconds: u16) -> Duration {
    Duration::from_secs(seconds as u64)
}

const fn hours(hours: u32) -> Duration {
    Duration::from_secs(hours as u64 * 3600)
}

fn keeping(hooks: &Hooks) -> Keeping {
    Keeping {
        dead: hooks.dead_letters.max(1),
        dead_for: hours(hooks.dead_days.max(1) * 24),
        answers_for: hours(hooks.answer_days.max(1) * 24),
        ..Keeping::default()
    }
}

fn reach(hooks: &Hooks) -> Result<HookReach, DaemonError> {
    let invalid = |error| DaemonError::Settings(format!("hooks.allow: {error}"));
    let allowed = hooks.allow.iter().map(|network| network.parse::<Network>().map_err(invalid));
    Ok(HookReach {
        allowed: allowed.collect::<Result<_, _>>()?,
        allow_http: hooks.allow_http,
        connect_within: seconds(hooks.connect_secs),
        within: seconds(hooks.timeout_secs),
    })
}

/// Whether settings and templates can be used.
///
/// # Errors
/// When they cannot.
pub(super) fn check(hooks: &Hooks) -> Result<(), DaemonError> {
    reach(hooks)?;
    hooks.templates()?;
    let must = |holds: bool, what: &str| match holds {
        true => Ok(()),
        false => Err(DaemonError::Settings(format!("hooks.{what}"))),
    };
    must((1..=60).contains(&hooks.connect_secs), "connect_secs: must be from 1 to 60")?;
    // Whoever stands still for longer than it is sure of its lead must have sent nothing that is still on its way.
    must((1..=60).contains(&hooks.timeout_secs), "timeout_secs: must be from 1 to 60")?;
    must((1..=1_000).contains(&hooks.in_flight), "in_flight: must be from 1 to 1000")?;
    must(hooks.connections >= hooks.in_flight, "connections: must be at least hooks.in_flight")?;
    must((1..=100_000).contains(&hooks.pending), "pending: must be from 1 to 100000")?;
    must((1..=1_024).contains(&hooks.pending_mb), "pending_mb: must be from 1 to 1024")?;
    must((1..=102_400).contains(&hooks.organisation_mb), "organisation_mb: must be from 1 to 102400")?;
    must((1..=MOST_HOURS).contains(&hooks.give_up_hours), "give_up_hours: must be from 1 to 8784")?;
    must((1..=1_000_000).contains(&hooks.dead_letters), "dead_letters: must be from 1 to 1000000")?;
    must((1..=366).contains(&hooks.dead_days), "dead_days: must be from 1 to 366")?;
    must((1..=366).contains(&hooks.answer_days), "answer_days: must be from 1 to 366")?;
    must((1..=256).contains(&hooks.recording_mb), "recording_mb: must be from 1 to 256")?;
    must((1..=4_096).contains(&hooks.recordings_mb), "recordings_mb: must be from 1 to 4096")
}

/// Delivers events to webhooks whenever no other process does, until told to stop: then what is on its way has a few seconds to
/// come to its end, and is sent again by another process if it does not: nothing is lost.
///
/// # Errors
/// When the settings cannot be used.
pub async fn deliver_hooks(
    deployment: &Deployment,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    process: ProcessId,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let hooks = &settings.hooks;
    check(hooks)?;
    let sender = HttpHooks::new(reach(hooks)?, Arc::clone(clock)).map_err(DaemonError::Settings)?;
    let ports = HookPorts {
        log: Arc::new(BrokerEventLog::new(deployment.client()?)),
        store: deployment.hooks(keeping(hooks)),
        sender: Arc::new(sender),
        campaigns: deployment.store(),
        recordings: deployment.recordings(),
        archive: archive(settings, Arc::clone(clock))?,
        clock: Arc::clone(clock),
    };
    let rules = Rules {
        in_flight: usize::from(hooks.in_flight),
        pending: usize::try_from(hooks.pending).unwrap_or(usize::MAX),
        pending_bytes: u64::from(hooks.pending_mb) << 20,
        organisation_bytes: u64::from(hooks.organisation_mb) << 20,
        give_up: hours(hooks.give_up_hours),
    };
    // The sender has a bound of its own: this one is for a sender that has none any more.
    let within = seconds(hooks.timeout_secs) + Duration::from_secs(10);
    let settings = HookSettings {
        process,
        rules,
        connections: usize::from(hooks.connections),
        within,
        recording_bytes: u64::from(hooks.recording_mb) << 20,
        recordings_bytes: u64::from(hooks.recordings_mb) << 20,
    };
    deliver(Arc::new(ports), settings, Arc::new(hooks.templates()?), stop).await;
    Ok(())
}

/// A signing secret that nobody has: of the system's randomness.
///
/// # Errors
/// When the system gives none.
pub fn new_hook_secret() -> io::Result<HookSecret> {
    let mut bytes = [0; DRAWN_SECRET_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(HookSecret::from_random(bytes))
}
