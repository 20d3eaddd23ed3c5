//! The bench `scale` in worlds so small that they take seconds: what must hold in every one of them.

#[path = "../benches/scale/books.rs"]
mod books;
#[path = "../benches/scale/counted.rs"]
mod counted;
#[path = "../benches/scale/figures.rs"]
mod figures;
#[path = "../benches/scale/mix.rs"]
mod mix;
#[path = "../benches/scale/nodes.rs"]
mod nodes;
#[path = "../benches/scale/world.rs"]
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use books::Books;
use counted::{Counted, Counts, between};
use figures::Table;
use mix::Size;
use robocall::adapters::clock::VirtualClock;
use robocall::adapters::memory::{MemoryCommandBus, MemoryEventBus, MemoryQueue, MemoryStore};
use robocall::adapters::simulator::{NetworkSettings, SimulatedNetwork};
use robocall::adapters::speech::SilentSpeech;
use robocall::dispatch::{FlowCatalogue, Ports, Programs, Shutdown, Worker, WorkerSettings};
use robocall::model::OrganisationId;
use robocall::ports::Clock;
use robocall::ports::store::{CampaignStore as _, ProcessId, RequestKey};
use serde_json::json;
use world::Findings;

fn play(size: Size) -> Findings {
    let findings = world::play(size);
    let mut table = Table::default();
    table.add(&size, &findings, 0.0, None);
    table.print();
    let balance = &findings.balance;
    assert_eq!(balance.over_limit, 0, "organisations had more calls than slots");
    assert_eq!(balance.never, 0, "destinations were never dialled");
    assert_eq!(balance.too_often, 0, "destinations were dialled more often than they may be");
    assert!(balance.dials > findings.destinations, "some are tried again: {} dials", balance.dials);
    assert_eq!(findings.by_worker.iter().sum::<u64>(), balance.dials);
    assert_eq!(findings.legs.dialled.iter().sum::<u64>(), balance.dials);
    assert!(findings.legs.live.iter().all(|live| *live == 0), "every leg has ended: {:?}", findings.legs);
    findings
}

#[test]
fn with_room_for_all_nobody_with_a_free_slot_and_work_waits_for_long() {
    let findings = play(Size { organisations: 60, workers: 5, capacity: 60, nodes: 3, legs: 150, rounds: 3 });
    let (shares, waits) = (&findings.balance.shares, &findings.balance.waits);
    assert!(shares.len() > 50, "everybody but those with bounded rates is looked at: {}", shares.len());
    assert!(waits.iter().all(|wait| *wait <= 1_000), "somebody waited {waits:?} ms");
    assert!(shares[0] > 95.0, "somebody had {:.1} % of its slots", shares[0]);
}

#[test]
fn whatever_becomes_ready_does_not_have_all_workers_ask_all_the_time() {
    // A hundred organisations a second are let in.
    let size = Size { organisations: 1_000, workers: 8, capacity: 600, nodes: 2, legs: 2_400, rounds: 1 };
    let findings = play(size);
    let each = findings.most_in_vain / u64::from(size.workers);
    assert!(each < 50, "{each} claims in vain in one second by each of {} workers", size.workers);
    assert!(findings.balance.waits.iter().all(|wait| *wait <= 200), "nobody pays for it: {:?}", findings.balance.waits);
}

#[test]
fn where_workers_and_nodes_are_too_few_nobody_starves_and_no_node_is_overfull() {
    let size = Size { organisations: 60, workers: 4, capacity: 15, nodes: 3, legs: 15, rounds: 3 };
    let findings = play(size);
    assert!(findings.slots > 100, "more slots than can be used: {}", findings.slots);
    // Of others' legs a worker knows only what its last look found.
    assert!(findings.legs.peak.iter().all(|peak| *peak <= 2 * size.legs), "{:?}", findings.legs);
    // There is room for three in ten; who was given much at first waits until others have had as much.
    let shares = &findings.balance.shares;
    assert!(shares[0] > 10.0, "somebody starved: {shares:.0?}");
}

#[test]
fn where_something_is_due_all_the_time_a_worker_looks_a_few_times_a_second_and_not_for_suspects() {
    let clock = Arc::new(VirtualClock::for_tests(Duration::from_secs(3_600)));
    let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
    clock.run(schedules(time)).expect("a runtime");
}

/// A worker, and four hundred requests of as many organisations, one due each hundredth of a second.
async fn schedules(clock: Arc<dyn Clock>) {
    let (store, queue) = (Arc::new(MemoryStore::new(Arc::clone(&clock))), Arc::new(MemoryQueue::new()));
    let network = SimulatedNetwork::new(Arc::clone(&clock), NetworkSettings::default());
    tokio::spawn(network.run());
    let (speech, counts) = (Arc::new(SilentSpeech::new()), Arc::new(Counts::default()));
    let counted = Counted {
        inner: Arc::clone(&store) as _,
        answers_after: Duration::from_millis(1),
        clock: Arc::clone(&clock),
        counts: Arc::clone(&counts),
        books: Arc::new(Books::default()),
        seen: Mutex::default(),
    };
    let ports = Ports {
        clock: Arc::clone(&clock),
        queue: Arc::clone(&queue) as _,
        store: Arc::new(counted),
        events: Arc::new(MemoryEventBus::new([])),
        commands: Arc::new(MemoryCommandBus::new()),
        telephony: network.telephony(),
        speech: Arc::clone(&speech) as _,
    };
    let settings = WorkerSettings::new("w".parse().expect("a name"), ProcessId(1));
    let programs = Arc::new(Programs::new(FlowCatalogue::default(), speech));
    tokio::spawn(Worker::new(Arc::new(ports), programs, settings).run(Shutdown::default()));
    let begin = clock.now() + Duration::from_secs(60);
    let due = |number: u64| begin + Duration::from_millis(10 * number);
    let mut keys = Vec::new();
    for number in 0..400 {
        let organisation: OrganisationId = format!("o{number}").parse().expect("a name");
        let body = json!({
            "requestId": "later",
            "scheduledAt": due(number).to_string(),
            "destinations": [{"phone": "+6581234567"}],
            "callFlow": {"steps": [{"name": "hangup"}]},
        });
        let verdict = queue.publish(organisation.clone(), body.to_string().into_bytes()).expect("the queue is open");
        verdict.await.expect("it is taken in");
        keys.push(RequestKey { organisation, request: "later".parse().expect("a name") });
    }
    clock.sleep_until(due(0)).await;
    let before = counts.so_far();
    clock.sleep_until(due(400)).await;
    let asked = between(&before, &counts.so_far());
    let often = |what: &str| asked.get(what).map_or(0, |count| count.asked);
    assert!(often("suspects") <= 2 && often("unconfirmed") <= 2, "once in three seconds: {asked:?}");
    assert!((4..=20).contains(&often("sweep")), "four times a second at most: {asked:?}");
    clock.sleep_until(due(400) + Duration::from_secs(1)).await;
    for key in keys {
        let summary = store.request(&key).await.expect("it is there").summary;
        assert_eq!(summary.counts.queued, 0, "{key:?} is dialled within a second");
    }
}
