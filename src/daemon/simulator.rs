//! The simulated phone network as a process of its own, and the port through which workers reach it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::adapters::clock::{InvalidSpeed, SystemClock};
use crate::adapters::simulator::{
    BETWEEN_WRITES, NetworkSettings, RemoteNetwork, RemoteSettings, ServerSettings, SimulatorServer,
};
use crate::ports::{Clock, Telephony};
use crate::shutdown::Interrupts;

pub use crate::adapters::simulator::{Counters, ServerError};

/// What a served network is like.
pub struct SimulatorSettings {
    /// `host:port`; port 0 is one that is free.
    pub listen: String,
    /// The network.
    pub network: NetworkSettings,
    /// How many times as fast as the clock on the wall its phones live.
    pub speed: f64,
    /// Where every dial is written down.
    pub dial_log: Option<PathBuf>,
}

/// Why a network is not served.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Time cannot go so fast.
    #[error(transparent)]
    Speed(#[from] InvalidSpeed),
    /// The runtime could not be made.
    #[error("no runtime: {0}")]
    Runtime(#[from] io::Error),
    /// It cannot listen, or write its log.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// A phone network that listens.
pub struct Simulator {
    runtime: Runtime,
    server: SimulatorServer,
}

impl Simulator {
    /// Listens; nobody is answered yet.
    ///
    /// # Errors
    /// When the address or the log cannot be used, time cannot go so fast, or the system refuses a runtime.
    pub fn new(settings: SimulatorSettings) -> Result<Self, SimulatorError> {
        let SimulatorSettings { listen, network, speed, dial_log } = settings;
        let wall: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let clock: Arc<dyn Clock> =
            if speed == 1.0 { Arc::clone(&wall) } else { Arc::new(SystemClock::at_speed(speed)?) };
        // Whatever happens is done under one lock: more threads would only wait for one another.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let settings = ServerSettings { network, clock, wall, dial_log, between_writes: BETWEEN_WRITES };
        let server = runtime.block_on(SimulatorServer::bind(&listen, settings))?;
        Ok(Self { runtime, server })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Serves until interrupted, and tells what there was.
    ///
    /// # Errors
    /// When the log of dials cannot be written.
    pub fn run(self, interrupts: &Interrupts) -> Result<Counters, SimulatorError> {
        let network = self.server.network();
        self.runtime.block_on(self.server.run(interrupts.soft.clone()))?;
        Ok(network.counters())
    }
}

/// The port to a simulated network at `host:port`. It is connected to when it is first asked something, which must be
/// within a runtime with timers and sockets.
pub fn remote_telephony(address: &str, clock: Arc<dyn Clock>) -> Arc<dyn Telephony> {
    Arc::new(RemoteNetwork::connect(RemoteSettings::new(address, clock)))
}
