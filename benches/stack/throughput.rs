//! Calls of no length, against the floor: how many a second, and what each costs.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::floor;
use super::measure::{Process, Table, Target, median};
use super::product::{Deployment, HANG_UP, INSTANT, Network, Servers};

/// Calls of one round, and rounds.
const CALLS: u32 = 10_000;
const ROUNDS: usize = 5;

/// What one round found: calls a second; processor time a call in microseconds, of the worker, the database, the broker.
type Round = [f64; 4];

/// Measures in turns.
pub fn measure(table: &mut Table) {
    let calls = count("ROBOCALL_BENCH_CALLS", CALLS);
    let rounds = usize::try_from(count("ROBOCALL_BENCH_ROUNDS", u32::try_from(ROUNDS).unwrap())).unwrap();
    let servers = Servers::start();
    let network = Network::start("floor", INSTANT);
    let deployment = Deployment { servers: &servers, prefix: "floor".into(), limit: 100, capacity: 10_000 };
    let worker = deployment.worker(&network, "bench-1");
    deployment.watch(&["*.request.completed"]);
    let (mut bare, mut whole) = (Vec::new(), Vec::new());
    for number in 0..rounds {
        bare.push(floor_round(&servers, calls));
        whole.push(product_round(&deployment, &network, &worker, number, calls));
        eprintln!("   floor {:.0?}, program {:.0?}", bare[number], whole[number]);
    }
    let ratio = |column: usize| {
        median(&bare.iter().zip(&whole).map(|(floor, own)| own[column] / floor[column]).collect::<Vec<_>>())
    };
    let middle =
        |rounds: &[Round], column: usize| median(&rounds.iter().map(|round| round[column]).collect::<Vec<_>>());
    // One call by itself: how many events it has.
    deployment.watch(&["alone.call.#", "alone.step.#", "alone.request.completed"]);
    deployment.submit("alone", "one", HANG_UP, 1);
    let mut events = 0.0;
    while servers.queues.next(1, Duration::from_secs(60))[0].0 != "alone.request.completed" {
        events += 1.0;
    }
    table.add("events a call", Target::None, events, "");
    table.add("calls a second, floor", Target::None, middle(&bare, 0), "/s");
    table.add("calls a second, program", Target::None, middle(&whole, 0), "/s");
    table.add("throughput, of the floor's", Target::AtLeast(0.6, 0.8), ratio(0), "");
    for (column, name) in [(1, "worker"), (2, "database"), (3, "broker")] {
        table.add(&format!("CPU of the {name} a call, floor"), Target::None, middle(&bare, column), "us");
        table.add(&format!("CPU of the {name} a call, program"), Target::None, middle(&whole, column), "us");
    }
    table.add("CPU of the worker, of the floor's", Target::AtMost(2.0, 1.5), ratio(1), "");
}

/// A number from the environment.
pub fn count(variable: &str, usual: u32) -> u32 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

fn floor_round(servers: &Servers, calls: u32) -> Round {
    servers.queues.with_channel(|channel| Box::pin(async move { floor::declare(channel).await }));
    servers
        .queues
        .publish("", (0..calls).map(|number| (floor::CALLS.to_owned(), format!("call-{number}").into_bytes())));
    let (database, broker) = servers.cpu();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([floor::WORD, &servers.broker.url(), &servers.database.url(), &calls.to_string()]);
    let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut said = String::new();
    process.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let (database_after, broker_after) = servers.cpu();
    let mut figures = said.split_whitespace().map(|figure| figure.parse::<f64>().unwrap());
    let (seconds, used) = (figures.next().unwrap(), figures.next().unwrap());
    let each = |seconds: f64| seconds * 1e6 / f64::from(calls);
    [f64::from(calls) / seconds, each(used), each(database_after - database), each(broker_after - broker)]
}

fn product_round(deployment: &Deployment<'_>, network: &Network, worker: &Process, number: usize, calls: u32) -> Round {
    let servers = deployment.servers;
    let (own, (database, broker)) = (worker.cpu(), servers.cpu());
    let dialled_before = network.dials().0.len();
    deployment.submit("acme", &format!("round-{number}"), HANG_UP, calls);
    servers.queues.next(1, Duration::from_secs(300));
    deployment.wait_for_silence();
    let each = |seconds: f64| seconds * 1e6 / f64::from(calls);
    let (database_after, broker_after) = servers.cpu();
    let used = [worker.cpu() - own, database_after - database, broker_after - broker].map(each);
    let (dialled, ended) = network.dials();
    let seconds = (ended.last().unwrap().0 - dialled[dialled_before].0) / 1000.0;
    [f64::from(calls) / seconds, used[0], used[1], used[2]]
}
