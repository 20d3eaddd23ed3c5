//! What is known of a command that was carried out in a call, by whichever worker: read from the call's history, also when the
//! call is over.

use super::shared::Shared;
use crate::callflow::call::{Invitation, Refusal};
use crate::callflow::program::Target;
use crate::command::{Command, CommandKind, CommandReply};
use crate::model::{CallId, Fact, Happening, LegRole};
use crate::ports::StoreError;
use crate::ports::store::RequestKey;

/// Most commands that a call carries out. Each is facts that are stored, counted and told again with every later one, in a
/// database that all organisations share.
const MOST: usize = 500;

/// Most that take something back: those go on when others do not any more.
const MOST_THAT_END: usize = 2 * MOST;

/// Whether the history of a call has room for a command of this kind.
pub(super) fn has_room_for(kind: &CommandKind, history: &[Fact]) -> bool {
    let most = match kind {
        // Once is enough.
        CommandKind::HangUp(_) => return true,
        CommandKind::EndSession { .. } | CommandKind::Record { on: false, .. } => MOST_THAT_END,
        CommandKind::Invite { .. }
        | CommandKind::Transfer { .. }
        | CommandKind::Record { on: true, .. }
        | CommandKind::Pause(_)
        | CommandKind::Resume(_)
        | CommandKind::Cancel { .. } => MOST,
    };
    history.iter().filter(|fact| matches!(fact.what, Happening::CommandExecuted { .. })).count() < most
}

/// Whom a command calls in, and as what.
pub(super) fn target_of(kind: &CommandKind) -> Option<(LegRole, &Target)> {
    match kind {
        CommandKind::Invite { invitation: Invitation { role, target, .. }, .. } => Some((*role, target)),
        CommandKind::Transfer { target, .. } => Some((LegRole::Transfer, target)),
        CommandKind::HangUp(_)
        | CommandKind::EndSession { .. }
        | CommandKind::Record { .. }
        | CommandKind::Pause(_)
        | CommandKind::Resume(_)
        | CommandKind::Cancel { .. } => None,
    }
}

/// Whether something that happened is that a command was carried out under this one's id, and whether that was this one.
pub(super) fn is_known(command: &Command, what: &Happening) -> Option<bool> {
    match what {
        Happening::CommandExecuted { command: name, id, digest, .. } if *id == command.id => {
            Some(**name == *command.kind.name() && (*digest == 0 || *digest == command.kind.digest()))
        }
        _ => None,
    }
}

/// What a command came to in the call of a history; none if none was carried out under its id.
pub(super) fn reply_to(command: &Command, history: &[Fact]) -> Option<CommandReply> {
    if !history.iter().find_map(|fact| is_known(command, &fact.what))? {
        return Some(CommandReply::Refused(Refusal::IdTaken));
    }
    let Some((role, target)) = target_of(&command.kind) else { return Some(CommandReply::Done) };
    let called_in = history.iter().rev().find_map(|fact| match &fact.what {
        Happening::LegAdded { leg, dest } if leg.role == role && **dest == *target.as_dialled() => Some(*leg),
        _ => None,
    });
    Some(called_in.map_or(CommandReply::Done, CommandReply::Invited))
}

/// What a command comes to whose call is in nobody's hands: what it came to while it was.
///
/// # Errors
/// What the store answers instead.
pub(super) async fn reply_after_the_end(
    shared: &Shared,
    command: &Command,
    call: CallId,
) -> Result<CommandReply, StoreError> {
    let store = &shared.ports.store;
    let request = store.request_of(&command.organisation, call).await?;
    let key = RequestKey { organisation: command.organisation.clone(), request };
    let found = store.calls(&key, call.index(), 1).await?;
    let found = found.iter().find(|found| found.destination.index == call.index());
    Ok(found.and_then(|found| reply_to(command, &found.history)).unwrap_or(CommandReply::NotFound))
}
