//! A request without its destinations: everything that holds for all of its calls.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CallId, DispositionResult, OrganisationId, Phone, RequestId, Timestamp, TraceParent};

/// The header of an accepted request, frozen at intake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHeader {
    /// The tenant it belongs to.
    pub organisation: OrganisationId,
    /// The submitter's name for it.
    pub id: RequestId,
    /// SHA-256 of the normalised request, destinations included (of one part, if in parts).
    pub content_hash: [u8; 32],
    /// The flow as a JSON document in canonical form; named flows are resolved before.
    pub flow: Arc<str>,
    /// SHA-256 of [`RequestHeader::flow`], as in the contracts' `flowHash`.
    pub flow_hash: [u8; 32],
    /// The number to show unless the destination names another.
    pub caller: Option<Phone>,
    /// Whether calls are recorded from the answer on.
    pub recording: bool,
    /// Nothing is dialled before.
    pub scheduled_at: Option<Timestamp>,
    /// Nothing is dialled after.
    pub expires_at: Option<Timestamp>,
    /// How long a callee's phone may ring.
    pub ring_timeout: Duration,
    /// How long a call may last from its answer, bridges included.
    pub max_call_duration: Duration,
    /// Which ends are tried again, and when.
    pub retry: RetryPolicy,
    /// When people may be called; none: always.
    pub calling_window: Option<CallingWindow>,
    /// What to do about answering machines.
    pub machine_detection: MachineDetection,
    /// 0-9, 9 first, between requests of one organisation.
    pub priority: u8,
    /// Where events are sent besides the organisation's own hooks.
    pub hooks: Vec<Hook>,
    /// Which part of a request in parts this is.
    pub part: Option<Part>,
    /// Whether the same number may be dialled more than once.
    pub allow_duplicates: bool,
    /// Whether bad numbers fail alone instead of rejecting the request.
    pub skip_invalid: bool,
    /// The call that it follows from.
    // Left out if there is none, as are other origins than campaigns: what earlier versions stored says nothing of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<CallId>,
    /// What it was made for.
    #[serde(default, skip_serializing_if = "CallType::is_campaign")]
    pub call_type: CallType,
    /// What it is a part of for whoever submitted it: of the message that it came in, not of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceParent>,
}

/// What a request was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CallType {
    /// To call whoever is on a list.
    #[default]
    Campaign,
    /// To call one person and say something.
    CallOut,
    /// To call one person at a time that was agreed on.
    Scheduled,
    /// To call somebody back.
    Callback,
}

impl CallType {
    /// Whether it is what requests are as a rule.
    pub const fn is_campaign(&self) -> bool {
        matches!(self, CallType::Campaign)
    }

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallType::Campaign => "campaign",
            CallType::CallOut => "callOut",
            CallType::Scheduled => "scheduled",
            CallType::Callback => "callback",
        }
    }
}

/// Which ends are tried again, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Dials in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Results after which another dial may follow.
    pub on: Vec<DispositionResult>,
    /// Waits before the second, third … dial; the last repeats.
    pub delays: Vec<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 1,
            on: vec![DispositionResult::Busy, DispositionResult::Unanswered, DispositionResult::Unreachable],
            delays: vec![Duration::from_secs(300), Duration::from_secs(900)],
        }
    }
}

/// Hours in which people may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallingWindow {
    /// Whose clock counts.
    pub time_zone: WindowZone,
    /// Days on which a window opens, Monday is 0; bit `1 << day`.
    pub days: u8,
    /// Minutes after midnight at which it opens.
    pub from_minute: u16,
    /// Minutes after midnight at which it closes; less than `from_minute`: on the next day.
    pub to_minute: u16,
}

/// Whose clock a calling window is read on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowZone {
    /// An IANA time zone.
    Named(Box<str>),
    /// The destination's own zone, else all zones of its prefix.
    Recipient,
}

/// What to do about answering machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MachineDetection {
    /// Do not look.
    #[default]
    Off,
    /// Hang up on a machine.
    Hangup,
    /// Note it and go on.
    Continue,
    /// Wait for the machine's beep, then go on.
    WaitForBeep,
}

/// A webhook of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Where to send.
    pub url: Box<str>,
    /// Which event types, without the `robocall.` prefix; empty: all.
    pub events: Vec<Box<str>>,
}

/// One part of a request in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}
