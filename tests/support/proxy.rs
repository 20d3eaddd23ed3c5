//! A proxy for TCP that breaks things: to stand between the code under test and any server.

#![allow(dead_code, reason = "each test binary uses what it needs")]
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::ports::Clock as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// What happens to what passes. The default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How much later everything arrives.
    pub latency: Duration,
    /// New connections are closed at once.
    pub refuse: bool,
    /// Connections stay open and nothing passes, in neither direction: a cable that was pulled. What was sent meanwhile
    /// passes when it is plugged in again.
    pub black_hole: bool,
    /// What the server says is lost; it still hears everything.
    pub swallow_replies: bool,
    /// A connection is cut once so many bytes went to the server, counted over all connections from now on.
    pub cut_after: Option<u64>,
}

/// A proxy; it and its connections end when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: AbortOnDropHandle<()>,
}

struct Shared {
    target: SocketAddr,
    faults: watch::Sender<Faults>,
    /// Raised to cut every connection.
    cuts: watch::Sender<u64>,
    accepted: watch::Sender<u64>,
    to_server: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Proxy {
    /// A proxy before a server, on a free port.
    pub async fn before(target: SocketAddr, faults: Faults) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            faults: watch::Sender::new(faults),
            cuts: watch::Sender::new(0),
            accepted: watch::Sender::new(0),
            to_server: AtomicU64::new(0),
        });
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Self { address, shared, _listening: AbortOnDropHandle::new(listening) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What happens from now on to all connections.
    pub fn set(&self, faults: Faults) {
        self.shared.to_server.store(0, Ordering::SeqCst);
        self.shared.faults.send_replace(faults);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Waits until so many connections were asked for since the beginning.
    pub async fn asked_for(&self, connections: u64) {
        let mut accepted = self.shared.accepted.subscribe();
        accepted.wait_for(|accepted| *accepted >= connections).await.unwrap();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        shared.accepted.send_modify(|accepted| *accepted += 1);
        if !shared.faults.borrow().refuse {
            connections.spawn(connect(client, Arc::clone(&shared)));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Passes on in both directions until one ends or the connection is cut.
async fn connect(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    // A server that is not there closes the client's connection, as it would itself.
    let Ok(server) = TcpStream::connect(shared.target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((client_out, client_in), (server_out, server_in)) = (client.into_split(), server.into_split());
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        () = pump(client_out, server_in, Direction::ToServer, &shared) => {}
        () = pump(server_out, client_in, Direction::ToClient, &shared) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction, shared: &Shared) {
    let clock = SystemClock::new();
    let mut faults = shared.faults.subscribe();
    let mut bytes = vec![0; 64 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else {
            // A cable that was pulled does not tell of the other side's end either.
            let _ = faults.wait_for(|faults| !faults.black_hole).await;
            return;
        };
        let Ok(now) = faults.wait_for(|faults| !faults.black_hole).await.map(|now| *now) else { return };
        if !now.latency.is_zero() {
            clock.sleep_until(clock.now() + now.latency).await;
        }
        if direction == Direction::ToClient && now.swallow_replies {
            continue;
        }
        let mut passes = count;
        if let (Direction::ToServer, Some(most)) = (direction, now.cut_after) {
            let before = shared.to_server.fetch_add(count as u64, Ordering::SeqCst);
            passes = count.min(usize::try_from(most.saturating_sub(before)).unwrap());
        }
        if to.write_all(&bytes[..passes]).await.is_err() || passes < count {
            return;
        }
    }
}
