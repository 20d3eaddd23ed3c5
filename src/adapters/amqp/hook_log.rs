//! The event log as webhooks read it.

use std::time::Duration;

use async_trait::async_trait;

use super::client::{Client, ClientError};
use super::tail::{LoggedEvent, Tail, TailFrom};
use crate::ports::hooks::{EventLog, LogReader, LoggedHookEvent};
use crate::ports::store::{StoreError, StoreResult};

/// How long the log may say nothing before it counts as read to its end.
const SILENCE: Duration = Duration::from_secs(3);

/// The event log of a broker.
pub struct BrokerEventLog(Client);

impl BrokerEventLog {
    /// The log that a client reads.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

fn unavailable(error: ClientError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[async_trait]
impl EventLog for BrokerEventLog {
    async fn end(&self) -> StoreResult<u64> {
        Ok(self.0.end_of_log(SILENCE).await.map_err(unavailable)?.map_or(0, |last| last + 1))
    }

    async fn first(&self) -> StoreResult<Option<u64>> {
        let mut tail = self.0.tail(TailFrom::First).await.map_err(unavailable)?;
        Ok(tail.next_until_silence(SILENCE).await.map(|event| event.offset))
    }

    async fn listen(&self) -> StoreResult<Box<dyn LogReader>> {
        Ok(Box::new(Reader(self.0.tail(TailFrom::Next).await.map_err(unavailable)?)))
    }

    async fn read(&self, from: u64) -> StoreResult<Box<dyn LogReader>> {
        Ok(Box::new(Reader(self.0.tail(TailFrom::Offset(from)).await.map_err(unavailable)?)))
    }
}

struct Reader(Tail);

#[async_trait]
impl LogReader for Reader {
    async fn next(&mut self) -> LoggedHookEvent {
        loop {
            let LoggedEvent { offset, id, routing_key, body } = self.0.next().await;
            let (organisation, kind) = routing_key.split_once('.').unwrap_or_default();
            match organisation.parse() {
                Ok(organisation) => return LoggedHookEvent { offset, id, organisation, kind: kind.into(), body },
                Err(_) => tracing::warn!(routing_key, "an entry of the event log is nobody's, and is sent to nobody"),
            }
        }
    }
}
