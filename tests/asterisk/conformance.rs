//! A real Asterisk does what every telephony backend must; the phone network's own log tells who was dialled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use robocall::conformance::telephony::{Outcome, TelephonyWorld};
use robocall::model::Phone;
use robocall::ports::{Audio, Clock, Telephony};

use crate::world::{bed, client, clock, number, tone};

struct Real {
    telephony: Arc<dyn Telephony>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl TelephonyWorld for Real {
    fn telephony(&self) -> Arc<dyn Telephony> {
        Arc::clone(&self.telephony)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn number_for(&self, outcome: Outcome) -> Phone {
        match outcome {
            Outcome::Answers => number("12", ""),
            Outcome::Machine => number("13", ""),
            Outcome::Busy => number("20", ""),
            Outcome::Unanswered => number("30", ""),
            Outcome::UnknownNumber => number("40", ""),
            Outcome::Rejects => number("50", ""),
            Outcome::HangsUp => number("60", ""),
            Outcome::Presses(keys) => number("70", keys),
            Outcome::Congestion => number("80", ""),
            Outcome::Unreachable => number("90", ""),
        }
    }

    async fn invites(&self, number: Phone) -> usize {
        bed().carrier.invites(&number.to_string())
    }

    fn audio(&self, length: Duration) -> Audio {
        tone(length)
    }

    fn missing_audio(&self) -> Audio {
        Audio { reference: "sound:/nowhere/at/all".into(), length: Duration::from_secs(1) }
    }
}

fn on_a_real_asterisk(test: impl FnOnce(Arc<Real>) -> BoxFuture<'static, ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        test(Arc::new(Real { telephony: Arc::new(client(bed())), clock: clock() })).await;
    });
}

robocall::telephony_conformance!(on_a_real_asterisk);
