//! A proxy before ARI that notes when an event came out and when a command for the same leg went in.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What was seen.
#[derive(Default)]
struct Seen {
    /// When an answered leg's event came out.
    answered: HashMap<String, Instant>,
    /// When the end of a leg's message came out.
    played: HashMap<String, Instant>,
    /// Milliseconds from an event to its command.
    delays: Vec<f64>,
}

/// The proxy, in a thread of its own for as long as the program lives.
pub struct Sniffer {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Sniffer {
    /// A proxy before ARI.
    pub fn before(target: SocketAddr) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (ready, port) = std::sync::mpsc::channel();
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                ready.send(listener.local_addr().unwrap().port()).unwrap();
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    tokio::spawn(pass(client, target, Arc::clone(&noted)));
                }
            });
        });
        Self { port: port.recv().unwrap(), seen }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Milliseconds from events to their commands since the last time.
    pub fn take_delays(&self) -> Vec<f64> {
        std::mem::take(&mut self.seen.lock().unwrap().delays)
    }
}

async fn pass(client: TcpStream, target: SocketAddr, seen: Arc<Mutex<Seen>>) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let noted = Arc::clone(&seen);
    let commands = async move {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let length = from_client.read(&mut bytes).await?;
            if length == 0 {
                return to_server.shutdown().await;
            }
            note_command(&bytes[..length], &noted);
            to_server.write_all(&bytes[..length]).await?;
        }
    };
    let events = async move {
        let (mut bytes, mut rest) = (vec![0; 64 << 10], Vec::new());
        loop {
            let length = from_server.read(&mut bytes).await?;
            if length == 0 {
                return to_client.shutdown().await;
            }
            note_events(&bytes[..length], &mut rest, &seen);
            to_client.write_all(&bytes[..length]).await?;
        }
    };
    let ended: io::Result<((), ())> = tokio::try_join!(commands, events);
    ended.map(drop)
}

/// A request's first line tells what is asked of which leg; requests come whole, each in one piece.
fn note_command(bytes: &[u8], seen: &Mutex<Seen>) {
    let line = bytes.split(|byte| *byte == b'\r').next().and_then(|line| std::str::from_utf8(line).ok());
    let Some((method, leg, rest)) = line.and_then(|line| {
        let (method, path) = line.split_once(" /ari/channels/")?;
        let path = path.split(' ').next()?;
        let (leg, rest) = path.split_once('/').unwrap_or((path, ""));
        Some((method, leg, rest))
    }) else {
        return;
    };
    let mut seen = seen.lock().unwrap();
    let since = match (method, rest) {
        ("POST", rest) if rest.starts_with("play/") => seen.answered.remove(leg),
        ("DELETE", "") => seen.played.remove(leg),
        _ => None,
    };
    if let Some(since) = since {
        seen.delays.push(since.elapsed().as_secs_f64() * 1000.0);
    }
}

/// Events are text within frames; the marks looked for are short, and a piece of the last one is kept.
fn note_events(bytes: &[u8], rest: &mut Vec<u8>, seen: &Mutex<Seen>) {
    rest.extend_from_slice(bytes);
    let text = String::from_utf8_lossy(rest).into_owned();
    let mut done = 0;
    for (at, _) in text.match_indices("\"asterisk_id\"") {
        let event = &text[done..at];
        done = at;
        let field = |name: &str| event.split(name).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        if event.contains("\"type\":\"ChannelStateChange\"") && event.contains("\"state\":\"Up\"") {
            if let Some(leg) = field("\"id\":\"") {
                seen.lock().unwrap().answered.insert(leg, Instant::now());
            }
        } else if event.contains("\"type\":\"PlaybackFinished\"")
            && let Some(leg) = field("\"target_uri\":\"channel:")
        {
            seen.lock().unwrap().played.insert(leg, Instant::now());
        }
    }
    // What cannot be an event's beginning any more is let go.
    let keep = (text.len() - done).min(16 << 10);
    *rest = text.as_bytes()[text.len() - keep..].to_vec();
}
