//! A database that forgets: emptied, or set back to what it was a moment ago.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::*;
use robocall::model::event::CallContext;
use robocall::model::{CallStatus, DispositionResult, EventType, Happening};
use robocall::ports::Clock;
use robocall::ports::store::*;

use crate::server::Redis;

/// A server of one's own, a store on it, and a connection to do harm through.
struct Scene {
    _server: Redis,
    clock: Arc<ManualClock>,
    store: Store,
    harm: redis::Connection,
}

impl Scene {
    fn new() -> Self {
        let server = Redis::start();
        let clock = Arc::new(ManualClock::default());
        let store = RedisStore::on_clock(&RedisSettings::new(server.url()), Arc::<ManualClock>::clone(&clock)).unwrap();
        let harm = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        Self { _server: server, clock, store: Arc::new(store), harm }
    }

    fn empty(&mut self) {
        let _: () = redis::cmd("FLUSHALL").query(&mut self.harm).unwrap();
    }

    /// Everything the database holds now.
    fn remember(&mut self) -> Vec<(String, Vec<u8>)> {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.harm).unwrap();
        let value = |key: String| (key.clone(), redis::cmd("DUMP").arg(key).query(&mut self.harm).unwrap());
        keys.into_iter().map(value).collect()
    }

    /// Has the database forget everything since.
    fn set_back(&mut self, then: &[(String, Vec<u8>)]) {
        self.empty();
        for (key, value) in then {
            let _: () = redis::cmd("RESTORE").arg(key).arg(0).arg(value).query(&mut self.harm).unwrap();
        }
    }

    /// Lets the time pass in which nothing is claimed after a loss; what is held is renewed meanwhile.
    async fn wait_until_open(&self, held: &[Held]) {
        for _ in 0..5 {
            self.store.claim(&worker("w"), 0).await.unwrap();
            self.clock.advance(secs(10));
            assert_eq!(self.store.renew(&worker("w"), held).await.unwrap(), Renewed::default());
        }
    }

    async fn say_again(&self, claim: &Claim, history: &[robocall::model::Fact]) -> Written<Vec<EventType>> {
        let context = CallContext {
            header: Arc::clone(&claim.header),
            steps: [].into(),
            call: claim.held.attempt.call,
            destination: claim.destination.clone(),
            queued_at: claim.queued_at,
        };
        let said = self.store.reassert(&claim.held, &worker("w"), &context, history, &flow_state()).await.unwrap();
        match said {
            Written::Done(events) => Written::Done(events.iter().map(|event| event.kind).collect()),
            Written::Fenced => Written::Fenced,
        }
    }
}

#[tokio::test]
async fn a_live_call_keeps_its_slot_though_its_request_is_lost_and_the_name_is_not_taken_again() {
    let mut scene = Scene::new();
    let store = Arc::clone(&scene.store);
    limit(&store, "bank", 1).await;
    submit(&store, header("r"), 3).await;
    let claim = claim_one(&store).await;
    let history = dial(&store, &claim.held).await;
    scene.clock.advance(secs(1));
    scene.empty();

    let renewed = store.renew(&worker("w"), std::slice::from_ref(&claim.held)).await.unwrap();
    assert_eq!(renewed.forgotten, std::slice::from_ref(&claim.held));
    let late = store.checkpoint(&claim.held, 1, &[], &flow_state()).await;
    assert_eq!(late, Err(StoreError::Forgotten), "its owner is told, not fenced");

    assert_eq!(scene.say_again(&claim, &history).await, Written::Done(vec![EventType::RequestLost]));
    assert_eq!(scene.say_again(&claim, &history).await, Written::Done(vec![]), "told once");
    assert_eq!(leased(&store).await, 1);
    let again = store.open_request(&Arc::new(header("r")), totals(3)).await.unwrap();
    assert_eq!(again, Opened::Conflict, "nobody of it is called a second time");

    limit(&store, "bank", 1).await;
    submit(&store, header("other"), 2).await;
    scene.wait_until_open(std::slice::from_ref(&claim.held)).await;
    assert!(claim_all(&store, 5).await.is_empty(), "the slot is held");
    let ringing = [fact(scene.clock.now(), Happening::Ringing)];
    done(store.checkpoint(&claim.held, 1, &ringing, &flow_state()).await.unwrap());
    let finished = finish(&store, &claim.held, 2, ends(DispositionResult::Answered)).await;
    assert_eq!(finished.history.len(), 3);
    assert_eq!(leased(&store).await, 0);
    assert_eq!(claim_all(&store, 5).await.len(), 1);
}

#[tokio::test]
async fn a_lost_call_whose_owner_dies_too_holds_its_slot_until_it_is_surely_over() {
    let mut scene = Scene::new();
    let store = Arc::clone(&scene.store);
    submit(&store, header("r"), 1).await;
    let claim = claim_one(&store).await;
    let history = dial(&store, &claim.held).await;
    scene.clock.advance(secs(1));
    scene.empty();
    scene.say_again(&claim, &history).await;
    for _ in 0..20 {
        scene.clock.advance(secs(30));
        store.sweep().await.unwrap();
    }
    assert_eq!(leased(&store).await, 1, "it may last ten minutes and a half");
    scene.clock.advance(secs(120));
    store.sweep().await.unwrap();
    assert_eq!(leased(&store).await, 0);
}

#[tokio::test]
async fn a_database_set_back_is_told_of_live_calls_and_dials_nobody_twice() {
    for seen in [0, 1] {
        let mut scene = Scene::new();
        let store = Arc::clone(&scene.store);
        submit(&store, header("r"), 3).await;
        let early = scene.remember();
        let claims = claim_all(&store, 2).await;
        let claimed = scene.remember();
        let mut histories = Vec::new();
        for claim in &claims {
            histories.push(dial(&store, &claim.held).await);
        }
        scene.clock.advance(secs(1));
        // Set back to before the claim, or to between claim and dial.
        scene.set_back(if seen == 0 { &early } else { &claimed });

        for (claim, history) in claims.iter().zip(&histories) {
            let late = store.checkpoint(&claim.held, 1, &[], &flow_state()).await;
            assert!(matches!(late, Err(StoreError::Forgotten)) || seen == 1 && late == Ok(Written::Fenced), "{late:?}");
            let said = scene.say_again(claim, history).await;
            assert!(matches!(said, Written::Done(_)), "{seen} {said:?}");
        }
        assert_eq!(leased(&store).await, 2);
        let held: Vec<Held> = claims.iter().map(|claim| claim.held.clone()).collect();
        scene.wait_until_open(&held).await;
        let more = claim_all(&store, 5).await;
        assert_eq!(indices(&more), [2], "those who are being called are passed over");
        assert!(more[0].held.token > claims[1].held.token, "no proof is given twice");
        for (claim, history) in claims.iter().zip(&histories) {
            let after = u32::try_from(history.len()).unwrap();
            finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
        }
        let counts = summary(&store, &key("r")).await.counts;
        assert_eq!((counts.completed, counts.queued, counts.total()), (2, 1, 3));
        let shown = store.calls(&key("r"), 0, 10).await.unwrap();
        assert_eq!(shown[0].status, CallStatus::Completed);
        assert_eq!(shown[0].history[..1], histories[0][..1], "its history is whole");
        assert_eq!(leased(&store).await, 1);
    }
}

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
    let dialled = store.begin_dial(&one.held, &worker("w"), None, &flow_state()).await.unwrap();
    assert!(matches!(dialled, DialDecision::Dial { again: false, .. }), "{dialled:?}");
    drop(replica);
    let alone = store.begin_dial(&other.held, &worker("w"), None, &flow_state()).await;
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
    let dialled = store.begin_dial(&claim.held, &worker("w"), None, &flow_state()).await.unwrap();
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
    let again = store.begin_dial(&claim.held, &worker("w"), None, &flow_state()).await;
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
    store.control(&key, Control::Pause).await.unwrap();
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
