//! What became of a campaign, added up call by call: outcomes and the flow's funnel.
//!
//! It holds numbers only, so a million calls take no more room than one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::callflow::Program;
use crate::callflow::program::Action;
use crate::model::{
    AnsweredBy, CallStatus, Disposition, DispositionResult, Fact, Happening, LegId, LegRole, StepStatus, Timestamp,
    TransferStatus,
};
use crate::ports::store::CallSnapshot;

/// What became of all calls so far.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Calls added up.
    pub calls: u64,
    /// Dials, second attempts included.
    pub dials: u64,
    /// Calls that have ended, by how their last attempt did; none: never dialled.
    pub results: BTreeMap<DispositionResult, u64>,
    /// Calls that failed undialled, by why they were refused.
    pub refused: BTreeMap<&'static str, u64>,
    /// Calls that have not ended, by how far they are: those that wait for another dial among them.
    pub unfinished: BTreeMap<CallStatus, u64>,
    /// Answered by a machine, as far as that was looked for.
    pub machines: u64,
    /// Numbers put on the do-not-call list.
    pub opted_out: u64,
    /// Transfers tried, and how many of them were answered.
    pub transfers: Share,
    /// From the dial to the answer.
    pub until_answer: Mean,
    /// From the answer to the end.
    pub in_call: Mean,
    /// From the first dial of all to the last end of all.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The flow, step by step.
    pub funnel: Vec<Stage>,
}

/// Some of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Those it is about.
    pub some: u64,
    /// All.
    pub of: u64,
}

/// An average that grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mean {
    sum: Duration,
    count: u32,
}

impl Mean {
    fn add(&mut self, length: Duration) {
        self.sum = self.sum.saturating_add(length);
        self.count = self.count.saturating_add(1);
    }

    /// The average; none of nothing.
    pub fn get(self) -> Option<Duration> {
        self.sum.checked_div(self.count)
    }
}

/// One step of the flow, over all calls.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// What it is: `play`, `gather` …
    pub name: &'static str,
    /// Which keys lead to it, if it begins a gather's branch.
    pub entry: Option<String>,
    /// How deep it is nested, 0 for the flow's own steps.
    pub depth: usize,
    /// Calls that came to it.
    pub reached: u64,
    /// Calls whose step ended well.
    pub succeeded: u64,
    /// Calls that ended within it: whoever was on the line hung up, or something failed.
    pub dropped: u64,
    /// Last keys pressed in a gather that shows them, by key.
    pub keys: BTreeMap<char, u64>,
    /// Gathers without any key.
    pub no_key: u64,
    /// Whether it is a gather whose keys are shown.
    pub shows_keys: bool,
    /// Whether it is a gather whose keys are hidden.
    pub hides_keys: bool,
    /// How a transfer ended.
    pub transfers: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// Nothing yet, for a flow.
    pub fn of(program: &Program) -> Self {
        let mut entries = entries(program);
        let stages = program.steps.iter().zip(program.labels.iter()).enumerate().map(|(place, (step, label))| Stage {
            name: label.name,
            entry: entries.remove(&place),
            depth: label.path.matches(".branches[").count(),
            shows_keys: label.shows_keys,
            hides_keys: matches!(&step.action, Action::Gather(gather) if gather.sensitive),
            ..Stage::default()
        });
        Self { funnel: stages.collect(), ..Self::default() }
    }

    /// Adds one call.
    pub fn add(&mut self, call: &CallSnapshot) {
        self.calls += 1;
        let mut answered_at = None;
        let mut dialled_at = None;
        let mut machine = false;
        let mut open: Option<usize> = None;
        let mut transfers: Vec<(LegId, bool)> = Vec::new();
        for Fact { at, what } in &call.history {
            let at = *at;
            match what {
                Happening::Dialing { .. } => {
                    self.dials += 1;
                    (dialled_at, answered_at, machine, open) = (Some(at), None, false, None);
                    self.stretch(at);
                }
                Happening::Answered => {
                    answered_at = Some(at);
                    if let Some(dialled) = dialled_at {
                        self.until_answer.add(at.since(dialled));
                    }
                }
                Happening::PartyDetected(party) => machine = *party == AnsweredBy::Machine,
                Happening::StepStarted { step } => {
                    open = Some(usize::from(*step));
                    if let Some(stage) = self.funnel.get_mut(usize::from(*step)) {
                        stage.reached += 1;
                    }
                }
                Happening::StepFinished { step, status, keys, transfer } => {
                    open = None;
                    if let Some(stage) = self.funnel.get_mut(usize::from(*step)) {
                        stage.finish(*status, keys.as_deref(), *transfer);
                    }
                }
                Happening::LegAdded { leg, .. } if leg.role == LegRole::Transfer => transfers.push((*leg, false)),
                Happening::LegAnswered { leg } => {
                    if let Some(transfer) = transfers.iter_mut().find(|(known, _)| known == leg) {
                        transfer.1 = true;
                    }
                }
                Happening::OptedOut => self.opted_out += 1,
                Happening::RetryScheduled { .. } => self.end_attempt(at, answered_at),
                Happening::Ended { .. } => {
                    self.machines += u64::from(machine);
                    self.end_attempt(at, answered_at);
                }
                Happening::Ringing
                | Happening::LegAdded { .. }
                | Happening::LegFailed { .. }
                | Happening::LegRemoved { .. }
                | Happening::RecordingStarted { .. }
                | Happening::RecordingStopped { .. }
                | Happening::Adopted { .. }
                | Happening::CommandExecuted { .. } => {}
            }
        }
        // Whoever is on the line still may come to the step's end.
        if result_of(call).is_some()
            && let Some(stage) = open.and_then(|step| self.funnel.get_mut(step))
        {
            stage.dropped += 1;
        }
        self.transfers.of += transfers.len() as u64;
        self.transfers.some += transfers.iter().filter(|(_, answered)| *answered).count() as u64;
        if !call.status.is_final() {
            *self.unfinished.entry(call.status).or_default() += 1;
            return;
        }
        match (refusal_of(call), result_of(call)) {
            (Some(why), _) => *self.refused.entry(why).or_default() += 1,
            (None, Some(result)) => *self.results.entry(result).or_default() += 1,
            // Its history is not there yet, or was lost.
            (None, None) => *self.results.entry(DispositionResult::Unknown).or_default() += 1,
        }
    }

    fn end_attempt(&mut self, at: Timestamp, answered_at: Option<Timestamp>) {
        if let Some(answered) = answered_at {
            self.in_call.add(at.since(answered));
        }
        self.stretch(at);
    }

    fn stretch(&mut self, at: Timestamp) {
        self.span = Some(self.span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    }

    /// How many calls ended so.
    pub fn count(&self, result: DispositionResult) -> u64 {
        self.results.get(&result).copied().unwrap_or_default()
    }

    /// Most calls that came to any step: what the funnel is measured by.
    pub fn entered(&self) -> u64 {
        self.funnel.first().map_or(0, |stage| stage.reached)
    }
}

/// Which keys lead to which step, for steps that begin a branch.
fn entries(program: &Program) -> BTreeMap<usize, String> {
    let mut entries: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for step in &program.steps {
        let Action::Gather(gather) = &step.action else { continue };
        for (digit, first) in &gather.branches {
            // Below a hidden key, no name says which it was.
            let key = if gather.sensitive { '*' } else { digit.as_char() };
            entries.entry(usize::from(*first)).or_default().push(key.to_string());
        }
        if let Some(first) = gather.default {
            entries.entry(usize::from(first)).or_default().push("otherwise".to_owned());
        }
    }
    entries.into_iter().map(|(place, keys)| (place, keys.join(" or "))).collect()
}

impl Stage {
    fn finish(&mut self, status: StepStatus, keys: Option<&str>, transfer: Option<TransferStatus>) {
        if status == StepStatus::SuccessOk {
            self.succeeded += 1;
        } else {
            self.dropped += 1;
        }
        if self.shows_keys {
            match keys.and_then(|keys| keys.chars().next_back()) {
                Some(key) => *self.keys.entry(key).or_default() += 1,
                None => self.no_key += 1,
            }
        }
        if let Some(transfer) = transfer {
            *self.transfers.entry(transfer_word(transfer)).or_default() += 1;
        }
    }
}

/// How a transfer ended, in the contracts' word.
const fn transfer_word(status: TransferStatus) -> &'static str {
    match status {
        TransferStatus::Ringing => "ringing",
        TransferStatus::Answered => "answered",
        TransferStatus::Unanswered => "unanswered",
        TransferStatus::Busy => "busy",
        TransferStatus::Failed => "failed",
    }
}

/// Why a call failed without ever being dialled, in words; none if it was dialled, or ended otherwise.
fn refusal_of(call: &CallSnapshot) -> Option<&'static str> {
    let dialled = call.history.iter().any(|fact| matches!(fact.what, Happening::Dialing { .. }));
    let refusal = call.history.iter().find_map(|fact| match fact.what {
        Happening::Ended { refusal, .. } => refusal,
        _ => None,
    });
    refusal.filter(|_| !dialled && call.status == CallStatus::Failed).map(|status| match status {
        StepStatus::ErrorDestInvalid => "not a valid destination (error_dest_invalid)",
        StepStatus::ErrorDestNotSupported => "not a number that is called (error_dest_not_supported)",
        StepStatus::ErrorCallerIdInvalid => "caller not the organisation's (error_caller_id_invalid)",
        StepStatus::ErrorMissingProperty => "no value for a placeholder (error_missing_property)",
        StepStatus::ErrorMsgTooLong => "message too long once filled in (error_msg_too_long)",
        StepStatus::ErrorMsgCannotConvertText => "nothing left to speak (error_msg_cannot_convert_text)",
        StepStatus::ErrorMsgInvalidLanguage => "no voice for the language (error_msg_invalid_language)",
        StepStatus::ErrorInternal => "something broke (error_internal)",
        StepStatus::SuccessOk
        | StepStatus::ErrorConcurrentCallLimitReached
        | StepStatus::ErrorRateLimitExceeded
        | StepStatus::ErrorSessionEnded
        | StepStatus::ErrorTimeout => "refused",
    })
}

/// How a call ended; none if it has not.
fn result_of(call: &CallSnapshot) -> Option<DispositionResult> {
    let told = call.history.iter().rev().find_map(|fact| match fact.what {
        Happening::Ended { disposition: Disposition { result, .. }, .. } => Some(result),
        _ => None,
    });
    // A request that is cancelled or runs out of time ends its undialled calls without a history.
    told.or(match call.status {
        CallStatus::Cancelled => Some(DispositionResult::Cancelled),
        CallStatus::Expired => Some(DispositionResult::Expired),
        CallStatus::Blocked => Some(DispositionResult::Blocked),
        CallStatus::Unknown => Some(DispositionResult::Unknown),
        CallStatus::Queued
        | CallStatus::OnProgress
        | CallStatus::RetryScheduled
        | CallStatus::Completed
        | CallStatus::Failed => None,
    })
}
