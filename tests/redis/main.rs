//! The waiting room in Redis, on a real server: everything that every waiting room must do, and that it does as the one in
//! memory does.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

mod code;
mod failover;
mod hooks;
mod keys;
mod listing;
mod loss;
mod orders;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/redis.rs"]
mod server;
#[path = "../store_properties/steps.rs"]
#[expect(dead_code, reason = "each test program uses what it needs")]
mod steps;
mod twins;

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::StoreWorld;
use robocall::model::Timestamp;
use robocall::ports::{CampaignStore, Census, Clock, RecordingIndex};

struct RedisWorld {
    prefix: String,
    store: Arc<RedisStore>,
    clock: Arc<ManualClock>,
}

impl RedisWorld {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let prefix = server::prefix();
        let settings = RedisSettings { prefix: prefix.clone(), ..RedisSettings::new(server::shared().url()) };
        let store = RedisStore::on_clock(&settings, Arc::<ManualClock>::clone(&clock)).unwrap();
        Self { prefix, store: Arc::new(store), clock }
    }
}

#[async_trait::async_trait]
impl StoreWorld for RedisWorld {
    fn store(&self) -> Arc<dyn CampaignStore> {
        Arc::<RedisStore>::clone(&self.store)
    }

    fn recordings(&self) -> Arc<dyn RecordingIndex> {
        Arc::<RedisStore>::clone(&self.store)
    }

    fn census(&self) -> Arc<dyn Census> {
        Arc::<RedisStore>::clone(&self.store)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

robocall::store_conformance!(RedisWorld::new());

#[tokio::test]
async fn what_others_have_written_as_the_limit_stays_when_other_settings_are_changed() {
    use robocall::conformance::store::scene::organisation;
    use robocall::model::Organisation;
    use robocall::ports::store::LimitChange;
    let mut others = redis::Client::open(server::shared().url()).unwrap().get_connection().unwrap();
    for written in [None, Some("many"), Some("-3"), Some("7"), Some("2000000")] {
        let world = RedisWorld::new();
        let (store, bank, key) = (world.store(), organisation("bank"), format!("{}:{{bank}}:limit", world.prefix));
        if let Some(text) = written {
            redis::cmd("SET").arg(&key).arg(text).exec(&mut others).unwrap();
        }
        let before = store.organisation(&bank).await.unwrap();
        let heavy = Organisation { weight: 3, ..before.clone() };
        assert!(
            store.change_organisation(&bank, &before, heavy, LimitChange::Kept, None).await.unwrap(),
            "{written:?}"
        );
        let found: Option<String> = redis::cmd("GET").arg(&key).query(&mut others).unwrap();
        assert_eq!(found.as_deref(), written);
        let after = store.organisation(&bank).await.unwrap();
        assert_eq!((after.limit, after.weight), (before.limit, 3), "{written:?}");
    }
}

#[tokio::test]
async fn other_applications_take_slots_and_give_them_back_with_the_scripts_that_are_shipped() {
    use robocall::conformance::store::scene::{claim_all, leased, limit, organisation, submit};
    let world = RedisWorld::new();
    let store = world.store();
    limit(&store, "bank", 3).await;
    submit(&store, robocall::conformance::store::scene::header("r"), 9).await;
    assert_eq!(claim_all(&store, 2).await.len(), 2);

    let mut others = redis::Client::open(server::shared().url()).unwrap().get_connection().unwrap();
    let key = |name: &str| format!("{}:{{bank}}:{name}", world.prefix);
    let script = redis::Script::new(include_str!("../../deploy/redis/take_slot.lua"));
    let mut take = script.prepare_invoke();
    take.key(key("external")).key(key("limit")).key(key("leases")).arg(6);
    assert_eq!(take.invoke::<i64>(&mut others).unwrap(), 1);
    assert_eq!(take.invoke::<i64>(&mut others).unwrap(), 0, "two are ours, one is theirs");
    assert!(claim_all(&store, 1).await.is_empty());
    let slots = store.slot_use(&organisation("bank")).await.unwrap();
    assert_eq!((slots.limit, slots.external, slots.leased), (3, 1, 2));

    let script = redis::Script::new(include_str!("../../deploy/redis/give_slot_back.lua"));
    let mut give_back = script.prepare_invoke();
    give_back.key(key("external"));
    for _ in 0..2 {
        assert_eq!(give_back.invoke::<i64>(&mut others).unwrap(), 0, "below nothing it does not go");
    }
    // Nobody told us: whoever waits for a slot looks again after a second.
    world.advance(Duration::from_secs(1)).await;
    assert_eq!(claim_all(&store, 1).await.len(), 1);
    assert_eq!(leased(&store).await, 3);
}
