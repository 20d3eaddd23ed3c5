//! What a line of the log is about: the call, the request, the command or the question in whose course it was written.
//!
//! All are of the highest level and are always let through: a line that is written says what it is about, whatever else the
//! filter of the log leaves out. Phone numbers, texts and keys are in none of them.

use tracing::{Span, error_span, field};

use super::traces;
use crate::command::{Command, CommandReply};
use crate::model::{CallId, OrganisationId, RequestId, TraceParent};
use crate::ports::Delivery;
use crate::ports::store::{Claim, Held};

/// What the filter of the log knows them as.
pub(super) const TARGET: &str = module_path!();

/// What the log knows those as that say what a line is about and have no length: they are of no trace. Begins with
/// [`TARGET`], as the filter wants it.
pub(super) const ASIDE: &str = concat!(module_path!(), "::aside");

/// What the log knows a command as.
pub(super) const COMMAND: &str = "command";

/// An attempt to call somebody, that a line is about and nothing else.
pub fn call(held: &Held) -> Span {
    let Held { organisation, request, attempt, .. } = held;
    error_span!(target: ASIDE, "call", %organisation, %request, call = %attempt.call, attempt = attempt.claim)
}

/// An attempt to call somebody, for as long as this worker has it, and what its request is a part of.
pub fn carried(claim: &Claim) -> Span {
    let Held { organisation, request, attempt, .. } = &claim.held;
    let span = error_span!("call", %organisation, %request, call = %attempt.call, attempt = attempt.claim, trace = field::Empty);
    is_part_of(&span, claim.header.trace);
    traces::begins(&span);
    span
}

fn is_part_of(span: &Span, trace: Option<TraceParent>) {
    if let Some(trace) = trace {
        span.record("trace", field::display(trace.trace_id()));
        traces::continues(span, trace);
    }
}

/// A request on its way in; [`names_request`] says which, when that has been read.
pub fn intake(delivery: &Delivery) -> Span {
    let span =
        error_span!("intake", organisation = %delivery.organisation, request = field::Empty, trace = field::Empty);
    is_part_of(&span, delivery.trace);
    span
}

/// Says which request the span around is about.
pub fn names_request(request: &RequestId) {
    Span::current().record("request", field::display(request));
}

/// A command that has reached this worker, until it is answered or passed on; [`comes_to`] says which. If it is to a call,
/// [`names_request`] says of which request, when that is known.
pub fn command(command: &Command) -> Span {
    let Command { organisation, id, kind, trace, .. } = command;
    let (command, kind_of, none) = (&**id, kind.name(), field::Empty);
    let (request, call) = (kind.request().map(field::display), kind.call().map(field::display));
    let span = error_span!(
        COMMAND, %organisation, command, kind = kind_of, request, call, trace = none, outcome = none
    );
    is_part_of(&span, *trace);
    traces::begins(&span);
    span
}

/// Says what a command comes to here, if it is answered here: otherwise another worker answers.
pub fn comes_to(command: &Span, reply: Option<CommandReply>) {
    let outcome = match reply {
        None => "passedOn",
        Some(CommandReply::Done) => "done",
        Some(CommandReply::Ended(_)) => "ended",
        Some(CommandReply::Invited(_)) => "dialling",
        Some(CommandReply::Refused(_) | CommandReply::Unmet { .. }) => "conflict",
        Some(CommandReply::NotFound) => "notFound",
        Some(CommandReply::Adopting) => "adopting",
        Some(CommandReply::Unavailable) => "unavailable",
    };
    command.record("outcome", outcome);
}

/// What is handed on in the course of the span around is a part of: of that span if it is exported, else of what the span is
/// a part of, `trace`.
pub fn goes_on_in(trace: Option<TraceParent>) -> Option<TraceParent> {
    traces::around().or(trace)
}

/// A question to the interface; [`asked_by`] says whose, when that is known.
pub fn question(operation: &'static str) -> Span {
    let none = field::Empty;
    error_span!("question", operation, organisation = none, request = none, call = none, trace = none)
}

/// Says who asks, as a part of what, and for which request or call, if the path's parameters name one.
pub fn asked_by(organisation: &OrganisationId, trace: Option<TraceParent>, path: &[(String, String)]) {
    let span = Span::current();
    is_part_of(&span, trace);
    span.record("organisation", field::display(organisation));
    // Only what can be one: anything may be written there.
    for (name, value) in path {
        match name.as_str() {
            "requestId" => {
                drop(value.parse::<RequestId>().map(|request| span.record("request", field::display(request))))
            }
            "callId" => drop(value.parse::<CallId>().map(|call| span.record("call", field::display(call)))),
            _ => {}
        }
    }
}

/// An event on its way to a webhook; [`tells_of`] says of what, when that is known.
pub fn webhook(organisation: &OrganisationId, receiver: &str, event: &str) -> Span {
    error_span!("webhook", %organisation, receiver, event, trace = field::Empty)
}

/// Says which trace the event belongs to that the span around is about.
pub fn tells_of(trace: Option<TraceParent>) {
    is_part_of(&Span::current(), trace);
}
