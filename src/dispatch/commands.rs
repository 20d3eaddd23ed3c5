//! Commands from outside: to requests, and to calls wherever they are.

use std::sync::Arc;

use super::ledger::publish_requests;
use super::roster::Mail;
use super::worker::Shared;
use crate::callflow::call::CallInput;
use crate::model::{CallId, RequestId};
use crate::ports::store::{Control, RequestKey};
use crate::ports::{Command, CommandKind, CommandReply, StoreError};

/// Obeys for as long as the worker lives.
pub async fn obey(shared: Arc<Shared>) {
    while let Some(command) = shared.ports.commands.next(&shared.settings.id).await {
        let reply = match &command.kind {
            CommandKind::Pause(request) => Some(control(&shared, &command, request, Control::Pause, false).await),
            CommandKind::Resume(request) => Some(control(&shared, &command, request, Control::Resume, false).await),
            CommandKind::Cancel { request, hang_up } => {
                Some(control(&shared, &command, request, Control::Cancel, *hang_up).await)
            }
            CommandKind::HangUp(call) => hang_up(&shared, &command, *call).await,
        };
        if let Some(reply) = reply {
            shared.ports.commands.answer(&command, reply).await;
        }
    }
}

async fn control(
    shared: &Shared,
    command: &Command,
    request: &RequestId,
    control: Control,
    hang_up: bool,
) -> CommandReply {
    let key = RequestKey { organisation: command.organisation.clone(), request: request.clone() };
    match shared.ports.store.control(&key, control).await {
        Ok(controlled) => {
            publish_requests(shared, controlled.events);
            if hang_up {
                for (held, owner) in controlled.live {
                    if !shared.roster.send(held.attempt, Mail::Input(CallInput::HangUpRequested)) {
                        let kind = CommandKind::HangUp(held.attempt.call);
                        let id = format!("{}/{}", command.id, held.attempt.call).into();
                        let order = Command { id, organisation: command.organisation.clone(), kind };
                        shared.ports.commands.forward(&owner, order).await;
                    }
                }
            }
            CommandReply::Done
        }
        Err(StoreError::NotFound) => CommandReply::NotFound,
        Err(StoreError::Unavailable(_)) => CommandReply::Unavailable,
    }
}

/// Hangs a call up, here or at its owner's; answers unless the owner will.
async fn hang_up(shared: &Shared, command: &Command, call: CallId) -> Option<CommandReply> {
    if shared.roster.send_to_call(call, Mail::Input(CallInput::HangUpRequested)) {
        return Some(CommandReply::Done);
    }
    match shared.ports.store.owner(&command.organisation, call).await {
        // The store says it is ours, the roster that it is not any more: it is about to end or to change hands.
        Ok(Some((_, owner))) if owner == shared.settings.id => Some(CommandReply::Adopting),
        Ok(Some((_, owner))) => {
            shared.ports.commands.forward(&owner, command.clone()).await;
            None
        }
        Ok(None) | Err(StoreError::NotFound) => Some(CommandReply::NotFound),
        Err(StoreError::Unavailable(_)) => Some(CommandReply::Unavailable),
    }
}
