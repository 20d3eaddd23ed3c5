//! What a real Prometheus makes of a deployment by the rules we ship: which alerts fire, and that none does when all is well.

#![expect(clippy::disallowed_methods, reason = "processes are watched in real time")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::redis::{Redis, free_port};
use crate::support::Scratch;
use crate::watched::{PATIENCE, until};
use crate::world::{BUSY, PRESSES, STAYS, World, request};

/// Alerts about how long something takes: a machine that does other things at the same time may be right to have them.
const SLOW: [&str; 2] = ["RobocallRedisSlow", "RobocallIdleSlots"];

/// A Prometheus that watches these processes by the rules we ship; waits of minutes take five seconds.
struct Prometheus {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Prometheus {
    fn watch(processes: &[&str]) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("robocall-prometheus-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
        for name in ["recording.rules.yaml", "alerting.rules.yaml"] {
            let text = fs::read_to_string(rules.join(name)).unwrap();
            let impatient = text.lines().map(|line| match line.trim_start().strip_prefix("for: ") {
                Some(_) => line.split("for:").next().unwrap().to_owned() + "for: 5s\n",
                None => line.to_owned() + "\n",
            });
            fs::write(folder.join(name), impatient.collect::<String>()).unwrap();
        }
        let targets: Vec<&str> = processes.iter().map(|url| url.trim_start_matches("http://")).collect();
        let config = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["recording.rules.yaml", "alerting.rules.yaml"],
            "scrape_configs": [{"job_name": "robocall", "static_configs": [{"targets": targets}]}],
        });
        fs::write(folder.join("prometheus.yaml"), config.to_string()).unwrap();
        let mut prometheus = Command::new("prometheus");
        prometheus.arg(format!("--config.file={}", folder.join("prometheus.yaml").display()));
        prometheus.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = prometheus.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let prometheus = Self { child, folder, url: format!("http://127.0.0.1:{port}") };
        until(&format!("{}/-/ready", prometheus.url), |code, _| code == "200");
        prometheus
    }

    /// What an expression says now: the labels and the value of each of its series.
    fn ask(&self, expression: &str) -> Vec<(Value, f64)> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--get", "--data-urlencode", &format!("query={expression}")]);
        let said = curl.arg(format!("{}/api/v1/query", self.url)).output().unwrap();
        let answer: Value = serde_json::from_slice(&said.stdout).unwrap();
        let series = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{expression}: {answer}"));
        let value = |one: &Value| one["value"][1].as_str().unwrap().parse().unwrap();
        series.iter().map(|one| (one["metric"].clone(), value(one))).collect()
    }

    /// Waits until an expression says something that will do.
    fn until(&self, expression: &str, will_do: impl Fn(f64) -> bool) {
        let began = Instant::now();
        loop {
            let said = self.ask(expression);
            if said.first().is_some_and(|(_, value)| will_do(*value)) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{expression}: {said:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Alerts that fire now.
    fn firing(&self) -> BTreeSet<String> {
        self.alerts(r#"ALERTS{alertstate="firing"}"#)
    }

    fn alerts(&self, expression: &str) -> BTreeSet<String> {
        let name = |(labels, _): (Value, f64)| labels["alertname"].as_str().unwrap().to_owned();
        self.ask(expression).into_iter().map(name).collect()
    }

    /// Alerts that fired at any look since then, for however short a time. One that was pending may owe it to a single look
    /// that came too late.
    fn alarmed_since(&self, then: Instant) -> BTreeSet<String> {
        self.alerts(&format!("last_over_time(ALERTS{{alertstate=\"firing\"}}[{}s])", then.elapsed().as_secs().max(1)))
    }

    /// Waits until all of these alerts fire.
    fn until_firing(&self, alerts: &[&str]) {
        let began = Instant::now();
        loop {
            let firing = self.firing();
            if alerts.iter().all(|alert| firing.contains(*alert)) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{alerts:?} are to fire, these do: {firing:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_healthy_deployment_that_makes_calls_alerts_nobody() {
    let database = Redis::with(&["--save", "", "--appendonly", "yes"]);
    let mut world = World::without_worker("20").with([("ROBOCALL__REDIS__URL", database.url())]);
    let (_, api) = world.serve_watched();
    let worker = world.add_watched_worker("w1");
    let prometheus = Prometheus::watch(&[&api, &worker]);
    // Nobody is alarmed about processes that have just been started, nor about one that has not called anybody yet.
    prometheus.until("sum(robocall_dials_total)", |dialled| dialled >= 0.0);
    world.submit(&request("r1", &[PRESSES]));
    world.wait_for("r1", "request.completed", 1);
    for (settled, value) in [
        ("robocall:dials:rate5m > 0", 0.0),
        ("robocall_redis_durable", 1.0),
        ("robocall_telephony_node_up", 1.0),
        ("robocall_hook_lead", 1.0),
        ("max(robocall_dead_letters) + max(robocall_queued_requests) + 1", 1.0),
        ("count(robocall_census_timestamp_seconds)", 1.0),
    ] {
        prometheus.until(settled, |said| said >= value);
    }
    prometheus
        .until(&format!("count(ALERTS{{alertname!~\"{}\"}}) or vector(0)", SLOW.join("|")), |alerts| alerts < 0.5);
    let settled = Instant::now();
    world.submit(&request("r2", &[STAYS.as_slice(), &[PRESSES, BUSY]].concat()));
    world.wait_for("r2", "call.answered", 4);
    prometheus.until("robocall:live_calls", |live| live >= 3.0);
    prometheus.until("robocall:slots_leased", |leased| leased >= 3.0);
    world.answer(&["request", "cancel", "r2", "--hang-up"]);
    prometheus.until("robocall:live_calls", |live| live < 0.5);
    prometheus.until("robocall:slots_leased", |leased| leased < 0.5);
    let mut alerts = prometheus.alarmed_since(settled);
    alerts.retain(|alert| !SLOW.contains(&alert.as_str()));
    assert_eq!(alerts, BTreeSet::new());
    prometheus.until("count_over_time(robocall:live_calls[10s])", |looks| looks >= 5.0);
}

#[test]
fn prometheus_sees_that_calls_are_wanted_and_no_worker_is_there() {
    let mut world = World::without_worker("20");
    let (_, api) = world.serve_watched();
    let worker = world.add_watched_worker("w1");
    until(&format!("{worker}/readyz"), |code, _| code == "200");
    let prometheus = Prometheus::watch(&[&api, &worker]);
    let in_a_minute = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(100);
    let mut scheduled = request("r1", &STAYS);
    scheduled["scheduledAt"] = json!(in_a_minute.to_string());
    world.submit(&scheduled);
    prometheus.until("robocall:wanted_calls", |wanted| wanted >= 3.0);
    prometheus.until("sum(robocall_capacity_calls)", |capacity| capacity > 0.0);
    prometheus.until(r#"count(ALERTS{alertname="RobocallNoWorkers"}) or vector(0)"#, |alerts| alerts < 0.5);
    world.kill_worker();
    // The private Redis of the tests keeps no log.
    prometheus.until_firing(&["RobocallNoWorkers", "RobocallRedisNotDurable"]);
}

#[test]
fn prometheus_sees_what_stands_still_who_is_gone_and_what_was_refused() {
    let local =
        [("ROBOCALL__HOOKS__ALLOW", "127.0.0.0/8".to_owned()), ("ROBOCALL__HOOKS__ALLOW_HTTP", "true".to_owned())];
    let mut world = World::without_worker("20").with(local);
    let nobody = json!({"hooks": [{"url": format!("http://127.0.0.1:{}/", free_port())}]});
    let file = Scratch::with("alerting-hooks.json", &nobody.to_string());
    world.answer(&["org", "set", "--file", file.name()]);
    let (_, api) = world.serve_watched();
    let worker = world.add_watched_worker("w1");
    let prometheus = Prometheus::watch(&[&api, &worker]);
    prometheus.until("robocall_telephony_node_up", |up| up > 0.5);
    prometheus.until("robocall_hook_lead", |lead| lead > 0.5);
    prometheus.until("sum(robocall_dead_letters)", |letters| letters < 0.5);
    let expected = ["RobocallNodeDown", "RobocallStalled", "RobocallDeadLetters", "RobocallHooksFailing"];
    let before = prometheus.firing();
    assert!(expected.iter().all(|alert| !before.contains(*alert)), "{before:?}");
    let began = Instant::now();
    world.end_phones();
    // The worker claims these and gives them back, again and again.
    world.submit(&request("r1", &STAYS));
    let refused = world.given(&request("r2", &["0123"]), &["submit", "-", "--no-check"]);
    assert_eq!(refused.code, 2, "{}{}", refused.out, refused.err);
    prometheus.until_firing(&expected);
    let alarmed = prometheus.alarmed_since(began);
    assert!(expected.iter().all(|alert| alarmed.contains(*alert)), "{alarmed:?}");
    assert!(!prometheus.firing().contains("RobocallNoWorkers"), "one is there, and knows of nothing to do");
}
