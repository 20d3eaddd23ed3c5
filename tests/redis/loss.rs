//! A database that forgets: emptied, or set back to what it was a moment ago.

use std::sync::Arc;

use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::scene::*;
use robocall::model::event::CallContext;
use robocall::model::{CallStatus, DispositionResult, EventType, Happening, LegId};
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

        // Whoever claimed last speaks first.
        for (claim, history) in claims.iter().zip(&histories).rev() {
            let late = store.checkpoint(&claim.held, 1, &[], &flow_state()).await;
            assert!(matches!(late, Err(StoreError::Forgotten)), "{seen} {late:?}");
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

#[tokio::test]
async fn a_second_leg_that_ended_in_lost_moments_holds_no_slot() {
    let mut scene = Scene::new();
    let store = Arc::clone(&scene.store);
    limit(&store, "bank", 2).await;
    submit(&store, header("r"), 1).await;
    let claim = claim_one(&store).await;
    let mut history = dial(&store, &claim.held).await;
    let leg = LegId::transfer(claim.held.attempt, 1);
    let granted = store.request_slot(&claim.held, leg, scene.clock.now() + secs(20)).await.unwrap();
    assert_eq!(granted, Written::Done(SlotAnswer::Granted));
    let then = scene.remember();
    // What is stored next does not name the leg.
    let ringing = fact(scene.clock.now(), Happening::Ringing);
    done(store.checkpoint(&claim.held, 1, std::slice::from_ref(&ringing), &flow_state()).await.unwrap());
    history.push(ringing);
    scene.clock.advance(secs(1));
    scene.set_back(&then);
    let answered = [fact(scene.clock.now(), Happening::Answered)];
    assert_eq!(store.checkpoint(&claim.held, 2, &answered, &flow_state()).await, Err(StoreError::Forgotten));
    let said = scene.say_again(&claim, &history).await;
    assert!(matches!(said, Written::Done(_)), "{said:?}");
    assert_eq!(leased(&store).await, 1, "the callee's");
    finish(&store, &claim.held, 2, ends(DispositionResult::Answered)).await;
    assert_eq!(leased(&store).await, 0);
}

#[tokio::test]
async fn a_call_that_nobody_can_read_keeps_no_other_from_being_taken_over_or_told_of() {
    let mut scene = Scene::new();
    let store = Arc::clone(&scene.store);
    for name in ["shop", "bank"] {
        submit(&store, header_of(name, "r"), 1).await;
        dial(&store, &claim_one(&store).await.held).await;
    }
    // A later version of the program has written a fact of a kind that this one does not know.
    let keys: Vec<String> = redis::cmd("KEYS").arg("robocall:{shop}:l:*").query(&mut scene.harm).unwrap();
    let facts: Vec<u8> = redis::cmd("HGET").arg(&keys[0]).arg("f").query(&mut scene.harm).unwrap();
    let strange = [&facts[..], &[0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 1, 99]].concat();
    let _: () = redis::cmd("HSET").arg(&keys[0]).arg("f").arg(strange).query(&mut scene.harm).unwrap();
    for _ in 0..4 {
        scene.clock.advance(secs(10));
        store.sweep().await.unwrap();
    }
    let suspects = store.suspects(256).await.unwrap();
    assert_eq!(suspects.len(), 1);
    assert_eq!(suspects[0].held.organisation, organisation("bank"));
    let untold = store.unconfirmed(scene.clock.now(), 256).await.unwrap();
    let told_of = |untold: &Unconfirmed| matches!(untold, Unconfirmed::Call { header, .. } if header.organisation == organisation("bank"));
    assert!(untold.iter().any(told_of), "{untold:?}");
}
