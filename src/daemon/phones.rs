//! The phone network that the settings name.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::addresses::check_address;
use super::simulator::remote_telephony;
use super::worker::DaemonError;
use crate::adapters::asterisk::{Asterisk, AsteriskArchive, AsteriskSettings, IsOurs, NodeSettings, Templates};
use crate::adapters::memory::MemoryArchive;
use crate::config::{self, Backend, Settings};
use crate::ports::{Clock, RecordingArchive, Telephony};

/// The phone network.
pub enum Phones {
    /// A simulated one: where it is, and the port to it.
    Simulator(String, Arc<dyn Telephony>),
    /// Asterisk: where its nodes are, and the port to them.
    Asterisk(String, Arc<Asterisk>),
}

impl Phones {
    /// Reads the settings; nothing is asked yet. It must be asked within a runtime with timers and sockets.
    /// `is_ours` is for whoever listens, and is not alone.
    ///
    /// # Errors
    /// When the settings do not name one.
    pub fn of(settings: &Settings, clock: Arc<dyn Clock>, is_ours: Option<IsOurs>) -> Result<Self, DaemonError> {
        match settings.telephony.backend {
            Backend::Simulator => {
                let address = &settings.telephony.simulator;
                check_address("telephony.simulator", address)?;
                Ok(Phones::Simulator(address.clone(), remote_telephony(address, clock)))
            }
            Backend::Asterisk => {
                let nodes = settings.asterisk.nodes.join(", ");
                Ok(Phones::Asterisk(nodes, Arc::new(asterisk(&settings.asterisk, clock, is_ours)?)))
            }
        }
    }

    /// The port to it.
    pub fn telephony(&self) -> Arc<dyn Telephony> {
        match self {
            Phones::Simulator(_, telephony) => Arc::clone(telephony),
            Phones::Asterisk(_, asterisk) => Arc::clone(asterisk) as _,
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        match self {
            Phones::Simulator(place, _) | Phones::Asterisk(place, _) => place,
        }
    }
}

/// Where what is recorded on the phone network is kept. A simulated one keeps nothing.
///
/// # Errors
/// When the settings do not name one.
pub fn archive(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn RecordingArchive>, DaemonError> {
    Ok(match settings.telephony.backend {
        Backend::Simulator => Arc::new(MemoryArchive::default()),
        Backend::Asterisk => {
            let archive = AsteriskArchive::new(&nodes(&settings.asterisk), clock);
            Arc::new(archive.map_err(|error| DaemonError::Settings(format!("asterisk.nodes: {error}")))?)
        }
    })
}

fn nodes(settings: &config::Asterisk) -> Vec<NodeSettings> {
    let node = |url: &String| NodeSettings {
        name: url.split("://").last().and_then(|rest| rest.split('/').next()).unwrap_or(url).to_owned(),
        url: url.clone(),
        user: settings.user.clone(),
        password: settings.password.clone(),
        max_legs: NonZeroU32::new(settings.max_legs),
        legs_per_second: NonZeroU32::new(settings.legs_per_second),
    };
    settings.nodes.iter().map(node).collect()
}

fn asterisk(
    settings: &config::Asterisk,
    clock: Arc<dyn Clock>,
    is_ours: Option<IsOurs>,
) -> Result<Asterisk, DaemonError> {
    let wrong =
        |setting: &str, why: &dyn std::fmt::Display| DaemonError::Settings(format!("asterisk.{setting}: {why}"));
    let templates = Templates {
        trunks: settings.trunks.clone(),
        external: settings.external.clone(),
        extension: settings.extension.clone(),
        queue: settings.queue.clone(),
        sip: settings.sip.clone(),
    };
    let endpoints = templates.read().map_err(|(setting, error)| wrong(setting, &error))?;
    if settings.nodes.is_empty() {
        return Err(wrong("nodes", &"at least one is needed"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let recordings = settings.recordings.clone();
    if !recordings.bytes().all(plain) || recordings.starts_with('/') || recordings.split('/').any(|part| part == "..") {
        return Err(wrong("recordings", &"letters, digits and - _ . / are allowed, and a place within the folder"));
    }
    let settings = AsteriskSettings { recordings, ..AsteriskSettings::new(nodes(settings), endpoints, clock) };
    let is_ours = is_ours.unwrap_or_else(|| Arc::clone(&settings.is_ours));
    Asterisk::new(AsteriskSettings { is_ours, ..settings }).map_err(|error| wrong("nodes", &error))
}
