//! What happens in calls, counted where their facts become lasting: every fact once, by the worker that wrote it down, so
//! that what the metrics say and what events and Status say is one history.

use std::time::Duration;

use super::catalogue::{
    ANSWERS, ATTEMPTS, CALLS, COMMANDS_EXECUTED, DIALS, FLOW_TRANSFERS, OPT_OUTS, RECORDINGS, RETRIES, RING,
    SECOND_LEGS, SHORT_CALLS, STEP, STEP_ERRORS, TALK, TRUNK_DIALS, TRUNK_ENDS, WAIT,
};
use super::traces;
use super::words::{COMMANDS, end, result, role, transfer};
use crate::model::event::CallContext;
use crate::model::{Disposition, Fact, Happening, StepStatus, Timestamp};

/// What the log knows the events of calls as.
#[cfg(feature = "otlp")]
pub(super) const TARGET: &str = module_path!();

/// Within which an answered call is short.
const SHORT: Duration = Duration::from_secs(6);

/// Counts the facts of a call's history from `known` on, which have just been stored.
pub fn happened(context: &CallContext, history: &[Fact], known: usize) {
    for (index, fact) in history.iter().enumerate().skip(known) {
        say(&history[..index], fact);
        count(context, &history[..index], fact);
    }
}

/// Writes down that something happened, given what came before it; who was called, and what they keyed in, stays out of the log.
fn say(before: &[Fact], fact: &Fact) {
    let Some(event) = fact.what.event_type() else { return };
    let result = match &fact.what {
        Happening::RetryScheduled { disposition, .. } | Happening::Ended { disposition, .. } => {
            Some(result(disposition.result))
        }
        _ => None,
    };
    if let Some(result) = result {
        traces::ends_with(result);
    }
    // In milliseconds. Looked up only if somebody reads it.
    tracing::debug!(result, took = took(before, fact).map(whole_millis), "{}", event.as_str());
}

/// Counts a fact, given what came before it.
fn count(context: &CallContext, before: &[Fact], fact: &Fact) {
    match &fact.what {
        Happening::Dialing { trunk, .. } => {
            DIALS.count([]);
            if let Some(trunk) = trunk {
                TRUNK_DIALS.count([trunk]);
            }
            WAIT.record([], seconds(due(context, before), fact.at));
        }
        Happening::Answered => {
            ANSWERS.count([]);
            if let Some(dialled_at) = when(attempt(before), |what| matches!(what, Happening::Dialing { .. })) {
                RING.record([], seconds(dialled_at, fact.at));
            }
        }
        Happening::StepFinished { step, status, transfer: transferred, .. } => {
            let Some(label) = context.steps.get(usize::from(*step)) else { return };
            if let Some(took) = took(before, fact) {
                STEP.record([label.name], took.as_secs_f64());
            }
            if *status != StepStatus::SuccessOk {
                STEP_ERRORS.count([label.name]);
            }
            if let Some(transferred) = transferred {
                FLOW_TRANSFERS.count([transfer(*transferred)]);
            }
        }
        Happening::LegAdded { leg, .. } => SECOND_LEGS.count([role(leg.role), "dialled"]),
        Happening::LegAnswered { leg } => SECOND_LEGS.count([role(leg.role), "answered"]),
        Happening::LegFailed { leg, .. } => SECOND_LEGS.count([role(leg.role), "failed"]),
        Happening::RecordingStarted { .. } => RECORDINGS.count([]),
        Happening::OptedOut => OPT_OUTS.count([]),
        Happening::CommandExecuted { command, .. } => {
            let known = COMMANDS.iter().find(|known| **known == &**command);
            COMMANDS_EXECUTED.count([*known.unwrap_or(&"other")]);
        }
        Happening::RetryScheduled { disposition, .. } => {
            ended(before, *disposition, fact.at);
            RETRIES.count([result(disposition.result)]);
        }
        Happening::Ended { disposition, status, .. } => {
            ended(before, *disposition, fact.at);
            CALLS.count([end(*status)]);
        }
        // Counted where it is done: the store writes it down before anybody here sees the call.
        Happening::Adopted { .. }
        | Happening::Ringing
        | Happening::PartyDetected(_)
        | Happening::StepStarted { .. }
        | Happening::LegRemoved { .. }
        | Happening::RecordingStopped { .. } => {}
    }
}

/// An attempt has ended.
fn ended(before: &[Fact], disposition: Disposition, at: Timestamp) {
    let result = result(disposition.result);
    ATTEMPTS.count([result]);
    let attempt = attempt(before);
    if let Some(Happening::Dialing { trunk: Some(trunk), .. }) = attempt.first().map(|fact| &fact.what) {
        TRUNK_ENDS.count([trunk, result]);
    }
    if let Some(answered_at) = when(attempt, |what| matches!(what, Happening::Answered)) {
        TALK.record([], seconds(answered_at, at));
        if at.since(answered_at) < SHORT {
            SHORT_CALLS.count([]);
        }
    }
}

/// The facts of the latest attempt, from its dial on; none if it was not dialled.
fn attempt(history: &[Fact]) -> &[Fact] {
    let over = history.iter().rposition(|fact| fact.what.ends_attempt()).map_or(0, |last| last + 1);
    let dialled = history[over..].iter().position(|fact| matches!(fact.what, Happening::Dialing { .. }));
    dialled.map_or(&[], |first| &history[over + first..])
}

/// How long the step took that a fact ends, if it ends one.
fn took(before: &[Fact], fact: &Fact) -> Option<Duration> {
    let Happening::StepFinished { step, .. } = &fact.what else { return None };
    let began = when(attempt(before), |what| matches!(what, Happening::StepStarted { step: other } if other == step));
    Some(fact.at.since(began?))
}

fn whole_millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// When something happened last.
fn when(history: &[Fact], what: impl Fn(&Happening) -> bool) -> Option<Timestamp> {
    history.iter().rev().find(|fact| what(&fact.what)).map(|fact| fact.at)
}

/// Since when a destination could have been dialled.
fn due(context: &CallContext, before: &[Fact]) -> Timestamp {
    let retry = before.iter().rev().find_map(|fact| match &fact.what {
        Happening::RetryScheduled { due, .. } => Some(*due),
        _ => None,
    });
    let scheduled = context.header.scheduled_at.map_or(context.queued_at, |at| at.max(context.queued_at));
    retry.unwrap_or(scheduled)
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::exposition::tests::{exposed, value};
    use super::super::log::tests::lines;
    use super::super::metric::Role;
    use super::*;
    use crate::model::status::StepLabel;
    use crate::model::{
        CallId, CallStatus, Destination, DispositionResult, LegId, LegRole, Number, Party, TransferStatus,
    };

    fn at(secs: u64) -> Timestamp {
        Timestamp::VIRTUAL_START + Duration::from_secs(secs)
    }

    fn context() -> CallContext {
        let header = crate::conformance::store::scene::header("survey");
        let (organisation, request) = (header.organisation.clone(), header.id.clone());
        let label = |name| StepLabel { name, path: "callFlow.steps[0]".into(), shows_keys: false };
        CallContext {
            header: Arc::new(header),
            steps: [label("play"), label("transfer")].into(),
            call: CallId::new(&organisation, &request, 0),
            destination: Destination {
                index: 0,
                number: Number::Invalid("no number".into()),
                caller: None,
                external_id: None,
                time_zone: None,
                properties: Vec::new(),
            },
            queued_at: at(0),
        }
    }

    fn dialing(claim: u32) -> Happening {
        let worker = "w".parse().expect("a name");
        Happening::Dialing { claim, attempt: claim, caller: None, trunk: Some("north".into()), worker }
    }

    /// Busy at first; then a message, a transfer, and the end.
    fn history() -> Vec<Fact> {
        let busy = Disposition::new(DispositionResult::Busy, Some(Party::Callee));
        let answered = Disposition::new(DispositionResult::Answered, Some(Party::Callee));
        let finished =
            |step, transfer| Happening::StepFinished { step, status: StepStatus::SuccessOk, keys: None, transfer };
        let leg = LegId {
            attempt: crate::model::AttemptId { call: context().call, claim: 2 },
            role: LegRole::Transfer,
            ordinal: 1,
        };
        let facts = [
            (10, dialing(1)),
            (12, Happening::RetryScheduled { disposition: busy, due: at(100) }),
            (130, dialing(2)),
            (131, Happening::Ringing),
            (140, Happening::Answered),
            (140, Happening::StepStarted { step: 0 }),
            (152, finished(0, None)),
            (152, Happening::StepStarted { step: 1 }),
            (152, Happening::LegAdded { leg, dest: "1000".into() }),
            (160, Happening::LegAnswered { leg }),
            (200, finished(1, Some(TransferStatus::Answered))),
            (202, Happening::Ended { status: CallStatus::Completed, disposition: answered, refusal: None }),
        ];
        facts.into_iter().map(|(secs, what)| Fact { at: at(secs), what }).collect()
    }

    #[test]
    fn a_call_is_counted_once_however_often_it_is_stored() {
        let (context, history) = (context(), history());
        let seen = exposed(Role::Worker, || {
            for (known, end) in [(0, 1), (1, 2), (2, 6), (6, 6), (6, history.len())] {
                happened(&context, &history[..end], known);
            }
        });
        for (series, expected) in [
            ("robocall_dials_total", 2.0),
            (r#"robocall_trunk_dials_total{trunk="north"}"#, 2.0),
            (r#"robocall_trunk_attempts_total{trunk="north",result="busy"}"#, 1.0),
            (r#"robocall_attempts_total{result="busy"}"#, 1.0),
            (r#"robocall_attempts_total{result="answered"}"#, 1.0),
            (r#"robocall_retries_total{result="busy"}"#, 1.0),
            (r#"robocall_calls_total{status="completed"}"#, 1.0),
            ("robocall_answers_total", 1.0),
            ("robocall_short_calls_total", 0.0),
            ("robocall_ring_seconds_sum", 10.0),
            ("robocall_talk_seconds_sum", 62.0),
            (r#"robocall_step_seconds_sum{step="play"}"#, 12.0),
            (r#"robocall_step_seconds_sum{step="transfer"}"#, 48.0),
            (r#"robocall_transfers_total{status="answered"}"#, 1.0),
            (r#"robocall_second_legs_total{role="transfer",outcome="answered"}"#, 1.0),
            // Ten seconds after it was sealed, thirty after its retry was due.
            ("robocall_due_to_dial_seconds_sum", 40.0),
        ] {
            assert!((value(&seen, series) - expected).abs() < 1e-9, "{series}: {}", value(&seen, series));
        }
    }

    #[test]
    fn the_line_that_says_that_a_step_has_ended_says_how_long_it_took() {
        let (context, mut history) = (context(), history());
        // As short as it can be told.
        history[6].at = history[5].at + Duration::from_millis(1);
        let told = lines(|| happened(&context, &history, 2));
        let took: Vec<_> = told.iter().map(|line| (line["message"].as_str(), line["took"].as_u64())).collect();
        let none = |name| (Some(name), None);
        let wanted = [
            none("call.dialing"),
            none("call.ringing"),
            none("call.answered"),
            none("step.started"),
            (Some("step.finished"), Some(1)),
            none("step.started"),
            none("leg.added"),
            (Some("step.finished"), Some(48_000)),
            none("call.ended"),
        ];
        assert_eq!(took, wanted, "{told:#?}");
    }

    #[test]
    fn who_hangs_up_at_once_had_a_short_call() {
        let mut history = history();
        history.truncate(5);
        let answered = Disposition::new(DispositionResult::Answered, Some(Party::Callee));
        let ended = Happening::Ended { status: CallStatus::Completed, disposition: answered, refusal: None };
        history.push(Fact { at: at(145), what: ended });
        let seen = exposed(Role::Worker, || happened(&context(), &history, 2));
        assert!((value(&seen, "robocall_short_calls_total") - 1.0).abs() < 1e-9);
    }
}
