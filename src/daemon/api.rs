//! The interface over HTTP, between the servers of a deployment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::addresses::check_address;
use super::census::Census;
use super::deployment::Deployment;
use super::hooks::{check as check_hooks, deliver_hooks};
use super::phones::archive;
use super::speech::promised_speech;
use super::vitals;
use super::worker::{DaemonError, random_number};
use crate::adapters::amqp::BrokerEventLog;
use crate::adapters::clock::SystemClock;
use crate::api::{Api, ApiPorts, ApiSettings, Server, SpokenVoice};
use crate::callflow::compile_for;
use crate::config::{self, Settings};
use crate::dispatch::{FlowCatalogue, Programs};
use crate::policy::network::Network;
use crate::ports::store::ProcessId;
use crate::ports::{Clock, Speech};
use crate::reading::Problems;
use crate::retention::Retention;
use crate::shutdown::Interrupts;
use crate::telemetry::Role;

/// How far the interface is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiStage {
    /// It listens; servers may still be absent.
    Listening(SocketAddr),
    /// It was told to end: answers that are under way are still given.
    Ending,
}

/// What the settings say of the interface.
///
/// # Errors
/// When what should be a network is none.
pub(super) fn settings_of(settings: &config::Api, max_destinations: u32) -> Result<ApiSettings, DaemonError> {
    Ok(ApiSettings {
        max_destinations,
        requests_per_second: settings.requests_per_second,
        unknown_keys_per_second: settings.unknown_keys_per_second,
        trusted_proxies: trusted_proxies(settings)?,
        event_streams: usize::try_from(settings.event_streams).unwrap_or(usize::MAX),
        max_connections: usize::try_from(settings.max_connections).unwrap_or(usize::MAX),
        body_mb: settings.body_mb,
        voices: (settings.voices.iter())
            .map(|(name, config::Voice { gender, language })| {
                (name.clone(), SpokenVoice { gender: *gender, language: language.clone() })
            })
            .collect(),
        menus: settings.menus.clone(),
    })
}

fn trusted_proxies(settings: &config::Api) -> Result<Vec<Network>, DaemonError> {
    let invalid = |error| DaemonError::Settings(format!("api.trusted_proxies: {error}"));
    settings.trusted_proxies.iter().map(|network| network.parse().map_err(invalid)).collect()
}

/// Whether the voices that calls out may name can be voices, of an engine that speaks.
///
/// # Errors
/// The first that cannot.
fn check_voices(settings: &config::Api, speech: &dyn Speech) -> Result<(), DaemonError> {
    for (name, voice) in &settings.voices {
        let mut message = json!({"msg": "x"});
        message["language"] = voice.language.as_deref().into();
        let mut problems = Problems::default();
        let speaks = |language: &str| speech.speaks(language);
        compile_for(&json!({"steps": [{"name": "play", "message": message}]}), "", &speaks, &mut problems);
        if let Some(problem) = problems.first().first() {
            return Err(DaemonError::Settings(format!("api.voices.{name}.language: {}", problem.message)));
        }
    }
    Ok(())
}

/// Whether the flows of menus are installed.
///
/// # Errors
/// The first that is not.
fn check_menus(settings: &config::Api, flows: &FlowCatalogue) -> Result<(), DaemonError> {
    match settings.menus.iter().find(|(_, flow)| !flows.0.contains_key(*flow)) {
        Some((menu, flow)) => {
            Err(DaemonError::Settings(format!("api.menus.{menu}: no flow {flow} is installed: see worker.flows")))
        }
        None => Ok(()),
    }
}

/// Whether the interface can be served with these settings and flows; no server is asked.
///
/// # Errors
/// When it cannot: the first reason.
pub fn check_api(settings: &Settings, flows: &FlowCatalogue) -> Result<(), DaemonError> {
    check_hooks(&settings.hooks)?;
    vitals::check(&settings.metrics)?;
    check_address("api.listen", &settings.api.listen)?;
    trusted_proxies(&settings.api)?;
    check_voices(&settings.api, &*promised_speech(&settings.speech))?;
    check_menus(&settings.api, flows)
}

/// Serves the interface until told to stop, delivers events to webhooks whenever no other process does, and deletes recordings
/// that are old enough. `tell` is called at every stage of its life.
///
/// # Errors
/// When it cannot begin.
pub fn run_api(
    settings: &Settings,
    flows: FlowCatalogue,
    interrupts: &Interrupts,
    tell: impl Fn(ApiStage) + Send + 'static,
) -> Result<(), DaemonError> {
    check_api(settings, &flows)?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        // Before anything happens that is to be counted.
        let exposition = vitals::count(&settings.metrics, Role::Api)?;
        let deployment = Deployment::new(settings, Arc::clone(&clock))?;
        let gate = Arc::new(deployment.client()?);
        let archive = archive(settings, Arc::clone(&clock))?;
        let retention = Retention {
            store: deployment.store(),
            recordings: deployment.recordings(),
            archive: Arc::clone(&archive),
            clock: Arc::clone(&clock),
            usual: (settings.api.recording_days > 0)
                .then(|| Duration::from_secs(u64::from(settings.api.recording_days) * 24 * 3600)),
        };
        let ports = ApiPorts {
            store: deployment.store(),
            recordings: deployment.recordings(),
            archive,
            keys: deployment.keys(),
            gate: Arc::clone(&gate) as _,
            events: Arc::new(BrokerEventLog::new(deployment.client()?)),
            flows: Arc::new(Programs::new(flows, promised_speech(&settings.speech))),
            clock: Arc::clone(&clock),
            random: Arc::new(random_number),
        };
        let api = Api::new(ports, settings_of(&settings.api, settings.worker.max_destinations)?);
        let server = Server::listen(&settings.api.listen, api).await;
        let server = server.map_err(|error| DaemonError::Settings(format!("api.listen: {error}")))?;
        let address = server.address()?;
        let delivering =
            deliver_hooks(&deployment, settings, &clock, ProcessId(random_number()), interrupts.soft.clone());
        let mut helpers = JoinSet::new();
        if let Some(exposition) = exposition {
            let checks = vec![
                vitals::redis(&deployment),
                vitals::broker_of(Arc::clone(&gate)),
                vitals::not_ending(interrupts.soft.clone()),
            ];
            helpers.spawn(vitals::serve(&settings.metrics, exposition, checks, &clock).await?);
            let census = Census::new(&deployment, gate, Arc::clone(&clock), &settings.metrics);
            helpers.spawn(census.watch());
        }
        tell(ApiStage::Listening(address));
        let told = async {
            interrupts.soft.cancelled().await;
            tell(ApiStage::Ending);
            std::future::pending::<()>().await;
        };
        let serving = async {
            server.serve(interrupts.soft.clone()).await;
            Ok(())
        };
        // Whichever fails ends the other.
        let working = async { tokio::try_join!(serving, delivering).map(drop) };
        tokio::select! {
            biased;
            () = interrupts.hard.cancelled() => {}
            // First: nobody would hear that it ends when it has.
            () = told => {}
            ended = working => ended?,
            never = retention.keep_on() => match never {},
        }
        Ok(())
    })
}
