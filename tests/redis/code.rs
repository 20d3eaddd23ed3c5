//! How transitions get to the server: as functions that it keeps or as scripts, several at a time, each for itself.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::*;
use robocall::model::{DispositionResult, Happening, Via};
use robocall::ports::store::*;
use robocall::ports::{Census as _, Clock as _, Whose};

use crate::server::{self, Redis};

fn connection(server: &Redis) -> redis::Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

fn store_at(url: String) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let store = RedisStore::on_clock(&RedisSettings::new(url), Arc::<ManualClock>::clone(&clock)).unwrap();
    (Arc::new(store), clock)
}

/// The address by which a user comes who may do anything but what is forbidden, such as `-fcall`.
pub fn without(server: &Redis, forbidden: &[&str]) -> String {
    let mut command = redis::cmd("ACL");
    command.arg("SETUSER").arg("clerk").arg(&["on", ">word", "~*", "&*", "+@all"]).arg(forbidden);
    let _: () = command.query(&mut connection(server)).unwrap();
    server.url().replace("redis://", "redis://clerk:word@")
}

/// Calls somebody, and the names of libraries that the server keeps then.
async fn call_and_look(store: &Store, request: &str, server: &Redis) -> Vec<String> {
    submit(store, header(request), 1).await;
    let ended = call_through(store, ends(DispositionResult::Answered)).await;
    assert!(matches!(ended.history.last().unwrap().what, Happening::Ended { .. }));
    let list: Vec<redis::Value> =
        redis::cmd("FUNCTION").arg("LIST").arg("LIBRARYNAME").arg("robocall_*").query(&mut connection(server)).unwrap();
    list.into_iter()
        .map(|library| match library {
            redis::Value::Array(fields) => redis::from_redis_value(fields.into_iter().nth(1).unwrap()).unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn a_server_keeps_one_library_and_is_told_again_when_it_has_none() {
    let server = Redis::start();
    let (store, _) = store_at(server.url());
    let kept = call_and_look(&store, "first", &server).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let _: () = redis::cmd("FUNCTION").arg("FLUSH").query(&mut connection(&server)).unwrap();
    assert_eq!(call_and_look(&store, "second", &server).await, kept);
    let (another, _) = store_at(server.url());
    assert_eq!(call_and_look(&another, "third", &server).await, kept, "another process has the same");
}

#[tokio::test]
async fn a_server_that_allows_no_functions_is_served_with_scripts() {
    for forbidden in [&["-fcall", "-function"][..], &["-function"], &["-fcall"]] {
        let server = Redis::start();
        let (store, _) = store_at(without(&server, forbidden));
        let kept = call_and_look(&store, "first", &server).await;
        assert_eq!(kept, [""; 0], "{forbidden:?}");
        let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut connection(&server)).unwrap();
        call_and_look(&store, "second", &server).await;
    }
}

#[tokio::test]
async fn of_those_who_travel_together_one_that_fails_takes_nothing_from_the_others() {
    let world = crate::RedisWorld::new();
    let store: Store = Arc::<RedisStore>::clone(&world.store);
    limit(&store, "bank", 40).await;
    submit(&store, header("r"), 40).await;
    let mut calls = Vec::new();
    for claim in claim_all(&store, 40).await {
        let dialled = dial(&store, &claim.held).await;
        calls.push((claim.held, u32::try_from(dialled.len()).unwrap()));
    }
    // Somebody has been at one of the keys.
    let harmed = &calls[20].0;
    let key = format!("{}:{{bank}}:l:{}", world.prefix, harmed.attempt.call);
    let mut harm = connection(server::shared());
    let _: () = redis::cmd("SET").arg(key).arg("not ours").query(&mut harm).unwrap();

    let ringing = [fact(world.clock.now(), Happening::Ringing)];
    let state = flow_state();
    let written = calls.iter().map(|(held, after)| store.checkpoint(held, *after, &ringing, &state));
    let written = futures_util::future::join_all(written).await;
    for (place, answer) in written.iter().enumerate() {
        match (place, answer) {
            (20, Err(StoreError::Refused(why))) => assert!(why.contains("WRONGTYPE"), "{why}"),
            (20, other) => panic!("{other:?}"),
            (_, answer) => assert_eq!(*answer, Ok(Written::Done(()))),
        }
    }
    let ended = calls.iter().enumerate().filter(|(place, _)| *place != 20).map(|(_, (held, after))| {
        let end = ends(DispositionResult::Answered);
        let store = Arc::clone(&store);
        async move { store.finish(held, &worker("w"), after + 1, &[], end, 0).await }
    });
    for answer in futures_util::future::join_all(ended).await {
        assert!(matches!(answer, Ok(Written::Done(_))), "{answer:?}");
    }
    assert_eq!(leased(&store).await, 1, "what nobody can read holds its slot");
    assert_eq!(summary(&store, &key_of("bank", "r")).await.counts.on_progress, 1);
}

#[tokio::test]
async fn an_event_tells_how_things_stood_whatever_travels_with_it() {
    let world = crate::RedisWorld::new();
    let store: Store = Arc::<RedisStore>::clone(&world.store);
    limit(&store, "bank", 10).await;
    submit(&store, header("r"), 10).await;
    let claims = claim_all(&store, 10).await;
    let (bank, state) = (organisation("bank"), flow_state());
    // Two questions are on their way, so that all dials travel together behind them.
    let questions = futures_util::future::join(store.slot_use(&bank), store.organisation(&bank));
    let name = worker("w");
    let via = Via::default();
    let dials = claims.iter().map(|claim| store.begin_dial(&claim.held, &name, &via, &state));
    let (_, dials) = futures_util::future::join(questions, futures_util::future::join_all(dials)).await;
    let told: Vec<_> = dials
        .into_iter()
        .flat_map(|dial| match dial.unwrap() {
            DialDecision::Dial { events, .. } => events,
            other => panic!("{other:?}"),
        })
        .collect();
    let [started] = &*told else { panic!("{told:?}") };
    let later = world.clock.now() + Duration::from_secs(1);
    let stored = store.unconfirmed(later, 100).await.unwrap();
    assert!(
        stored.iter().any(|stored| matches!(stored, Unconfirmed::Request(event) if event == started)),
        "{started:?}"
    );
}

/// Lets a server have memory for nothing more, or for as much as there is.
fn short_of_memory(server: &Redis, short: bool) {
    let most = if short { "1" } else { "0" };
    let _: () = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(most).query(&mut connection(server)).unwrap();
}

#[tokio::test]
async fn where_memory_is_short_nothing_new_begins_and_everything_may_end() {
    let server = Redis::start();
    let (store, clock) = store_at(server.url());
    limit(&store, "bank", 9).await;
    submit(&store, header("r"), 9).await;
    let (live, after) = claim_and_dial(&store).await;
    let undialled = claim_one(&store).await;
    short_of_memory(&server, true);
    assert!(matches!(store.claim(&worker("w"), 1).await, Err(StoreError::Unavailable(_))));
    let (name, state, end) = (worker("w"), flow_state(), ends(DispositionResult::Answered));
    let ringing = [fact(clock.now(), Happening::Ringing)];
    // On their way with one that is refused, these are not.
    let bank = organisation("bank");
    let via = Via::default();
    let begun = store.begin_dial(&undialled.held, &name, &via, &state);
    let written = store.checkpoint(&live.held, after, &ringing, &state);
    let (_, _, begun, written) =
        futures_util::join!(store.slot_use(&bank), store.live_calls(&bank, None), begun, written);
    assert!(matches!(begun, Err(StoreError::Unavailable(_))), "{begun:?}");
    assert_eq!(written, Ok(Written::Done(())));
    assert_eq!(store.renew(&name, std::slice::from_ref(&live.held)).await, Ok(Renewed::default()));
    let finished = store.finish(&live.held, &name, after + 1, &[], end, 0).await;
    assert!(matches!(finished, Ok(Written::Done(_))), "{finished:?}");
    assert_eq!(summary(&store, &key_of("bank", "r")).await.counts.completed, 1);

    short_of_memory(&server, false);
    assert!(matches!(try_dial(&store, &undialled.held).await, DialDecision::Dial { again: false, .. }));
    assert_eq!(claim_all(&store, 9).await.len(), 7, "nobody was lost on the way");
}

#[tokio::test]
async fn scripts_too_lose_nobody_where_memory_is_short() {
    let server = Redis::start();
    let (store, _) = store_at(without(&server, &["-fcall", "-function"]));
    limit(&store, "bank", 9).await;
    submit(&store, header("r"), 3).await;
    let (live, after) = claim_and_dial(&store).await;
    short_of_memory(&server, true);
    let name = worker("w");
    let finish = || store.finish(&live.held, &name, after, &[], ends(DispositionResult::Answered), 0);
    let claim = || store.claim(&name, 1);
    let (_, _, claimed, finished) = futures_util::join!(finish(), finish(), claim(), finish());
    assert!(matches!(claimed, Err(StoreError::Unavailable(_))), "{claimed:?}");
    assert!(matches!(finished, Err(StoreError::Unavailable(_))), "{finished:?}");
    short_of_memory(&server, false);
    assert!(matches!(finish().await, Ok(Written::Done(_))));
    assert_eq!(indices(&claim_all(&store, 9).await), [1, 2]);
}

#[tokio::test]
async fn what_nobody_can_read_of_one_organisation_keeps_no_other_waiting() {
    let server = Redis::start();
    let (store, clock) = store_at(server.url());
    for name in ["aaa", "zzz"] {
        limit(&store, name, 2).await;
        submit(&store, header_of(name, "r"), 2).await;
    }
    let claims = claim_all(&store, 4).await;
    assert_eq!(claims.len(), 4);
    let held: Vec<Held> = claims.iter().map(|claim| claim.held.clone()).collect();
    let of =
        |name| held.iter().filter(move |held| held.organisation == organisation(name)).cloned().collect::<Vec<_>>();
    let harm = |key: &str| redis::cmd("SET").arg(key).arg("not ours").query::<()>(&mut connection(&server)).unwrap();
    harm(&format!("robocall:{{aaa}}:l:{}", of("aaa")[0].attempt.call));
    let renewed = store.renew(&worker("w"), &held).await.unwrap();
    assert_eq!(renewed.lost, of("aaa")[..1]);

    harm("robocall:{aaa}:o");
    let settings = RedisSettings::new(server.url());
    let census = RedisStore::on_clock(&settings, Arc::<ManualClock>::clone(&clock)).unwrap();
    let standings = census.standings(Whose::Busy, Duration::from_secs(120)).await.unwrap();
    let names: Vec<&str> = standings.read.iter().map(|standing| standing.organisation.as_str()).collect();
    let unread: Vec<&str> = standings.unread.iter().map(|unread| unread.organisation.as_str()).collect();
    assert_eq!((names, unread), (vec!["zzz"], vec!["aaa"]), "nor is it known how it stands");
    let renewed = store.renew(&worker("w"), &held).await.unwrap();
    assert_eq!(renewed.lost, of("aaa"));
    clock.advance(Duration::from_secs(31));
    store.sweep().await.unwrap();
    let suspects: Vec<Held> = store.suspects(9).await.unwrap().into_iter().map(|suspect| suspect.held).collect();
    assert_eq!(suspects, of("zzz"), "and they can be adopted");
}

#[tokio::test]
async fn no_two_changes_of_an_organisation_have_one_number_though_the_rest_of_it_cannot_be_read() {
    let server = Redis::start();
    let (store, clock) = store_at(server.url());
    let (bank, given) = (organisation("bank"), Given { id: "list".into(), actor: None, expect: None });
    let block = async |index| {
        let phone = destination(index).number.phone().unwrap();
        store.block_number(&bank, phone, Some(&given)).await
    };
    assert!(block(0).await.unwrap());
    let leases = "robocall:{bank}:leases";
    redis::cmd("SET").arg(leases).arg("not ours").query::<()>(&mut connection(&server)).unwrap();
    let failed = block(1).await;
    assert!(failed.is_err(), "it is on the list, and what follows fails: {failed:?}");
    redis::cmd("DEL").arg(leases).query::<()>(&mut connection(&server)).unwrap();
    assert!(!block(1).await.unwrap() && block(2).await.unwrap());
    let untold = store.unconfirmed(clock.now() + Duration::from_secs(1), 9).await.unwrap();
    let numbers = untold.iter().map(|untold| match untold {
        Unconfirmed::Organisation(event) => event.seq,
        other => panic!("{other:?}"),
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn settings_that_are_in_force_are_told_of_though_a_request_cannot_be_read() {
    let server = Redis::start();
    let (store, clock) = store_at(server.url());
    let (bank, given) = (organisation("bank"), Given { id: "set".into(), actor: None, expect: None });
    submit(&store, header("r"), 1).await;
    let record = format!("robocall:{{bank}}:r:{}", hash_of(&server).await);
    redis::cmd("HSET").arg(record).arg(&["x", "not ours"]).query::<()>(&mut connection(&server)).unwrap();
    let before = store.organisation(&bank).await.unwrap();
    let after = robocall::model::Organisation { retention_secs: 100, weight: 7, ..before.clone() };
    let changed = store.change_organisation(&bank, &before, after.clone(), LimitChange::Kept, Some(&given)).await;
    assert!(changed.is_err(), "not all that follows from it is done: {changed:?}");
    assert_eq!(store.organisation(&bank).await.unwrap(), after);
    let untold = store.unconfirmed(clock.now() + Duration::from_secs(1), 9).await.unwrap();
    let told = untold.iter().find_map(|untold| match untold {
        Unconfirmed::Organisation(event) => Some(event.changed.clone()),
        _ => None,
    });
    assert_eq!(told, Some(vec!["retentionSecs".into(), "weight".into()]));
}

/// What the only request of the bank is called in keys.
async fn hash_of(server: &Redis) -> String {
    let all: Vec<String> =
        redis::cmd("SMEMBERS").arg("robocall:{bank}:requests").query(&mut connection(server)).unwrap();
    let [hash] = all.try_into().unwrap();
    hash
}
