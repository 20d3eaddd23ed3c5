//! Acknowledgements, over connections that may be lost at that moment.

use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};

use super::link::within;
use crate::ports::Clock;

/// How long the client library may take to write one. Of what it is told in the moment in which it loses its connection it may
/// never say anything; what is only slow is written all the same.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Acknowledges a message. False: nobody can say whether it was; if not, it comes again when its connection has ended.
pub(super) async fn acknowledge(clock: &dyn Clock, message: &Delivery) -> bool {
    written(clock, message.acker.ack(BasicAckOptions::default())).await
}

/// Acknowledges a message and all those before it on its channel.
pub(super) async fn acknowledge_up_to(clock: &dyn Clock, message: &Delivery) -> bool {
    written(clock, message.acker.ack(BasicAckOptions { multiple: true })).await
}

/// Puts a message back into its queue. What cannot be given back now comes back when its connection has ended.
pub(super) async fn give_back(clock: &dyn Clock, message: &Delivery) -> bool {
    written(clock, message.acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() })).await
}

async fn written(clock: &dyn Clock, writing: impl Future<Output = lapin::Result<bool>>) -> bool {
    match within(clock, WRITTEN_WITHIN, writing).await {
        Some(Ok(written)) => written,
        Some(Err(error)) => {
            tracing::debug!(%error, "an acknowledgement was not sent");
            false
        }
        None => {
            tracing::debug!("an acknowledgement was not sent within {WRITTEN_WITHIN:?}");
            false
        }
    }
}
