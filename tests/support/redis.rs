//! A private Redis: a child process on a free loopback port in a temporary folder, ended with the test.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is said when the server is not installed.
const MISSING: &str = "redis-server is not installed here: ./dev test installs it";

/// A private Redis.
pub struct Redis {
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    child: Child,
    watchdog: Child,
    _output: BufReader<ChildStdout>,
}

impl Redis {
    /// Starts a server that keeps nothing on disk.
    pub fn start() -> Self {
        Self::with(&["--save", "", "--appendonly", "no"])
    }

    /// Starts a server with these arguments.
    pub fn with(arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("robocall-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let (child, output) = launch(port, &folder, &arguments);
        let watchdog = watch(&child);
        Self { port, folder, arguments, child, watchdog, _output: output }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        self.watchdog.kill().unwrap();
        self.watchdog.wait().unwrap();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        let (child, output) = launch(self.port, &self.folder, &self.arguments);
        self.watchdog = watch(&child);
        (self.child, self._output) = (child, output);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed before. Its watchdog first: it must not find another process under the same number.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Ends the server when this process ends, however that comes about: then the watchdog's input is closed.
fn watch(server: &Child) -> Child {
    let script = format!("read -r _; kill -9 {}", server.id());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().unwrap()
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn launch(port: u16, folder: &std::path::Path, arguments: &[String]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{MISSING} ({error})"));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "redis-server has ended before it was ready");
        if line.contains("eady to accept connections") {
            break;
        }
    }
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    (child, output)
}

/// One server for all tests of a program, which tell themselves apart by their prefix.
pub fn shared() -> &'static Redis {
    static SHARED: OnceLock<Redis> = OnceLock::new();
    SHARED.get_or_init(Redis::start)
}

/// A prefix for keys that no other test has.
pub fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
