//! The gate through which requests and commands come in from outside the workers.

use std::time::Duration;

use async_trait::async_trait;

use crate::command::{Command, CommandReply};
use crate::model::{OrganisationId, TraceParent};

/// Why something did not get in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The broker does not answer: it may be in all the same, and trying again is right.
    #[error("the broker does not answer: {0}")]
    Unavailable(String),
    /// It is in; whoever should answer did not in time.
    #[error("no worker has answered in time")]
    Unanswered,
    /// It is too large.
    #[error("it may have {limit} bytes, not {size}")]
    TooLarge {
        /// Most bytes it may have.
        limit: u64,
        /// Bytes it has.
        size: u64,
    },
    /// A worker does not understand it.
    #[error("refused: {0}")]
    Refused(String),
}

/// The gate.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Hands a request in, as a part of `trace`. It is durable afterwards; no worker has looked at it yet.
    async fn submit(
        &self,
        organisation: &OrganisationId,
        body: &[u8],
        trace: Option<TraceParent>,
    ) -> Result<(), GateError>;

    /// Gives a command and waits at most `bound` for what becomes of it.
    async fn command(&self, command: &Command, bound: Duration) -> Result<CommandReply, GateError>;
}
