//! A deployment: servers that the tests share, and names, a simulator and a worker that each test has to itself.

#![allow(dead_code, reason = "each test program uses what it needs")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::rabbitmq::RabbitMq;
use crate::redis;
use crate::support::{Said, program, said};

/// A password that must never be shown.
pub const PASSWORD: &str = "sesame";

/// One broker for all tests of this program, which tell themselves apart by their prefix.
pub fn broker() -> &'static RabbitMq {
    static SHARED: OnceLock<RabbitMq> = OnceLock::new();
    SHARED.get_or_init(RabbitMq::start)
}

/// A process that ends with the test.
pub struct Process {
    pub child: Child,
}

impl Process {
    /// Starts the program; what it says first.
    pub fn start(command: Command) -> (Self, Value) {
        Self::start_logging(command, Stdio::null())
    }

    /// The same; its log goes there.
    pub fn start_logging(mut command: Command, log: impl Into<Stdio>) -> (Self, Value) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Self { child };
        (process, serde_json::from_str(&line).unwrap_or_else(|_| panic!("it said {line:?}")))
    }

    /// Ends as a cluster has it end when it replaces a pod: by itself, when its calls are over.
    pub fn drain(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "it drained and let go");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A deployment.
pub struct World {
    settings: Vec<(&'static str, String)>,
    processes: Vec<Process>,
    log: Option<File>,
}

impl World {
    /// Everything up, with one worker. Phones live so many times as fast as the clock.
    pub fn start(speed: &str) -> Self {
        let mut world = Self::without_worker(speed);
        world.add_worker("w1");
        world
    }

    /// Everything up, and nobody to work.
    pub fn without_worker(speed: &str) -> Self {
        Self::with_phones(program(&[
            "simulator",
            "--listen",
            "127.0.0.1:0",
            "--speed",
            speed,
            "--answer",
            "1",
            "--json",
        ]))
    }

    /// The same, with a phone network that writes down what it dials.
    pub fn without_worker_logging(speed: &str, log: &Path) -> Self {
        let mut simulator =
            program(&["simulator", "--listen", "127.0.0.1:0", "--speed", speed, "--answer", "1", "--json"]);
        simulator.arg("--dial-log").arg(log);
        Self::with_phones(simulator)
    }

    fn with_phones(simulator: Command) -> Self {
        let mut world = Self::of_servers(&broker().url(), &redis::shared().url(), "127.0.0.1:1");
        let (simulator, listens) = Process::start(simulator);
        world.processes.push(simulator);
        world.settings.push(("ROBOCALL__TELEPHONY__SIMULATOR", listens["address"].as_str().unwrap().to_owned()));
        world
    }

    /// Settings that name these servers.
    pub fn of_servers(broker: &str, database: &str, phones: &str) -> Self {
        let prefix = redis::prefix();
        let settings = vec![
            ("ROBOCALL__AMQP__URL", broker.to_owned()),
            ("ROBOCALL__AMQP__PREFIX", format!("{prefix}.")),
            ("ROBOCALL__REDIS__URL", database.to_owned()),
            ("ROBOCALL__REDIS__PREFIX", prefix),
            ("ROBOCALL__TELEPHONY__SIMULATOR", phones.to_owned()),
        ];
        Self { settings, processes: Vec::new(), log: None }
    }

    /// Everything up but the one server, which nobody listens for.
    pub fn without(server: &str) -> Self {
        let nowhere = redis::free_port();
        let mut world = Self::without_worker("20");
        let (name, address) = match server {
            "broker" => ("ROBOCALL__AMQP__URL", format!("amqp://guest:{PASSWORD}@127.0.0.1:{nowhere}/%2f")),
            "database" => ("ROBOCALL__REDIS__URL", format!("redis://:{PASSWORD}@127.0.0.1:{nowhere}/")),
            _ => ("ROBOCALL__TELEPHONY__SIMULATOR", format!("127.0.0.1:{nowhere}")),
        };
        world.settings.push((name, address));
        world
    }

    /// The same with settings changed.
    pub fn with(mut self, settings: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.settings.extend(settings);
        self
    }

    /// The same; what its processes write to their logs from now on is kept there.
    pub fn logging_to(mut self, file: &Path) -> Self {
        self.log = Some(File::create(file).unwrap());
        self
    }

    /// Starts a process of it; what it says first.
    fn start_process(&self, command: Command) -> (Process, Value) {
        let log = self.log.as_ref().map_or_else(Stdio::null, |log| log.try_clone().unwrap().into());
        Process::start_logging(command, log)
    }

    /// One more worker.
    pub fn add_worker(&mut self, name: &str) {
        let worker = self.own_worker(name);
        self.processes.push(worker);
    }

    /// One more worker, which can be told to end.
    pub fn own_worker(&self, name: &str) -> Process {
        let (worker, started) = self.start_process(self.program(&["worker", "--id", name, "--json"]));
        assert_eq!(started["status"], "started");
        worker
    }

    /// One more process that serves the interface; where.
    pub fn serve(&mut self) -> String {
        let (server, listens) = self.start_process(self.program(&["api", "--listen", "127.0.0.1:0", "--json"]));
        self.processes.push(server);
        format!("http://{}", listens["address"].as_str().unwrap())
    }

    /// One more worker, and where it can be watched.
    pub fn add_watched_worker(&mut self, name: &str) -> String {
        let (worker, at) = self.watched(&["worker", "--id", name, "--json"]);
        let (worker, started) = Process::start(worker);
        assert_eq!(started["status"], "started");
        self.processes.push(worker);
        at
    }

    /// One more process that serves the interface; where, and where it can be watched.
    pub fn serve_watched(&mut self) -> (String, String) {
        let (server, at) = self.watched(&["api", "--listen", "127.0.0.1:0", "--json"]);
        let (server, listens) = Process::start(server);
        self.processes.push(server);
        (format!("http://{}", listens["address"].as_str().unwrap()), at)
    }

    /// The program, and where it can be watched.
    pub fn watched(&self, args: &[&str]) -> (Command, String) {
        let at = format!("127.0.0.1:{}", redis::free_port());
        let mut command = self.program(args);
        command.env("ROBOCALL__METRICS__LISTEN", &at);
        (command, format!("http://{at}"))
    }

    /// Kills the worker that was added last, as a crash does.
    pub fn kill_worker(&mut self) {
        drop(self.processes.pop());
    }

    /// Tells the worker that was added last to stop; it does when its calls have ended.
    pub fn stop_worker(&self) {
        let worker = self.processes.last().unwrap().child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &worker]).status().unwrap().success());
    }

    /// Kills the phone network that was there first.
    pub fn end_phones(&mut self) {
        drop(self.processes.remove(0));
    }

    /// Has another phone network stand where the settings lead, which knows of no call.
    pub fn replace_phones(&mut self) {
        let (simulator, listens) = Process::start(program(&["simulator", "--listen", "127.0.0.1:0", "--json"]));
        self.processes.push(simulator);
        self.settings.push(("ROBOCALL__TELEPHONY__SIMULATOR", listens["address"].as_str().unwrap().to_owned()));
    }

    /// The program, with the settings of this deployment.
    pub fn program(&self, args: &[&str]) -> Command {
        let mut command = program(args);
        command.envs(self.settings.iter().map(|(name, value)| (*name, value.as_str())));
        command
    }

    /// What keys in the database begin with.
    pub fn prefix(&self) -> String {
        let prefix = self.settings.iter().find(|(name, _)| *name == "ROBOCALL__REDIS__PREFIX");
        prefix.map(|(_, prefix)| prefix.clone()).unwrap()
    }

    /// Runs a command.
    pub fn run(&self, args: &[&str]) -> Said {
        said(self.program(args).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs a command with a document on stdin.
    pub fn given(&self, document: &Value, args: &[&str]) -> Said {
        let mut command = self.program(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses early does not read to the end.
        let _closed = child.stdin.take().unwrap().write_all(document.to_string().as_bytes());
        said(child.wait_with_output().unwrap())
    }

    /// Runs a command that must succeed; its answer.
    pub fn answer(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}: {}", said.out);
        serde_json::from_str(&said.out).unwrap()
    }

    /// Submits a request that must be accepted.
    pub fn submit(&self, document: &Value) {
        let said = self.given(document, &["submit", "-", "--json"]);
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    }

    /// Waits until a request has had so many events of a type; the last of them.
    pub fn wait_for(&self, request: &str, kind: &str, count: u32) -> Value {
        self.wait_for_of("default", request, kind, count)
    }

    /// The same of an organisation.
    pub fn wait_for_of(&self, organisation: &str, request: &str, kind: &str, count: u32) -> Value {
        let count = count.to_string();
        let of = ["--org", organisation, "--request", request, "--types", kind, "--count", &count];
        let said = self.run(&[&["tail", "--from", "first", "--json"], &of[..]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str(said.out.lines().last().unwrap()).unwrap()
    }
}

/// A request whose callees are asked for a key.
pub fn request(id: &str, phones: &[&str]) -> Value {
    let destinations: Vec<Value> = phones.iter().map(|phone| json!({"phone": phone})).collect();
    let steps = json!([{"name": "gather", "timeoutSecs": 60, "message": {"msg": "Press 1"}, "branches": [
        {"digit": "1", "callFlow": {"steps": [{"name": "play", "message": {"msg": "Thanks"}}]}},
        {"default": true, "callFlow": {"steps": [{"name": "hangup"}]}},
    ]}]);
    json!({"requestId": id, "destinations": destinations, "callFlow": {"steps": steps}})
}

/// One who answers and presses 1, and one who is busy.
pub const PRESSES: &str = "+99970000011";
pub const BUSY: &str = "+9992000022";

/// One who answers and then stays, without a key.
pub const STAYS: [&str; 3] = ["+9991000001", "+9991000002", "+9991000003"];
