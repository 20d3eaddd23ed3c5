//! What a Status answer says of one destination, its attempts, steps and legs.

use std::fmt;

use serde::Serialize;

use super::{CallStatus, StepStatus, TransferStatus};
use crate::model::{
    AnsweredBy, CallId, Disposition, DispositionResult, LegId, LegRole, Number, Phone, RequestId, Timestamp,
};

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

/// One destination in a Status answer.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallEntry<'a> {
    /// The request.
    pub request_id: &'a RequestId,
    /// The call.
    #[serde(serialize_with = "display")]
    #[schemars(with = "String")]
    pub call_id: CallId,
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
    /// The transfer's leg, by which others' are told from it.
    #[serde(skip)]
    pub leg: Option<LegId>,
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

pub(in crate::model) fn display<T: fmt::Display, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
