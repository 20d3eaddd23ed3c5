//! A log of events that takes its time, and one that is lost: what listeners are told meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use reqwest::Method;
use robocall::adapters::clock::SystemClock;
use robocall::adapters::memory::{
    MemoryArchive, MemoryCommandBus, MemoryEventLog, MemoryGate, MemoryKeys, MemoryQueue, MemoryStore,
};
use robocall::api::{Api, ApiPorts, ApiSettings, Server};
use robocall::dispatch::{FlowCatalogue, Programs};
use robocall::model::{ApiKeyRecord, Scope};
use robocall::ports::hooks::{EventLog, LogReader, LoggedHookEvent};
use robocall::ports::{ApiKeys as _, Bell, Clock};
use serde_json::json;
use tokio_util::sync::CancellationToken;

type StoreResult<T> = Result<T, robocall::ports::StoreError>;

/// A log that can be replaced, and does not say what was in it until it is told to.
#[derive(Clone, Default)]
struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    now: std::sync::Mutex<MemoryEventLog>,
    number: AtomicU64,
    tells: AtomicBool,
    bell: Bell,
    /// Readers of what was, now and at most.
    reading: AtomicUsize,
    /// Readers of what was, so far.
    opened: AtomicUsize,
    /// How many of them to come will never be told anything.
    stuck: AtomicUsize,
    most_reading: AtomicUsize,
}

impl Log {
    fn now(&self) -> MemoryEventLog {
        self.0.now.lock().unwrap().clone()
    }

    fn push(&self, seq: u32) {
        let body = json!({"subject": "r", "seq": seq}).to_string();
        self.now().push("bank".parse().unwrap(), "request.started", body.into_bytes());
    }

    fn tell(&self) {
        self.0.tells.store(true, Ordering::SeqCst);
        self.0.bell.ring();
    }

    /// Begins anew: nothing of it is left.
    fn lose(&self) {
        *self.0.now.lock().unwrap() = MemoryEventLog::default();
        self.0.number.fetch_add(1, Ordering::SeqCst);
        self.0.bell.ring();
    }

    async fn told(&self) {
        let mut bell = self.0.bell.listen();
        while !self.0.tells.load(Ordering::SeqCst) {
            bell.rung().await;
        }
    }

    /// A reader that goes on with the first event of another log.
    async fn reader(&self, from: u64, tells: bool) -> StoreResult<Box<dyn LogReader>> {
        let inner = self.now().read(from).await?;
        if !tells {
            let reading = self.0.reading.fetch_add(1, Ordering::SeqCst) + 1;
            self.0.most_reading.fetch_max(reading, Ordering::SeqCst);
            self.0.opened.fetch_add(1, Ordering::SeqCst);
        }
        let count_down = |stuck: usize| stuck.checked_sub(1).filter(|_| !tells);
        let is_stuck = self.0.stuck.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count_down).is_ok();
        let number = self.0.number.load(Ordering::SeqCst);
        Ok(Box::new(Reader { log: self.clone(), number, inner, tells, is_stuck }))
    }
}

#[async_trait]
impl EventLog for Log {
    async fn end(&self) -> StoreResult<u64> {
        self.told().await;
        self.now().end().await
    }

    async fn first(&self) -> StoreResult<Option<u64>> {
        self.now().first().await
    }

    async fn listen(&self) -> StoreResult<Box<dyn LogReader>> {
        self.reader(self.now().end().await?, true).await
    }

    async fn read(&self, from: u64) -> StoreResult<Box<dyn LogReader>> {
        self.reader(from, false).await
    }
}

struct Reader {
    log: Log,
    number: u64,
    inner: Box<dyn LogReader>,
    /// Whether it tells what there is although the log does not.
    tells: bool,
    is_stuck: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.tells {
            self.log.0.reading.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> LoggedHookEvent {
        if self.is_stuck {
            return std::future::pending().await;
        }
        if !self.tells {
            self.log.told().await;
        }
        let mut bell = self.log.0.bell.listen();
        loop {
            let number = self.log.0.number.load(Ordering::SeqCst);
            if number != self.number {
                self.number = number;
                self.inner = self.log.now().read(0).await.unwrap();
            }
            tokio::select! {
                biased;
                event = self.inner.next() => return event,
                () = bell.rung() => {}
            }
        }
    }
}

/// The interface over such a log; time passes so fast that nobody waits long for a beat.
struct World {
    log: Log,
    base: String,
    key: String,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    async fn new() -> Self {
        robocall::tls::install_provider();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::at_speed(100.0).unwrap());
        let (log, keys) = (Log::default(), Arc::new(MemoryKeys::default()));
        let (queue, commands) = (Arc::new(MemoryQueue::new()), Arc::new(MemoryCommandBus::new()));
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let ports = ApiPorts {
            store: Arc::<MemoryStore>::clone(&store),
            recordings: store,
            archive: Arc::new(MemoryArchive::default()),
            keys: Arc::clone(&keys) as _,
            gate: Arc::new(MemoryGate::new(queue, commands, Arc::clone(&clock))),
            events: Arc::new(log.clone()),
            flows: Arc::new(Programs::new(FlowCatalogue::default(), robocall::daemon::silent_speech())),
            clock: Arc::clone(&clock),
            random: Arc::new(|| 7),
        };
        let server = Server::listen("127.0.0.1:0", Api::new(ports, ApiSettings::default())).await.unwrap();
        let (base, stop) = (format!("http://{}", server.address().unwrap()), CancellationToken::new());
        tokio::spawn(server.serve(stop.clone()));
        let key = robocall::daemon::new_api_key().unwrap();
        let record = ApiKeyRecord {
            id: key.id().clone(),
            organisation: "bank".parse().unwrap(),
            label: "a test".parse().unwrap(),
            scopes: [Scope::Read].into(),
            created_at: clock.now(),
        };
        keys.create(&record, &key.hash()).await.unwrap();
        Self { log, base, key: key.expose().to_string(), _stop: stop.drop_guard() }
    }

    async fn listen(&self, seen: Option<&str>) -> Ear {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut asked = client.request(Method::GET, format!("{}/v1/events", self.base));
        asked = asked.header("x-credential-api-key", &self.key);
        if let Some(seen) = seen {
            asked = asked.header("Last-Event-ID", seen);
        }
        let mut ear = Ear { response: asked.send().await.unwrap(), text: String::new() };
        assert_eq!(ear.next().await, ": robocall");
        ear
    }
}

struct Ear {
    response: reqwest::Response,
    text: String,
}

impl Ear {
    /// What is told next: `: …`, or the place and the seq of an event.
    async fn next(&mut self) -> String {
        loop {
            if let Some((piece, rest)) = self.text.split_once("\n\n") {
                let (piece, rest) = (piece.to_owned(), rest.to_owned());
                self.text = rest;
                let Some((id, data)) = piece.split_once("\nevent: request.started\ndata: ") else { return piece };
                let event: serde_json::Value = serde_json::from_str(data).unwrap();
                return format!("{id} seq: {}", event["seq"]);
            }
            let chunk = self.response.chunk().await.unwrap().expect("the stream has ended");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next that is not said only because nothing is new.
    async fn next_news(&mut self) -> String {
        loop {
            let piece = self.next().await;
            if piece != ": nothing new" {
                return piece;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_listener_is_greeted_and_told_before_anybody_knows_where_the_log_ends() {
    let world = World::new().await;
    world.log.push(1);
    let mut ear = world.listen(None).await;
    assert_eq!(ear.next().await, ": nothing new");
    world.log.push(2);
    assert_eq!(ear.next_news().await, "id: 1 seq: 2", "what was published before is not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_catches_up_slowly_is_told_that_they_are_not_forgotten() {
    let world = World::new().await;
    for seq in 1..=3 {
        world.log.push(seq);
    }
    let mut ear = world.listen(Some("0")).await;
    world.log.push(4);
    for _ in 0..3 {
        assert_eq!(ear.next().await, ": nothing new");
    }
    world.log.tell();
    for (id, seq) in [(1, 2), (2, 3), (3, 4)] {
        assert_eq!(ear.next_news().await, format!("id: {id} seq: {seq}"));
    }
    world.log.push(5);
    assert_eq!(ear.next_news().await, "id: 4 seq: 5", "nothing twice, and nothing left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_of_one_organisation_catch_up_they_leave_half_of_the_places_to_others() {
    let world = World::new().await;
    for seq in 1..=3 {
        world.log.push(seq);
    }
    let mut ears = Vec::new();
    for _ in 0..40 {
        ears.push(world.listen(Some("0")).await);
    }
    world.log.push(4);
    for ear in &mut ears {
        assert_eq!(ear.next().await, ": nothing new", "who waits for a place is not forgotten");
    }
    world.log.tell();
    for ear in &mut ears {
        for (id, seq) in [(1, 2), (2, 3), (3, 4)] {
            assert_eq!(ear.next_news().await, format!("id: {id} seq: {seq}"));
        }
    }
    assert_eq!(world.log.0.most_reading.load(Ordering::SeqCst), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_place_is_not_cut_however_much_comes_and_nobody_keeps_one() {
    /// As many as may read at a time of one organisation.
    const READERS: usize = 16;
    let (world, mut ears) = loop {
        let world = World::new().await;
        world.log.tell();
        for seq in 1..=3 {
            world.log.push(seq);
        }
        world.log.0.stuck.store(READERS, Ordering::SeqCst);
        let mut ears = Vec::new();
        for _ in 0..20 {
            ears.push(world.listen(Some("0")).await);
        }
        // More than wait for anybody who listens.
        for seq in 4..=1_500 {
            world.log.push(seq);
        }
        // On a slow machine the first turn was over before all that had come: then some listened, and were right to be cut.
        if world.log.0.opened.load(Ordering::SeqCst) <= READERS {
            break (world, ears);
        }
    };
    for ear in &mut ears {
        for seq in 2..=1_500 {
            assert_eq!(ear.next_news().await, format!("id: {} seq: {seq}", seq - 1));
        }
    }
    world.log.push(1_501);
    for ear in &mut ears {
        assert_eq!(ear.next_news().await, "id: 1500 seq: 1501");
    }
    assert_eq!(world.log.0.stuck.load(Ordering::SeqCst), 0, "they were stuck");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_begun_anew_is_told_of_from_its_beginning() {
    let world = World::new().await;
    world.log.tell();
    for seq in 1..=5 {
        world.log.push(seq);
    }
    let mut hearing = world.listen(None).await;
    let mut caught_up = world.listen(Some("3")).await;
    assert_eq!(caught_up.next_news().await, "id: 4 seq: 5");
    world.log.push(6);
    for ear in [&mut hearing, &mut caught_up] {
        assert_eq!(ear.next_news().await, "id: 5 seq: 6");
    }
    world.log.lose();
    world.log.push(7);
    world.log.push(8);
    for ear in [&mut hearing, &mut caught_up] {
        let told = [ear.next_news().await, ear.next_news().await, ear.next_news().await];
        assert_eq!(told, [": the log was begun anew", "id: 0 seq: 7", "id: 1 seq: 8"]);
    }
    // Whoever comes with a place of the log that is gone is told of everything.
    let mut back = world.listen(Some("5")).await;
    assert_eq!([back.next_news().await, back.next_news().await], ["id: 0 seq: 7", "id: 1 seq: 8"]);
}
