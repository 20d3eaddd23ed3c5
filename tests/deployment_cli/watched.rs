//! What a cluster sees of processes: whether they live and are ready, and their metrics.

#![expect(clippy::disallowed_methods, reason = "processes are watched in real time")]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::redis::Redis;
use crate::support::Scratch;
use crate::world::{BUSY, PRESSES, Process, STAYS, World, request};

/// How long anything may take to become so.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What is answered at an address: the status, and the text; none if nobody answers.
fn ask(url: &str) -> Option<(String, String)> {
    let said = Command::new("curl").args(["-sS", "-w", "\n%{http_code}", url]).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n')?;
    said.status.success().then(|| (code.to_owned(), body.to_owned()))
}

/// Asks until the answer will do; what it is then.
pub fn until(url: &str, will_do: impl Fn(&str, &str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let answer = ask(url);
        if let Some((code, text)) = &answer
            && will_do(code, text)
        {
            return text.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{url}: {answer:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not there:\n{metrics}")).parse().unwrap()
}

fn equals(metrics: &str, series: &str, expected: f64) -> bool {
    (value(metrics, series) - expected).abs() < 1e-9
}

/// What Prometheus' own tool finds wrong with metrics.
fn check(metrics: &str) {
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tool.spawn().unwrap();
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && out.is_empty() && err.is_empty(), "{out}{err}");
}

#[test]
fn a_worker_says_whether_it_is_ready_and_what_it_did() {
    let mut world = World::without_worker("20");
    let worker = world.add_watched_worker("w1");
    let ready = until(&format!("{worker}/readyz"), |code, _| code == "200");
    assert_eq!(ready, "redis: ok\nbroker: ok\ntelephony: ok\nworker: ok\n");
    let before = until(&format!("{worker}/metrics"), |_, text| text.contains("robocall_telephony_node_up"));
    assert!(equals(&before, r#"robocall_attempts_total{result="answered"}"#, 0.0), "zero before the first call");
    world.submit(&request("r1", &[PRESSES, BUSY]));
    world.wait_for("r1", "request.completed", 1);
    let metrics = until(&format!("{worker}/metrics"), |_, text| equals(text, "robocall_outbox_events", 0.0));
    check(&metrics);
    for (series, expected) in [
        (r#"robocall_attempts_total{result="answered"}"#, 1.0),
        (r#"robocall_calls_total{status="completed"}"#, 1.0),
        ("robocall_answers_total", 1.0),
        ("robocall_talk_seconds_count", 1.0),
        (r#"robocall_step_seconds_count{step="gather"}"#, 1.0),
        (r#"robocall_requests_total{outcome="accepted"}"#, 1.0),
        ("robocall_destinations_total", 2.0),
        ("robocall_live_calls", 0.0),
        ("robocall_draining", 0.0),
    ] {
        assert!(equals(&metrics, series, expected), "{series}: {}", value(&metrics, series));
    }
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    let started = value(&metrics, "process_start_time_seconds");
    assert!(now - started < 2.0 * PATIENCE.as_secs_f64() && started - now < 5.0, "{started} {now}");
    // The number that is busy is dialled more than once.
    assert!(value(&metrics, "robocall_dials_total") >= 2.0);
    assert!(value(&metrics, r#"robocall_redis_seconds_count{outcome="ok"}"#) > 2.0);
    assert!(value(&metrics, r#"robocall_events_published_total{outcome="confirmed"}"#) > 5.0);
    for number in [PRESSES, BUSY] {
        assert!(!metrics.contains(number.trim_start_matches('+')), "numbers are nobody's label");
    }
    assert!(!metrics.contains("r1"), "requests are nobody's label");

    world.submit(&request("r2", &STAYS));
    world.wait_for("r2", "call.answered", 3);
    world.stop_worker();
    let drains = until(&format!("{worker}/readyz"), |code, _| code == "503");
    assert!(drains.contains("worker: drains\n"), "{drains}");
    assert_eq!(ask(&format!("{worker}/livez")), Some(("200".into(), "ok\n".into())), "it lives, and carries calls");
    let metrics = until(&format!("{worker}/metrics"), |_, text| equals(text, "robocall_draining", 1.0));
    assert!(equals(&metrics, "robocall_live_calls", 3.0));
}

#[test]
fn a_process_whose_servers_are_gone_says_which() {
    let mut world = World::without("broker");
    let worker = world.add_watched_worker("w1");
    let said = until(&format!("{worker}/readyz"), |code, text| code == "503" && text.contains("telephony: ok"));
    assert!(said.contains("redis: ok\nbroker: not connected\n"), "{said}");
}

#[test]
fn whoever_cannot_be_told_anything_is_given_back_and_counted() {
    // An engine that is killed whatever it is given.
    let engine = Scratch::with("engine.sh", "kill -9 $$\n");
    let folder = std::env::temp_dir().join(format!("robocall-unready-{}", std::process::id()));
    let speech = [
        ("ROBOCALL__SPEECH__ENGINE", "command".to_owned()),
        ("ROBOCALL__SPEECH__COMMAND", format!("/bin/sh {}", engine.name())),
        ("ROBOCALL__SPEECH__LANGUAGES", "en".to_owned()),
        ("ROBOCALL__SPEECH__FOLDER", folder.display().to_string()),
    ];
    let mut world = World::without_worker("20").with(speech);
    let worker = world.add_watched_worker("w1");
    world.submit(&request("r1", &[PRESSES]));
    let unready = r#"robocall_dials_refused_total{reason="unready"}"#;
    let metrics = until(&format!("{worker}/metrics"), |_, text| value(text, unready) >= 1.0);
    assert!(equals(&metrics, "robocall_dials_total", 0.0), "nobody is called to hear nothing");
    drop(world);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A worker that wants a durable database, started before the database of this address.
fn early_worker(database: &Redis) -> (World, Process, String) {
    let settings = [("ROBOCALL__REDIS__URL", database.url()), ("ROBOCALL__REDIS__REQUIRE_DURABLE", "true".to_owned())];
    let world = World::without_worker("20").with(settings);
    let (mut worker, at) = world.watched(&["worker", "--id", "w1"]);
    worker.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let worker = Process { child: worker.spawn().unwrap() };
    let said = until(&format!("{at}/readyz"), |code, text| code == "503" && text.contains("broker: ok"));
    assert!(!said.contains("redis: ok") && said.contains("worker: waits"), "{said}");
    assert_eq!(ask(&format!("{at}/livez")), Some(("200".into(), "ok\n".into())), "nobody is to restart it");
    (world, worker, at)
}

/// How a process ends by itself, and what it said of it.
fn ended(mut process: Process) -> (Option<i32>, String) {
    let began = Instant::now();
    let status = loop {
        if let Some(status) = process.child.try_wait().unwrap() {
            break status;
        }
        assert!(began.elapsed() < PATIENCE, "it goes on");
        std::thread::sleep(Duration::from_millis(100));
    };
    (status.code(), std::io::read_to_string(process.child.stderr.take().unwrap()).unwrap())
}

fn terminate(process: &Process) {
    assert!(Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_worker_that_wants_a_durable_database_waits_for_it_and_is_not_ready_meanwhile() {
    let mut database = Redis::with(&["--save", "", "--appendonly", "yes"]);
    database.kill();
    let (_world, worker, at) = early_worker(&database);
    database.start_again();
    until(&format!("{at}/readyz"), |code, _| code == "200");
    terminate(&worker);
    assert_eq!(ended(worker).0, Some(0));
}

#[test]
fn a_worker_that_waits_for_its_database_ends_when_it_is_told_to() {
    let mut database = Redis::start();
    database.kill();
    let (_world, worker, _) = early_worker(&database);
    terminate(&worker);
    assert_eq!(ended(worker).0, Some(0));
}

#[test]
fn a_worker_that_wants_a_durable_database_refuses_one_that_forgets() {
    let mut database = Redis::start();
    database.kill();
    let (_world, worker, _) = early_worker(&database);
    database.start_again();
    let (code, said) = ended(worker);
    assert!(code == Some(2) && said.contains("redis.require_durable: it keeps no log"), "{code:?} {said}");
}

#[test]
fn the_interface_tells_of_slots_and_backlog() {
    let mut world = World::without_worker("20");
    let metrics = [("ROBOCALL__METRICS__ORGANISATIONS", "bank clinic".to_owned())];
    world = world.with(metrics);
    let (base, api) = world.serve_watched();
    world.add_worker("w1");
    until(&format!("{api}/readyz"), |code, text| code == "200" && text == "redis: ok\nbroker: ok\napi: ok\n");
    world.answer(&["org", "set", "--org", "bank", "--limit", "2"]);
    let said = world.given(&request("r1", &STAYS), &["submit", "-", "--org", "bank", "--json"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    world.wait_for_of("bank", "r1", "call.answered", 2);
    ask(&format!("{base}/v1/requests"));
    let two_are_live = |_: &str, text: &str| {
        text.contains("robocall_slots_leased 2") && text.contains("robocall_backlog_destinations 1")
    };
    let metrics = until(&format!("{api}/metrics"), two_are_live);
    check(&metrics);
    for (series, expected) in [
        ("robocall_slots_free", 0.0),
        ("robocall_slots_limit", 2.0),
        ("robocall_wanted_calls", 0.0),
        ("robocall_slot_drift", 0.0),
        (r#"robocall_organisation_slots_leased{organisation="bank"}"#, 2.0),
        (r#"robocall_api_answers_total{code="4xx"}"#, 1.0),
    ] {
        assert!(equals(&metrics, series, expected), "{series}: {}", value(&metrics, series));
    }
    until(&format!("{api}/metrics"), |_, text| text.contains("robocall_hook_lead 1"));
    until(&format!("{api}/metrics"), |_, text| text.contains("robocall_dead_letters 0"));
}
