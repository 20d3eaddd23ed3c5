//! A server that gives its place to another, or is another than before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::store::scene::*;
use robocall::model::DispositionResult;
use robocall::model::Via;
use robocall::ports::Clock;
use robocall::ports::store::*;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use crate::server::Redis;

/// A store that lives by the server's time.
fn in_real_time(server: &Redis, wait_replicas: u32) -> RedisStore {
    RedisStore::new(&RedisSettings { wait_replicas, ..RedisSettings::new(server.url()) }).unwrap()
}

/// What a worker gets, once the database is not new any more.
async fn claimed(store: &RedisStore) -> Claim {
    let clock = SystemClock::new();
    loop {
        let claims = store.claim(&worker("w"), 1).await.unwrap();
        match claims.claims.into_iter().next() {
            Some(claim) => return claim,
            None => clock.sleep_until(claims.again_at.unwrap()).await,
        }
    }
}

#[tokio::test]
async fn whoever_has_known_an_emptied_database_keeps_everybody_from_claiming_for_one_time_to_live() {
    let server = Redis::start();
    let known: Store = Arc::new(in_real_time(&server, 0));
    submit(&known, header("r"), 3).await;
    let known = in_real_time(&server, 0);
    let claim = claimed(&known).await;
    let mut harm = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let _: () = redis::cmd("FLUSHALL").query(&mut harm).unwrap();

    // A worker that has just come finds an empty database, and nothing wrong with it.
    let stranger: Store = Arc::new(in_real_time(&server, 0));
    submit(&stranger, header("other"), 3).await;
    let first = stranger.claim(&worker("v"), 3).await.unwrap();
    assert!(first.claims.is_empty(), "it leaves it alone all the same, until the others have looked");

    let now = SystemClock::new().now();
    let closed = known.claim(&worker("w"), 3).await.unwrap();
    assert!(closed.claims.is_empty() && closed.again_at.unwrap() > now + secs(20), "{closed:?}");
    let closed = stranger.claim(&worker("v"), 3).await.unwrap();
    assert!(closed.claims.is_empty() && closed.again_at.unwrap() > now + secs(20), "{closed:?}");
    let renewed = known.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert_eq!(renewed.forgotten, [claim.held], "and its owner hears of it");
}

#[tokio::test]
async fn a_server_that_was_restarted_is_left_alone_while_owners_speak() {
    let mut server = Redis::with(&["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    let store: Store = Arc::new(in_real_time(&server, 0));
    submit(&store, header("r"), 3).await;
    let store = in_real_time(&server, 0);
    let claim = claimed(&store).await;
    server.kill();
    assert!(matches!(store.claim(&worker("w"), 1).await, Err(StoreError::Unavailable(_))));
    server.start_again();
    let closed = loop {
        match store.claim(&worker("w"), 3).await {
            Ok(claims) => break claims,
            Err(_) => {
                let clock = SystemClock::new();
                clock.sleep_until(clock.now() + Duration::from_millis(50)).await;
            }
        }
    };
    assert!(closed.claims.is_empty() && closed.again_at.is_some(), "{closed:?}");
    let renewed = store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert_eq!(renewed, Renewed::default(), "nothing was lost: it is still held");
}

#[tokio::test]
async fn a_dial_counts_when_a_replica_has_it() {
    let server = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &server.port().to_string(), "--save", ""]);
    let mut asking = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let store: Store = Arc::new(in_real_time(&server, 1));
    submit(&store, header("r"), 2).await;
    let store = in_real_time(&server, 1);
    let (one, other) = (claimed(&store).await, claimed(&store).await);
    // A write, and the wait until the replica has it.
    let _: () = redis::cmd("SET").arg("x").arg(1).query(&mut asking).unwrap();
    let synchronised: i64 = redis::cmd("WAIT").arg(1).arg(20_000).query(&mut asking).unwrap();
    assert_eq!(synchronised, 1);
    let dialled = store.begin_dial(&one.held, &worker("w"), &Via::default(), &flow_state()).await.unwrap();
    assert!(matches!(dialled, DialDecision::Dial { again: false, .. }), "{dialled:?}");
    drop(replica);
    let alone = store.begin_dial(&other.held, &worker("w"), &Via::default(), &flow_state()).await;
    assert!(matches!(alone, Err(StoreError::Unavailable(_))), "nobody is dialled of whom a successor would not know");
}

#[tokio::test]
async fn a_replica_that_takes_its_servers_place_knows_every_dial_and_is_left_alone_while_owners_speak() {
    let mut server = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &server.port().to_string(), "--save", ""]);
    let store: Store = Arc::new(in_real_time(&server, 1));
    submit(&store, header("r"), 3).await;
    let store = in_real_time(&server, 1);
    let claim = claimed(&store).await;
    let mut asking = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    // Until the replica has come it cannot have anything.
    while !matches!(redis::cmd("WAIT").arg(1).arg(20_000).query::<i64>(&mut asking), Ok(1)) {}
    let dialled = store.begin_dial(&claim.held, &worker("w"), &Via::default(), &flow_state()).await.unwrap();
    assert!(matches!(dialled, DialDecision::Dial { again: false, .. }), "{dialled:?}");

    server.kill();
    let mut promotion = redis::Client::open(replica.url()).unwrap().get_connection().unwrap();
    let _: () = redis::cmd("REPLICAOF").arg("NO").arg("ONE").query(&mut promotion).unwrap();
    let _: () = redis::cmd("CONFIG").arg("SET").arg("port").arg(server.port()).query(&mut promotion).unwrap();
    let clock = SystemClock::new();
    let closed = loop {
        match store.claim(&worker("w"), 3).await {
            Ok(claims) => break claims,
            Err(_) => clock.sleep_until(clock.now() + Duration::from_millis(50)).await,
        }
    };
    assert!(closed.claims.is_empty() && closed.again_at.unwrap() > clock.now() + secs(20), "{closed:?}");
    let renewed = store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert_eq!(renewed, Renewed::default(), "the dial is known");
    let again = store.begin_dial(&claim.held, &worker("w"), &Via::default(), &flow_state()).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))), "it has no replica of its own yet: {again:?}");
    assert_eq!(store.slot_use(&organisation("bank")).await.unwrap().leased, 1);
}

#[tokio::test]
async fn a_server_that_became_anothers_replica_is_left_for_that_one_although_its_connection_lives() {
    let server = Redis::start();
    let other = Redis::with(&["--replicaof", "127.0.0.1", &server.port().to_string(), "--save", ""]);
    let connect = |server: &Redis| redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let (mut asking, mut promotion) = (connect(&server), connect(&other));
    let store: Store = Arc::new(in_real_time(&server, 0));
    submit(&store, header("r"), 3).await;
    store.claim(&worker("w"), 0).await.unwrap();
    while !matches!(redis::cmd("WAIT").arg(1).arg(20_000).query::<i64>(&mut asking), Ok(1)) {}

    // They change places, and addresses.
    let port = server.port();
    let set = |of: &mut redis::Connection, port: u16| {
        let _: () = redis::cmd("CONFIG").arg("SET").arg("port").arg(port).query(of).unwrap();
    };
    set(&mut asking, crate::server::free_port());
    let _: () = redis::cmd("REPLICAOF").arg("NO").arg("ONE").query(&mut promotion).unwrap();
    set(&mut promotion, port);
    let _: () = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).query(&mut asking).unwrap();

    let clock = SystemClock::new();
    let until = clock.now() + secs(20);
    let reached = loop {
        match store.claim(&worker("w"), 0).await {
            Ok(claims) => break claims,
            Err(error) => assert!(clock.now() < until, "{error}"),
        }
        clock.sleep_until(clock.now() + Duration::from_millis(50)).await;
    };
    assert!(reached.again_at.unwrap() > clock.now() + secs(20), "it is another server: {reached:?}");
    let key = RequestKey { organisation: organisation("bank"), request: "r".parse().unwrap() };
    store.control(&key, Control::Pause, None).await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_answers_is_tried_over_another_connection() {
    let server = Redis::start();
    let target = (std::net::Ipv4Addr::LOCALHOST, server.port()).into();
    let proxy = crate::proxy::Proxy::before(target, crate::proxy::Faults::default()).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let store = RedisStore::new(&RedisSettings::new(url)).unwrap();
    store.slot_use(&organisation("bank")).await.unwrap();
    proxy.set(crate::proxy::Faults { swallow_replies: true, ..Default::default() });
    let asking = async {
        // Each waits for its answer for a while.
        for _ in 0..10 {
            store.slot_use(&organisation("bank")).await.unwrap_err();
        }
    };
    tokio::select! {
        () = proxy.asked_for(2) => {}
        () = asking => panic!("ten questions over a connection that never answers"),
    }
    proxy.set(crate::proxy::Faults::default());
    let clock = SystemClock::new();
    let until = clock.now() + secs(20);
    while let Err(error) = store.slot_use(&organisation("bank")).await {
        assert!(clock.now() < until, "{error}");
    }
}

/// An address behind which now one server is and then another.
struct Address {
    port: u16,
    target: Arc<Mutex<u16>>,
    cut: broadcast::Sender<()>,
    _listening: AbortOnDropHandle<()>,
}

impl Address {
    async fn of(server: &Redis) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (target, (cut, _)) = (Arc::new(Mutex::new(server.port())), broadcast::channel(8));
        let (to, cuts) = (Arc::clone(&target), cut.clone());
        let listening = tokio::spawn(async move {
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let (to, mut cut) = (*to.lock().unwrap(), cuts.subscribe());
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    tokio::select! {
                        _ = cut.recv() => {}
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                    }
                });
            }
        });
        Self { port, target, cut, _listening: AbortOnDropHandle::new(listening) }
    }

    fn becomes(&self, server: &Redis) {
        *self.target.lock().unwrap() = server.port();
        self.cut.send(()).unwrap();
    }
}

/// Has one server know what another knows now.
fn copy(from: &Redis, to: &Redis) {
    let connect = |server: &Redis| redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let (mut from, mut to) = (connect(from), connect(to));
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut from).unwrap();
    for key in keys {
        let value: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut from).unwrap();
        let _: () = redis::cmd("RESTORE").arg(key).arg(0).arg(value).query(&mut to).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_ends_while_the_server_becomes_another_brings_nobody_who_is_on_the_phone() {
    let (server, other) = (Redis::start(), Redis::start());
    let address = Address::of(&server).await;
    let url = format!("redis://127.0.0.1:{}/", address.port);
    let store: Store = Arc::new(RedisStore::new(&RedisSettings::new(url)).unwrap());
    limit(&store, "bank", 400).await;
    submit(&store, header("r"), 400).await;
    let clock = Arc::new(SystemClock::new());
    let claim = |want| {
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        async move {
            let mut claims = Vec::new();
            while claims.len() < want {
                let more = store.claim(&worker("w"), u32::try_from(want - claims.len()).unwrap()).await.unwrap();
                if more.claims.is_empty() {
                    clock.sleep_until(more.again_at.unwrap()).await;
                }
                claims.extend(more.claims);
            }
            claims
        }
    };
    let mut live = Vec::new();
    for claim in claim(200).await {
        let history = dial(&store, &claim.held).await;
        live.push((claim.held, u32::try_from(history.len()).unwrap()));
    }
    copy(&server, &other);
    // The moments that the other one lacks.
    let mut on_the_phone = Vec::new();
    for claim in claim(10).await {
        dial(&store, &claim.held).await;
        on_the_phone.push(claim.destination.index);
    }
    let mut ends_ = tokio::task::JoinSet::new();
    for (nth, (held, after)) in (0..).zip(live) {
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        ends_.spawn(async move {
            clock.sleep_until(clock.now() + Duration::from_millis(nth * 5)).await;
            let end = ends(DispositionResult::Answered);
            loop {
                match store.finish(&held, &worker("w"), after, &[], end.clone(), 1).await {
                    Ok(Written::Done(finished)) => return indices(&finished.refill),
                    Ok(Written::Fenced) => return Vec::new(),
                    Err(_) => clock.sleep_until(clock.now() + Duration::from_millis(50)).await,
                }
            }
        });
    }
    let looking = AbortOnDropHandle::new(tokio::spawn({
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        async move {
            loop {
                // Whoever looks asks the server who it is.
                let _unheard = store.sweep().await;
                clock.sleep_until(clock.now() + Duration::from_millis(20)).await;
            }
        }
    }));
    clock.sleep_until(clock.now() + Duration::from_millis(400)).await;
    address.becomes(&other);
    let brought = ends_.join_all().await.concat();
    drop(looking);
    let twice: Vec<_> = brought.iter().filter(|index| on_the_phone.contains(index)).collect();
    assert!(!brought.is_empty() && twice.is_empty(), "{twice:?} of {on_the_phone:?} would be called twice");
}
