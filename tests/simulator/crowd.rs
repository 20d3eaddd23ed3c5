//! Thousands of legs at once, and a worker that does not read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use robocall::adapters::simulator::{NetworkSettings, RemoteSettings, ServerSettings, SimulatorServer};
use robocall::model::LegId;
use robocall::ports::Telephony as _;
use robocall::ports::telephony::{LegEvent, LegState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::intruders::{GREETING, legs_of_x};
use super::scene::{Served, Worker, app, ended, fresh_leg, in_real_time, magic, new_leg, next, soon, until, wall};

#[test]
fn thousands_of_legs_at_once_are_all_heard_to_their_end() {
    const LEGS: usize = 5_000;
    in_real_time(async {
        let served = Served::at_speed(10.0).await;
        let worker = Worker::at(served.address);
        let mut reports = worker.listen("w1").await;
        let mut dialling = JoinSet::new();
        for _ in 0..LEGS {
            let telephony = Arc::clone(&worker.telephony);
            dialling.spawn(async move {
                let leg = fresh_leg();
                telephony.create(&app("w1"), &new_leg(leg, magic(10)), soon()).await.unwrap();
                telephony.dial(leg, Duration::from_secs(30), soon()).await.unwrap();
                leg
            });
        }
        let mut heard: BTreeMap<LegId, Vec<LegEvent>> = BTreeMap::new();
        let mut answered = 0;
        while answered < LEGS {
            let report = next(&mut reports).await.unwrap();
            answered += usize::from(report.what == LegEvent::Answered);
            heard.entry(report.leg).or_default().push(report.what);
        }
        let dialled = dialling.join_all().await;
        assert_eq!(dialled.len(), LEGS);
        let live = worker.telephony.legs_of(&app("w1")).await.unwrap();
        assert_eq!(live.len(), LEGS, "a list of several frames comes whole");
        assert!(live.iter().all(|(_, state)| *state == LegState::Up));
        let hang_ups: Vec<_> = dialled.iter().map(|leg| worker.telephony.hang_up(*leg, soon())).collect();
        assert!(futures_util::future::join_all(hang_ups).await.iter().all(Result::is_ok));
        for _ in 0..LEGS {
            let end = until(&mut reports, ended).await;
            heard.entry(end.leg).or_default().push(end.what);
        }
        for (leg, events) in heard {
            assert!(
                matches!(events[..], [LegEvent::Ringing, LegEvent::Answered, LegEvent::Ended(_)]),
                "{leg}: {events:?}"
            );
        }
        served.stop().await;
    });
}

#[test]
fn a_worker_that_does_not_read_stalls_nobody() {
    in_real_time(async {
        let served = Served::at_speed(50.0).await;
        let worker = served.worker();
        let mut reports = worker.listen("x").await;
        for _ in 0..2_000 {
            worker.telephony.create(&app("x"), &new_leg(fresh_leg(), magic(10)), soon()).await.unwrap();
        }
        let mut lazy = TcpStream::connect(served.address).await.unwrap();
        lazy.write_all(&GREETING).await.unwrap();
        lazy.write_all(&legs_of_x()).await.unwrap();
        let mut first = vec![0; 20_000];
        lazy.read_exact(&mut first).await.unwrap();
        // The same question again and again, its answers not read any more: they outgrow every buffer.
        let asking = tokio::spawn(async move {
            // Ends when the server has had enough.
            while lazy.write_all(&legs_of_x()).await.is_ok() {}
        });
        while !asking.is_finished() {
            let begin = wall().now();
            let leg = worker.call("x", 20).await;
            assert_eq!(until(&mut reports, ended).await.leg, leg);
            assert!(wall().now().since(begin) < Duration::from_secs(10), "one who does not read is no burden");
        }
        served.stop().await;
    });
}

/// How much one server serves, and what it costs. In release:
/// `cargo test --release --test simulator -- --ignored --nocapture figures`
#[test]
#[ignore = "prints figures, checks nothing"]
fn figures() {
    let legs = |name: &str, default: usize| std::env::var(name).map_or(default, |number| number.parse().unwrap());
    let (live, waves) = (legs("LEGS", 50_000), legs("WAVES", 10));
    let between_writes = Duration::from_millis(legs("BETWEEN_WRITES", 1) as u64);
    let rate = legs("RATE", 0);
    let address = std::env::var("SIMULATOR").ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let address = match address {
            Some(address) => address.parse().unwrap(),
            None => {
                let settings = ServerSettings {
                    network: NetworkSettings { dial_log: 0, ..NetworkSettings::default() },
                    clock: wall(),
                    wall: wall(),
                    dial_log: None,
                    between_writes,
                };
                let server = SimulatorServer::bind("127.0.0.1:0", settings).await.unwrap();
                let address = server.address();
                tokio::spawn(server.run(CancellationToken::new()));
                address
            }
        };
        let settings = RemoteSettings { between_writes, ..RemoteSettings::new(address.to_string(), wall()) };
        let worker = Worker::with(settings);
        let mut reports = worker.listen("figures").await;
        if rate > 0 {
            return steadily(&worker, live, rate, &mut reports).await;
        }
        let resident = resident_kib();
        let legs = dial_all(&worker, live, &mut reports).await;
        println!("{live} live legs: {} bytes each in this process", (resident_kib() - resident) * 1024 / live as u64);
        hang_up_all(&worker, &legs, &mut reports).await;
        for _ in 0..waves {
            let (begin, cpu) = (wall().now(), cpu_micros());
            let legs = dial_all(&worker, live / waves, &mut reports).await;
            hang_up_all(&worker, &legs, &mut reports).await;
            let (took, cpu) = (wall().now().since(begin), cpu_micros() - cpu);
            println!("{} legs in {took:?}, {} us CPU a leg in this process", legs.len(), cpu / legs.len() as u64);
        }
    });
}

type Reports = tokio::sync::mpsc::UnboundedReceiver<robocall::ports::telephony::LegReport>;

/// Creates, dials, waits for the answer, plays a moment, waits for its end.
async fn dial_all(worker: &Worker, count: usize, reports: &mut Reports) -> Vec<LegId> {
    let begin = wall().now();
    let mut dialling = JoinSet::new();
    for _ in 0..count {
        let telephony = Arc::clone(&worker.telephony);
        dialling.spawn(async move {
            let leg = fresh_leg();
            telephony.create(&app("figures"), &new_leg(leg, magic(10)), soon()).await.unwrap();
            telephony.dial(leg, Duration::from_secs(30), soon()).await.unwrap();
            leg
        });
    }
    let legs = dialling.join_all().await;
    let took = wall().now().since(begin);
    println!("  {count} created and dialled in {took:?}: {:.0} a second", count as f64 / took.as_secs_f64());
    let (mut played, mut playing) = (0, JoinSet::new());
    while played < count {
        let report = reports.recv().await.unwrap();
        match report.what {
            LegEvent::Answered => {
                let telephony = Arc::clone(&worker.telephony);
                playing.spawn(async move {
                    let audio = robocall::ports::Audio { reference: "x".into(), length: Duration::from_millis(100) };
                    telephony.play(report.leg, 1, &audio, false, soon()).await.unwrap();
                });
            }
            LegEvent::PlaybackFinished { .. } => played += 1,
            _ => {}
        }
    }
    legs
}

/// Legs one after the other, so many a second, each created, dialled, answered, played to and hung up.
async fn steadily(worker: &Worker, count: usize, rate: usize, reports: &mut Reports) {
    let (begin, cpu) = (wall().now(), cpu_micros());
    let telephony = Arc::clone(&worker.telephony);
    let dialling = tokio::spawn(async move {
        let mut each = JoinSet::new();
        for number in 0..count {
            wall().sleep_until(begin + Duration::from_micros((number * 1_000_000 / rate) as u64)).await;
            let telephony = Arc::clone(&telephony);
            each.spawn(async move {
                let leg = fresh_leg();
                telephony.create(&app("figures"), &new_leg(leg, magic(10)), soon()).await.unwrap();
                telephony.dial(leg, Duration::from_secs(30), soon()).await.unwrap();
            });
        }
        each.join_all().await;
    });
    let (mut over, mut doing) = (0, JoinSet::new());
    while over < count {
        let report = reports.recv().await.unwrap();
        let telephony = Arc::clone(&worker.telephony);
        match report.what {
            LegEvent::Answered => {
                doing.spawn(async move {
                    let audio = robocall::ports::Audio { reference: "x".into(), length: Duration::from_millis(100) };
                    telephony.play(report.leg, 1, &audio, false, soon()).await.unwrap();
                });
            }
            LegEvent::PlaybackFinished { .. } => {
                doing.spawn(async move { telephony.hang_up(report.leg, soon()).await.unwrap() });
            }
            LegEvent::Ended(_) => over += 1,
            _ => {}
        }
    }
    dialling.await.unwrap();
    let (took, cpu) = (wall().now().since(begin), cpu_micros() - cpu);
    println!("{count} legs in {took:?}, {rate} a second: {} us CPU a leg in this process", cpu / count as u64);
}

async fn hang_up_all(worker: &Worker, legs: &[LegId], reports: &mut Reports) {
    let hang_ups = legs.iter().map(|leg| worker.telephony.hang_up(*leg, soon()));
    assert!(futures_util::future::join_all(hang_ups).await.iter().all(Result::is_ok));
    for _ in legs {
        until(reports, ended).await;
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// User and system time of this process.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let mut fields = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
    let ticks: u64 = (0..2).map(|_| fields.next().unwrap().parse::<u64>().unwrap()).sum();
    ticks * 10_000
}
