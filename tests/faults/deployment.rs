//! A deployment of one cell's own: a database, a phone network and workers; the broker is shared, its names are not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use robocall::adapters::amqp::{AmqpSettings, Client, Topology};
use robocall::adapters::clock::SystemClock;
use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::command::CommandKind;
use robocall::model::{OrganisationId, Timestamp};
use robocall::ports::Clock;

use crate::broker::RabbitMq;
use crate::processes::Process;
use crate::proxy::{Faults, Proxy};
use crate::server::Redis;

/// Concurrent calls of every organisation.
pub const LIMIT: u32 = 3;

/// The broker of all tests but those that kill it.
pub async fn broker() -> &'static RabbitMq {
    static BROKER: OnceLock<RabbitMq> = OnceLock::new();
    tokio::task::spawn_blocking(|| BROKER.get_or_init(RabbitMq::start)).await.unwrap()
}

/// The broker of those that kill it.
pub async fn mortal_broker() -> &'static RabbitMq {
    static BROKER: OnceLock<RabbitMq> = OnceLock::new();
    tokio::task::spawn_blocking(|| BROKER.get_or_init(RabbitMq::start)).await.unwrap()
}

/// How the network behaves: everybody answers at once, presses 1, and stays on the line for as long as it takes.
const NETWORK: &str = r#"{"population": {
    "shares": {"answer": 1, "machine": 0, "busy": 0, "unanswered": 0, "reject": 0, "unreachable": 0, "invalid": 0, "congestion": 0},
    "post_dial": [0.05, 0.1], "ring": [0.1, 0.4], "early_hang_up": 0, "silence": [300, 300],
    "presses": 1, "keys": "1", "barge_in": 0, "reaction": [0.1, 0.3], "talk": [0.5, 1.5]}}"#;

/// What a deployment is made of.
pub struct Deployment {
    pub name: String,
    pub clock: Arc<dyn Clock>,
    pub broker: &'static RabbitMq,
    pub redis: Mutex<Redis>,
    pub store: Arc<RedisStore>,
    pub client: Client,
    folder: PathBuf,
    redis_address: SocketAddr,
    prefix: String,
    phones: Process,
    phones_at: SocketAddr,
}

/// Proxies between a worker and its servers.
pub struct Links {
    pub redis: Proxy,
    pub broker: Proxy,
    pub phones: Proxy,
}

impl Deployment {
    /// A deployment without workers yet. `durable`: its database survives a crash.
    pub async fn new(name: &str, durable: bool, broker: &'static RabbitMq) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("robocall-faults-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let kept = if durable {
            ["--appendonly", "yes", "--appendfsync", "always"]
        } else {
            ["--appendonly", "no", "--save", ""]
        };
        let redis = Redis::with(&kept);
        let prefix = format!("f{number}.");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut settings = AmqpSettings::at(broker.url().into());
        settings.names = Topology::prefixed(&prefix).unwrap();
        let client = Client::new(settings, Arc::clone(&clock)).unwrap();
        let settings = RedisSettings { default_limit: LIMIT, ..RedisSettings::new(redis.url()) };
        let store = Arc::new(RedisStore::new(&settings).unwrap());
        let network = folder.join("network.json");
        std::fs::write(&network, NETWORK).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (network, dials) = (path("network.json"), path("dials.jsonl"));
        let seed = number.to_string();
        let arguments = [
            "--json",
            "simulator",
            "--listen",
            "127.0.0.1:0",
            "--network",
            &network,
            "--dial-log",
            &dials,
            "--seed",
            &seed,
        ];
        let mut phones = Process::start(&arguments, &[], &folder.join("simulator.log"));
        let said: serde_json::Value = serde_json::from_str(&phones.first_line()).unwrap();
        let phones_at = said["address"].as_str().unwrap().parse().unwrap();
        let redis_address = (Ipv4Addr::LOCALHOST, redis.port()).into();
        let redis = Mutex::new(redis);
        let name = name.to_owned();
        Self { name, clock, broker, redis, store, client, folder, redis_address, prefix, phones, phones_at }
    }

    /// Where the network writes its dials.
    pub fn dial_log(&self) -> PathBuf {
        self.folder.join("dials.jsonl")
    }

    /// Proxies that let everything pass.
    pub async fn links(&self) -> Links {
        let before = |target| Proxy::before(target, Faults::default());
        Links {
            redis: before(self.redis_address).await,
            broker: before(self.broker.address()).await,
            phones: before(self.phones_at).await,
        }
    }

    /// Starts a worker, behind proxies or not.
    pub fn worker(&self, name: &str, links: Option<&Links>, grace_secs: u64) -> Process {
        let port = |of: fn(&Links) -> &Proxy, direct: u16| links.map_or(direct, |links| of(links).port());
        let redis = port(|links| &links.redis, self.redis_address.port());
        let phones = port(|links| &links.phones, self.phones_at.port());
        let broker = port(|links| &links.broker, self.broker.address().port());
        let variables = [
            ("ROBOCALL__REDIS__URL", format!("redis://127.0.0.1:{redis}/")),
            ("ROBOCALL__REDIS__DEFAULT_LIMIT", LIMIT.to_string()),
            ("ROBOCALL__AMQP__URL", self.broker.url_at(broker)),
            ("ROBOCALL__AMQP__PREFIX", self.prefix.clone()),
            ("ROBOCALL__AMQP__HEARTBEAT_SECS", "5".to_owned()),
            ("ROBOCALL__TELEPHONY__SIMULATOR", format!("127.0.0.1:{phones}")),
            ("ROBOCALL_LOG", "robocall=info".to_owned()),
        ];
        let grace = grace_secs.to_string();
        let arguments = ["worker", "--id", name, "--grace", &grace];
        Process::start(&arguments, &variables, &self.folder.join(format!("{name}.log")))
    }

    /// Kills the database and starts it again.
    pub fn crash_redis(&self) {
        let mut redis = self.redis.lock().unwrap_or_else(PoisonError::into_inner);
        redis.kill();
        redis.start_again();
    }

    /// Kills the broker and starts it again. Where it is dead already, waits until it is back: a broker that is killed
    /// again while its queues recover may leave some of them silent for good, which no client can help.
    pub async fn crash_broker(&self) {
        static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let Ok(_one) = ONE.try_lock() else { return drop(ONE.lock().await) };
        let broker = self.broker;
        let crash = tokio::task::spawn_blocking(move || {
            // RabbitMQ 3.10 writes down minutes later which queues it has: what is killed before is without them ever
            // after, and lets nobody consume. That is not ours to test.
            broker.control(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
            broker.kill();
            broker.start_again();
        });
        crash.await.unwrap();
        while self.client.round_trip(1).await.is_err() {}
        let nobody = CommandKind::Pause("nobody".parse().unwrap());
        let _until_queues_answer = self.command("nobody", "are-you-there", &nobody).await;
    }

    /// Where the database listens.
    pub fn redis_address(&self) -> SocketAddr {
        self.redis_address
    }

    /// What the network said of itself, and everything workers wrote.
    pub fn logs(&self) -> String {
        let mut told = format!("logs are in {}\n", self.folder.display());
        let mut files: Vec<_> = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "log")) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            told += &format!("--- {}\n{}\n", file.display(), lines[lines.len().saturating_sub(25)..].join("\n"));
        }
        told + &self.phones.said()
    }

    /// Throws away what was written; kept of a cell that failed.
    pub fn forget(self) {
        let folder = self.folder.clone();
        drop(self);
        let _gone = std::fs::remove_dir_all(folder);
    }

    /// Waits for something that is looked for again and again.
    pub async fn until<T>(
        &self,
        what: &str,
        bound: Duration,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, String> {
        let until = self.clock.now() + bound;
        loop {
            if let Some(found) = look().await {
                return Ok(found);
            }
            if self.clock.now() > until {
                return Err(format!("{what}: not within {bound:?}"));
            }
            self.pause(Duration::from_millis(20)).await;
        }
    }

    /// Lets time pass: between two looks, or for as long as a fault lasts.
    pub async fn pause(&self, length: Duration) {
        self.clock.sleep_until(self.now() + length).await;
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The organisation of a cell.
pub fn organisation(name: &str) -> OrganisationId {
    name.parse().unwrap()
}
