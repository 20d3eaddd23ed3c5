//! The simulated phone network does what every telephony backend must, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::adapters::clock::VirtualClock;
use robocall::adapters::simulator::{MISSING_AUDIO, NetworkSettings, SimulatedNetwork};
use robocall::conformance::telephony::{Outcome, TelephonyWorld};
use robocall::model::Phone;
use robocall::ports::{Audio, Clock, Telephony};

struct Simulated {
    clock: VirtualClock,
    network: SimulatedNetwork,
    serial: AtomicU32,
}

#[async_trait]
impl TelephonyWorld for Simulated {
    fn telephony(&self) -> Arc<dyn Telephony> {
        self.network.telephony()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
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
        format!("+999{kind}{serial:05}{keys}").parse().expect("a number")
    }

    async fn invites(&self, number: Phone) -> usize {
        self.network.dial_log().iter().filter(|invite| invite.number() == Some(number)).count()
    }

    fn audio(&self, length: Duration) -> Audio {
        Audio { reference: "message".into(), length }
    }

    fn missing_audio(&self) -> Audio {
        Audio { reference: MISSING_AUDIO.into(), length: Duration::from_secs(1) }
    }
}

fn in_virtual_time(test: impl FnOnce(Arc<Simulated>) -> BoxFuture<'static, ()> + Send + 'static) {
    let clock = VirtualClock::for_tests(Duration::from_secs(86_400));
    let settings = NetworkSettings { seed: 7, ..NetworkSettings::default() };
    let network = SimulatedNetwork::new(Arc::new(clock.clone()), settings);
    let world = Simulated { clock: clock.clone(), network, serial: AtomicU32::new(1) };
    let driver = world.network.run();
    let played = clock.run(async move {
        tokio::spawn(driver);
        test(Arc::new(world)).await;
    });
    played.expect("a runtime");
}

robocall::telephony_conformance!(in_virtual_time);
