//! The log of dials tells everything that a checker needs, and survives whatever happens to the process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use robocall::ports::telephony::LegEvent;
use robocall::ports::{Telephony as _, TelephonyError};
use serde_json::{Value, json};

use super::scene::{Log, Served, Worker, app, ended, fresh_leg, in_real_time, magic, new_leg, soon, until, wall};

/// The program itself.
struct Process {
    child: Child,
    worker: Worker,
}

impl Process {
    fn start(log: &Log) -> Self {
        let path = log.0.to_str().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_robocall"));
        command.args(["simulator", "--listen", "127.0.0.1:0", "--json", "--speed", "50", "--dial-log", path]);
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(told["status"], "listening");
        let worker = Worker::at(told["address"].as_str().unwrap().parse().unwrap());
        Self { child, worker }
    }

    /// Sends a signal and waits for the end.
    fn end_by(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_call_can_be_read_from_the_log() {
    in_real_time(async {
        let log = Log::new();
        let served = Served::on("127.0.0.1:0", wall(), Some(log.0.clone())).await;
        let worker = served.worker();
        let mut reports = worker.listen("w1").await;
        let (one, two) = (worker.call("w1", 10).await, worker.call("w1", 10).await);
        for _ in 0..2 {
            until(&mut reports, |event| *event == LegEvent::Answered).await;
        }
        worker.telephony.bridge(one, two, soon()).await.unwrap();
        let again = worker.telephony.dial(one, Duration::from_secs(30), soon()).await;
        assert_eq!(again, Err(TelephonyError::Conflict));
        worker.telephony.hang_up(one, soon()).await.unwrap();
        until(&mut reports, ended).await;

        assert_eq!(log.of(one), ["invite", "ringing", "answered", "bridged", "refused", "ended"]);
        let lines = log.lines();
        assert_eq!((&lines[0]["event"], &lines[0]["seed"]), (&json!("began"), &json!(7)));
        let find = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap().clone();
        let invite = find("invite");
        assert_eq!((&invite["app"], &invite["external"]), (&json!("w1"), &json!(true)));
        assert!(invite["to"].as_str().unwrap().starts_with("+99910"), "{invite}");
        assert_eq!(find("bridged")["with"], two.to_string());
        assert_eq!((&find("refused")["command"], &find("refused")["why"]), (&json!("dial"), &json!("conflict")));
        let end = find("ended");
        assert_eq!((&end["state"], &end["cause"], &end["by"]), (&json!("up"), &json!(16), &json!("us")));
        let times: Vec<i64> = lines.iter().map(|line| line["at"].as_i64().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
        served.stop().await;
    });
}

#[test]
fn a_killed_simulator_has_written_down_every_dial_it_answered() {
    in_real_time(async {
        let log = Log::new();
        for round in 1..=5 {
            let process = Process::start(&log);
            let _reports = process.worker.listen("w1").await;
            let mut legs = Vec::new();
            for _ in 0..20 {
                legs.push(process.worker.call("w1", 10).await);
            }
            assert_eq!(process.end_by("-KILL"), None);
            for leg in legs {
                assert_eq!(log.of(leg).first().map(String::as_str), Some("invite"));
            }
            let began = log.lines().iter().filter(|line| line["event"] == "began").count();
            assert_eq!(began, round, "each goes on at the end of the file");
        }
    });
}

#[test]
fn a_line_that_a_kill_cut_does_not_spoil_the_next() {
    in_real_time(async {
        let log = Log::new();
        std::fs::write(&log.0, "{\"at\":1,\"event\":\"inv").unwrap();
        Served::on("127.0.0.1:0", wall(), Some(log.0.clone())).await.stop().await;
        let text = std::fs::read_to_string(&log.0).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[1].contains("\"began\""), "{text}");
    });
}

#[test]
fn an_interrupted_simulator_ends_well() {
    in_real_time(async {
        for signal in ["-TERM", "-INT"] {
            let log = Log::new();
            let process = Process::start(&log);
            let _reports = process.worker.listen("w1").await;
            let leg = fresh_leg();
            process.worker.telephony.create(&app("w1"), &new_leg(leg, magic(10)), soon()).await.unwrap();
            assert_eq!(process.end_by(signal), Some(0));
        }
    });
}
