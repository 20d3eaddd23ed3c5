//! The simulated network as a process of its own: workers come over TCP, the network outlives them.
//!
//! **Invariants**
//! - Nothing that follows from a dial leaves before the dial is in the log.
//! - A connection that sends rubbish, reads too slowly or says nothing for [`SILENCE`] is closed; the others and the
//!   network's calls do not notice.
//! - An app has one listener: the youngest stream. A stream that lost its connection may be gone on with by the same
//!   client, unless a younger one was opened meanwhile.

mod apps;
mod connection;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::apps::Ages;
use super::dial_log::DialLogFile;
use super::network::SimulatedNetwork;
use super::population::NetworkSettings;
use crate::ports::Clock;

/// A client says something at least every few seconds; one that is silent for this long is gone.
pub const SILENCE: Duration = Duration::from_secs(15);

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 1_024;

/// How often the log is written out while nobody hears of what stands in it.
const LOG_EVERY: Duration = Duration::from_millis(100);

/// How long accepting waits after it failed: the system has run out of something.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What a served network is like.
pub struct ServerSettings {
    /// The network.
    pub network: NetworkSettings,
    /// The time its phones go by, which may run faster than that on the wall.
    pub clock: Arc<dyn Clock>,
    /// The time its connections go by.
    pub wall: Arc<dyn Clock>,
    /// Where every dial is written down.
    pub dial_log: Option<PathBuf>,
    /// Shortest time between two writes to a connection.
    pub between_writes: Duration,
}

/// Why the network is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, #[source] io::Error),
    /// The log of dials cannot be opened.
    #[error("{}: cannot be written: {error}", path.display())]
    OpenLog {
        /// Its name.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The log of dials cannot be gone on with: nothing may be dialled that it does not tell of.
    #[error("the log of dials cannot be written: {0}")]
    Log(#[source] io::Error),
}

/// A simulated network that listens.
pub struct SimulatorServer {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    network: SimulatedNetwork,
    wall: Arc<dyn Clock>,
    between_writes: Duration,
    log: Option<DialLogFile>,
    ages: Mutex<Ages>,
    /// Why the log cannot be written, and that everything is to end for it.
    log_failure: Mutex<Option<io::Error>>,
    broken: CancellationToken,
}

impl SimulatorServer {
    /// Opens the log and listens; nobody is answered yet.
    ///
    /// # Errors
    /// When the log cannot be opened, or the address cannot be listened on.
    pub async fn bind(address: &str, settings: ServerSettings) -> Result<Self, ServerError> {
        let ServerSettings { network, clock, wall, dial_log, between_writes } = settings;
        let log = dial_log
            .map(|path| DialLogFile::open(&path).map_err(|error| ServerError::OpenLog { path, error }))
            .transpose()?;
        let cannot = |error| ServerError::Listen(address.to_owned(), error);
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let bound = listener.local_addr().map_err(cannot)?;
        let (began, seed) = (clock.now(), network.seed);
        let network = SimulatedNetwork::new(clock, network);
        if let Some(log) = &log {
            log.began(began, seed);
            network.show_to(Box::new(log.clone()));
        }
        let shared = Shared {
            network,
            wall,
            between_writes,
            log,
            ages: Mutex::default(),
            log_failure: Mutex::default(),
            broken: CancellationToken::new(),
        };
        shared.write_log().map_err(ServerError::Log)?;
        Ok(Self { listener, address: bound, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The network itself.
    pub fn network(&self) -> SimulatedNetwork {
        self.shared.network.clone()
    }

    /// Serves until told to stop. All calls end with it, unheard.
    ///
    /// # Errors
    /// When the log of dials cannot be written any more.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServerError> {
        let Self { listener, shared, .. } = self;
        // Dropped with this future, and their tasks with them.
        let mut tasks = JoinSet::new();
        let driver = shared.network.run();
        tasks.spawn(async move { match driver.await {} });
        tasks.spawn(write_log_now_and_then(Arc::clone(&shared)));
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return shared.write_log().map_err(ServerError::Log),
                () = shared.broken.cancelled() => return Err(ServerError::Log(shared.failure())),
                accepted = listener.accept() => accepted,
            };
            while tasks.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) if tasks.len() < MOST_CONNECTIONS + 2 => {
                    tasks.spawn(connection::serve(Arc::clone(&shared), stream, peer));
                }
                Ok((_, peer)) => tracing::warn!(%peer, "too many connections"),
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    shared.wall.sleep_until(shared.wall.now() + AFTER_FAILURE).await;
                }
            }
        }
    }
}

impl Shared {
    /// Hands what is in the log to the system; must come before anything is sent that follows from it.
    fn write_log(&self) -> io::Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        log.flush().map_err(|error| {
            let told = io::Error::new(error.kind(), error.to_string());
            self.log_failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.broken.cancel();
            told
        })
    }

    fn failure(&self) -> io::Error {
        let failure = self.log_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.unwrap_or_else(|| io::Error::other("it is broken"))
    }
}

async fn write_log_now_and_then(shared: Arc<Shared>) {
    while shared.write_log().is_ok() {
        shared.wall.sleep_until(shared.wall.now() + LOG_EVERY).await;
    }
}
