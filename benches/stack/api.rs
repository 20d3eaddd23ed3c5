//! The interface over HTTP: the status of a request of a million, of a small one again and again, and whether those who
//! listen to events slow down who dials.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::http::{Client, Listeners, count as occurrences, next_page};
use super::loads::ALL;
use super::measure::{Process, Table, Target, keep_to, median, memory, percentile, processors, until};
use super::product::{Deployment, HANG_UP, INSTANT, Network, Servers, request as numbers, request_to};
use super::slots::SHORT;
use super::throughput::count;

/// The flow of the large request: an ended call's entry is as long as one of a reminder.
const REMIND: &str = r#"{"steps": [{"name": "play", "message": {"msg": "Hi."}}, {"name": "hangup"}]}"#;

/// Calls of the large request that have ended when it is looked at: more than a page.
const ENDED: usize = 1_500;

/// How often its first page is asked for, by one and then by each of several at a time.
const PAGES: usize = 400;
const AT_A_TIME: usize = 16;
const PAGES_EACH: usize = 40;

/// A destination's entry begins with it, and nothing else has it.
const ENTRY: &str = "\"callFlowSteps\":";

/// Connections that ask for a small request's status, and for how long.
const ASKING: usize = 8;
const ASKED_FOR: Duration = Duration::from_secs(10);

/// Those who listen, and the requests of one round of dialling, each of so many calls: ten listen to each.
const LISTENERS: usize = 500;
const REQUESTS: usize = 50;
const CALLS_EACH: u32 = 100;
const ROUNDS: usize = 3;

/// How long a process that serves the interface has to find its place in the log before it is measured.
const SETTLED: Duration = Duration::from_secs(8);

/// Events of one call that is hung up on at once.
const EVENTS: u64 = 6;

/// Measures all three.
pub fn measure(table: &mut Table) {
    let servers = Servers::start();
    pages(table, &servers);
    rate(table, &servers);
    streams(table, &servers);
}

const MIB: f64 = 1_048_576.0;

/// The most memory that a process had while something was done, over what it had before, in MiB.
fn growth(process: &Process, act: impl FnOnce()) -> f64 {
    std::fs::write(format!("/proc/{}/clear_refs", process.pid()), "5").unwrap();
    let before = memory(process.pid(), "VmRSS");
    act();
    (memory(process.pid(), "VmHWM") - before) / MIB
}

/// First pages of a large request, all its pages, and many at a time.
fn pages(table: &mut Table, servers: &Servers) {
    let total = count("ROBOCALL_BENCH_DESTINATIONS", 1_000_000);
    let network = Network::start("pages", INSTANT);
    let deployment = Deployment { servers, prefix: "pages".into(), limit: 500, capacity: 10_000 };
    let worker = deployment.worker(&network, "bench-1");
    deployment.watch(&["acme.request.accepted"]);
    // A part is at most so large as a message may be.
    let half = total / 2;
    let part = |index: u32, people| {
        let more = format!("\"part\":{{\"index\":{index},\"count\":2}},");
        ("requests.acme".to_owned(), request_to("large", REMIND, people, &more))
    };
    servers.queues.publish(&deployment.name("robocall.requests"), [part(0, 0..half), part(1, half..total)]);
    servers.queues.next(1, Duration::from_secs(300));
    until("some calls have ended", Duration::from_secs(120), || {
        thread::sleep(Duration::from_millis(200));
        (network.dials().1.len() >= ENDED).then_some(())
    });
    servers.database_do(&["SET", "pages:{acme}:external", ALL]);
    deployment.wait_for_silence();
    drop(worker);
    let (api, address) = deployment.interface();
    let (resting, key) = (memory(api.pid(), "VmRSS") / MIB, deployment.key("acme"));
    let mut client = Client::connect(&address, &key);
    let body = client.get("/v1/status/large");
    assert_eq!(occurrences(&body, ENTRY), 1_000, "a page");
    assert!(occurrences(&body, "\"status\":\"completed\"") > 900, "its calls have ended");
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    table.add("first page, bytes", Target::None, body.len() as f64 / 1024.0, "KiB");
    let mut took = Vec::new();
    let used = (api.cpu(), servers.cpu().0);
    let alone = growth(&api, || took = (0..PAGES).map(|_| first_page(&mut client)).collect());
    let each = |seconds: f64| seconds * 1000.0 / f64::from(u32::try_from(PAGES).unwrap());
    let what = |figure: &str| format!("first page of {total} destinations, {figure}");
    table.add(&what("median"), Target::None, median(&took), "ms");
    table.add(&what("p99"), Target::AtMost(50.0, 50.0), percentile(&took, 99.0), "ms");
    table.add(&what("CPU of the interface"), Target::None, each(api.cpu() - used.0), "ms");
    table.add(&what("CPU of the database"), Target::None, each(servers.cpu().0 - used.1), "ms");
    table.add("memory of the interface at rest", Target::None, resting, "MiB");
    table.add("memory over that, first pages", Target::None, alone, "MiB");
    let mut seen = 0;
    let whole = growth(&api, || {
        let mut page = Some("/v1/status/large".to_owned());
        while let Some(path) = page {
            let body = client.get(&path);
            seen += occurrences(&body, ENTRY);
            page = next_page(&body).map(|cursor| format!("/v1/status/large?cursor={cursor}"));
        }
    });
    assert_eq!(seen, total as usize, "each destination once");
    table.add(&format!("memory over that, all {} pages", total / 1000), Target::AtMost(16.0, 16.0), whole, "MiB");
    let mut took = Vec::new();
    let together = growth(&api, || {
        let ask = || {
            let mut client = Client::connect(&address, &key);
            (0..PAGES_EACH).map(|_| first_page(&mut client)).collect::<Vec<_>>()
        };
        took = thread::scope(|scope| {
            let asking: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().flat_map(|asking| asking.join().unwrap()).collect()
        });
    });
    table.add(&format!("first page, {AT_A_TIME} at a time, median"), Target::None, median(&took), "ms");
    table.add(&format!("first page, {AT_A_TIME} at a time, p99"), Target::None, percentile(&took, 99.0), "ms");
    let name = format!("memory over that, {AT_A_TIME} at a time");
    table.add(&name, Target::AtMost(64.0, 64.0), together, "MiB");
}

/// How long it took, in milliseconds.
fn first_page(client: &mut Client) -> f64 {
    let begun = Instant::now();
    client.get("/v1/status/large");
    begun.elapsed().as_secs_f64() * 1000.0
}

/// A small request's status, asked for as fast as it is answered.
fn rate(table: &mut Table, servers: &Servers) {
    let network = Network::start("rate", INSTANT);
    let deployment = Deployment { servers, prefix: "rate".into(), limit: 100, capacity: 10_000 };
    let worker = deployment.worker(&network, "bench-1");
    deployment.watch(&["acme.request.completed"]);
    deployment.submit("acme", "small", HANG_UP, 50);
    servers.queues.next(1, Duration::from_secs(60));
    deployment.wait_for_silence();
    drop(worker);
    let (api, address) = deployment.interface();
    let key = deployment.key("acme");
    let all = processors();
    let is_alone = all != "0";
    if is_alone {
        keep_to("0", &[api.pid()]);
    }
    assert_eq!(occurrences(&Client::connect(&address, &key).get("/v1/status/small"), ENTRY), 50, "ended calls");
    let barrier = Barrier::new(ASKING + 1);
    let ask = || {
        let mut client = Client::connect(&address, &key);
        barrier.wait();
        let (begun, mut answered) = (Instant::now(), 0);
        while begun.elapsed() < ASKED_FOR {
            client.get("/v1/status/small");
            answered += 1;
        }
        answered
    };
    let (answers, seconds, used, of_database) = thread::scope(|scope| {
        let asking: Vec<_> = (0..ASKING).map(|_| scope.spawn(ask)).collect();
        barrier.wait();
        let (begun, before) = (Instant::now(), (api.cpu(), servers.cpu().0));
        let answers: u32 = asking.into_iter().map(|asking| asking.join().unwrap()).sum();
        let seconds = begun.elapsed().as_secs_f64();
        (f64::from(answers), seconds, api.cpu() - before.0, servers.cpu().0 - before.1)
    });
    let with = if is_alone { "the interface on one core" } else { "one core for all" };
    table.add(&format!("status requests a second, {with}"), Target::AtLeast(1_000.0, 1_000.0), answers / seconds, "/s");
    table.add(
        "status requests a second of its processor time",
        Target::AtLeast(1_000.0, 1_000.0),
        answers / used,
        "/s",
    );
    table.add("CPU of the interface a status request", Target::None, used * 1e6 / answers, "us");
    table.add("CPU of the database a status request", Target::None, of_database * 1e6 / answers, "us");
}

/// What one round of dialling found.
struct Round {
    /// Calls a second, by the phone network's log.
    rate: f64,
    /// Processor time a call in microseconds: of the worker, the database, the broker, the interface.
    each: [f64; 4],
    /// What listeners were told of.
    told: u64,
    /// How many listen no more.
    cut: u64,
}

/// Dialling with nobody who listens, and with many, in turns: where calls take their time and the machine has some to spare, as
/// in a deployment, and where everything but the interface is kept to one core and that to another, as fast as it goes.
fn streams(table: &mut Table, servers: &Servers) {
    let rounds = usize::try_from(count("ROBOCALL_BENCH_ROUNDS", u32::try_from(ROUNDS).unwrap())).unwrap();
    let all = processors();
    for (name, settings) in [("paced", SHORT), ("flat-out", INSTANT)] {
        let is_paced = name == "paced";
        let network = Network::start(name, settings);
        let deployment = Deployment { servers, prefix: name.into(), limit: 100, capacity: 10_000 };
        let worker = deployment.worker(&network, "bench-1");
        deployment.watch(&["acme.request.completed"]);
        let key = deployment.key("acme");
        let interface_on = (!is_paced && all != "0").then_some("1");
        let stage = Stage { deployment: &deployment, network: &network, worker: &worker, key: &key, interface_on };
        let [database, broker] = servers.pids();
        let dialling = [database, broker, worker.pid(), network.process.pid()];
        if let Some(processor) = interface_on {
            keep_to("0", &dialling);
            keep_to(processor, &[std::process::id()]);
        }
        // What is measured first pays for what is there for good afterwards.
        stage.round("warm", false);
        stage.compare(table, name, rounds, Target::AtLeast(0.95, 0.95));
        keep_to(&all, &[database, broker, std::process::id()]);
        if is_paced {
            crowd(table, &stage);
        }
    }
}

/// So many who hear everything there is: what the interface can tell.
fn crowd(table: &mut Table, stage: &Stage<'_>) {
    let (api, address) = stage.deployment.interface();
    let listeners = Listeners::start(&address, stage.key, vec!["/v1/events".to_owned(); LISTENERS]);
    let (begun, used) = (Instant::now(), api.cpu());
    stage.deployment.submit("acme", "crowd", HANG_UP, CALLS_EACH);
    let expected = u64::from(CALLS_EACH) * EVENTS * LISTENERS as u64;
    until("all are told of everything", Duration::from_secs(120), || {
        (listeners.events() >= expected || listeners.cut() > 0).then_some(())
    });
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let (told, cut, seconds) = (listeners.events() as f64, listeners.cut() as f64, begun.elapsed().as_secs_f64());
    let name = |what: &str| format!("{LISTENERS} who hear everything: {what}");
    table.add(&name("cut off"), Target::AtMost(0.0, 0.0), cut, "");
    table.add(&name("told"), Target::None, told / seconds, "/s");
    table.add(&name("told a second of the interface's processor time"), Target::None, told / (api.cpu() - used), "/s");
    stage.deployment.servers.queues.next(1, Duration::from_secs(60));
}

/// Where rounds are made.
struct Stage<'a> {
    deployment: &'a Deployment<'a>,
    network: &'a Network,
    worker: &'a Process,
    key: &'a str,
    /// Which processor the interface is kept to, if to one.
    interface_on: Option<&'static str>,
}

impl Stage<'_> {
    fn compare(&self, table: &mut Table, how: &str, rounds: usize, wanted: Target) {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for number in 0..rounds {
            let name = how.replace(' ', "-");
            without.push(self.round(&format!("{name}-a{number}"), false));
            with.push(self.round(&format!("{name}-b{number}"), true));
            let (a, b) = (&without[number], &with[number]);
            eprintln!("   {:.0}/s {:.0?}, listened to {:.0}/s {:.0?}", a.rate, a.each, b.rate, b.each);
        }
        let middle = |rounds: &[Round], of: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(of).collect::<Vec<_>>());
        let pairs: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with.rate / without.rate).collect();
        let name = |what: &str| format!("{LISTENERS} listen, {how}: {what}");
        table.add(&name("calls a second without them"), Target::None, middle(&without, &|round| round.rate), "/s");
        table.add(&name("calls a second"), Target::None, middle(&with, &|round| round.rate), "/s");
        table.add(&name("of that without them"), wanted, median(&pairs), "");
        for (place, who) in ["worker", "database", "broker", "interface"].into_iter().enumerate() {
            let of = |rounds: &[Round]| middle(rounds, &|round| round.each[place]);
            table.add(&name(&format!("CPU of the {who} a call without them")), Target::None, of(&without), "us");
            table.add(&name(&format!("CPU of the {who} a call")), Target::None, of(&with), "us");
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
        let told: f64 = with.iter().map(|round| round.told as f64 / rounds as f64).sum();
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let cut: f64 = with.iter().map(|round| round.cut as f64).sum();
        table.add(&name("events told in a round"), Target::None, told, "");
        table.add(&name("cut off"), Target::AtMost(0.0, 0.0), cut, "");
    }

    /// So many requests at once; each listener follows one of them.
    fn round(&self, name: &str, is_listened_to: bool) -> Round {
        let Self { deployment, network, worker, key, interface_on } = self;
        let servers = deployment.servers;
        let request = |place: usize| format!("{name}-{place}");
        // It is there in any case, and reads the log for webhooks.
        let (api, address) = deployment.interface();
        if let Some(processor) = interface_on {
            keep_to(processor, &[api.pid()]);
        }
        let path = |number| format!("/v1/events?requestId={}", request(number % REQUESTS));
        let listeners = is_listened_to.then(|| Listeners::start(&address, key, (0..LISTENERS).map(path).collect()));
        thread::sleep(SETTLED);
        deployment.wait_for_silence();
        let (before, dialled_before) = ((worker.cpu(), servers.cpu(), api.cpu()), network.dials().0.len());
        let message = |place| ("requests.acme".to_owned(), numbers(&request(place), HANG_UP, CALLS_EACH, ""));
        servers.queues.publish(&deployment.name("robocall.requests"), (0..REQUESTS).map(message));
        servers.queues.next(REQUESTS, Duration::from_secs(300));
        let calls = u64::from(CALLS_EACH) * REQUESTS as u64;
        let expected = calls * EVENTS * (LISTENERS / REQUESTS) as u64;
        let heard = listeners.as_ref().map(|listeners| {
            let all = || (listeners.events() >= expected || listeners.cut() > 0).then_some(());
            until("all are told of everything", Duration::from_secs(120), all);
            (listeners.events(), listeners.cut())
        });
        deployment.wait_for_silence();
        let (told, cut) = heard.unwrap_or_default();
        let now = (worker.cpu(), servers.cpu(), api.cpu());
        let used = [now.0 - before.0, now.1.0 - before.1.0, now.1.1 - before.1.1, now.2 - before.2];
        drop(listeners);
        // The next one delivers to webhooks, and reads the log for that, as this one did.
        api.end();
        let (dialled, ended) = network.dials();
        let seconds = (ended.last().unwrap().0 - dialled[dialled_before].0) / 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let calls = calls as f64;
        Round { rate: calls / seconds, each: used.map(|used| used * 1e6 / calls), told, cut }
    }
}
