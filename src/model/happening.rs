//! What happened in a call, in order: the only history there is.
//!
//! A call's record is its facts. Every event that leaves, and every Status entry that is shown, is a fold over a
//! beginning of them, so that an event published again after a crash says what it said the first time, and nothing
//! has to be stored twice.

use serde::{Deserialize, Serialize};

use super::{
    AnsweredBy, CallStatus, Disposition, EventType, KeyLabel, LegId, Phone, Private, StepStatus, Timestamp,
    TransferStatus, WorkerId,
};

/// Something that happened in a call, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub what: Happening,
}

/// How a dial leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// The number shown to the callee.
    pub caller: Option<Phone>,
    /// The trunk it takes, where the backend has several.
    pub trunk: Option<Box<str>>,
}

/// Something that happened in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// The attempt was committed to: an INVITE follows within a second, or never.
    Dialing {
        /// The attempt's claim number, which makes its id.
        claim: u32,
        /// Which dial of the call this is, from 1.
        attempt: u32,
        /// The number shown to the callee.
        caller: Option<Phone>,
        /// The trunk it left through, where the backend has several.
        trunk: Option<Box<str>>,
        /// Who dialled.
        worker: WorkerId,
    },
    /// The callee's phone rings.
    Ringing,
    /// The callee's leg is up.
    Answered,
    /// Machine detection has an answer. Not an event of its own: later events carry it.
    PartyDetected(AnsweredBy),
    /// A step of the flow began.
    StepStarted {
        /// Index into the flow's steps.
        step: u16,
    },
    /// A step of the flow ended.
    StepFinished {
        /// Index into the flow's steps.
        step: u16,
        /// How it ended.
        status: StepStatus,
        /// Keys of all tries of a gather, in order; none for other steps and for sensitive gathers.
        keys: Option<Box<str>>,
        /// How the transfer ended; none for other steps.
        transfer: Option<TransferStatus>,
    },
    /// A second leg was committed to.
    LegAdded {
        /// The leg.
        leg: LegId,
        /// As dialled: `+65…`, `1000`, `Queue:sales`.
        dest: Private,
    },
    /// The second leg was answered and joined to the callee. Not an event of its own.
    LegAnswered {
        /// The leg.
        leg: LegId,
    },
    /// A second leg did not come about.
    LegFailed {
        /// The leg.
        leg: LegId,
        /// How it ended.
        disposition: Disposition,
    },
    /// A second leg left.
    LegRemoved {
        /// The leg.
        leg: LegId,
    },
    /// Recording began.
    RecordingStarted {
        /// Where it is kept, or its name if that is nowhere.
        recording: Box<str>,
    },
    /// Recording ended.
    RecordingStopped {
        /// Where it is kept, if it is.
        url: Option<Box<str>>,
    },
    /// The number was put on the do-not-call list.
    OptedOut,
    /// Another worker took the call over. Not an event of its own.
    Adopted {
        /// The new owner.
        worker: WorkerId,
    },
    /// A command from outside was carried out.
    CommandExecuted {
        /// Its name, as in its routing key.
        command: Box<str>,
        /// Its id.
        id: Box<str>,
        /// Who gave it, if that is known.
        actor: Option<KeyLabel>,
        /// Of what was to be done, by which another command of its name is told from it; 0: not known.
        digest: u32,
    },
    /// The attempt ended, and another follows.
    RetryScheduled {
        /// How the attempt ended.
        disposition: Disposition,
        /// When the next dial is due.
        due: Timestamp,
    },
    /// The call ended.
    Ended {
        /// Its final status.
        status: CallStatus,
        /// How its last attempt, or the call without one, ended.
        disposition: Disposition,
        /// Why it was refused before it was answered, where a step's status says so.
        refusal: Option<StepStatus>,
    },
}

impl Happening {
    /// The event that tells of it; none for what only later events carry.
    pub fn event_type(&self) -> Option<EventType> {
        Some(match self {
            Happening::Dialing { .. } => EventType::CallDialing,
            Happening::Ringing => EventType::CallRinging,
            Happening::Answered => EventType::CallAnswered,
            Happening::StepStarted { .. } => EventType::StepStarted,
            Happening::StepFinished { .. } => EventType::StepFinished,
            Happening::LegAdded { .. } => EventType::LegAdded,
            Happening::LegFailed { .. } => EventType::LegFailed,
            Happening::LegRemoved { .. } => EventType::LegRemoved,
            Happening::RecordingStarted { .. } => EventType::RecordingStarted,
            Happening::RecordingStopped { .. } => EventType::RecordingStopped,
            Happening::OptedOut => EventType::CallOptedOut,
            Happening::CommandExecuted { .. } => EventType::CommandExecuted,
            Happening::RetryScheduled { .. } => EventType::CallRetryScheduled,
            Happening::Ended { .. } => EventType::CallEnded,
            Happening::PartyDetected(_) | Happening::LegAnswered { .. } | Happening::Adopted { .. } => return None,
        })
    }

    /// Whether an attempt is over with it.
    pub fn ends_attempt(&self) -> bool {
        matches!(self, Happening::RetryScheduled { .. } | Happening::Ended { .. })
    }
}

/// How many events a beginning of a call's history makes; the next event's `seq`, counted from 1, is one more.
pub fn events_in(facts: &[Fact]) -> u32 {
    u32::try_from(facts.iter().filter(|fact| fact.what.event_type().is_some()).count()).unwrap_or(u32::MAX)
}

/// Who carried the latest attempt of a history last; none if nothing was dialled yet. It does not depend on who
/// publishes.
pub fn carried_by(facts: &[Fact]) -> Option<&WorkerId> {
    facts.iter().rev().find_map(|fact| match &fact.what {
        Happening::Dialing { worker, .. } | Happening::Adopted { worker } => Some(worker),
        _ => None,
    })
}

/// Who dialled the latest attempt of a history: the worker in whose name the backend reports on its legs.
pub fn dialled_by(facts: &[Fact]) -> Option<&WorkerId> {
    facts.iter().rev().find_map(|fact| match &fact.what {
        Happening::Dialing { worker, .. } => Some(worker),
        _ => None,
    })
}
