//! How long a slot stands idle between a hang-up and the next dial, by the phone network's own log.

use std::time::Duration;

use super::measure::{Table, Target, percentile};
use super::product::{Deployment, HANG_UP, Network, Servers};
use super::throughput::count;

/// Slots, as few as a small organisation has.
const SLOTS: u32 = 6;

/// Everybody answers after a fifth of a second on average, and is hung up on: not all at once, as no two people are.
pub const SHORT: &str = r#"{"population": {"shares": {"answer": 1, "machine": 0, "busy": 0, "unanswered": 0, "reject": 0,
    "unreachable": 0, "invalid": 0, "congestion": 0}, "early_hang_up": 0, "post_dial": [0.05, 0.15], "ring": [0.05, 0.15]}}"#;

/// Measures with one worker and with four.
pub fn measure(table: &mut Table) {
    let calls = count("ROBOCALL_BENCH_SLOT_CALLS", 900);
    let servers = Servers::start();
    for (workers, most) in [(1, 1.0), (4, 1.5)] {
        let network = Network::start(&format!("slots-{workers}"), SHORT);
        let deployment =
            Deployment { servers: &servers, prefix: format!("slots{workers}"), limit: SLOTS, capacity: 100 };
        let _workers: Vec<_> =
            (1..=workers).map(|number| deployment.worker(&network, &format!("slots-{number}"))).collect();
        deployment.watch(&["*.request.completed"]);
        deployment.submit("acme", "slots", HANG_UP, calls);
        servers.queues.next(1, Duration::from_secs(300));
        let (dialled, ended) = network.dials();
        let slots = usize::try_from(SLOTS).unwrap();
        // The log is in the order of time: the slot that is free longest is taken first.
        let idle: Vec<f64> = dialled[slots..].iter().zip(&ended).map(|(dial, end)| dial.0 - end.0).collect();
        let span = ended[ended.len() - slots].0 - dialled[slots - 1].0;
        let with = if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") };
        let mean = idle.iter().sum::<f64>() / f64::from(calls - SLOTS);
        table.add(&format!("slot idle, {with}, mean"), Target::None, mean, "ms");
        table.add(&format!("slot idle, {with}, median"), Target::AtMost(most, most), percentile(&idle, 50.0), "ms");
        table.add(&format!("slot idle, {with}, p99"), Target::AtMost(5.0, 5.0), percentile(&idle, 99.0), "ms");
        let used = 100.0 * (1.0 - idle.iter().sum::<f64>() / (span * f64::from(SLOTS)));
        table.add(&format!("slot use, {with}, calls of 0.2 s"), Target::AtLeast(98.5, 98.5), used, "%");
    }
}
