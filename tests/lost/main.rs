//! Requests that the database has lost, and the log of events knows of: real servers, and workers' shares of the search.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

#[path = "../support/rabbitmq.rs"]
mod broker;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/redis.rs"]
#[expect(dead_code, reason = "each test program uses what it needs")]
mod server;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::config::{self, Settings};
use robocall::conformance::store::scene::*;
use robocall::daemon::{Deployment, TailFrom};
use robocall::model::{Event, EventType, RequestStatus};
use robocall::ports::Clock;
use robocall::ports::store::*;
use tokio_util::task::AbortOnDropHandle;

use broker::RabbitMq;
use proxy::{Faults, Proxy};
use server::Redis;

/// Longer than a new database is left alone for other reasons.
const LEFT_ALONE: Duration = Duration::from_secs(7);

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(90);

fn the_broker() -> &'static RabbitMq {
    static SHARED: OnceLock<RabbitMq> = OnceLock::new();
    SHARED.get_or_init(RabbitMq::start)
}

/// A database of one's own, and names of one's own at the broker.
struct Scene {
    redis: Redis,
    broker: &'static RabbitMq,
    prefix: String,
    clock: Arc<dyn Clock>,
}

/// What a worker has of a deployment.
struct Member {
    store: Store,
    deployment: Deployment,
}

impl Scene {
    async fn new() -> Self {
        let broker = tokio::task::spawn_blocking(the_broker).await.unwrap();
        Self { redis: Redis::start(), broker, prefix: server::prefix(), clock: Arc::new(SystemClock::new()) }
    }

    /// One that has not worked before.
    fn member(&self) -> Member {
        self.member_through(self.broker.url())
    }

    fn member_through(&self, broker: String) -> Member {
        let mut settings: Settings = config::read(None).unwrap();
        settings.amqp.url = broker.into();
        settings.amqp.prefix = format!("{}.", self.prefix);
        settings.redis.url = self.redis.url().into();
        let deployment = Deployment::new(&settings, Arc::clone(&self.clock)).unwrap();
        Member { store: deployment.store(), deployment }
    }

    fn empty(&self) {
        let mut harm = redis::Client::open(self.redis.url()).unwrap().get_connection().unwrap();
        let _: () = redis::cmd("FLUSHALL").query(&mut harm).unwrap();
    }

    /// A request that was accepted, as everybody was told, before all who worked died and the database was emptied.
    async fn with_a_lost_request(request: &str) -> Self {
        let scene = Self::new().await;
        let member = scene.member();
        accept(&member, request).await;
        drop(member);
        scene.empty();
        scene
    }

    /// Claims for a while, as a worker does; what that brought.
    async fn claims_for(&self, store: &Store, length: Duration) -> Vec<Claim> {
        let until = self.clock.now() + length;
        let mut all = Vec::new();
        loop {
            let claims = store.claim(&worker("w"), 10).await.unwrap();
            all.extend(claims.claims);
            let again_at = claims.again_at.unwrap_or(until);
            if again_at.max(self.clock.now()) >= until {
                self.clock.sleep_until(until).await;
                return all;
            }
            self.clock.sleep_until(again_at).await;
        }
    }

    /// Claims until that brings something.
    async fn first_claims(&self, store: &Store) -> Vec<Claim> {
        self.soon(async {
            loop {
                let claims = store.claim(&worker("w"), 10).await.unwrap();
                if !claims.claims.is_empty() {
                    return claims.claims;
                }
                self.clock
                    .sleep_until(claims.again_at.unwrap().max(self.clock.now() + Duration::from_millis(20)))
                    .await;
            }
        })
        .await
    }

    async fn soon<T>(&self, act: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = act => done,
            () = self.clock.sleep_until(self.clock.now() + SOON) => panic!("it did not come about within {SOON:?}"),
        }
    }
}

/// Hands a request in, and lets everybody know once it is accepted.
async fn accept(member: &Member, request: &str) {
    accept_ahead(member, request, Duration::ZERO).await;
}

/// The same, by a database whose clock was ahead.
async fn accept_ahead(member: &Member, request: &str, ahead: Duration) {
    let part = header(request);
    member.store.open_request(&Arc::new(part), totals(3)).await.unwrap();
    member.store.load_chunk(&key(request), 0, 0, &chunk(0..3)).await.unwrap();
    let (_, events) = member.store.seal(&key(request), 0).await.unwrap();
    let bus = member.deployment.broker().unwrap().events();
    for mut event in events {
        event.at = event.at + ahead;
        robocall::ports::EventBus::publish(&bus, Event::Request(event.into())).await.unwrap();
    }
}

/// Has a worker look for what is lost, until it dies.
fn seek(member: &Member, process: u128) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(member.deployment.lost_requests(ProcessId(process)).unwrap()))
}

#[tokio::test]
async fn nothing_is_claimed_until_the_log_was_read_and_the_lost_have_names_that_are_taken() {
    let scene = Scene::with_a_lost_request("r").await;
    let proxy = Proxy::before(scene.broker.address(), Faults { refuse: true, ..Faults::default() }).await;
    let member = scene.member_through(scene.broker.url_at(proxy.port()));
    let _seeking = seek(&member, 1);
    submit(&member.store, header("other"), 3).await;
    assert!(scene.claims_for(&member.store, LEFT_ALONE).await.is_empty(), "the log cannot be read");
    proxy.set(Faults::default());
    let claims = scene.first_claims(&member.store).await;
    assert!(names(&claims).iter().all(|(request, _)| *request == "other"));
    let again = member.store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    assert_eq!(again, Opened::Conflict, "nobody of it is called a second time");
    let soon = scene.clock.now() + secs(1);
    let untold = member.store.unconfirmed(soon, 10).await.unwrap();
    let lost = |unconfirmed: &Unconfirmed| match unconfirmed {
        Unconfirmed::Request(event) => event.request == key("r").request && event.kind == EventType::RequestLost,
        Unconfirmed::Call { .. } | Unconfirmed::Organisation(_) => false,
    };
    assert!(untold.iter().any(lost), "{untold:?}");
}

#[tokio::test]
async fn a_lost_request_that_was_handed_in_anew_is_not_dialled() {
    let scene = Scene::with_a_lost_request("r").await;
    let member = scene.member();
    // Before anybody has noticed anything.
    submit(&member.store, header("r"), 3).await;
    submit(&member.store, header("other"), 3).await;
    let _seeking = seek(&member, 1);
    let claims = scene.first_claims(&member.store).await;
    assert!(names(&claims).iter().all(|(request, _)| *request == "other"), "{:?}", names(&claims));
    assert_eq!(summary(&member.store, &key("r")).await.status, RequestStatus::Cancelled);
    assert_eq!(summary(&member.store, &key("other")).await.status, RequestStatus::Submitted);
}

#[tokio::test]
async fn a_lost_request_that_is_being_handed_in_anew_is_not_taken() {
    let scene = Scene::with_a_lost_request("r").await;
    let member = scene.member();
    let again = Arc::new(header("r"));
    assert_eq!(member.store.open_request(&again, totals(3)).await.unwrap(), Opened::Load { next_chunk: 0 });
    member.store.load_chunk(&key("r"), 0, 0, &chunk(0..3)).await.unwrap();
    submit(&member.store, header("other"), 3).await;
    let _seeking = seek(&member, 1);
    scene.first_claims(&member.store).await;
    assert_eq!(member.store.seal(&key("r"), 0).await, Err(StoreError::NotFound));
    assert_eq!(member.store.open_request(&again, totals(3)).await.unwrap(), Opened::Conflict);
}

#[tokio::test]
async fn the_log_is_read_to_its_end_whatever_the_clock_of_whoever_wrote_it() {
    let scene = Scene::new().await;
    let member = scene.member();
    accept_ahead(&member, "ahead", Duration::from_secs(3600)).await;
    accept(&member, "r").await;
    drop(member);
    scene.empty();
    let member = scene.member();
    submit(&member.store, header("other"), 3).await;
    let _seeking = seek(&member, 1);
    scene.first_claims(&member.store).await;
    for request in ["ahead", "r"] {
        let again = member.store.open_request(&Arc::new(header(request)), totals(3)).await.unwrap();
        assert_eq!(again, Opened::Conflict, "{request} is not called a second time");
    }
}

#[tokio::test]
async fn what_is_there_still_goes_on_after_the_log_was_read() {
    let scene = Scene::new().await;
    let member = scene.member();
    accept(&member, "r").await;
    // Nothing is lost but who knew the database.
    let mut harm = redis::Client::open(scene.redis.url()).unwrap().get_connection().unwrap();
    let lives: Vec<String> = redis::cmd("KEYS").arg("*{ring}:life").query(&mut harm).unwrap();
    assert_eq!(lives, [""; 0], "nobody has asked whose turn it is");
    let _seeking = seek(&member, 1);
    let claims = scene.first_claims(&member.store).await;
    assert_eq!(names(&claims), [("r", 0), ("r", 1), ("r", 2)]);
}

#[tokio::test]
async fn a_loss_that_was_noticed_before_the_search_has_begun_is_not_missed() {
    let scene = Scene::with_a_lost_request("r").await;
    let member = scene.member();
    let seeking = member.deployment.lost_requests(ProcessId(1)).unwrap();
    submit(&member.store, header("other"), 3).await;
    assert!(member.store.claim(&worker("w"), 3).await.unwrap().claims.is_empty());
    let _seeking = AbortOnDropHandle::new(tokio::spawn(seeking));
    scene.first_claims(&member.store).await;
    let again = member.store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    assert_eq!(again, Opened::Conflict);
}

#[tokio::test]
async fn one_worker_reads_the_log_and_another_takes_over_when_it_has_died() {
    let scene = Scene::with_a_lost_request("r").await;
    let proxy = Proxy::before(scene.broker.address(), Faults { black_hole: true, ..Faults::default() }).await;
    let (first, second) = (scene.member_through(scene.broker.url_at(proxy.port())), scene.member());
    submit(&first.store, header("other"), 3).await;
    let reading = seek(&first, 1);
    first.store.claim(&worker("v"), 3).await.unwrap();
    // It is at it, and hears nothing.
    scene.soon(proxy.asked_for(1)).await;
    scene.soon(is_held(&scene, 1)).await;
    let _waiting = seek(&second, 2);
    assert!(scene.claims_for(&second.store, LEFT_ALONE).await.is_empty(), "the other one waits for it");
    drop(reading);
    scene.first_claims(&second.store).await;
    let again = second.store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    assert_eq!(again, Opened::Conflict);
}

#[tokio::test]
async fn a_worker_that_cannot_reach_the_log_leaves_it_to_one_that_can() {
    let scene = Scene::with_a_lost_request("r").await;
    let proxy = Proxy::before(scene.broker.address(), Faults { black_hole: true, ..Faults::default() }).await;
    let (first, second) = (scene.member_through(scene.broker.url_at(proxy.port())), scene.member());
    submit(&first.store, header("other"), 3).await;
    let _stuck = seek(&first, 1);
    first.store.claim(&worker("v"), 3).await.unwrap();
    scene.soon(is_held(&scene, 1)).await;
    let began_at = scene.clock.now();
    let _waiting = seek(&second, 2);
    scene.first_claims(&second.store).await;
    let waited = scene.clock.now().since(began_at);
    assert!(waited < Duration::from_secs(29), "{waited:?}: no lock had to run out");
}

/// Waits until a process holds what whoever reads the log holds.
async fn is_held(scene: &Scene, process: u128) {
    let mut asking = redis::Client::open(scene.redis.url()).unwrap().get_connection().unwrap();
    loop {
        let holder: Option<String> =
            redis::cmd("HGET").arg("robocall:{losses}").arg("process").query(&mut asking).unwrap();
        if holder == Some(ProcessId(process).to_string()) {
            return;
        }
        scene.clock.sleep_until(scene.clock.now() + Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_end_of_the_log_is_told_from_a_broker_that_does_not_answer() {
    let scene = Scene::new().await;
    accept(&scene.member(), "r").await;
    let proxy = Proxy::before(scene.broker.address(), Faults::default()).await;
    let client = scene.member_through(scene.broker.url_at(proxy.port())).deployment.client().unwrap();
    let mut tail = client.tail(TailFrom::First).await.unwrap();
    proxy.set(Faults { black_hole: true, ..Faults::default() });
    let heal = async {
        scene.clock.sleep_until(scene.clock.now() + Duration::from_secs(3)).await;
        proxy.set(Faults::default());
        std::future::pending::<()>().await;
    };
    let silence = Duration::from_secs(1);
    let mut found = Vec::new();
    let read = async {
        while let Some(event) = tail.next_until_silence(silence).await {
            found.push(event.routing_key);
        }
    };
    tokio::select! {
        biased;
        () = read => {}
        () = heal => {}
    }
    assert_eq!(found, ["bank.request.accepted"]);
}
