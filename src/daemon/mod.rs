//! The composition root: the one room that names adapters, and puts them together with dispatch. One file a composition.

mod addresses;
mod api;
mod census;
mod checkup;
mod console;
mod deployment;
mod embedded;
mod hooks;
mod interface;
mod keys;
mod lost;
mod organisations;
mod phones;
mod playground;
mod queues;
mod simulator;
mod speech;
mod vitals;
mod worker;

use std::sync::Arc;

use crate::adapters::clock::SystemClock;
use crate::adapters::speech::SilentSpeech;
use crate::model::Timestamp;
use crate::ports::{Clock, Speech};

pub use crate::adapters::amqp::{Client, DeadLetter, LoggedEvent, MAX_REQUEST, Tail, TailFrom};
pub use crate::adapters::memory::EventSink;
pub use crate::adapters::simulator::{Chance, Keys, NetworkSettings, Shares, Span};
pub use api::{ApiStage, check_api, run_api};
pub use checkup::{Finding, Verdict};
pub use console::{Console, ConsoleError, Server};
pub use deployment::Deployment;
pub use embedded::{
    AcceptedCampaign, Embedded, EmbeddedError, EmbeddedSettings, Ending, Glimpse, InterfaceSettings, Pace,
};
pub use hooks::{deliver_hooks, new_hook_secret};
pub use keys::new_api_key;
pub use playground::{Playground, PlaygroundSettings};
pub use simulator::{Counters, ServerError, Simulator, SimulatorError, SimulatorSettings, remote_telephony};
pub use speech::promised_speech;
pub use vitals::is_alive;
pub use worker::{DaemonError, WorkerStage, check_settings, random_number, run_worker};

/// The simulated network's voice, which takes its time and makes no sound.
pub fn silent_speech() -> Arc<dyn Speech> {
    Arc::new(SilentSpeech::new())
}

/// What time it is on the wall.
pub fn wall_clock() -> Timestamp {
    SystemClock::new().now()
}
