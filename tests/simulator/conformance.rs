//! A network in another process does what every telephony backend must: the worker's side asks, the dial log tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::adapters::clock::SystemClock;
use robocall::adapters::simulator::{MISSING_AUDIO, RemoteNetwork, RemoteSettings};
use robocall::conformance::telephony::{Outcome, TelephonyWorld};
use robocall::model::Phone;
use robocall::ports::{Audio, Clock, Telephony};

use super::scene::{Log, Served, in_real_time, wall};

/// Fast enough not to bore; slow enough that a machine with other things to do keeps the suite's bounds.
const SPEED: f64 = 10.0;

struct Remote {
    clock: Arc<dyn Clock>,
    telephony: Arc<RemoteNetwork>,
    log: Log,
    serial: AtomicU32,
}

#[async_trait]
impl TelephonyWorld for Remote {
    fn telephony(&self) -> Arc<dyn Telephony> {
        Arc::clone(&self.telephony) as _
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn number_for(&self, outcome: Outcome) -> Phone {
        let (kind, keys) = match outcome {
            Outcome::Answers => (10, ""),
            Outcome::Machine => (13, ""),
            Outcome::Busy => (20, ""),
            Outcome::Unanswered => (30, ""),
            Outcome::UnknownNumber => (40, ""),
            Outcome::Rejects => (50, ""),
            Outcome::HangsUp => (60, ""),
            Outcome::Presses(keys) => (70, keys),
            Outcome::Congestion => (80, ""),
            Outcome::Unreachable => (90, ""),
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        format!("+999{kind}{serial:05}{keys}").parse().unwrap()
    }

    async fn invites(&self, number: Phone) -> usize {
        let number = number.to_string();
        let dialled = |line: &&serde_json::Value| line["event"] == "invite" && line["to"] == number.as_str();
        self.log.lines().iter().filter(dialled).count()
    }

    fn audio(&self, length: Duration) -> Audio {
        Audio { reference: "message".into(), length }
    }

    fn missing_audio(&self) -> Audio {
        Audio { reference: MISSING_AUDIO.into(), length: Duration::from_secs(1) }
    }
}

fn over_a_socket(test: impl FnOnce(Arc<Remote>) -> BoxFuture<'static, ()> + Send + 'static) {
    in_real_time(async {
        let (clock, log) = (Arc::new(SystemClock::at_speed(SPEED).unwrap()), Log::new());
        let served = Served::on("127.0.0.1:0", Arc::clone(&clock) as _, Some(log.0.clone())).await;
        let settings = RemoteSettings {
            wall: wall(),
            ..RemoteSettings::new(served.address.to_string(), Arc::clone(&clock) as Arc<dyn Clock>)
        };
        let telephony = Arc::new(RemoteNetwork::connect(settings));
        test(Arc::new(Remote { clock, telephony, log, serial: AtomicU32::new(1) })).await;
        served.stop().await;
    });
}

robocall::telephony_conformance!(over_a_socket);
