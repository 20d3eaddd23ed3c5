//! The program on private servers: workers and a phone network as processes, requests, the log of dials.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::measure::{Process, cpu, until};
use super::queues::Queues;
use super::rabbitmq::RabbitMq;
use super::redis_server::Redis;

const PROGRAM: &str = env!("CARGO_BIN_EXE_robocall");

/// Everybody answers at once and hangs on for ever.
pub const INSTANT: &str = r#"{"population": {"shares": {"answer": 1, "machine": 0, "busy": 0, "unanswered": 0, "reject": 0,
    "unreachable": 0, "invalid": 0, "congestion": 0}, "early_hang_up": 0, "post_dial": [0, 0], "ring": [0, 0]}}"#;

/// The flow whose only step ends the call.
pub const HANG_UP: &str = r#"{"steps": [{"name": "hangup"}]}"#;

/// Servers.
pub struct Servers {
    pub broker: RabbitMq,
    pub database: Redis,
    pub queues: Queues,
    broker_pid: u32,
    database_pid: u32,
}

/// When, in milliseconds, and to which leg.
pub type Moment = (f64, String);

impl Servers {
    /// Starts servers that keep everything, as in a deployment.
    pub fn start() -> Self {
        let durable =
            ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"];
        let (broker, database) = (RabbitMq::start(), Redis::with(&durable));
        let queues = Queues::connect(&broker.url());
        let broker_pid = broker.control(&["eval", "io:format(\"~s\", [os:getpid()])."]);
        let broker_pid = broker_pid.trim_end_matches("ok").trim().trim_end_matches("ok").trim().parse();
        let broker_pid = broker_pid.unwrap_or_else(|error| panic!("no process number of the broker: {error}"));
        let database_pid = redis_field(&database.url(), "process_id").parse().unwrap();
        Self { broker, database, queues, broker_pid, database_pid }
    }

    /// Processor time of the database and of the broker so far, in seconds.
    pub fn cpu(&self) -> (f64, f64) {
        (cpu(self.database_pid), cpu(self.broker_pid))
    }

    /// Their process numbers.
    pub fn pids(&self) -> [u32; 2] {
        [self.database_pid, self.broker_pid]
    }

    /// Bytes that the database says it uses.
    pub fn database_memory(&self) -> f64 {
        redis_field(&self.database.url(), "used_memory").parse().unwrap()
    }

    /// A plain command to the database.
    pub fn database_do(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = redis::Client::open(self.database.url()).unwrap().get_connection().unwrap();
        command.exec(&mut connection).unwrap();
    }
}

fn redis_field(url: &str, field: &str) -> String {
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let text: String = redis::cmd("INFO").query(&mut connection).unwrap();
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap().trim().to_owned()
}

/// A phone network.
pub struct Network {
    pub process: Process,
    address: String,
    folder: PathBuf,
}

impl Network {
    /// A network with these settings.
    pub fn start(name: &str, settings: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("robocall-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("network.json"), settings).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["simulator", "--listen", "127.0.0.1:0", "--json", "--dial-log"]).arg(folder.join("dials"));
        command.arg("--network").arg(folder.join("network.json"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split('"').find(|text| text.contains(':') && text.len() > 3).unwrap().to_owned();
        Self { process: Process(child), address, folder }
    }

    /// The setting that leads to it.
    pub fn setting(&self) -> (&'static str, String) {
        ("TELEPHONY__SIMULATOR", self.address.clone())
    }

    /// What was dialled and what ended so far, each with its instant in milliseconds and the name of its leg.
    pub fn dials(&self) -> (Vec<Moment>, Vec<Moment>) {
        let text = std::fs::read_to_string(self.folder.join("dials")).unwrap();
        let of = |event: &str| {
            let marker = format!("\"event\":\"{event}\"");
            text.lines().filter(|line| line.contains(&marker)).map(|line| (number(line), leg(line))).collect()
        };
        (of("invite"), of("ended"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The system clears what remains.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn number(line: &str) -> f64 {
    let digits = line.split("\"at\":").nth(1).unwrap();
    digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap()].parse().unwrap()
}

fn leg(line: &str) -> String {
    line.split("\"leg\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// What workers of one measurement share: names of their own on the servers.
pub struct Deployment<'s> {
    pub servers: &'s Servers,
    pub prefix: String,
    pub limit: u32,
    pub capacity: u32,
}

impl Deployment<'_> {
    /// The name of an exchange or queue.
    pub fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// A worker; it is ready when this returns.
    pub fn worker(&self, network: &Network, id: &str) -> Process {
        self.worker_with(id, [network.setting()])
    }

    /// A worker with these settings, too.
    pub fn worker_with<const N: usize>(&self, id: &str, settings: [(&str, String); N]) -> Process {
        self.worker_in(id, settings, &[])
    }

    /// A worker with these settings and variables, too.
    pub fn worker_in<const N: usize>(
        &self,
        id: &str,
        settings: [(&str, String); N],
        variables: &[(&str, String)],
    ) -> Process {
        let mut command = self.program(&["worker", "--id", id], settings);
        let process = Process(command.envs(variables.iter().cloned()).spawn().unwrap());
        self.servers.queues.wait_for(&self.name(&format!("robocall.worker.{id}")));
        // A database that is new is left alone for so long.
        std::thread::sleep(Duration::from_millis(4_500));
        process
    }

    fn program<const N: usize>(&self, words: &[&str], settings: [(&str, String); N]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).env("ROBOCALL_LOG", std::env::var("ROBOCALL_LOG").unwrap_or("error".into()));
        let variables = [
            ("AMQP__URL", self.servers.broker.url()),
            ("AMQP__PREFIX", self.name("")),
            ("REDIS__URL", self.servers.database.url()),
            ("REDIS__PREFIX", self.prefix.clone()),
            ("REDIS__DEFAULT_LIMIT", self.limit.to_string()),
            ("WORKER__CAPACITY", self.capacity.to_string()),
        ];
        let all = variables.into_iter().chain(settings);
        command.envs(all.map(|(key, value)| (format!("ROBOCALL__{key}"), value)));
        command
    }

    /// The interface over HTTP, for whoever asks as often as they like; and where it listens.
    pub fn interface(&self) -> (Process, String) {
        self.interface_with([("API__REQUESTS_PER_SECOND", "1000000".to_owned())])
    }

    /// The same with these settings, and where it listens.
    pub fn interface_with<const N: usize>(&self, settings: [(&str, String); N]) -> (Process, String) {
        let mut command = self.program(&["api", "--listen", "127.0.0.1:0", "--json"], settings);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split('"').find(|text| text.contains(':') && text.len() > 3).unwrap().to_owned();
        (Process(child), address)
    }

    /// A key that is good for looking at an organisation.
    pub fn key(&self, organisation: &str) -> String {
        self.key_for(organisation, "read")
    }

    /// A key that is good for these, separated by commas.
    pub fn key_for(&self, organisation: &str, scopes: &str) -> String {
        let words = ["org", "key", "add", "--org", organisation, "--label", "bench", "--scopes", scopes, "--json"];
        let said = self.program(&words, []).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.split("\"apiKey\":").nth(1).unwrap().split('"').nth(1).unwrap().to_owned()
    }

    /// Publishes a request.
    pub fn submit(&self, organisation: &str, id: &str, flow: &str, destinations: u32) {
        let message = (format!("requests.{organisation}"), request(id, flow, destinations, ""));
        self.servers.queues.publish(&self.name("robocall.requests"), [message]);
    }

    /// Publishes a request to numbers of the tests' phone network who answer; `place`: which hundred thousand of them.
    pub fn submit_to(&self, organisation: &str, id: &str, flow: &str, place: usize, destinations: u32) {
        let numbers = (0..destinations).map(|number| format!("{{\"phone\":\"+99910{place}{number:05}\"}}"));
        let numbers = numbers.collect::<Vec<_>>().join(",");
        let body = format!("{{\"requestId\":\"{id}\",\"callFlow\":{flow},\"destinations\":[{numbers}]}}");
        let message = (format!("requests.{organisation}"), body.into_bytes());
        self.servers.queues.publish(&self.name("robocall.requests"), [message]);
    }

    /// Has these events noted.
    pub fn watch(&self, keys: &[&str]) {
        self.servers.queues.watch(&self.name("robocall.events"), keys);
    }

    /// Waits until nothing is published any more.
    pub fn wait_for_silence(&self) {
        let log = self.name("robocall.events.log");
        let mut before = None;
        until("silence", Duration::from_secs(120), || {
            std::thread::sleep(Duration::from_millis(500));
            let now = self.servers.queues.messages(&log);
            (std::mem::replace(&mut before, now) == now).then_some(())
        });
    }
}

/// A request to so many people. `more`: fields, each followed by a comma.
pub fn request(id: &str, flow: &str, destinations: u32, more: &str) -> Vec<u8> {
    request_to(id, flow, 0..destinations, more)
}

/// The same, to these people of all there are.
pub fn request_to(id: &str, flow: &str, people: std::ops::Range<u32>, more: &str) -> Vec<u8> {
    let mut text = format!("{{\"requestId\":\"{id}\",{more}\"callFlow\":{flow},\"destinations\":[");
    let first = people.start;
    for number in people {
        if number > first {
            text.push(',');
        }
        text.push_str(&format!("{{\"phone\":\"+65{}\"}}", 80_000_000 + number));
    }
    text.push_str("]}");
    text.into_bytes()
}
