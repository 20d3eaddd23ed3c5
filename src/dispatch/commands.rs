//! Commands from outside: to requests, and to calls wherever they are.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use super::asked::Asked;
use super::ledger::publish_requests;
use super::obeyed;
use super::roster::Mail;
use super::shared::Shared;
use crate::callflow::call::{CallInput, Refusal};
use crate::command::{Command, CommandKind, CommandReply, Standing};
use crate::model::status::RequestSummary;
use crate::model::{CallId, RequestId, RequestStatus, Timestamp, WorkerId};
use crate::ports::store::{Control, Given, Held, RequestKey};
use crate::ports::{Incoming, Order, StoreError};
use crate::telemetry::spans;

/// How long an order to a call's owner has force.
const FORCE: Duration = Duration::from_secs(2);

/// How long a call may take to answer; then the broker's place for the command is another's.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// What a command comes to here.
enum Outcome {
    /// This.
    Reply(CommandReply),
    /// What the call will say; if it says nothing, it has not heard.
    Awaited(oneshot::Receiver<CommandReply>),
    /// Another worker answers.
    PassedOn,
}

/// A command that a call is to answer, and the span that lasts until it has.
type Awaited = (Command, Span, oneshot::Receiver<CommandReply>);

/// Obeys for as long as the worker lives.
pub async fn obey(shared: Arc<Shared>) {
    let (awaiting, awaited) = unbounded_channel();
    tokio::join!(take(&shared, awaiting), answer(&shared, awaited));
}

async fn take(shared: &Shared, awaiting: UnboundedSender<Awaited>) {
    while let Some(incoming) = shared.ports.commands.next(&shared.settings.id).await {
        let (command, span, outcome) = match incoming {
            Incoming::Command(command) => {
                let span = spans::command(&command);
                let outcome = carry_out(shared, &command).instrument(span.clone()).await;
                (command, span, outcome)
            }
            Incoming::Order(order) => {
                let span = spans::command(&order.command);
                let outcome = span.in_scope(|| carry_out_here(shared, &order));
                (order.command, span, outcome)
            }
        };
        match outcome {
            Outcome::Reply(reply) => tell(shared, &command, span, reply).await,
            // The other end is read for as long as this one lives.
            Outcome::Awaited(reply) => drop(awaiting.send((command, span, reply))),
            Outcome::PassedOn => spans::comes_to(&span, None),
        }
    }
}

/// Tells whoever gave a command what became of it.
async fn tell(shared: &Shared, command: &Command, span: Span, reply: CommandReply) {
    spans::comes_to(&span, Some(reply));
    shared.ports.commands.answer(command, reply).instrument(span).await;
}

/// Passes on what calls answer, each in its own time.
async fn answer(shared: &Shared, mut awaited: UnboundedReceiver<Awaited>) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some((command, span, reply)) = awaited.recv() => {
                let late = shared.ports.clock.sleep_until(shared.ports.clock.now() + ANSWERED_WITHIN);
                open.push(async move {
                    let reply = tokio::select! {
                        biased;
                        reply = reply => reply.unwrap_or(CommandReply::Adopting),
                        // Asked again under the same id it says what came of it.
                        () = late => CommandReply::Unavailable,
                    };
                    (command, span, reply)
                });
            }
            Some((command, span, reply)) = open.next() => tell(shared, &command, span, reply).await,
            else => return,
        }
    }
}

async fn carry_out(shared: &Shared, command: &Command) -> Outcome {
    match &command.kind {
        CommandKind::Pause(request) => control(shared, command, request, Control::Pause).await,
        CommandKind::Resume(request) => control(shared, command, request, Control::Resume).await,
        CommandKind::Cancel { request, hang_up } => {
            control(shared, command, request, Control::Cancel { hang_up: *hang_up }).await
        }
        CommandKind::HangUp(call)
        | CommandKind::Invite { call, .. }
        | CommandKind::Transfer { call, .. }
        | CommandKind::EndSession { call, .. }
        | CommandKind::Record { call, .. } => ask_call(shared, command, *call).await,
    }
}

/// Mail for a call, and what the command comes to if it is taken. `is_named`: the span around says of which request it is.
fn mail_of(command: &Command, not_after: Timestamp, is_named: bool) -> (Mail, Outcome) {
    if let CommandKind::Cancel { .. } = command.kind {
        // Of its whole request, which was told so already.
        return (Mail::Input(CallInput::HangUpRequested), Outcome::Reply(CommandReply::Done));
    }
    let (asked, reply) = Asked::new(command.clone(), not_after, is_named);
    (Mail::Asked(Box::new(asked)), Outcome::Awaited(reply))
}

/// Carries out what another worker passed on, if it still has force and the call is still ours as it was then.
fn carry_out_here(shared: &Shared, order: &Order) -> Outcome {
    spans::names_request(&order.held.request);
    let (mail, outcome) = mail_of(&order.command, order.not_after, true);
    let in_time = shared.ports.clock.now() <= order.not_after;
    if in_time && shared.roster.send_to_holder(&order.held, mail) {
        outcome
    } else {
        Outcome::Reply(CommandReply::Adopting)
    }
}

async fn control(shared: &Shared, command: &Command, request: &RequestId, control: Control) -> Outcome {
    let key = RequestKey { organisation: command.organisation.clone(), request: request.clone() };
    let expect = command.expect.and_then(Standing::of_request);
    let given = Given { id: command.id.clone(), actor: command.actor.clone(), expect };
    match shared.ports.store.control(&key, control, Some(&given)).await {
        Ok(controlled) => {
            let ended = ended_before(control, &controlled.summary);
            if !controlled.again && ended.is_none() {
                tell_of(command);
            }
            publish_requests(shared, controlled.events);
            if control == (Control::Cancel { hang_up: true }) {
                // Only to be quick about it: whoever renews or adopts one of them hears of it from the store.
                for (held, owner) in controlled.live {
                    if !shared.roster.send_to_holder(&held, Mail::Input(CallInput::HangUpRequested)) {
                        let id = format!("{}/{}", command.id, held.attempt.call).into();
                        let command = Command { id, ..command.clone() };
                        pass_on(shared, &owner, command, held).await;
                    }
                }
            }
            Outcome::Reply(ended.map_or(CommandReply::Done, CommandReply::Ended))
        }
        Err(StoreError::Unmet { found }) => {
            let found = Standing::Request(found);
            Outcome::Reply(CommandReply::Unmet { expected: command.expect.unwrap_or(found), found })
        }
        Err(error) => sorry(&error),
    }
}

/// How a request had ended, if there was nothing left of it to control. What is asked twice is told twice what came of it: a
/// summary is that of the first time.
fn ended_before(control: Control, summary: &RequestSummary) -> Option<RequestStatus> {
    let status = summary.status;
    let was_done = match control {
        Control::Pause | Control::Resume => !status.is_final(),
        Control::Cancel { hang_up } => {
            !status.is_final() || status == RequestStatus::Cancelled || (hang_up && summary.counts.on_progress > 0)
        }
    };
    (!was_done).then_some(status)
}

/// Tells a call what is asked of it, here or at its owner's.
async fn ask_call(shared: &Shared, command: &Command, call: CallId) -> Outcome {
    let (mail, outcome) = mail_of(command, shared.ports.clock.now() + FORCE, false);
    match shared.roster.send_to_call(&command.organisation, call, mail) {
        Some(true) => return outcome,
        // It is about to be dialled, or given back: nobody can promise that it will be done.
        Some(false) => return Outcome::Reply(CommandReply::Adopting),
        None => {}
    }
    match shared.ports.store.owner(&command.organisation, call).await {
        // The store says it is ours, the roster that it is not any more: it is about to end or to change hands.
        Ok(Some((_, owner))) if owner == shared.settings.id => Outcome::Reply(CommandReply::Adopting),
        Ok(Some((held, owner))) => {
            spans::names_request(&held.request);
            pass_on(shared, &owner, command.clone(), held).await;
            Outcome::PassedOn
        }
        Ok(None) => match obeyed::reply_after_the_end(shared, command, call).await {
            Ok(reply) => Outcome::Reply(reply),
            Err(error) => sorry(&error),
        },
        Err(error) => sorry(&error),
    }
}

/// Tells the log that a command was carried out; the command's span around says what it was about.
pub(super) fn tell_of(command: &Command) {
    let actor = command.actor.as_ref().map(tracing::field::display);
    tracing::info!(command = &*command.id, actor, "{} was carried out", command.kind.name());
}

async fn pass_on(shared: &Shared, owner: &WorkerId, command: Command, held: Held) {
    let not_after = shared.ports.clock.now() + FORCE;
    let command = Command { trace: spans::goes_on_in(command.trace), ..command };
    shared.ports.commands.forward(owner, Order { command, held, not_after }).await;
}

fn sorry(error: &StoreError) -> Outcome {
    Outcome::Reply(match error {
        StoreError::NotFound => CommandReply::NotFound,
        StoreError::IdTaken => CommandReply::Refused(Refusal::IdTaken),
        StoreError::Unavailable(_) | StoreError::Forgotten | StoreError::Unmet { .. } => CommandReply::Unavailable,
        StoreError::Refused(reason) => {
            tracing::error!(reason, "the store refuses a command");
            CommandReply::Unavailable
        }
    })
}
