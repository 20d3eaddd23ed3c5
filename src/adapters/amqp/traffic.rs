//! What waits at the broker and who takes it, looked at without taking anything.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::client::{Client, ClientError};
use super::link::within;
use super::tail::TailFrom;
use super::topology::close;

/// How long the broker may take to say it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// The broker's number for what is not there, or down.
const NOT_FOUND: u16 = 404;

/// What waits in a queue, and who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Messages that nobody has been given yet.
    pub waiting: u32,
    /// Who is given them: consumers.
    pub takers: u32,
}

impl Client {
    /// Requests that wait, and the workers that take them.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if their queue is not there, or down; otherwise when the broker does not answer.
    pub async fn requests_waiting(&self) -> Result<Traffic, ClientError> {
        self.traffic(&self.names().requests()).await
    }

    /// Commands that wait, and the workers that take them.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if their queue is not there, or down; otherwise when the broker does not answer.
    pub async fn commands_waiting(&self) -> Result<Traffic, ClientError> {
        self.traffic(&self.names().commands()).await
    }

    /// Requests among the dead letters.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if their queue is not there, or down; otherwise when the broker does not answer.
    pub async fn dead_waiting(&self) -> Result<Traffic, ClientError> {
        self.traffic(&self.names().dead()).await
    }

    /// Whether the log of events can be read: begins to, and lets it be.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn can_read_log(&self) -> Result<(), ClientError> {
        self.tail(TailFrom::Next).await.map(drop)
    }

    async fn traffic(&self, queue: &str) -> Result<Traffic, ClientError> {
        let live = self.live().await?;
        let asking = async {
            let channel = live.channel().await?;
            let passive = QueueDeclareOptions::default().passive();
            match channel.queue_declare(queue.into(), passive, FieldTable::default()).await {
                Ok(queue) => {
                    close(&channel).await?;
                    Ok(Traffic { waiting: queue.message_count(), takers: queue.consumer_count() })
                }
                Err(error) => match error.kind() {
                    ErrorKind::ProtocolError(refusal) if refusal.get_id() == NOT_FOUND => Err(ClientError::NotFound),
                    _ => Err(error.into()),
                },
            }
        };
        let answer = within(&**self.link().clock(), ANSWERED_WITHIN, asking).await;
        answer.unwrap_or_else(|| Err(ClientError::Unavailable(format!("no answer within {ANSWERED_WITHIN:?}"))))
    }
}
