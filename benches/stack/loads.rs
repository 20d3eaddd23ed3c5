//! Many who wait, large requests, many organisations, many live calls.

use std::time::{Duration, Instant};

use super::measure::{Table, Target, memory as memory_of, until};
use super::product::{Deployment, HANG_UP, INSTANT, Network, Servers, request};
use super::throughput::count;

/// Slots that other applications hold: so many that nothing can be dialled.
pub const ALL: &str = "1000000";

/// What ten thousand waiting destinations cost while others hold every slot.
pub fn waiting(table: &mut Table) {
    let servers = Servers::start();
    let network = Network::start("waiting", INSTANT);
    let deployment = Deployment { servers: &servers, prefix: "waiting".into(), limit: 100, capacity: 10_000 };
    let worker = deployment.worker(&network, "bench-1");
    servers.database_do(&["SET", "waiting:{acme}:external", ALL]);
    deployment.watch(&["*.request.accepted"]);
    deployment.submit("acme", "waits", HANG_UP, 10_000);
    servers.queues.next(1, Duration::from_secs(60));
    deployment.wait_for_silence();
    let (own, (database, _), begun) = (worker.cpu(), servers.cpu(), Instant::now());
    std::thread::sleep(Duration::from_secs(30));
    let share = |used: f64| used * 100.0 / begun.elapsed().as_secs_f64();
    table.add("CPU of a worker, 10,000 wait for slots", Target::AtMost(1.0, 1.0), share(worker.cpu() - own), "%");
    table.add("CPU of the database, 10,000 wait for slots", Target::None, share(servers.cpu().0 - database), "%");
    assert!(network.dials().0.is_empty(), "dialled without a slot");
}

/// How long 100,000 destinations take to be sealed, and what they occupy.
pub fn loading(table: &mut Table) {
    let servers = Servers::start();
    let network = Network::start("loading", INSTANT);
    let deployment = Deployment { servers: &servers, prefix: "loading".into(), limit: 100, capacity: 10_000 };
    let worker = deployment.worker(&network, "bench-1");
    deployment.watch(&["*.request.accepted"]);
    let destinations = 100_000;
    let (mut seconds, mut bytes, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..3 {
        let organisation = format!("acme-{number}");
        servers.database_do(&["SET", &format!("loading:{{{organisation}}}:external"), ALL]);
        let body = request("loads", HANG_UP, destinations, "");
        let length = body.len();
        std::fs::write(format!("/proc/{}/clear_refs", worker.pid()), "5").unwrap();
        let (stored, resident) = (servers.database_memory(), memory_of(worker.pid(), "VmRSS"));
        let begun = Instant::now();
        servers.queues.publish(&deployment.name("robocall.requests"), [(format!("requests.{organisation}"), body)]);
        let accepted = servers.queues.next(1, Duration::from_secs(60));
        seconds.push(accepted[0].1.duration_since(begun).as_secs_f64());
        deployment.wait_for_silence();
        bytes.push((servers.database_memory() - stored) / f64::from(destinations));
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
        over.push((memory_of(worker.pid(), "VmHWM") - resident - length as f64) / 1e6);
    }
    use super::measure::median;
    table.add("100,000 destinations published to sealed", Target::AtMost(2.0, 2.0), median(&seconds), "s");
    table.add("database a destination", Target::AtMost(100.0, 100.0), median(&bytes), "bytes");
    // The first one warms the allocator up: it counts in full.
    table.add("worker's memory over the body, first", Target::AtMost(2.0, 2.0), over[0], "MB");
    table.add("worker's memory over the body, later", Target::AtMost(2.0, 2.0), median(&over), "MB");
}

/// Whether one of ten thousand organisations waits for another's masses.
pub fn fairness(table: &mut Table) {
    let organisations = count("ROBOCALL_BENCH_ORGANISATIONS", 10_000);
    let mass = count("ROBOCALL_BENCH_MASS", 300_000);
    let servers = Servers::start();
    let network = Network::start("fairness", &INSTANT.replace("\"ring\": [0, 0]", "\"ring\": [1, 1]"));
    let deployment = Deployment { servers: &servers, prefix: "fairness".into(), limit: 100, capacity: 10_000 };
    let _worker = deployment.worker(&network, "bench-1");
    deployment.watch(&["*.request.accepted"]);
    let exchange = deployment.name("robocall.requests");
    let single = |number: u32| (format!("requests.o{number}"), request("only", HANG_UP, 1, ""));
    let begun = Instant::now();
    servers.queues.publish(&exchange, (0..organisations).map(single));
    servers.queues.next(organisations as usize, Duration::from_secs(120));
    let rate = f64::from(organisations) / begun.elapsed().as_secs_f64();
    table.add("small requests sealed a second", Target::None, rate, "/s");
    // A part is at most so large as a message may be.
    let body = request("mass", HANG_UP, mass, "");
    servers.queues.publish(&exchange, [("requests.mass".to_owned(), body)]);
    let (mut sealing, mut serving) = (0.0_f64, 0.0_f64);
    let key = |event: &(String, Instant)| event.0.clone();
    let published = Instant::now();
    servers.queues.publish(&exchange, [("requests.o-beside".to_owned(), request("small", HANG_UP, 1, ""))]);
    let mut mass_is_sealed = false;
    let mut beside = None;
    while beside.is_none() || !mass_is_sealed {
        let event = servers.queues.next(1, Duration::from_secs(120)).remove(0);
        mass_is_sealed |= key(&event) == "mass.request.accepted";
        if key(&event) == "o-beside.request.accepted" {
            beside = Some((event.1.duration_since(published).as_secs_f64(), mass_is_sealed));
        }
    }
    let (seconds, was_late) = beside.unwrap();
    sealing = sealing.max(seconds);
    assert!(!was_late || seconds < 2.0, "the small request waited for the large one");
    for number in 0..10 {
        let organisation = format!("o-{number}");
        deployment.watch(&[&format!("{organisation}.call.dialing")]);
        servers.queues.publish(&exchange, [(format!("requests.{organisation}"), request("small", HANG_UP, 1, ""))]);
        let mut accepted = None;
        loop {
            let event = servers.queues.next(1, Duration::from_secs(60)).remove(0);
            if event.0 == format!("{organisation}.request.accepted") {
                accepted = Some(event.1);
            } else if event.0 == format!("{organisation}.call.dialing") {
                serving = serving.max(event.1.duration_since(accepted.unwrap()).as_secs_f64());
                break;
            }
        }
    }
    table.add(&format!("small request sealed while {mass} load"), Target::AtMost(2.0, 2.0), sealing, "s");
    let what = format!("sealed to dialled, {organisations} organisations, {mass} waiting");
    table.add(&what, Target::AtMost(1.0, 1.0), serving, "s");
}

/// What a live call occupies in the worker and the phone network.
pub fn memory(table: &mut Table) {
    let live = count("ROBOCALL_BENCH_LIVE", 50_000);
    let servers = Servers::start();
    let network = Network::start("memory", &INSTANT.replace("\"ring\"", "\"silence\": [3600, 3600], \"ring\""));
    let deployment = Deployment { servers: &servers, prefix: "memory".into(), limit: live, capacity: live };
    let worker = deployment.worker(&network, "bench-1");
    let message = "This goes on and on. ".repeat(45);
    let step = format!("{{\"name\": \"play\", \"message\": {{\"msg\": \"{message}\"}}}}");
    let flow = format!("{{\"steps\": [{}]}}", [step.as_str(); 6].join(", "));
    let resident = || memory_of(worker.pid(), "VmRSS") + memory_of(network.process.pid(), "VmRSS");
    let before = resident();
    deployment.submit("acme", "long", &flow, live);
    until("all calls are live", Duration::from_secs(240), || {
        std::thread::sleep(Duration::from_secs(1));
        let (dialled, ended) = network.dials();
        assert!(ended.is_empty(), "calls ended before all were live");
        (dialled.len() >= live as usize).then_some(())
    });
    deployment.wait_for_silence();
    let each = (resident() - before) / f64::from(live) / 1024.0;
    assert!(network.dials().1.is_empty(), "calls ended before all were counted");
    table.add(&format!("memory of a live call, {live} live"), Target::AtMost(6.0, 6.0), each, "KiB");
}
