//! Commands over HTTP to two workers: when they are answered, and when they are in force wherever calls are dialled and
//! carried, by the phone network's own log.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::http::Client;
use super::measure::{Table, Target, percentile, until};
use super::product::{Deployment, HANG_UP, INSTANT, Network, Servers};
use super::slots::SHORT;
use super::throughput::count;

/// Slots, and what they are lowered to.
const SLOTS: usize = 40;
const FEWER: usize = 10;

/// How long whatever a command leaves undone may show itself.
const AFTER: Duration = Duration::from_millis(1_500);

/// The figures of one kind of command, in milliseconds.
#[derive(Default)]
struct Figures {
    answered: Vec<f64>,
    in_force: Vec<f64>,
}

impl Figures {
    fn show(&self, table: &mut Table, what: &str) {
        let (answered, in_force) = (&self.answered, &self.in_force);
        table.add(&format!("{what}: answered, median"), Target::None, percentile(answered, 50.0), "ms");
        let longest = |figures: &[f64]| percentile(figures, 100.0);
        table.add(&format!("{what}: answered, longest"), Target::AtMost(2_000.0, 2_000.0), longest(answered), "ms");
        table.add(&format!("{what}: in force, median"), Target::None, percentile(in_force, 50.0), "ms");
        table.add(&format!("{what}: in force, longest"), Target::AtMost(1_000.0, 1_000.0), longest(in_force), "ms");
    }

    /// Gives a command; answers when it was given, on the phone network's clock.
    fn give(&mut self, client: &mut Client, method: &str, path: &str, body: &str) -> f64 {
        let given = now();
        client.ask(method, path, body);
        self.answered.push(now() - given);
        given
    }
}

/// Measures requests as a whole, then single calls.
pub fn measure(table: &mut Table) {
    let times = count("ROBOCALL_BENCH_COMMANDS", 24);
    let servers = Servers::start();
    dialling(table, &servers, times);
    live(table, &servers, times);
}

/// While two workers dial calls of a fifth of a second: pause, resume, fewer slots, more slots.
fn dialling(table: &mut Table, servers: &Servers, times: u32) {
    let network = Network::start("commands", SHORT);
    let limit = u32::try_from(SLOTS).unwrap();
    let deployment = Deployment { servers, prefix: "commands".into(), limit, capacity: 1_000 };
    let _workers = ["commands-1", "commands-2"].map(|id| deployment.worker(&network, id));
    let (_api, address) = deployment.interface();
    let mut client = Client::connect(&address, &deployment.key_for("acme", "read,submit,admin"));
    client.get("/v1/organisation");
    deployment.submit("acme", "long", HANG_UP, 400_000);
    let goes_on = |from: f64| {
        until("it is dialled", Duration::from_secs(60), || {
            network.dials().0.into_iter().map(|dial| dial.0).find(|at| *at > from)
        })
    };
    let [mut pauses, mut resumptions, mut fewer, mut more] = [(); 4].map(|()| Figures::default());
    for _ in 0..times {
        goes_on(now());
        let given = pauses.give(&mut client, "POST", "/v1/requests/long/pause", "{}");
        thread::sleep(AFTER);
        let last = network.dials().0.last().unwrap().0;
        pauses.in_force.push((last - given).max(0.0));

        let given = resumptions.give(&mut client, "POST", "/v1/requests/long/resume", "{}");
        resumptions.in_force.push(goes_on(given) - given);

        let given = fewer.give(&mut client, "PATCH", "/v1/organisation", &format!("{{\"limit\": {FEWER}}}"));
        thread::sleep(AFTER);
        let over = |(_, live): &(f64, usize)| *live > FEWER;
        let last = dialled(&network).into_iter().rfind(over).unwrap().0;
        fewer.in_force.push((last - given).max(0.0));

        let given = more.give(&mut client, "PATCH", "/v1/organisation", &format!("{{\"limit\": {SLOTS}}}"));
        let first = until("more are dialled", Duration::from_secs(60), || {
            dialled(&network).into_iter().find(|dial| dial.0 > given && over(dial))
        });
        more.in_force.push(first.0 - given);
    }
    pauses.show(table, "pause, two workers");
    resumptions.show(table, "resume, two workers");
    fewer.show(table, "limit lowered, two workers");
    more.show(table, "limit raised, two workers");
}

/// While calls are live for as long as they like: one is hung up on, or all of a request.
fn live(table: &mut Table, servers: &Servers, times: u32) {
    let network = Network::start("live", &INSTANT.replace("\"ring\"", "\"silence\": [3600, 3600], \"ring\""));
    let limit = u32::try_from(SLOTS).unwrap();
    let deployment = Deployment { servers, prefix: "live".into(), limit, capacity: 1_000 };
    let _workers = ["live-1", "live-2"].map(|id| deployment.worker(&network, id));
    let (_api, address) = deployment.interface();
    let mut client = Client::connect(&address, &deployment.key_for("acme", "read,submit,supervise"));
    client.get("/v1/organisation");
    let message = "This goes on and on. ".repeat(45);
    let step = format!("{{\"name\": \"play\", \"message\": {{\"msg\": \"{message}\"}}}}");
    let flow = format!("{{\"steps\": [{}]}}", [step.as_str(); 6].join(", "));
    let (mut hang_ups, mut cancellations) = (Figures::default(), Figures::default());
    for number in 0..times.div_ceil(8) {
        let (before, over) = network.dials();
        let (before, over) = (before.len(), over.len());
        deployment.submit("acme", &format!("live-{number}"), &flow, limit);
        until("all are live", Duration::from_secs(60), || (network.dials().0.len() == before + SLOTS).then_some(()));
        let page = client.get("/v1/calls?state=active&maxRows=8");
        let calls: Vec<String> = texts(&String::from_utf8(page).unwrap(), "uii");
        assert_eq!(calls.len(), 8, "a page of live calls");
        for call in &calls {
            let given = hang_ups.give(&mut client, "POST", &format!("/v1/calls/{call}/hangup"), "{}");
            let end = until("the call's end", Duration::from_secs(60), || {
                network.dials().1.into_iter().find(|(_, leg)| leg.starts_with(call))
            });
            hang_ups.in_force.push((end.0 - given).max(0.0));
        }
        let path = format!("/v1/requests/live-{number}/cancel");
        let given = cancellations.give(&mut client, "POST", &path, "{\"mode\": \"hangup\"}");
        let last = until("the last call's end", Duration::from_secs(60), || {
            let ended = network.dials().1;
            (ended.len() == over + SLOTS).then(|| ended.last().unwrap().0)
        });
        cancellations.in_force.push((last - given).max(0.0));
    }
    hang_ups.show(table, "hang-up of a call, two workers");
    cancellations.show(table, "cancel and hang up, two workers");
}

/// Every dial, and how many calls there were with it.
fn dialled(network: &Network) -> Vec<(f64, usize)> {
    let (dials, ends) = network.dials();
    let (mut over, mut number) = (0, 0);
    let with = |(at, _): (f64, String)| {
        // Of what happens in one millisecond ends come first: they make room.
        while ends.get(over).is_some_and(|end| end.0 <= at) {
            over += 1;
        }
        number += 1;
        (at, number - over)
    };
    dials.into_iter().map(with).collect()
}

/// The values of a field, which are texts without escapes.
fn texts(json: &str, field: &str) -> Vec<String> {
    let mark = format!("\"{field}\":\"");
    json.split(&mark).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Milliseconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1000.0
}
