//! The waiting room in memory does what every waiting room must do, and the keeper of keys what that must.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::memory::MemoryStore;
use robocall::conformance::ManualClock;
use robocall::conformance::store::StoreWorld;
use robocall::model::Timestamp;
use robocall::ports::{CampaignStore, Census, Clock, RecordingIndex};

struct MemoryWorld {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

impl MemoryWorld {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
        Self { clock, store }
    }
}

#[async_trait::async_trait]
impl StoreWorld for MemoryWorld {
    fn store(&self) -> Arc<dyn CampaignStore> {
        Arc::<MemoryStore>::clone(&self.store)
    }

    fn recordings(&self) -> Arc<dyn RecordingIndex> {
        Arc::<MemoryStore>::clone(&self.store)
    }

    fn census(&self) -> Arc<dyn Census> {
        Arc::<MemoryStore>::clone(&self.store)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

robocall::store_conformance!(MemoryWorld::new());

mod api_keys {
    robocall::keys_conformance!(robocall::adapters::memory::MemoryKeys::default());
}

mod hooks {
    use std::sync::Arc;

    use robocall::adapters::memory::MemoryHooks;
    use robocall::conformance::ManualClock;
    use robocall::conformance::hooks::KEEPING;
    use robocall::ports::Clock;

    fn hooks() -> (MemoryHooks, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        (MemoryHooks::new(time, KEEPING), clock)
    }

    robocall::hooks_conformance!(hooks());
}

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
        include_str!("../src/conformance/store/finding.rs"),
        include_str!("../src/conformance/store/noting.rs"),
        include_str!("../src/conformance/store/repeating.rs"),
        include_str!("../src/conformance/store/publishing.rs"),
    ];
    assert!(chapters.iter().map(|chapter| run_all(chapter, list)).sum::<usize>() >= 70);
    let keys = include_str!("../src/conformance/keys.rs");
    assert!(run_all(keys, keys) >= 10);
    let hooks = include_str!("../src/conformance/hooks.rs");
    assert!(run_all(hooks, hooks) >= 13);
}

/// Looks whether every sentence of a chapter is on the list; how many there are.
fn run_all(chapter: &str, list: &str) -> usize {
    let names = chapter.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('('));
    let sentences: Vec<&str> = names.map(|(name, _)| name).collect();
    for sentence in &sentences {
        assert!(list.lines().any(|line| line.trim() == *sentence), "{sentence} is run nowhere");
    }
    sentences.len()
}
