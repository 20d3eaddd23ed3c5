//! Commands from outside: to requests, and to calls wherever they are.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::publish_requests;
use super::roster::Mail;
use super::shared::Shared;
use crate::callflow::call::CallInput;
use crate::model::{CallId, RequestId, WorkerId};
use crate::ports::store::{Control, Held, RequestKey};
use crate::ports::{Command, CommandKind, CommandReply, Incoming, Order, StoreError};

/// How long an order to a call's owner has force.
const FORCE: Duration = Duration::from_secs(2);

/// Obeys for as long as the worker lives.
pub async fn obey(shared: Arc<Shared>) {
    while let Some(incoming) = shared.ports.commands.next(&shared.settings.id).await {
        match incoming {
            Incoming::Command(command) => {
                if let Some(reply) = carry_out(&shared, &command).await {
                    shared.ports.commands.answer(&command, reply).await;
                }
            }
            Incoming::Order(order) => {
                let reply = carry_out_here(&shared, &order);
                shared.ports.commands.answer(&order.command, reply).await;
            }
        }
    }
}

/// Carries a command out; answers unless another will.
async fn carry_out(shared: &Shared, command: &Command) -> Option<CommandReply> {
    match &command.kind {
        CommandKind::Pause(request) => Some(control(shared, command, request, Control::Pause).await),
        CommandKind::Resume(request) => Some(control(shared, command, request, Control::Resume).await),
        CommandKind::Cancel { request, hang_up } => {
            Some(control(shared, command, request, Control::Cancel { hang_up: *hang_up }).await)
        }
        CommandKind::HangUp(call) => hang_up(shared, command, *call).await,
    }
}

/// Carries out what another worker passed on, if it still has force and the call is still ours as it was then.
fn carry_out_here(shared: &Shared, order: &Order) -> CommandReply {
    let hang_up = matches!(order.command.kind, CommandKind::HangUp(_));
    let in_time = shared.ports.clock.now() <= order.not_after;
    let ours = || shared.roster.send_to_holder(&order.held, Mail::Input(CallInput::HangUpRequested));
    if hang_up && in_time && ours() { CommandReply::Done } else { CommandReply::Adopting }
}

async fn control(shared: &Shared, command: &Command, request: &RequestId, control: Control) -> CommandReply {
    let key = RequestKey { organisation: command.organisation.clone(), request: request.clone() };
    match shared.ports.store.control(&key, control).await {
        Ok(controlled) => {
            publish_requests(shared, controlled.events);
            if control == (Control::Cancel { hang_up: true }) {
                // Only to be quick about it: whoever renews or adopts one of them hears of it from the store.
                for (held, owner) in controlled.live {
                    if !shared.roster.send_to_holder(&held, Mail::Input(CallInput::HangUpRequested)) {
                        let kind = CommandKind::HangUp(held.attempt.call);
                        let id = format!("{}/{}", command.id, held.attempt.call).into();
                        let command = Command { id, organisation: command.organisation.clone(), kind };
                        pass_on(shared, &owner, command, held).await;
                    }
                }
            }
            CommandReply::Done
        }
        Err(error) => sorry(&error),
    }
}

/// Hangs a call up, here or at its owner's; answers unless the owner will.
async fn hang_up(shared: &Shared, command: &Command, call: CallId) -> Option<CommandReply> {
    let mail = Mail::Input(CallInput::HangUpRequested);
    match shared.roster.send_to_call(&command.organisation, call, mail) {
        Some(true) => return Some(CommandReply::Done),
        // It is about to be dialled, or given back: nobody can promise that it will be hung up.
        Some(false) => return Some(CommandReply::Adopting),
        None => {}
    }
    match shared.ports.store.owner(&command.organisation, call).await {
        // The store says it is ours, the roster that it is not any more: it is about to end or to change hands.
        Ok(Some((_, owner))) if owner == shared.settings.id => Some(CommandReply::Adopting),
        Ok(Some((held, owner))) => {
            pass_on(shared, &owner, command.clone(), held).await;
            None
        }
        Ok(None) => Some(CommandReply::NotFound),
        Err(error) => Some(sorry(&error)),
    }
}

async fn pass_on(shared: &Shared, owner: &WorkerId, command: Command, held: Held) {
    let not_after = shared.ports.clock.now() + FORCE;
    shared.ports.commands.forward(owner, Order { command, held, not_after }).await;
}

fn sorry(error: &StoreError) -> CommandReply {
    match error {
        StoreError::NotFound => CommandReply::NotFound,
        StoreError::Unavailable(_) | StoreError::Forgotten => CommandReply::Unavailable,
        StoreError::Refused(reason) => {
            tracing::error!(reason, "the store refuses a command");
            CommandReply::Unavailable
        }
    }
}
