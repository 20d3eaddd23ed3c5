//! A deliverer in virtual time, between a log, a store and receivers in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryArchive, MemoryEventLog, MemoryHooks, MemoryStore};
use robocall::hooks::{HookPorts, HookSettings, Rules, Templates, deliver};
use robocall::model::{Organisation, OrganisationId, Timestamp};
use robocall::ports::hooks::{EventLog, HookSender, HookStore, Keeping, Post, Sent};
use robocall::ports::store::ProcessId;
use robocall::ports::{CampaignStore, Clock, RecordingArchive};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a receiver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers after so long with a status.
    Answers(Duration, u16),
    /// Takes it, and is never heard of again.
    TakesAndIsSilent,
    /// Nothing, ever.
    Nothing,
}

/// A message as a receiver got it.
#[derive(Clone, Debug)]
pub struct Got {
    pub at: Timestamp,
    pub url: String,
    pub id: String,
    pub signature: Option<String>,
    pub trace: Option<String>,
    pub body: Vec<u8>,
    /// Whether it was taken.
    pub taken: bool,
}

type Behaviour = Box<dyn Fn(&str, Timestamp, usize) -> Does + Send + Sync>;

pub struct Receivers {
    clock: VirtualClock,
    behaviour: Behaviour,
    got: Mutex<Vec<Got>>,
}

impl Receivers {
    /// Everything that came, in order.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Ids of what a receiver has taken, each once, in the order of the first time.
    pub fn taken(&self, url: &str) -> Vec<String> {
        let mut taken: Vec<String> = Vec::new();
        for got in self.got.lock().unwrap().iter().filter(|got| got.url == url && got.taken) {
            if !taken.contains(&got.id) {
                taken.push(got.id.clone());
            }
        }
        taken
    }
}

#[async_trait]
impl HookSender for Receivers {
    async fn send(&self, post: Post) -> Sent {
        let header = |name: &str| post.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        let (at, url) = (self.clock.now(), post.url.as_str().to_owned());
        let nth = self.got.lock().unwrap().len();
        let does = (self.behaviour)(&url, at, nth);
        let taken = matches!(does, Does::Answers(_, 200..=299) | Does::TakesAndIsSilent);
        let (id, signature) = (header("webhook-id").unwrap(), header("webhook-signature"));
        let trace = header("traceparent");
        self.got.lock().unwrap().push(Got { at, url, id, signature, trace, body: post.body.clone(), taken });
        match does {
            Does::Answers(after, status) => {
                self.clock.sleep_until(at + after).await;
                Sent::Answered { status, retry_after: None, body: Vec::new() }
            }
            Does::TakesAndIsSilent | Does::Nothing => std::future::pending().await,
        }
    }
}

pub struct World {
    pub clock: VirtualClock,
    pub log: MemoryEventLog,
    /// As what deliverers read it.
    pub read: Arc<dyn EventLog>,
    pub hooks: Arc<dyn HookStore>,
    pub campaigns: Arc<MemoryStore>,
    pub receivers: Arc<Receivers>,
    pub rules: Rules,
    pub archive: Arc<dyn RecordingArchive>,
    pub templates: Templates,
    processes: AtomicU64,
}

/// A deliverer.
pub struct Running {
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Running {
    /// Kills it wherever it is.
    pub fn kill(self) {
        self.task.abort();
    }
}

pub const RULES: Rules = Rules {
    in_flight: 4,
    pending: 100,
    pending_bytes: 1 << 20,
    organisation_bytes: 64 << 20,
    give_up: Duration::from_secs(3 * 24 * 3600),
};

pub fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

impl World {
    pub fn new(
        clock: &VirtualClock,
        behaviour: impl Fn(&str, Timestamp, usize) -> Does + Send + Sync + 'static,
    ) -> Self {
        let kept = MemoryHooks::new(Arc::new(clock.clone()), Keeping::default());
        let log = MemoryEventLog::default();
        Self {
            clock: clock.clone(),
            log: log.clone(),
            read: Arc::new(log),
            hooks: Arc::new(kept),
            campaigns: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
            receivers: Arc::new(Receivers {
                clock: clock.clone(),
                behaviour: Box::new(behaviour),
                got: Mutex::default(),
            }),
            rules: RULES,
            archive: Arc::new(MemoryArchive::default()),
            templates: Templates::new(),
            processes: AtomicU64::new(1),
        }
    }

    /// Hooks of `bank`.
    pub async fn hook(&self, hooks: serde_json::Value) {
        let hooks = serde_json::from_value(hooks).unwrap();
        self.campaigns.set_organisation(&bank(), Organisation { hooks, ..Organisation::default() }).await.unwrap();
    }

    /// Starts another deliverer.
    pub fn start(&self) -> Running {
        let ports = HookPorts {
            log: Arc::clone(&self.read),
            store: Arc::clone(&self.hooks),
            sender: Arc::<Receivers>::clone(&self.receivers),
            campaigns: Arc::<MemoryStore>::clone(&self.campaigns),
            recordings: Arc::<MemoryStore>::clone(&self.campaigns),
            archive: Arc::clone(&self.archive),
            clock: Arc::new(self.clock.clone()),
        };
        let process = ProcessId(u128::from(self.processes.fetch_add(1, Ordering::Relaxed)));
        let settings = HookSettings {
            process,
            rules: self.rules,
            connections: 64,
            within: Duration::from_secs(15),
            recording_bytes: 1 << 20,
            recordings_bytes: 4 << 20,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(deliver(Arc::new(ports), settings, Arc::new(self.templates.clone()), stop.clone()));
        Running { stop, task }
    }

    /// Publishes an event of a call of `bank`; its id says which call, and which of its events.
    pub fn publish(&self, call: usize, seq: usize, kind: &str) -> String {
        self.publish_of(&bank(), "r", call, seq, kind)
    }

    pub fn publish_of(&self, org: &OrganisationId, request: &str, call: usize, seq: usize, kind: &str) -> String {
        let id = format!("{request}-{call}.1.{seq}");
        let event = serde_json::json!({"id": id, "type": format!("robocall.{kind}"), "subject": format!("{request}/{call}"), "data": {}});
        self.log.push(org.clone(), kind, serde_json::to_vec(&event).unwrap());
        id
    }

    /// Lets some time pass.
    pub async fn pass(&self, length: Duration) {
        self.clock.sleep_until(self.clock.now() + length).await;
    }

    pub async fn seconds(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }
}

/// A receiver is sent an event only after all earlier ones of its call were taken.
pub fn assert_in_order(got: &[Got]) {
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    for got in got {
        let (call, seq) = got.id.rsplit_once('.').unwrap();
        let seq: usize = seq.parse().unwrap();
        let before = taken.entry((got.url.clone(), call.to_owned())).or_default();
        assert!(seq <= *before + 1, "{} came when only {before} of its call were taken", got.id);
        if got.taken {
            *before = seq.max(*before);
        }
    }
}

/// Runs a scene in virtual time, an hour after which nothing should happen any more.
pub fn play<F: Future<Output = ()> + Send + 'static>(hours: u64, scene: impl FnOnce(VirtualClock) -> F) {
    let clock = VirtualClock::for_tests(Duration::from_secs(hours * 3600));
    clock.run(scene(clock.clone())).unwrap();
}
