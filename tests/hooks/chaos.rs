//! Random receivers, a store that loses questions and answers, and deliverers that die at any moment: nothing is lost, and
//! the events of a call stay in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use robocall::adapters::clock::VirtualClock;
use robocall::model::{HookSecret, OrganisationId};
use robocall::ports::hooks::*;
use robocall::ports::store::{ProcessId, StoreResult};
use robocall::ports::{Clock as _, StoreError};
use serde_json::json;

use super::world::*;

/// A store that does not always hear, and is not always heard; and takes its time, so that whoever asks can die before it
/// has done what it is asked, and after.
struct Unreliable {
    clock: VirtualClock,
    store: Arc<dyn HookStore>,
    dice: AtomicU64,
    /// Of a hundred.
    lost: AtomicU64,
}

fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

impl Unreliable {
    fn is_lost(&self) -> bool {
        mixed(self.dice.fetch_add(1, Ordering::Relaxed)) % 100 < self.lost.load(Ordering::Relaxed)
    }

    async fn travel(&self) {
        let millis = mixed(self.dice.fetch_add(1, Ordering::Relaxed)) % 30;
        self.clock.sleep_until(self.clock.now() + Duration::from_millis(millis)).await;
    }

    async fn ask<T>(&self, asked: impl Future<Output = T>) -> Result<T, StoreError> {
        let lost = || StoreError::Unavailable("lost on its way".to_owned());
        self.travel().await;
        if self.is_lost() {
            return Err(lost());
        }
        let answer = asked.await;
        self.travel().await;
        if self.is_lost() { Err(lost()) } else { Ok(answer) }
    }
}

#[async_trait]
impl HookStore for Unreliable {
    async fn lead(&self, process: ProcessId, life: Duration) -> StoreResult<Option<Lead>> {
        self.ask(self.store.lead(process, life)).await?
    }
    async fn resign(&self, lead: Lead) -> StoreResult<()> {
        self.ask(self.store.resign(lead)).await?
    }
    async fn load(&self) -> StoreResult<HookBook> {
        self.ask(self.store.load()).await?
    }
    async fn change(&self, lead: Lead, changes: &[Change]) -> Result<(), ChangeError> {
        self.ask(self.store.change(lead, changes)).await?
    }
    async fn body(&self, endpoint: &EndpointKey, offset: u64) -> StoreResult<Option<Vec<u8>>> {
        self.ask(self.store.body(endpoint, offset)).await?
    }
    async fn endpoints(&self, organisation: Option<&OrganisationId>) -> StoreResult<Vec<EndpointGlimpse>> {
        self.store.endpoints(organisation).await
    }
    async fn dead(&self, organisation: Option<&OrganisationId>, limit: u32) -> StoreResult<Vec<DeadEvent>> {
        self.store.dead(organisation, limit).await
    }
    async fn with_dead(&self) -> StoreResult<Vec<OrganisationId>> {
        self.store.with_dead().await
    }
    async fn wish(&self, wish: &Wish) -> StoreResult<bool> {
        self.store.wish(wish).await
    }
    async fn wishes(&self) -> StoreResult<Vec<Wish>> {
        self.ask(self.store.wishes()).await?
    }
    async fn answer(&self, organisation: &OrganisationId, call: &str) -> StoreResult<Option<String>> {
        self.store.answer(organisation, call).await
    }
    async fn secrets(&self, organisation: &OrganisationId) -> StoreResult<Vec<HookSecret>> {
        self.ask(self.store.secrets(organisation)).await?
    }
    async fn set_secrets(&self, organisation: &OrganisationId, secrets: &[HookSecret]) -> StoreResult<()> {
        self.store.set_secrets(organisation, secrets).await
    }
}

fn story(seed: u64) {
    play(200, move |clock| async move {
        let behaviour = move |url: &str, at: robocall::model::Timestamp, nth: usize| {
            let hour = at.since(robocall::model::Timestamp::VIRTUAL_START).as_secs() / 3600;
            let drawn = mixed(seed ^ (nth as u64) << 20);
            let after = Duration::from_millis(drawn >> 8 & 0xfff);
            // From some hour on everybody is well.
            match drawn % 100 {
                _ if hour >= 20 => Does::Answers(after, 200),
                // The second one is worse.
                0..20 if url.contains("two") => Does::TakesAndIsSilent,
                20..60 if url.contains("two") => Does::Answers(after, 500),
                60..65 => Does::Nothing,
                65..70 => Does::TakesAndIsSilent,
                70..80 => Does::Answers(after, 503),
                _ => Does::Answers(after, 200),
            }
        };
        let mut world = World::new(&clock, behaviour);
        let lost = [0, 3, 20][(seed % 3) as usize];
        world.hooks = Arc::new(Unreliable {
            clock: clock.clone(),
            store: Arc::clone(&world.hooks),
            dice: AtomicU64::new(seed << 32),
            lost: AtomicU64::new(lost),
        });
        world.rules.pending = 20;
        world.hook(json!([{"url": "https://one.example/"}, {"url": "https://two.example/"}])).await;
        let mut running = vec![world.start()];
        world.seconds(120).await;
        let (mut published, mut seqs) = (Vec::new(), vec![0_usize; 12]);
        for step in 0..400_u64 {
            let drawn = mixed(seed.wrapping_add(step << 40));
            if !drawn.is_multiple_of(3) {
                let call = (drawn >> 8) as usize % seqs.len();
                seqs[call] += 1;
                published.push(world.publish(call, seqs[call], "call.ended"));
            }
            world.pass(Duration::from_millis(drawn >> 16 & 0x3fff)).await;
            if drawn >> 40 & 31 == 0 {
                // Killed wherever it happens to be; sometimes another was there already.
                running.push(world.start());
                if drawn >> 46 & 1 == 0 {
                    world.seconds(drawn >> 48 & 63).await;
                }
                running.remove(0).kill();
            }
        }
        world.seconds(30 * 3600).await;
        let got = world.receivers.got();
        assert_in_order(&got);
        for url in ["https://one.example/", "https://two.example/"] {
            let mut taken = world.receivers.taken(url);
            let mut all = published.clone();
            taken.sort();
            all.sort();
            assert_eq!(taken, all, "seed {seed}: {url}");
        }
        assert_eq!(world.hooks.endpoints(None).await.unwrap(), [], "seed {seed}");
        assert_eq!(world.hooks.dead(Some(&bank()), 10).await.unwrap(), [], "seed {seed}");
    });
}

#[test]
fn whatever_dies_and_whatever_is_lost_every_event_arrives_and_those_of_a_call_in_order() {
    let most = std::env::var("ROBOCALL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    (0..most).for_each(story);
}

#[test]
fn who_is_told_to_stop_stops_though_the_database_does_not_answer() {
    play(2, |clock| async move {
        let mut world = World::new(&clock, |_, _, _| Does::Answers(Duration::from_secs(1), 200));
        world.hook(json!([{"url": "https://one.example/"}])).await;
        let store = Arc::new(Unreliable {
            clock: clock.clone(),
            store: Arc::clone(&world.hooks),
            dice: AtomicU64::new(1),
            lost: AtomicU64::new(0),
        });
        world.hooks = Arc::<Unreliable>::clone(&store);
        let first = world.start();
        world.seconds(7).await;
        let ids = [1, 2].map(|seq| world.publish(0, seq, "call.ended"));
        world.pass(Duration::from_millis(500)).await;
        assert_eq!(world.receivers.got().len(), 1);
        store.lost.store(100, Ordering::Relaxed);
        let told_at = clock.now();
        first.stop.cancel();
        first.task.await.unwrap();
        assert!(clock.now().since(told_at) <= Duration::from_secs(9));
        store.lost.store(0, Ordering::Relaxed);
        let _second = world.start();
        world.seconds(60).await;
        assert_eq!(world.receivers.taken("https://one.example/"), ids);
        assert_in_order(&world.receivers.got());
    });
}
