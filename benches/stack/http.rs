//! Clients of the interface that cost little themselves: one that asks, and many who listen to events.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::measure::until;

fn question(method: &str, path: &str, key: &str, body: &str) -> String {
    let kind = "content-type: application/json";
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nx-credential-api-key: {key}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Somebody who asks one thing after the other over one connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Client {
    /// Connects.
    pub fn connect(address: &str, key: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream: BufReader::with_capacity(64 << 10, stream), key: key.to_owned() }
    }

    /// The body of what is looked at; the answer must be 200.
    pub fn get(&mut self, path: &str) -> Vec<u8> {
        self.ask("GET", path, "")
    }

    /// The body of an answer, which must be 200.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Vec<u8> {
        self.stream.get_mut().write_all(question(method, path, &self.key, body).as_bytes()).unwrap();
        let (mut line, mut length, mut code) = (String::new(), 0, String::new());
        loop {
            line.clear();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "{path}: the connection was closed");
            match line.trim_end().to_ascii_lowercase() {
                end if end.is_empty() => break,
                head => {
                    if let Some(value) = head.strip_prefix("content-length: ") {
                        length = value.parse().unwrap();
                    } else if let Some(status) = head.strip_prefix("http/1.1 ") {
                        code = status.to_owned();
                    }
                }
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        assert!(code.starts_with("200"), "{path}: {code} {}", String::from_utf8_lossy(&body));
        body
    }
}

/// How often something stands in an answer.
pub fn count(body: &[u8], what: &str) -> usize {
    memmem::find_iter(body, what).count()
}

/// Where the next page begins.
pub fn next_page(body: &[u8]) -> Option<String> {
    let place = memmem::rfind(body, b"\"nextCursor\":").unwrap();
    let value = std::str::from_utf8(&body[place + 13..]).unwrap().trim_end_matches('}');
    (value != "null").then(|| value.trim_matches('"').to_owned())
}

/// What listeners were told.
#[derive(Default)]
struct Told {
    greeted: AtomicU64,
    events: AtomicU64,
    /// Streams that were ended.
    cut: AtomicU64,
}

/// Many who listen, in a thread of their own until this is dropped.
pub struct Listeners {
    told: Arc<Told>,
    thread: Option<std::thread::JoinHandle<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Listeners {
    /// One for each path; all have been greeted when this returns.
    pub fn start(address: &str, key: &str, paths: Vec<String>) -> Self {
        // A process that has not seen a key yet lets it be tried a few times a second only.
        Client::connect(address, key).get("/v1/organisation");
        let (told, count) = (Arc::new(Told::default()), paths.len() as u64);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (address, key, noted) = (address.to_owned(), key.to_owned(), Arc::clone(&told));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for path in paths {
                    tokio::spawn(listen(address.clone(), question("GET", &path, &key, ""), Arc::clone(&noted)));
                }
                let _ = stopped.await;
            });
        });
        let listeners = Self { told, thread: Some(thread), stop: Some(stop) };
        until("all are greeted", Duration::from_secs(60), || {
            (listeners.told.greeted.load(Ordering::Relaxed) == count).then_some(())
        });
        listeners
    }

    /// Events that they were told of, over all.
    pub fn events(&self) -> u64 {
        self.told.events.load(Ordering::Relaxed)
    }

    /// How many listen no more.
    pub fn cut(&self) -> u64 {
        self.told.cut.load(Ordering::Relaxed)
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

async fn listen(address: String, question: String, told: Arc<Told>) {
    // Before what is read stands what may be the beginning of a mark.
    const MARK: &[u8] = b"\ndata: ";
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    stream.write_all(question.as_bytes()).await.unwrap();
    let (mut bytes, mut kept, mut is_greeted) = (vec![0; 64 << 10], 0, false);
    loop {
        let Ok(read @ 1..) = stream.read(&mut bytes[kept..]).await else {
            told.cut.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let there = &bytes[..kept + read];
        if !is_greeted {
            assert!(there.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(there));
        }
        if !is_greeted && memmem::find(there, b": robocall").is_some() {
            is_greeted = true;
            told.greeted.fetch_add(1, Ordering::Relaxed);
        }
        told.events.fetch_add(memmem::find_iter(there, MARK).count() as u64, Ordering::Relaxed);
        let length = there.len();
        // Of the greeting as much as it may be cut into.
        let keep = if is_greeted { (MARK.len() - 1).min(length) } else { length };
        bytes.copy_within(length - keep..length, 0);
        kept = keep;
    }
}
