//! Status as the contracts show it, folded from a call's history.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::{CallContext, CallStatusHint};
use super::{
    AnsweredBy, Disposition, DispositionResult, Fact, Happening, LegId, LegRole, Number, Phone, RequestId, Timestamp,
};

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RequestStatus {
    /// Accepted, nothing dialled yet.
    Submitted,
    /// Waits for its `scheduledAt`.
    Scheduled,
    /// Calls are being made.
    OnProgress,
    /// Nothing new is dialled until it is resumed.
    Paused,
    /// Every call has ended.
    Completed,
    /// Cancelled; calls that were live may have gone on to their end.
    Cancelled,
    /// Its time was over before anything was dialled.
    Expired,
    /// Rejected, or incomplete.
    Failed,
}

impl RequestStatus {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Expired | Self::Failed)
    }
}

macro_rules! call_statuses {
    ($($(#[$doc:meta])* $name:ident = $field:ident,)*) => {
        /// How far a call is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        pub enum CallStatus {
            $($(#[$doc])* $name,)*
        }

        impl CallStatus {
            /// Every status, in the order of the contracts.
            pub const ALL: &'static [CallStatus] = &[$(CallStatus::$name,)*];
        }

        /// How many calls of a request have which status.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase")]
        #[expect(missing_docs, reason = "each field counts the status of its name")]
        pub struct Counts {
            $(pub $field: u32,)*
        }

        impl Counts {
            /// The count of one status.
            pub fn of(&self, status: CallStatus) -> u32 {
                match status { $(CallStatus::$name => self.$field,)* }
            }

            /// The count of one status, to be changed.
            pub fn of_mut(&mut self, status: CallStatus) -> &mut u32 {
                match status { $(CallStatus::$name => &mut self.$field,)* }
            }

            /// All calls.
            pub fn total(&self) -> u32 {
                0 $(+ self.$field)*
            }
        }
    };
}

call_statuses! {
    /// Waits for its first dial.
    Queued = queued,
    /// Dialled, not ended.
    OnProgress = on_progress,
    /// Waits for another dial.
    RetryScheduled = retry_scheduled,
    /// Answered, however it went on.
    Completed = completed,
    /// Ended unanswered, or refused.
    Failed = failed,
    /// Ended undialled because its request was cancelled.
    Cancelled = cancelled,
    /// Ended undialled because its time was over.
    Expired = expired,
    /// Ended undialled because a rule forbade the dial.
    Blocked = blocked,
    /// Dialled; what became of it cannot be learnt.
    Unknown = unknown,
}

impl CallStatus {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::OnProgress | Self::RetryScheduled)
    }

    /// The final status of a call whose last attempt, or refusal, ended so.
    pub const fn after(result: DispositionResult) -> Self {
        match result {
            DispositionResult::Answered => Self::Completed,
            DispositionResult::Cancelled => Self::Cancelled,
            DispositionResult::Blocked => Self::Blocked,
            DispositionResult::Expired => Self::Expired,
            DispositionResult::Unknown => Self::Unknown,
            DispositionResult::Busy
            | DispositionResult::Unanswered
            | DispositionResult::Rejected
            | DispositionResult::Unreachable
            | DispositionResult::InvalidNumber
            | DispositionResult::Congestion => Self::Failed,
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum StepStatus {
    SuccessOk,
    ErrorConcurrentCallLimitReached,
    ErrorDestInvalid,
    ErrorDestNotSupported,
    ErrorCallerIdInvalid,
    ErrorRateLimitExceeded,
    ErrorMissingProperty,
    ErrorMsgTooLong,
    ErrorMsgCannotConvertText,
    ErrorMsgInvalidLanguage,
    ErrorSessionEnded,
    ErrorTimeout,
    ErrorInternal,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum TransferStatus {
    Ringing,
    Answered,
    Unanswered,
    Busy,
    Failed,
}

/// How far a call is, seen from its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum CallState {
    Ringing,
    Ongoing,
    Ended,
}

/// What became of the dial, in the reference's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are the contracts' and say what they mean")]
pub enum DialStatus {
    Answered,
    Unanswered,
    Busy,
    Failed,
    Cancelled,
    Unknown,
}

impl From<DispositionResult> for DialStatus {
    fn from(result: DispositionResult) -> Self {
        match result {
            DispositionResult::Answered => Self::Answered,
            DispositionResult::Unanswered => Self::Unanswered,
            DispositionResult::Busy => Self::Busy,
            DispositionResult::Cancelled => Self::Cancelled,
            DispositionResult::Unknown => Self::Unknown,
            DispositionResult::Rejected
            | DispositionResult::Unreachable
            | DispositionResult::InvalidNumber
            | DispositionResult::Congestion
            | DispositionResult::Blocked
            | DispositionResult::Expired => Self::Failed,
        }
    }
}

/// What Status says of one step of the flow. `path` is as published: below a sensitive gather, `*` stands for the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepLabel {
    /// `play`, `gather`, `transfer`, `hangup`, `optOut`.
    pub name: &'static str,
    /// Where it stands in the request, such as `callFlow.steps[1].branches[0].callFlow.steps[0]`.
    pub path: Box<str>,
    /// Whether it is a gather whose keys are shown.
    pub shows_keys: bool,
}

/// A request without its calls. `details` are added where Status is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestSummary {
    /// The request.
    pub request_id: RequestId,
    /// How far it is.
    pub status: RequestStatus,
    /// Destinations, duplicates not counted.
    pub total: u32,
    /// Destinations left out because their number stood there before.
    pub duplicates: u32,
    /// How many calls have which status.
    pub counts: Counts,
    /// SHA-256 of the frozen flow, hexadecimal; null if it was never accepted.
    pub flow_hash: Option<String>,
    /// Why it was refused: the first hundred.
    pub errors: Vec<RequestError>,
    /// How many errors there were in all.
    pub error_count: u32,
    /// Why it was refused; null if it was not.
    pub reason: Option<RejectReason>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RejectReason {
    /// It breaks the contracts.
    Invalid,
    /// Another request of that id exists.
    Conflict,
    /// It is larger than a message may be.
    TooLarge,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestError {
    /// Where, such as `destinations[3].phone`; empty for the document itself.
    pub path: String,
    /// What, and what would be right.
    pub message: String,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// One destination in a Status answer.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallEntry<'a> {
    /// The request.
    pub request_id: &'a RequestId,
    /// The call.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub call_id: super::CallId,
    /// Place in the request, from 0.
    pub index: u32,
    /// The number shown to the callee; null where the backend chose.
    pub caller: Option<Phone>,
    /// The number dialled.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub destination: &'a Number,
    /// The submitter's own name for it.
    pub external_id: Option<&'a str>,
    /// How far the call is.
    pub status: CallStatus,
    /// Which dial of the call this is; 0 before the first.
    pub attempt: u32,
    /// How the latest attempt ended.
    pub disposition: Option<Disposition>,
    /// Who picked up.
    #[serde(rename = "answered_by")]
    pub answered_by: Option<AnsweredBy>,
    /// When the request was sealed.
    pub queued_at: Timestamp,
    /// When the latest attempt was dialled.
    pub dialed_at: Option<Timestamp>,
    /// When the latest attempt was answered.
    pub answered_at: Option<Timestamp>,
    /// When the latest attempt, or the call without one, ended.
    pub ended_at: Option<Timestamp>,
    /// Where the recording is kept.
    pub recording_url: Option<&'a str>,
    /// Every dial, in order.
    pub attempts: Vec<AttemptEntry<'a>>,
    /// The steps of the latest attempt, in order.
    pub call_flow_steps: Vec<StepEntry<'a>>,
    /// The legs of the latest attempt.
    pub monitor_data: Vec<LegEntry<'a>>,
}

/// One dial of a call.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptEntry<'a> {
    /// Which dial, from 1.
    pub attempt: u32,
    /// The trunk it left through.
    pub trunk: Option<&'a str>,
    /// How it ended; null while it has not.
    pub disposition: Option<Disposition>,
    /// When it was dialled.
    pub dialed_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One step as executed.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepEntry<'a> {
    /// `play`, `gather`, `transfer`, `hangup`, `optOut`.
    pub step_name: &'a str,
    /// Where the step stands in the request.
    pub path: &'a str,
    /// What became of it.
    pub info: StepInfo<'a>,
}

/// What became of a step.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct StepInfo<'a> {
    /// How far the call is.
    pub call_state: Option<CallState>,
    /// What became of the dial.
    pub call_status: Option<DialStatus>,
    /// How the step ended; null while it has not.
    pub status: Option<StepStatus>,
    /// The last key, empty if none; null if the step is not a gather or its keys are sensitive.
    #[serde(rename = "userPressedDigits")]
    pub user_pressed_digits: Option<&'a str>,
    /// The keys of all tries.
    pub keys: Option<&'a str>,
    /// How far the transfer is; null if the step is not one.
    pub transfer_status: Option<TransferStatus>,
    /// When it began.
    #[serde(rename = "startedAt")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(rename = "endedAt")]
    pub ended_at: Option<Timestamp>,
}

/// One leg of a call, for supervisors.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct LegEntry<'a> {
    /// The leg to attach to.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub uuid: LegId,
    /// What the leg is.
    #[serde(rename = "type")]
    pub role: LegRole,
    /// As dialled.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub dest: LegTarget<'a>,
}

/// Whom a leg leads to.
#[derive(Clone, Copy, Debug)]
pub enum LegTarget<'a> {
    /// The destination itself.
    Callee(&'a Number),
    /// As the flow or a command named it.
    Named(&'a str),
}

impl fmt::Display for LegTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LegTarget::Callee(number) => number.fmt(f),
            LegTarget::Named(text) => f.write_str(text),
        }
    }
}

fn display<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl<'a> CallEntry<'a> {
    /// The entry of a call whose history is `facts`.
    pub fn fold(context: &'a CallContext, hint: CallStatusHint, facts: &'a [Fact]) -> Self {
        let mut entry = Self {
            request_id: &context.header.id,
            call_id: context.call,
            index: context.destination.index,
            caller: context.destination.caller.or(context.header.caller),
            destination: &context.destination.number,
            external_id: context.destination.external_id.as_deref(),
            status: CallStatus::Queued,
            attempt: 0,
            disposition: None,
            answered_by: None,
            queued_at: context.queued_at,
            dialed_at: None,
            answered_at: None,
            ended_at: None,
            recording_url: None,
            attempts: Vec::new(),
            call_flow_steps: Vec::new(),
            monitor_data: Vec::new(),
        };
        for fact in facts {
            entry.apply(context, fact);
        }
        if let CallStatusHint::Stored(status) = hint {
            // An end that left no history: the whole request was cancelled or ran out of time.
            if status.is_final() && !entry.status.is_final() {
                entry.disposition = match status {
                    CallStatus::Cancelled => Some(Disposition::new(DispositionResult::Cancelled, None)),
                    CallStatus::Expired => Some(Disposition::new(DispositionResult::Expired, None)),
                    _ => entry.disposition,
                };
            }
            entry.status = status;
        }
        entry
    }

    fn apply(&mut self, context: &'a CallContext, fact: &'a Fact) {
        let at = fact.at;
        match &fact.what {
            Happening::Dialing { claim, attempt, caller, trunk, .. } => {
                self.status = CallStatus::OnProgress;
                self.attempt = *attempt;
                self.caller = *caller;
                (self.disposition, self.answered_by) = (None, None);
                (self.dialed_at, self.answered_at, self.ended_at) = (Some(at), None, None);
                self.recording_url = None;
                self.call_flow_steps.clear();
                self.attempts.push(AttemptEntry {
                    attempt: *attempt,
                    trunk: trunk.as_deref(),
                    disposition: None,
                    dialed_at: at,
                    ended_at: None,
                });
                let callee = LegId::callee(super::AttemptId { call: context.call, claim: *claim });
                self.monitor_data.clear();
                self.monitor_data.push(LegEntry {
                    uuid: callee,
                    role: LegRole::Callee,
                    dest: LegTarget::Callee(&context.destination.number),
                });
            }
            Happening::Ringing
            | Happening::CommandExecuted { .. }
            | Happening::Adopted { .. }
            | Happening::OptedOut => {}
            Happening::Answered => {
                self.answered_at = Some(at);
                self.answered_by = Some(AnsweredBy::Unknown);
            }
            Happening::PartyDetected(party) => self.answered_by = Some(*party),
            Happening::StepStarted { step } => self.begin_step(context, *step, at),
            Happening::StepFinished { step, status, keys, transfer } => {
                let Some(entry) = self.open_step(context, *step) else { return };
                entry.status = Some(*status);
                entry.ended_at = Some(at);
                entry.transfer_status = transfer.or(entry.transfer_status);
                if entry.keys.is_some() {
                    let keys = keys.as_deref().unwrap_or_default();
                    entry.keys = Some(keys);
                    entry.user_pressed_digits = Some(keys.get(keys.len().saturating_sub(1)..).unwrap_or_default());
                }
            }
            Happening::LegAdded { leg, dest } => {
                self.monitor_data.push(LegEntry { uuid: *leg, role: leg.role, dest: LegTarget::Named(dest) });
                self.set_transfer(*leg, TransferStatus::Ringing);
            }
            Happening::LegAnswered { leg } => self.set_transfer(*leg, TransferStatus::Answered),
            Happening::LegFailed { leg, .. } | Happening::LegRemoved { leg } => {
                self.monitor_data.retain(|entry| entry.uuid != *leg);
            }
            Happening::RecordingStarted { .. } => {}
            Happening::RecordingStopped { url } => self.recording_url = url.as_deref(),
            Happening::RetryScheduled { disposition, .. } => {
                self.finish_attempt(context, at, *disposition, None);
                self.status = CallStatus::RetryScheduled;
            }
            Happening::Ended { status, disposition, refusal } => {
                self.finish_attempt(context, at, *disposition, *refusal);
                self.status = *status;
            }
        }
    }

    fn begin_step(&mut self, context: &'a CallContext, step: u16, at: Timestamp) {
        let Some(label) = context.steps.get(usize::from(step)) else { return };
        let keys = label.shows_keys.then_some("");
        self.call_flow_steps.push(StepEntry {
            step_name: label.name,
            path: &label.path,
            info: StepInfo {
                call_state: Some(CallState::Ongoing),
                call_status: Some(DialStatus::Answered),
                status: None,
                user_pressed_digits: keys,
                keys,
                transfer_status: None,
                started_at: Some(at),
                ended_at: None,
            },
        });
    }

    fn open_step(&mut self, context: &CallContext, step: u16) -> Option<&mut StepInfo<'a>> {
        let label = context.steps.get(usize::from(step))?;
        let entry = self
            .call_flow_steps
            .iter_mut()
            .rev()
            .find(|entry| *entry.path == *label.path && entry.info.ended_at.is_none());
        entry.map(|entry| &mut entry.info)
    }

    fn set_transfer(&mut self, leg: LegId, status: TransferStatus) {
        if leg.role != LegRole::Transfer {
            return;
        }
        if let Some(step) = self.call_flow_steps.iter_mut().rev().find(|step| step.step_name == "transfer") {
            step.info.transfer_status = Some(status);
        }
    }

    fn finish_attempt(
        &mut self,
        context: &'a CallContext,
        at: Timestamp,
        disposition: Disposition,
        refusal: Option<StepStatus>,
    ) {
        self.disposition = Some(disposition);
        self.ended_at = Some(at);
        self.monitor_data.clear();
        if let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.ended_at.is_none()) {
            attempt.disposition = Some(disposition);
            attempt.ended_at = Some(at);
        }
        for step in &mut self.call_flow_steps {
            step.info.call_state = Some(CallState::Ended);
        }
        // Whoever asks after a call that was never answered finds its fate where the reference keeps it: in a step.
        if let (true, Some(label)) = (self.call_flow_steps.is_empty(), context.steps.first()) {
            let keys = label.shows_keys.then_some("");
            self.call_flow_steps.push(StepEntry {
                step_name: label.name,
                path: &label.path,
                info: StepInfo {
                    call_state: Some(CallState::Ended),
                    call_status: Some(disposition.result.into()),
                    status: Some(refusal.unwrap_or(match disposition.result {
                        DispositionResult::Blocked => StepStatus::ErrorDestNotSupported,
                        _ => StepStatus::ErrorSessionEnded,
                    })),
                    user_pressed_digits: keys,
                    keys,
                    transfer_status: None,
                    started_at: None,
                    ended_at: Some(at),
                },
            });
        }
    }
}
