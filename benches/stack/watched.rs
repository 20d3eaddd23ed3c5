//! What it costs to be watched: a worker that counts, is scraped and logs what workers log against one that does not, and one
//! that exports a span of every call besides, in turns; and a scrape of the interface that tells a thousand organisations
//! apart.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::measure::{Process, Table, Target, median, percentile, until};
use super::product::{Deployment, HANG_UP, INSTANT, Network, Servers, request};
use super::redis_server::free_port;
use super::throughput::count;

/// Calls of one round, and rounds.
const CALLS: u32 = 10_000;
const ROUNDS: u32 = 6;

/// How often Prometheus looks, here: more often than anybody's.
const SCRAPED_EVERY: Duration = Duration::from_secs(1);

/// Organisations that the interface tells apart, and how often it is asked.
const ORGANISATIONS: usize = 1_000;
const SCRAPES: usize = 200;

/// Measures both.
pub fn measure(table: &mut Table) {
    let servers = Servers::start();
    overhead(table, &servers);
    scrape(table, &servers);
}

/// Asks for metrics; the answer.
fn metrics(at: &str) -> Option<String> {
    let mut stream = TcpStream::connect(at).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// Somebody who takes spans and looks at none, for as long as the process runs; where, and how many bytes came.
fn collector() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&bytes);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                // A connection that breaks is made again by who sends.
                while take(&mut reader, &counted).is_some() {}
            });
        }
    });
    (address, bytes)
}

/// Takes one batch, and says so.
fn take(reader: &mut BufReader<TcpStream>, counted: &AtomicU64) -> Option<()> {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    counted.fetch_add(length as u64, Ordering::Relaxed);
    write!(reader.get_mut(), "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
        .ok()
}

/// A worker of a deployment of its own, and what it used for one round.
struct Contender<'s> {
    deployment: Deployment<'s>,
    worker: Process,
    used: Vec<f64>,
}

impl<'s> Contender<'s> {
    /// `metrics`: where it is scraped, if anywhere.
    fn start(servers: &'s Servers, network: &Network, name: &str, metrics: &str, variables: &[(&str, String)]) -> Self {
        let deployment = Deployment { servers, prefix: name.to_owned(), limit: 100, capacity: 10_000 };
        let settings = [network.setting(), ("METRICS__LISTEN", metrics.to_owned())];
        let worker = deployment.worker_in(name, settings, variables);
        Self { deployment, worker, used: Vec::new() }
    }

    fn round(&mut self, number: u32, calls: u32) {
        self.deployment.watch(&["*.request.completed"]);
        let before = self.worker.cpu();
        // Of its own name: they share a phone network, which would find the legs of the one before in its way.
        let request = format!("{}-{number}", self.deployment.prefix);
        self.deployment.submit("acme", &request, HANG_UP, calls);
        self.deployment.servers.queues.next(1, Duration::from_secs(300));
        self.deployment.wait_for_silence();
        self.used.push((self.worker.cpu() - before) * 1e6 / f64::from(calls));
    }
}

fn overhead(table: &mut Table, servers: &Servers) {
    let (calls, rounds) = (count("ROBOCALL_BENCH_CALLS", CALLS), count("ROBOCALL_BENCH_ROUNDS", ROUNDS));
    let network = Network::start("watched", INSTANT);
    let at = format!("127.0.0.1:{}", free_port());
    let traced_at = format!("127.0.0.1:{}", free_port());
    let (collector, collected) = collector();
    let alone = [("ROBOCALL_LOG", "off".to_owned())];
    // As operators run it, and what workers log by themselves.
    let watched = [("ROBOCALL_LOG", "info".to_owned())];
    let traced = [
        ("ROBOCALL_LOG", "info".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
        ("NO_PROXY", "127.0.0.1".to_owned()),
        // So that none is dropped.
        ("OTEL_BSP_MAX_QUEUE_SIZE", (calls * 2).to_string()),
    ];
    // The second that is alone says how much of a difference is none.
    let mut contenders = [
        Contender::start(servers, &network, "alone", "", &alone),
        Contender::start(servers, &network, "watched", &at, &watched),
        Contender::start(servers, &network, "traced", &traced_at, &traced),
        Contender::start(servers, &network, "again", "", &alone),
    ];
    let scraped = [at.clone(), traced_at];
    // Ends with the process.
    thread::spawn(move || {
        loop {
            for at in &scraped {
                let _ = metrics(at);
            }
            thread::sleep(SCRAPED_EVERY);
        }
    });
    // The first round of each warms it up; then each has every place in the order as often.
    for number in 0..=rounds {
        for place in 0..contenders.len() {
            let next = (place + number as usize) % contenders.len();
            contenders[next].round(number, calls);
        }
        if number == 0 {
            contenders.iter_mut().for_each(|contender| contender.used.clear());
        }
    }
    let dialled = metrics(&at).unwrap();
    assert!(dialled.contains(&format!("robocall_dials_total {}", calls * (rounds + 1))), "every dial is counted");
    let [alone, watched, traced, again] = contenders.map(|contender| contender.used);
    eprintln!("   alone {alone:.1?}, watched {watched:.1?}, traced {traced:.1?}, again {again:.1?}");
    let ratio = |of: &[f64]| {
        let both = alone.iter().zip(&again).map(|(alone, again)| f64::midpoint(*alone, *again));
        median(&both.zip(of).map(|(both, of)| of / both).collect::<Vec<_>>())
    };
    table.add("CPU of a worker a call, alone", Target::None, median(&alone), "us");
    table.add("CPU of a worker a call, watched", Target::None, median(&watched), "us");
    table.add("CPU of one alone, of two that are alone", Target::None, ratio(&alone), "");
    table.add("CPU of one that is watched, of two that are alone", Target::AtMost(1.03, 1.03), ratio(&watched), "");
    table.add("CPU of one that exports every span, too", Target::None, ratio(&traced), "");
    let mut before = 0;
    until("the last batch of spans", Duration::from_secs(120), || {
        // A batch waits for five seconds at most.
        thread::sleep(Duration::from_secs(6));
        let now = collected.load(Ordering::Relaxed);
        (std::mem::replace(&mut before, now) == now).then_some(())
    });
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let each = collected.load(Ordering::Relaxed) as f64 / f64::from(calls * (rounds + 1));
    table.add("bytes to the collector a call", Target::None, each, "");
}

fn scrape(table: &mut Table, servers: &Servers) {
    let deployment = Deployment { servers, prefix: "scrape".into(), limit: 0, capacity: 10_000 };
    let network = Network::start("scrape", INSTANT);
    let worker = deployment.worker_with("scrape", [network.setting()]);
    deployment.watch(&["*.request.accepted"]);
    let names: Vec<String> = (0..ORGANISATIONS).map(|number| format!("org-{number:04}")).collect();
    let requests = names.iter().map(|name| (format!("requests.{name}"), request("r", HANG_UP, 10, "")));
    servers.queues.publish(&deployment.name("robocall.requests"), requests);
    servers.queues.next(ORGANISATIONS, Duration::from_secs(300));
    let at = format!("127.0.0.1:{}", free_port());
    let settings = [("METRICS__LISTEN", at.clone()), ("METRICS__ORGANISATIONS", names.join(" "))];
    let (api, _) = deployment.interface_with(settings);
    let last =
        format!("robocall_organisation_backlog_destinations{{organisation=\"{}\"}} 10", names[ORGANISATIONS - 1]);
    until("all are known", Duration::from_secs(120), || {
        thread::sleep(Duration::from_millis(200));
        metrics(&at).filter(|text| text.contains(&last)).map(drop)
    });
    let took: Vec<f64> = (0..SCRAPES)
        .map(|_| {
            let began = Instant::now();
            metrics(&at).unwrap();
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    let text = metrics(&at).unwrap();
    let series = text.lines().filter(|line| line.starts_with("robocall_")).count();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    table.add("series of the interface, 1000 organisations", Target::AtMost(5_000.0, 5_000.0), series as f64, "");
    table.add("a scrape of 1000 organisations, median", Target::None, median(&took), "ms");
    table.add("a scrape of 1000 organisations, p99", Target::AtMost(50.0, 50.0), percentile(&took, 99.0), "ms");
    // How often the store is looked at.
    let (before, began) = (servers.cpu().0, Instant::now());
    thread::sleep(Duration::from_secs(20));
    let share = (servers.cpu().0 - before) / began.elapsed().as_secs_f64();
    table.add("CPU of the database for slots of 1000 organisations", Target::AtMost(0.05, 0.05), share, "core");
    drop((api, worker));
}
