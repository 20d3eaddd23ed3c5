//! The gate for requests and commands, in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{MemoryCommandBus, MemoryQueue};
use crate::command::{Command, CommandReply};
use crate::model::{OrganisationId, TraceParent};
use crate::ports::{Clock, Gate, GateError, QueueError};

/// The gate in memory.
pub struct MemoryGate {
    queue: Arc<MemoryQueue>,
    commands: Arc<MemoryCommandBus>,
    clock: Arc<dyn Clock>,
}

impl MemoryGate {
    /// The gate that leads to a queue and a bus.
    pub fn new(queue: Arc<MemoryQueue>, commands: Arc<MemoryCommandBus>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, commands, clock }
    }
}

#[async_trait]
impl Gate for MemoryGate {
    async fn submit(
        &self,
        organisation: &OrganisationId,
        body: &[u8],
        trace: Option<TraceParent>,
    ) -> Result<(), GateError> {
        match self.queue.publish_in(organisation.clone(), body, trace) {
            // What becomes of it is seen in the store.
            Ok(_answer) => Ok(()),
            Err(QueueError::TooLarge { limit, size }) => Err(GateError::TooLarge { limit, size }),
            Err(error) => Err(GateError::Unavailable(error.to_string())),
        }
    }

    async fn command(&self, command: &Command, bound: Duration) -> Result<CommandReply, GateError> {
        let answer = self.commands.send(command.clone());
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| GateError::Unanswered),
            () = self.clock.sleep_until(self.clock.now() + bound) => Err(GateError::Unanswered),
        }
    }
}
