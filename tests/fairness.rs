//! Whose turn it is, seen from the phone network: one worker, the waiting room in memory and the simulated network in
//! virtual time. Nothing goes wrong here; `tests/simulation/` looks after that.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::organisation::RequestOrder;
use robocall::model::{CallId, LegId, Organisation, OrganisationId, RequestId, RequestStatus, Timestamp};
use robocall::ports::Clock;
use robocall::ports::store::{CampaignStore, ProcessId, RequestKey};
use robocall::ports::telephony::LegState;
use serde_json::{Value, json};

/// Most destinations a worker claims at once.
const BATCH: u64 = 64;

/// Most destinations a request gets before others of its priority have a turn.
const TURN: u64 = 8;

/// An INVITE.
#[derive(Clone, Debug)]
struct Dial {
    organisation: String,
    request: String,
    index: u32,
    at: Timestamp,
    /// Calls that rang or talked then, this one included.
    live: usize,
}

/// A worker and everything around it.
struct World {
    clock: Arc<VirtualClock>,
    store: Arc<MemoryStore>,
    queue: Arc<MemoryQueue>,
    invites: Arc<Mutex<Vec<(LegId, Timestamp, usize)>>>,
    names: Mutex<BTreeMap<[u8; 10], RequestKey>>,
}

/// Plays in a world whose worker carries at most `capacity` calls.
fn play<F: Future<Output = ()> + Send + 'static>(capacity: usize, scene: impl FnOnce(World) -> F + Send + 'static) {
    let clock = Arc::new(VirtualClock::for_tests(Duration::from_secs(24 * 3600)));
    let time = Arc::clone(&clock);
    clock.run(async move { scene(World::new(time, capacity)).await }).unwrap();
}

impl World {
    fn new(clock: Arc<VirtualClock>, capacity: usize) -> Self {
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let store = Arc::new(MemoryStore::new(Arc::clone(&time)));
        let queue = Arc::new(MemoryQueue::new());
        let network = SimulatedNetwork::new(Arc::clone(&time), NetworkSettings::default());
        let invites = Arc::new(Mutex::new(Vec::new()));
        network.on_invite({
            let (invites, network) = (Arc::clone(&invites), network.clone());
            Arc::new(move |invite| {
                let legs = network.live_legs();
                let live = legs.iter().filter(|(_, state)| *state != LegState::Created).count();
                invites.lock().unwrap().push((invite.leg, invite.at, live));
            })
        });
        let speech = Arc::new(SilentSpeech::new());
        let ports = Ports {
            clock: time,
            queue: Arc::clone(&queue) as _,
            store: Arc::clone(&store) as _,
            events: Arc::new(MemoryEventBus::new([])),
            commands: Arc::new(MemoryCommandBus::new()),
            telephony: network.telephony(),
            speech: Arc::clone(&speech) as _,
        };
        let settings = WorkerSettings { capacity, ..WorkerSettings::new("worker".parse().unwrap(), ProcessId(1)) };
        let programs = Arc::new(Programs::new(FlowCatalogue::default(), speech));
        tokio::spawn(network.run());
        tokio::spawn(Worker::new(Arc::new(ports), programs, settings).run(Shutdown::default()));
        Self { clock, store, queue, invites, names: Mutex::default() }
    }

    async fn found(&self, name: &str, settings: Organisation) {
        self.store.set_organisation(&name.parse().unwrap(), settings).await.unwrap();
    }

    /// Submits a request of `count` destinations and waits until it is sealed; answers when that was.
    async fn submit(&self, organisation: &str, request: &str, count: u32, more: Value) -> Timestamp {
        let organisation: OrganisationId = organisation.parse().unwrap();
        let id: RequestId = request.parse().unwrap();
        let destinations: Vec<_> = (0..count).map(|index| json!({"phone": format!("+658{index:07}")})).collect();
        let mut body = json!({
            "requestId": request,
            "destinations": destinations,
            "callFlow": {"steps": [{"name": "play", "message": {"msg": "good morning"}}]},
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = RequestKey { organisation: organisation.clone(), request: id };
        let hash = CallId::new(&key.organisation, &key.request, 0).request_hash();
        self.names.lock().unwrap().insert(hash, key.clone());
        let verdict = self.queue.publish(organisation, serde_json::to_vec(&body).unwrap()).unwrap().await.unwrap();
        assert_ne!(verdict.status, RequestStatus::Failed, "{verdict:?}");
        self.store.request(&key).await.unwrap().queued_at.unwrap()
    }

    /// An instant to schedule requests for, so that they become due together.
    fn soon(&self) -> Value {
        json!({"scheduledAt": (self.clock.now() + Duration::from_secs(60)).to_string()})
    }

    async fn external(&self, organisation: &str, others: u32) {
        self.store.set_external(&organisation.parse().unwrap(), Some(others.to_string())).await.unwrap();
    }

    async fn pass(&self, millis: u64) {
        self.clock.sleep_until(self.clock.now() + Duration::from_millis(millis)).await;
    }

    /// Every dial so far, in order.
    fn dials(&self) -> Vec<Dial> {
        let names = self.names.lock().unwrap();
        let invites = self.invites.lock().unwrap();
        let dial = |(leg, at, live): &(LegId, Timestamp, usize)| {
            let key = &names[&leg.attempt.call.request_hash()];
            let (organisation, request) = (key.organisation.to_string(), key.request.to_string());
            Dial { organisation, request, index: leg.attempt.call.index(), at: *at, live: *live }
        };
        invites.iter().map(dial).collect()
    }

    /// Waits until so many dials of a request were made; answers all there were.
    async fn until_dialled(&self, organisation: &str, request: &str, count: usize) -> Vec<Dial> {
        loop {
            let dials = self.dials();
            let of_it = |dial: &&Dial| dial.organisation == organisation && dial.request == request;
            if dials.iter().filter(of_it).count() >= count {
                return dials;
            }
            self.pass(1_000).await;
        }
    }
}

fn limited(limit: u32) -> Organisation {
    Organisation { limit, ..Organisation::default() }
}

/// Names and places in the request of what was dialled.
fn order(dials: &[Dial]) -> Vec<(&str, u32)> {
    dials.iter().map(|dial| (dial.request.as_str(), dial.index)).collect()
}

/// A request's destinations in file order.
fn file(request: &str, count: u32) -> impl Iterator<Item = (&str, u32)> {
    (0..count).map(move |index| (request, index))
}

#[test]
fn two_backlogged_organisations_dial_by_their_weights_whatever_their_sizes() {
    for (of_light, of_heavy) in [(5_000, 200), (200, 5_000)] {
        play(100, move |world| async move {
            world.found("light", Organisation { weight: 1, ..limited(1_000) }).await;
            world.found("heavy", Organisation { weight: 3, ..limited(1_000) }).await;
            let soon = world.soon();
            world.submit("light", "r", of_light, soon.clone()).await;
            world.submit("heavy", "r", of_heavy, soon).await;
            let small = if of_light < of_heavy { "light" } else { "heavy" };
            let dials = world.until_dialled(small, "r", 200).await;
            let (mut light, mut heavy, mut widest) = (0_u64, 0_u64, 0);
            for dial in &dials {
                if dial.organisation == "light" {
                    light += 1
                } else {
                    heavy += 1
                }
                // In thirds of a dial at weight 1.
                widest = widest.max((3 * light).abs_diff(heavy));
                assert!(widest <= 3 * BATCH, "{light} and {heavy} dials at {}", dial.at);
                if light == u64::from(of_light) || heavy == u64::from(of_heavy) {
                    break;
                }
            }
            assert!(light >= 45 && heavy >= 200, "both were backlogged for a while: {light}, {heavy}");
            println!("light {light}, heavy {heavy}, at most {} dials apart", widest.div_ceil(3));
        });
    }
}

#[test]
fn an_idle_organisations_small_request_is_served_within_a_second() {
    play(60, |world| async move {
        world.found("giant", limited(50)).await;
        world.submit("giant", "r", 50_000, json!({})).await;
        world.until_dialled("giant", "r", 200).await;
        for number in 0..10 {
            world.pass(7_300).await;
            let name = format!("idle{number}");
            world.found(&name, limited(1)).await;
            let sealed = world.submit(&name, "small", 3, json!({})).await;
            world.pass(1_000).await;
            let first = world.dials().into_iter().find(|dial| dial.organisation == name);
            let first = first.expect("it was dialled within a second");
            assert!(first.at.since(sealed) <= Duration::from_secs(1), "sealed at {sealed}, dialled at {}", first.at);
        }
    });
}

#[test]
fn a_full_worker_serves_a_newcomer_with_the_next_places_that_become_free() {
    play(40, |world| async move {
        world.found("giant", limited(1_000)).await;
        world.submit("giant", "r", 50_000, json!({})).await;
        world.until_dialled("giant", "r", 200).await;
        let sealed = world.submit("newcomer", "small", 3, json!({})).await;
        let dials = world.until_dialled("newcomer", "small", 3).await;
        let since: Vec<_> = dials.iter().filter(|dial| dial.at >= sealed).collect();
        let first = since.iter().position(|dial| dial.organisation == "newcomer").unwrap();
        assert!(first as u64 <= TURN, "{first} others were dialled first");
        assert!(dials.iter().all(|dial| dial.live <= 40));
    });
}

#[test]
fn slots_that_other_applications_hold_are_left_to_them() {
    play(100, |world| async move {
        world.found("bank", limited(6)).await;
        world.external("bank", 2).await;
        world.submit("bank", "r", 2_000, json!({})).await;
        world.pass(120_000).await;
        for round in 0..5 {
            let (before, raised) = (world.dials().len(), world.clock.now());
            world.external("bank", 5).await;
            world.pass(240_000 + round * 777).await;
            let (scarce, lowered) = (world.dials().len(), world.clock.now());
            world.external("bank", 2).await;
            world.pass(1_000).await;
            let soon = world.dials()[scarce..].iter().map(|dial| dial.live).max();
            assert_eq!(soon, Some(4), "the slots are used within a second of {lowered}");
            world.pass(120_000).await;
            let dials = world.dials();
            assert!(dials[before..scarce].len() > 1, "one slot is left since {raised}");
            let most = |dials: &[Dial]| dials.iter().map(|dial| dial.live).max();
            assert_eq!(most(&dials[before..scarce]), Some(1), "five of six are held by others since {raised}");
            assert_eq!((most(&dials[..before]), most(&dials[scarce..])), (Some(4), Some(4)));
        }
    });
}

#[test]
fn higher_priorities_are_dialled_first_and_each_request_in_file_order() {
    play(100, |world| async move {
        world.found("bank", limited(4)).await;
        let mut with = world.soon();
        for priority in [5, 9, 7] {
            with["priority"] = json!(priority);
            world.submit("bank", &format!("p{priority}"), 30, with.clone()).await;
        }
        let dials = world.until_dialled("bank", "p5", 30).await;
        let expected: Vec<_> = file("p9", 30).chain(file("p7", 30)).chain(file("p5", 30)).collect();
        assert_eq!(order(&dials), expected);
    });
}

#[test]
fn requests_of_equal_priority_are_dialled_in_equal_turns() {
    play(100, |world| async move {
        world.found("bank", limited(30)).await;
        let soon = world.soon();
        world.submit("bank", "large", 3_000, soon.clone()).await;
        world.submit("bank", "small", 150, soon).await;
        let dials = world.until_dialled("bank", "small", 150).await;
        let (mut large, mut small) = (0_u64, 0_u64);
        for dial in &dials {
            let count = if dial.request == "large" { &mut large } else { &mut small };
            assert_eq!(u64::from(dial.index), *count, "each in file order");
            *count += 1;
            assert!(large.abs_diff(small) <= TURN, "{large} and {small} dials at {}", dial.at);
            if small == 150 {
                break;
            }
        }
    });
}

#[test]
fn first_come_is_first_served_if_the_organisation_asks_for_it() {
    play(100, |world| async move {
        world.found("bank", Organisation { request_order: RequestOrder::FirstCome, ..limited(4) }).await;
        let soon = world.soon();
        for request in ["b", "c", "a"] {
            world.submit("bank", request, 30, soon.clone()).await;
        }
        let dials = world.until_dialled("bank", "a", 30).await;
        let expected: Vec<_> = file("b", 30).chain(file("c", 30)).chain(file("a", 30)).collect();
        assert_eq!(order(&dials), expected);
    });
}
