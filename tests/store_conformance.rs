//! The waiting room in memory does what every waiting room must do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use robocall::adapters::memory::{MemoryStore, WindowState};
use robocall::conformance::ManualClock;
use robocall::conformance::store::StoreWorld;
use robocall::model::request::WindowZone;
use robocall::model::{CallingWindow, Timestamp};
use robocall::ports::{CampaignStore, Clock};

struct MemoryWorld {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

impl MemoryWorld {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock), daily));
        Self { clock, store }
    }
}

#[async_trait::async_trait]
impl StoreWorld for MemoryWorld {
    fn store(&self) -> Arc<dyn CampaignStore> {
        Arc::<MemoryStore>::clone(&self.store)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// Windows that open and close every day, looked at minute by minute.
fn daily(window: &CallingWindow, zones: &[Box<str>], at: Timestamp) -> WindowState {
    let zones: Vec<&str> = match &window.time_zone {
        WindowZone::Named(zone) => vec![zone],
        WindowZone::Recipient => zones.iter().map(|zone| &**zone).collect(),
    };
    let open = |at: Timestamp| {
        zones.iter().all(|zone| {
            let local: Time = at.to_jiff().to_zoned(TimeZone::get(zone).unwrap()).time();
            let minute = local.hour() as u16 * 60 + local.minute() as u16;
            (window.from_minute..window.to_minute).contains(&minute)
        })
    };
    let now = open(at);
    let minute = |minutes: i64| Timestamp::from_millis((at.as_millis() / 60_000 + minutes) * 60_000);
    let until = (1..).map(minute).find(|at| open(*at) != now).unwrap();
    if now { WindowState::Open { until } } else { WindowState::Closed { until } }
}

robocall::store_conformance!(MemoryWorld::new());

#[test]
fn no_sentence_is_left_out() {
    let list = include_str!("../src/conformance/store.rs");
    let chapters = [
        include_str!("../src/conformance/store/intake.rs"),
        include_str!("../src/conformance/store/claiming.rs"),
        include_str!("../src/conformance/store/dialling.rs"),
        include_str!("../src/conformance/store/ending.rs"),
        include_str!("../src/conformance/store/slots.rs"),
        include_str!("../src/conformance/store/owners.rs"),
        include_str!("../src/conformance/store/controlling.rs"),
        include_str!("../src/conformance/store/publishing.rs"),
    ];
    let sentences: Vec<&str> = chapters
        .iter()
        .flat_map(|chapter| chapter.lines())
        .filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('(').map(|(name, _)| name))
        .collect();
    assert!(sentences.len() >= 70);
    for sentence in sentences {
        assert!(list.lines().any(|line| line.trim() == sentence), "{sentence} is run nowhere");
    }
}
