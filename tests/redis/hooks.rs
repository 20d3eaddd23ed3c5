//! What webhooks have yet to be sent, in Redis.

use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::memory::MemoryHooks;
use robocall::adapters::redis::{RedisHooks, RedisSettings, RedisStore};
use robocall::conformance::ManualClock;
use robocall::conformance::hooks::KEEPING;
use robocall::model::Timestamp;
use robocall::ports::Clock;
use robocall::ports::hooks::*;
use robocall::ports::store::ProcessId;

use crate::server;

fn hooks() -> (RedisHooks, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let settings = RedisSettings { prefix: server::prefix(), ..RedisSettings::new(server::shared().url()) };
    let store = RedisStore::on_clock(&settings, Arc::<ManualClock>::clone(&clock)).unwrap();
    (RedisHooks::new(Arc::new(store), KEEPING), clock)
}

robocall::hooks_conformance!(hooks());

/// Such a one moves the position on, and knows nothing of what is kept beside it.
#[tokio::test]
async fn the_id_of_another_position_which_an_earlier_version_left_is_not_believed() {
    let settings = RedisSettings { prefix: server::prefix(), ..RedisSettings::new(server::shared().url()) };
    let store = RedisStore::on_clock(&settings, Arc::new(ManualClock::default())).unwrap();
    let hooks = RedisHooks::new(Arc::new(store), KEEPING);
    let lead = hooks.lead(ProcessId(1), Duration::from_secs(30)).await.unwrap().unwrap();
    hooks.change(lead, &[Change::Position(4, Some("e3".into()))]).await.unwrap();
    let client = redis::Client::open(server::shared().url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let key = format!("{}:{{api:hooks}}:position", settings.prefix);
    let () = redis::cmd("SET").arg(key).arg(9).query(&mut connection).unwrap();
    let book = hooks.load().await.unwrap();
    assert_eq!((book.position, book.last), (Some(9), None));
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn some_change(dice: &mut Dice, dead: &[DeadEvent], at: Timestamp) -> Change {
    let urls = ["https://a.example/", "https://b.example/x"];
    let key = EndpointKey {
        organisation: ["bank", "shop"][dice.below(2) as usize].parse().unwrap(),
        url: urls[dice.below(2) as usize].parse().unwrap(),
    };
    let offset = dice.below(8);
    let event = PendingEvent {
        offset,
        id: format!("e{offset}").into(),
        kind: "call.ended".into(),
        subject: "r/c".into(),
        template: None,
        since: at,
        tries: dice.below(9) as u32,
        due: at,
        bytes: 2,
    };
    match dice.below(12) {
        0 => Change::Position(dice.below(1 << 40), (offset > 2).then(|| format!("e{offset}").into())),
        1 | 2 => Change::Endpoint(key, EndpointRecord { cursor: Some(offset), ..EndpointRecord::default() }),
        3 => Change::Forget(key),
        4..=6 => Change::Add(key, event, vec![b'0' + offset as u8; 3]),
        7 => Change::Update(key, event),
        8 => Change::Remove(key, offset),
        9 | 10 => Change::Bury(DeadEvent {
            id: format!("{}-{offset}", key.url.as_str().len()).into(),
            endpoint: Some(key),
            event: Some(event),
            gap: None,
            at,
            reason: "x".into(),
        }),
        _ => match dead.first() {
            Some(dead) => Change::Raise(dead.clone(), dead.event.clone().unwrap()),
            None => Change::Granted("none".into()),
        },
    }
}

#[tokio::test]
async fn it_does_as_the_one_in_memory_does() {
    for seed in 0..40 {
        let (redis, clock) = hooks();
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let memory = MemoryHooks::new(time, KEEPING);
        let (process, life) = (ProcessId(1), Duration::from_secs(1 << 30));
        let leads =
            [redis.lead(process, life).await.unwrap().unwrap(), memory.lead(process, life).await.unwrap().unwrap()];
        let mut dice = Dice(seed);
        for step in 0..60 {
            clock.advance(Duration::from_secs(dice.below(200)));
            let bank = "bank".parse().unwrap();
            let dead = memory.dead(Some(&bank), 9).await.unwrap();
            let changes: Vec<Change> =
                (0..=dice.below(4)).map(|_| some_change(&mut dice, &dead, clock.now())).collect();
            redis.change(leads[0], &changes).await.unwrap();
            memory.change(leads[1], &changes).await.unwrap();
            let told = format!("seed {seed}, step {step}: {changes:?}");
            let book = memory.load().await.unwrap();
            assert_eq!(redis.load().await.unwrap(), book, "{told}");
            assert_eq!(redis.endpoints(None).await.unwrap(), memory.endpoints(None).await.unwrap(), "{told}");
            assert_eq!(redis.with_dead().await.unwrap(), memory.with_dead().await.unwrap(), "{told}");
            for organisation in ["bank", "shop"].map(|name| name.parse().unwrap()) {
                let (one, other) =
                    (redis.dead(Some(&organisation), 9).await, memory.dead(Some(&organisation), 9).await);
                assert_eq!(one.unwrap(), other.unwrap(), "{told}");
            }
            for (key, _, pending) in &book.endpoints {
                for event in pending {
                    let (one, other) = (redis.body(key, event.offset).await, memory.body(key, event.offset).await);
                    assert_eq!(one.unwrap(), other.unwrap(), "{told}");
                }
            }
        }
    }
}
