//! A deployment under a steady load in which things break at random, for as long as one likes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use robocall::model::Timestamp;
use robocall::ports::CampaignStore as _;
use robocall::ports::store::RequestKey;

use crate::cell::{Samples, everybody_hangs_up, tally, told_everything};
use crate::checker;
use crate::deployment::{Deployment, LIMIT, Links, mortal_broker, organisation};
use crate::evidence::{self, Evidence};
use crate::processes::Process;
use crate::proxy::{Faults, Proxy};
use crate::requests::{key, request};
use crate::stream::Stream;

const ORGS: [&str; 4] = ["ash", "birch", "cedar", "dogwood"];
const WORKERS: usize = 4;

/// Requests of an organisation that are under way at a time.
const OPEN: usize = 2;

/// Between two troubles, in milliseconds at most.
const CALM: u64 = 6_000;

/// How long it may take until all is over once nothing breaks any more.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);

/// Chance that can be repeated.
struct Dice(Cell<u64>);

impl Dice {
    fn below(&self, bound: u64) -> u64 {
        // SplitMix64.
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A worker, and what stands between it and its servers.
struct Post {
    name: String,
    process: Process,
    links: Links,
}

/// Whether a worker has ended because another listens in its name, having taken its calls over while it stood still: its
/// supervisor starts it again.
fn was_superseded(post: &Post) -> bool {
    let said = post.process.said();
    said.contains("another process listens in this worker's name")
        || said.contains("another process listens in the name")
}

struct Soak {
    deployment: Arc<Deployment>,
    dice: Dice,
    until: Timestamp,
    /// Nobody is at one that something happens to.
    posts: RefCell<Vec<Option<Post>>>,
    hired: Cell<u32>,
    requests: RefCell<Vec<RequestKey>>,
    counts: RefCell<BTreeMap<&'static str, u32>>,
}

/// Runs for so long, with that seed.
pub async fn run(length: Duration, seed: u64) {
    println!("soak: {} s, seed {seed}", length.as_secs());
    let deployment = Arc::new(Deployment::new("soak", true, mortal_broker().await).await);
    let (stream, reading) = Stream::read(&deployment).await;
    let samples = Samples::of(&deployment, &ORGS, &[]);
    let soak = Soak {
        dice: Dice(Cell::new(seed)),
        until: deployment.now() + length,
        posts: RefCell::default(),
        hired: Cell::new(0),
        requests: RefCell::default(),
        counts: RefCell::default(),
        deployment: Arc::clone(&deployment),
    };
    for _ in 0..WORKERS {
        let post = soak.hire(None).await;
        soak.posts.borrow_mut().push(Some(post));
    }
    // Troubles overlap.
    tokio::join!(soak.load(), soak.trouble(), soak.trouble());
    let mut seen = soak.settle(&stream).await;
    {
        let mut sampled = samples.seen.lock().unwrap();
        seen.slots = std::mem::take(&mut sampled.slots);
    }
    drop(reading);
    soak.report(&seen);
}

impl Soak {
    fn count(&self, what: &'static str) {
        *self.counts.borrow_mut().entry(what).or_default() += 1;
    }

    /// Starts a worker, under a new name if none is given.
    async fn hire(&self, name: Option<String>) -> Post {
        self.hired.set(self.hired.get() + 1);
        let name = name.unwrap_or_else(|| format!("w{}", self.hired.get()));
        let links = self.deployment.links().await;
        let process = self.deployment.worker(&name, Some(&links), 5);
        Post { name, process, links }
    }

    /// Hands in requests, some of them twice, so that every organisation always has some.
    async fn load(&self) {
        let mut open: Vec<Vec<RequestKey>> = vec![Vec::new(); ORGS.len()];
        let mut number = 0;
        while self.deployment.now() < self.until {
            for (org, open) in ORGS.iter().zip(&mut open) {
                let mut still = Vec::new();
                for key in open.drain(..) {
                    if !self.deployment.is_over(&key).await {
                        still.push(key);
                    }
                }
                *open = still;
                while open.len() < OPEN {
                    number += 1;
                    let id = format!("r{number}");
                    let of = |bound| u32::try_from(self.dice.below(bound)).unwrap();
                    let body = request(&id, 2 + of(6), of(3), of(3));
                    self.deployment.submit(org, &body).await;
                    if self.dice.below(5) == 0 {
                        self.deployment.submit(org, &body).await;
                        self.count("doubled deliveries");
                    }
                    open.push(key(org, &id));
                    self.requests.borrow_mut().push(key(org, &id));
                }
            }
            self.deployment.pause(Duration::from_millis(200)).await;
        }
    }

    /// Breaks things, one after the other.
    async fn trouble(&self) {
        loop {
            self.deployment.pause(Duration::from_millis(1_000 + self.dice.below(CALM))).await;
            if self.deployment.now() >= self.until {
                return;
            }
            let place = usize::try_from(self.dice.below(WORKERS as u64)).unwrap();
            let Some(mut post) = self.posts.borrow_mut()[place].take() else { continue };
            if let Some(code) = post.process.ended() {
                assert!(code == 1 && was_superseded(&post), "{} ended with {code}\n{}", post.name, post.process.said());
                self.count("ends of superseded workers");
                post = self.hire(Some(post.name)).await;
            }
            match self.dice.below(10) {
                0 | 1 => {
                    post.process.kill();
                    self.count("crashes");
                    let name = (self.dice.below(2) == 0).then_some(post.name);
                    post = self.hire(name).await;
                }
                2 => {
                    post.process.signal("STOP");
                    self.count("freezes");
                    self.deployment.pause(Duration::from_millis(5_000 + self.dice.below(55_000))).await;
                    post.process.signal("CONT");
                }
                3 => {
                    post.process.signal("TERM");
                    self.count("drains");
                    let ended =
                        self.deployment.until("the end", Duration::from_secs(60), async || post.process.ended());
                    let code = ended.await;
                    let fine = code == Ok(0) || code == Ok(1) && was_superseded(&post);
                    assert!(fine, "{} drained: {code:?}\n{}", post.name, self.deployment.logs());
                    post = self.hire(None).await;
                }
                4 => {
                    self.deployment.crash_redis();
                    self.count("kills of Redis");
                }
                5 => {
                    self.deployment.crash_broker().await;
                    self.count("kills of RabbitMQ");
                }
                _ => self.disturb(&post.links).await,
            }
            // One that has ended by itself has lost its name to another, as it must.
            if post.process.ended().is_some() {
                self.count("workers that gave up");
                post = self.hire(None).await;
            }
            self.posts.borrow_mut()[place] = Some(post);
        }
    }

    /// Breaks one connection of a worker in one way, for a while.
    async fn disturb(&self, links: &Links) {
        let proxy: &Proxy = match self.dice.below(3) {
            0 => &links.redis,
            1 => &links.broker,
            _ => &links.phones,
        };
        let (what, faults) = match self.dice.below(5) {
            0 => ("cuts", Faults { refuse: true, ..Faults::default() }),
            1 => ("half-open connections", Faults { black_hole: true, ..Faults::default() }),
            2 => ("swallowed replies", Faults { swallow_replies: true, ..Faults::default() }),
            3 => ("torn connections", Faults { cut_after: Some(self.dice.below(4_096)), ..Faults::default() }),
            _ => (
                "slow connections",
                Faults { latency: Duration::from_millis(self.dice.below(800)), ..Faults::default() },
            ),
        };
        self.count(what);
        proxy.set(faults);
        if faults.refuse {
            proxy.cut();
        }
        self.deployment.pause(Duration::from_millis(1_000 + self.dice.below(25_000))).await;
        proxy.set(Faults::default());
        if !faults.black_hole && faults.latency.is_zero() {
            proxy.cut();
        }
    }

    /// Waits until all is over, and gathers what there is to see.
    async fn settle(&self, stream: &Stream) -> Evidence {
        let deployment = &self.deployment;
        let mut seen = Evidence { limits: ORGS.map(|org| (organisation(org), LIMIT)).into(), ..Evidence::default() };
        let until = deployment.now() + SETTLED_WITHIN;
        let requests = self.requests.borrow().clone();
        for key in &requests {
            while !deployment.is_over(key).await && deployment.now() < until {
                deployment.pause(Duration::from_millis(100)).await;
            }
            seen.requests.push(deployment.kept(key).await.unwrap());
        }
        for org in ORGS.map(organisation) {
            let free = deployment.until("slots", Duration::from_secs(60), async || {
                let slots = deployment.store.slot_use(&org).await.ok()?;
                (slots.leased == 0).then(|| deployment.now())
            });
            // That they come back is asked here; how soon, in cells, where troubles do not overlap.
            let came_back = free.await.ok().map(|_| Timestamp::default());
            seen.at_rest.insert(org, came_back);
        }
        everybody_hangs_up(deployment).await;
        told_everything(deployment, stream, &seen).await;
        seen.dials = evidence::dials(&deployment.dial_log());
        seen.events = stream.events();
        seen
    }

    fn report(&self, seen: &Evidence) {
        assert!(!seen.dials.is_empty(), "nothing was dialled, or somebody has taken the log away");
        let broken = checker::broken(seen);
        let of = |promise: &str| broken.iter().filter(|what| what.starts_with(promise)).count();
        let sum = tally(seen);
        println!("{} requests, {} destinations, {} dials", seen.requests.len(), sum.destinations, sum.dials);
        for (what, times) in self.counts.borrow().iter() {
            println!("{times:6} {what}");
        }
        println!(
            "duplicate dials {}, lost {}, over limit {}, unknown {}, adopted {}, events published again {}",
            of("I1"),
            of("I2") + of("I9"),
            of("I3"),
            sum.unknown,
            sum.adopted,
            sum.republished
        );
        assert!(
            broken.is_empty(),
            "{} promises are broken\n{}\n{}",
            broken.len(),
            broken.join("\n"),
            self.deployment.logs()
        );
    }
}

/// A length such as `90s`, `30m` or `8h`.
pub fn length(text: &str) -> Option<Duration> {
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at))?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[test]
fn lengths_are_read_with_their_units() {
    assert_eq!(length("90s"), Some(Duration::from_secs(90)));
    assert_eq!(length("30m"), Some(Duration::from_secs(1_800)));
    assert_eq!(length("8h"), Some(Duration::from_secs(28_800)));
    assert_eq!([length(""), length("m"), length("30"), length("1d"), length("3é")], [None; 5]);
}
