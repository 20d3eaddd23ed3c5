//! The same deployment in real time on a private Redis: what it asks there, by the server's own count.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::clock::SystemClock;
use robocall::adapters::redis::{RedisSettings, RedisStore};

use super::measure::cpu;
use super::mix::Size;
use super::redis_server::Redis;
use super::world::{Findings, Ground, Server, play_on};

/// For how long it is watched while nothing happens.
const WATCHED: Duration = Duration::from_secs(30);

/// For how long calls are made.
const CALLS_FOR: Duration = Duration::from_secs(180);

/// Lets it happen.
pub fn play(size: Size) -> Findings {
    let redis = Redis::start();
    let (settings, port) = (RedisSettings::new(redis.url()), redis.port());
    let pid = field(&info(port, "server"), "process_id:").expect("a server has a number");
    let ground = Ground {
        clock: Arc::new(SystemClock::new()),
        store: Box::new(move || Arc::new(RedisStore::new(&settings).expect("an address"))),
        answers_after: Duration::ZERO,
        watched: WATCHED,
        calls_for: Some(CALLS_FOR),
        server: Box::new(move || {
            let stats = info(port, "commandstats");
            let calls = |name: &str| field(&stats, &format!("cmdstat_{name}:calls=")).unwrap_or(0);
            Server { scripts: calls("fcall") + calls("evalsha"), cpu: cpu(u32::try_from(pid).unwrap_or_default()) }
        }),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let findings = runtime.block_on(play_on(ground, size));
    runtime.shutdown_background();
    findings
}

/// What the server says of itself.
fn info(port: u16, section: &str) -> String {
    let asked = Command::new("redis-cli").args(["-p", &port.to_string(), "info", section]).output();
    String::from_utf8_lossy(&asked.expect("redis-cli is there").stdout).into_owned()
}

/// The number that follows a beginning of a line.
fn field(text: &str, begins: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(begins))?;
    rest.split(|digit: char| !digit.is_ascii_digit()).next()?.parse().ok()
}
