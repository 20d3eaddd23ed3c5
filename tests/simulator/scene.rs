//! What the tests play with: a served network, workers, and a wire that can be cut.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::adapters::simulator::{
    BETWEEN_WRITES, NetworkSettings, RemoteNetwork, RemoteSettings, ServerError, ServerSettings, SimulatedNetwork,
    SimulatorServer,
};
use robocall::callflow::program::Target;
use robocall::model::{AttemptId, CallId, LegId, Timestamp, WorkerId};
use robocall::ports::telephony::{LegEvent, LegReport, NewLeg};
use robocall::ports::{Clock, Telephony};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything that ought to come, by the clock on the wall.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Numbers that nobody else in this process has.
pub fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A magic number of a kind.
pub fn magic(kind: u32) -> Target {
    Target::External(format!("+999{kind}{:05}", serial() % 100_000).parse().unwrap())
}

/// A leg that nobody else in this process has.
pub fn fresh_leg() -> LegId {
    let call = CallId::new(&"acme".parse().unwrap(), &"simulator".parse().unwrap(), serial());
    LegId::callee(AttemptId { call, claim: 1 })
}

pub fn app(name: &str) -> WorkerId {
    name.parse().unwrap()
}

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

pub fn new_leg(leg: LegId, target: Target) -> NewLeg {
    NewLeg { leg, target, caller: None, lives_at_most: HOUR, talks_at_most: HOUR, trunk: 0, is_waited_for: false }
}

/// Runs a test with timers and sockets; it may take a minute.
pub fn in_real_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let over = wall().sleep_until(wall().now() + 2 * PATIENCE);
        tokio::select! {
            biased;
            () = test => {}
            () = over => panic!("the test takes too long"),
        }
    });
}

pub fn wall() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// A served network.
pub struct Served {
    pub address: SocketAddr,
    pub network: SimulatedNetwork,
    stop: CancellationToken,
    running: JoinHandle<Result<(), ServerError>>,
}

impl Served {
    /// At a free port, so many times as fast as the clock on the wall.
    pub async fn at_speed(speed: f64) -> Self {
        Self::on("127.0.0.1:0", Arc::new(SystemClock::at_speed(speed).unwrap()), None).await
    }

    pub async fn on(address: &str, clock: Arc<dyn Clock>, dial_log: Option<PathBuf>) -> Self {
        let network = NetworkSettings { seed: 7, ..NetworkSettings::default() };
        let settings = ServerSettings { network, clock, wall: wall(), dial_log, between_writes: BETWEEN_WRITES };
        let server = SimulatorServer::bind(address, settings).await.unwrap();
        let (address, network, stop) = (server.address(), server.network(), CancellationToken::new());
        let running = tokio::spawn(server.run(stop.clone()));
        Self { address, network, stop, running }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }

    /// A worker that connects to it.
    pub fn worker(&self) -> Worker {
        Worker::at(self.address)
    }
}

/// A worker's side of the port.
pub struct Worker {
    pub telephony: Arc<RemoteNetwork>,
}

impl Worker {
    pub fn at(address: SocketAddr) -> Self {
        Self::with(RemoteSettings::new(address.to_string(), wall()))
    }

    /// One that soon loses its patience.
    pub fn impatient(address: SocketAddr) -> Self {
        let soon = Duration::from_millis(300);
        Self::with(RemoteSettings {
            answer_within: soon,
            ping_every: soon / 2,
            longest_pause: soon / 2,
            ..RemoteSettings::new(address.to_string(), wall())
        })
    }

    pub fn with(settings: RemoteSettings) -> Self {
        Self { telephony: Arc::new(RemoteNetwork::connect(settings)) }
    }

    pub async fn listen(&self, name: &str) -> UnboundedReceiver<LegReport> {
        self.telephony.listen(&app(name)).await.unwrap()
    }

    /// Makes and dials a leg to a magic number of a kind.
    pub async fn call(&self, name: &str, kind: u32) -> LegId {
        let leg = fresh_leg();
        self.telephony.create(&app(name), &new_leg(leg, magic(kind)), soon()).await.unwrap();
        self.telephony.dial(leg, Duration::from_secs(30), soon()).await.unwrap();
        leg
    }

    /// Asks until somebody answers.
    pub async fn insist_that_there_is_somebody(&self) {
        while self.telephony.inspect(fresh_leg()).await.is_err() {}
    }
}

pub fn soon() -> Timestamp {
    wall().now() + PATIENCE
}

/// The next report of a kind, whatever else comes before.
pub async fn until(reports: &mut UnboundedReceiver<LegReport>, kind: impl Fn(&LegEvent) -> bool) -> LegReport {
    loop {
        let report = next(reports).await.expect("the stream goes on");
        if kind(&report.what) {
            return report;
        }
    }
}

/// What comes next; none if the stream has ended.
pub async fn next(reports: &mut UnboundedReceiver<LegReport>) -> Option<LegReport> {
    within(reports.recv()).await
}

/// What must come within [`PATIENCE`].
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let over = wall().sleep_until(wall().now() + PATIENCE);
    tokio::select! {
        biased;
        output = future => output,
        () = over => panic!("nothing came for {PATIENCE:?}"),
    }
}

pub fn ended(event: &LegEvent) -> bool {
    matches!(event, LegEvent::Ended(_))
}

pub fn lost(report: &LegReport) -> bool {
    matches!(report.what, LegEvent::Ended(end) if end.lost)
}

/// What a wire between worker and network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// It carries.
    Whole,
    /// Nothing gets through, and nobody is told.
    Silent,
    /// Connections are cut, new ones too.
    Cut,
}

/// A wire that can be cut.
pub struct Proxy {
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
    accepted: watch::Receiver<usize>,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, state) = watch::channel(Wire::Whole);
        let (count, accepted) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                tokio::spawn(carry(client, server, state.clone()));
            }
        });
        Self { address, wire, accepted }
    }

    /// Waits until there have been so many connections.
    pub async fn connections(&self, count: usize) {
        within(self.accepted.clone().wait_for(|accepted| *accepted >= count)).await.unwrap();
    }

    pub fn be(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn carry(mut client: TcpStream, server: SocketAddr, mut wire: watch::Receiver<Wire>) {
    if *wire.borrow() == Wire::Cut {
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
    loop {
        let state = *wire.borrow_and_update();
        tokio::select! {
            biased;
            changed = wire.changed() => if changed.is_err() { return },
            _over = copy_bidirectional(&mut client, &mut upstream), if state == Wire::Whole => return,
        }
        if *wire.borrow() == Wire::Cut {
            return;
        }
    }
}

/// A log of dials of this test's own, gone afterwards.
pub struct Log(pub PathBuf);

impl Log {
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(format!("robocall-dials-{}-{}", std::process::id(), serial())))
    }

    /// Its lines.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What happened to a leg, in order.
    pub fn of(&self, leg: LegId) -> Vec<String> {
        let name = leg.to_string();
        let lines = self.lines().into_iter().filter(|line| line["leg"] == name.as_str());
        lines.map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _never_made = std::fs::remove_file(&self.0);
    }
}
