//! The gate for requests and commands, at the broker.

use std::time::Duration;

use async_trait::async_trait;

use super::client::{Client, ClientError};
use crate::command::{Command, CommandReply};
use crate::model::{OrganisationId, TraceParent};
use crate::ports::{Gate, GateError};

#[async_trait]
impl Gate for Client {
    async fn submit(
        &self,
        organisation: &OrganisationId,
        body: &[u8],
        trace: Option<TraceParent>,
    ) -> Result<(), GateError> {
        Ok(self.submit_in(organisation, body, trace).await?)
    }

    async fn command(&self, command: &Command, bound: Duration) -> Result<CommandReply, GateError> {
        Ok(Client::command(self, command, bound).await?)
    }
}

impl From<ClientError> for GateError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unanswered(_) => Self::Unanswered,
            ClientError::TooLarge { limit, size } => Self::TooLarge { limit, size },
            ClientError::Refused(why) => Self::Refused(why),
            error @ (ClientError::Unavailable(_)
            | ClientError::Full
            | ClientError::Unroutable
            | ClientError::NotFound) => Self::Unavailable(error.to_string()),
        }
    }
}
