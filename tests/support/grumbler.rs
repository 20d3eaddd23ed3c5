//! A proxy for HTTP that lets some commands fail: between a worker and ARI.

#![allow(dead_code, reason = "each test program uses what it needs")]
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// How commands fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// With status 500, and nothing was done.
    Refuses,
    /// With status 500, and it was done all the same.
    DoesAndFails,
    /// It was done, and no answer ever comes.
    DoesAndSaysNothing,
}

/// The proxy; it ends when it is dropped.
pub struct Grumbler {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: AbortOnDropHandle<()>,
}

struct Shared {
    target: SocketAddr,
    mood: Mood,
    every: u64,
    commands: AtomicU64,
    struck: AtomicU64,
}

impl Grumbler {
    /// A proxy before ARI that lets each `every`th command fail. Questions and the socket of events pass.
    pub async fn before(target: SocketAddr, mood: Mood, every: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (commands, struck) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { target, mood, every, commands, struck });
        let served = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&served);
                // Whoever hangs up in between has had enough.
                connections.spawn(async move { shared.serve(client).await.unwrap_or_default() });
            }
        });
        Self { address, shared, _listening: AbortOnDropHandle::new(listening) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many commands it let fail.
    pub fn struck(&self) -> u64 {
        self.shared.struck.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = TcpStream::connect(self.target).await?;
        loop {
            let Some((head, body)) = message(&mut client).await? else { return Ok(()) };
            let is_command = ["POST ", "DELETE "].iter().any(|method| head.starts_with(method));
            let strikes = is_command && self.commands.fetch_add(1, Ordering::SeqCst) % self.every == self.every - 1;
            if strikes {
                self.struck.fetch_add(1, Ordering::SeqCst);
            }
            if strikes && self.mood == Mood::Refuses {
                client.write_all(FAILED).await?;
                continue;
            }
            server.write_all(head.as_bytes()).await?;
            server.write_all(&body).await?;
            if head.to_ascii_lowercase().contains("\r\nupgrade: websocket") {
                copy_bidirectional(&mut client, &mut server).await?;
                return Ok(());
            }
            let Some((head, body)) = message(&mut server).await? else { return Ok(()) };
            if !strikes {
                client.write_all(head.as_bytes()).await?;
                client.write_all(&body).await?;
            } else if self.mood == Mood::DoesAndFails {
                client.write_all(FAILED).await?;
            } else {
                std::future::pending::<()>().await;
            }
        }
    }
}

const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}";

/// The next request or answer on a connection: what stands before its body, and that; none at the connection's end.
async fn message(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok(Some((head, body)))
}
