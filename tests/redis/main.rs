//! The waiting room in Redis, on a real server: everything that every waiting room must do, and that it does as the one in
//! memory does.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

mod loss;
#[path = "../support/redis.rs"]
#[allow(dead_code, reason = "each test program uses what it needs")]
mod server;
#[path = "../store_properties/steps.rs"]
#[allow(dead_code, reason = "each test program uses what it needs")]
mod steps;
mod twins;

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::redis::{RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::store::StoreWorld;
use robocall::model::Timestamp;
use robocall::ports::{CampaignStore, Clock};

struct RedisWorld {
    store: Arc<RedisStore>,
    clock: Arc<ManualClock>,
}

impl RedisWorld {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let settings = RedisSettings { prefix: server::prefix(), ..RedisSettings::new(server::shared().url()) };
        let store = RedisStore::on_clock(&settings, Arc::<ManualClock>::clone(&clock)).unwrap();
        Self { store: Arc::new(store), clock }
    }
}

#[async_trait::async_trait]
impl StoreWorld for RedisWorld {
    fn store(&self) -> Arc<dyn CampaignStore> {
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
