//! A compiled flow: a flat list of steps in document order, each knowing what follows it.
//!
//! Nesting is gone after compilation, so the state of a call is one step's index and what goes on inside that step.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::model::status::StepLabel;
use crate::model::{LegRole, Phone};

/// Index of a step in its program; steps are numbered in document order, from 0.
pub type StepIndex = u16;

/// Index of a message in its program.
pub type MessageIndex = u16;

/// A compiled flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The steps in document order; a call begins with the first. Never empty.
    pub steps: Vec<Step>,
    /// Names and published paths of the steps, index by index.
    pub labels: Arc<[StepLabel]>,
    /// Every message of the flow, in document order.
    pub messages: Arc<[Message]>,
}

/// One node of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// What follows when it runs to its end; none: the flow ends. Of a gather: where its branches go on when they have
    /// run to their ends, which their own last steps know too.
    pub next: Option<StepIndex>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Speaks a message.
    Play {
        /// What is spoken.
        message: MessageIndex,
    },
    /// Speaks a message and waits for one key.
    Gather(Gather),
    /// Joins the callee with somebody else.
    Transfer(Transfer),
    /// Ends the call.
    Hangup,
    /// Puts the number on the do-not-call list, speaks its message and ends the call.
    OptOut {
        /// What is spoken afterwards, if anything.
        message: Option<MessageIndex>,
    },
}

/// A gather step.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// What is spoken before each try.
    pub message: MessageIndex,
    /// Tries in all, at least 1.
    pub tries: u32,
    /// How long to wait for a key after the message's end.
    pub timeout: Duration,
    /// Where each key leads, by key.
    pub branches: Vec<(Digit, StepIndex)>,
    /// Where to go after the last try without a known key; none: the flow ends.
    pub default: Option<StepIndex>,
    /// Whether the key must appear nowhere.
    pub sensitive: bool,
}

impl Gather {
    /// Where a key leads, if the gather knows it.
    pub fn branch(&self, digit: Digit) -> Option<StepIndex> {
        self.branches.iter().find(|(key, _)| *key == digit).map(|(_, step)| *step)
    }
}

/// A transfer step.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Whom to join.
    pub target: Target,
    /// What the target is called, for people.
    pub alias: Option<Box<str>>,
    /// How they are joined.
    pub kind: TransferKind,
    /// How long the target may ring, and how long a slot is waited for.
    pub ring_timeout: Duration,
    /// What the callee hears before the target is dialled.
    pub message: Option<MessageIndex>,
    /// What happens when nobody is reached.
    pub on_failure: OnFailure,
}

/// Whom a leg leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// A number of the public network; its leg needs a slot.
    External(Phone),
    /// `Ext:1000`: an extension of the telephony backend.
    Extension(Box<str>),
    /// `Queue:sales`: a queue of the telephony backend.
    Queue(Box<str>),
    /// `sip:user@host`.
    Sip(Box<str>),
}

impl Target {
    /// Whether its leg counts against the organisation's limit: supervisors are no calls of the organisation's.
    pub const fn needs_slot(&self, role: LegRole) -> bool {
        matches!(self, Target::External(_)) && !matches!(role, LegRole::Supervisor)
    }

    /// As `monitorData.dest` shows it: `+65…`, `1000`, `Queue:sales`, `sip:user@host`.
    pub fn as_dialled(&self) -> String {
        match self {
            Target::External(phone) => phone.to_string(),
            Target::Extension(number) => number.to_string(),
            Target::Queue(name) => format!("Queue:{name}"),
            Target::Sip(uri) => uri.to_string(),
        }
    }
}

/// How a transfer joins callee and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TransferKind {
    /// A second leg is dialled, then bridged with the callee's.
    #[default]
    Attended,
    /// The callee's leg is handed to the backend.
    Blind,
}

/// What happens when a transfer reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// The call ends.
    #[default]
    Hangup,
    /// The flow goes on after the transfer.
    Continue,
}

/// A key of a telephone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digit(u8);

impl Digit {
    /// From `0`-`9`, `*` or `#`.
    pub const fn new(key: char) -> Option<Self> {
        match key {
            '0'..='9' | '*' | '#' => Some(Self(key as u8)),
            _ => None,
        }
    }

    /// The key's face.
    pub const fn as_char(self) -> char {
        self.0 as char
    }
}

impl std::fmt::Debug for Digit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.as_char())
    }
}

/// Something that is spoken or played.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Where it stands in the request, such as `callFlow.steps[0].message`; as published, like [`StepLabel::path`].
    pub path: Box<str>,
    /// What is heard.
    pub content: Content,
    /// With which voice; messages of the same voice share it.
    pub voice: Arc<Voice>,
    /// As everybody hears it; none if it differs from destination to destination.
    pub(super) shared: Option<Utterance>,
}

/// What is heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text with placeholders.
    Text(Template),
    /// A recorded file, by name.
    Media(Arc<str>),
}

/// A voice to speak with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Voice {
    /// BCP 47.
    pub language: Box<str>,
    /// Male or female.
    pub gender: Gender,
    /// 0 (lowest) to 9 (highest).
    pub pitch: u8,
    /// 0 (slowest) to 9 (fastest).
    pub rate: u8,
}

/// A voice's gender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Gender {
    /// The default.
    #[default]
    Female,
    /// The other one on offer.
    Male,
}

/// A message made ready for one destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Utterance {
    /// Text without placeholders.
    Text {
        /// What is spoken; a message without placeholders is shared by all destinations.
        text: Arc<str>,
        /// With which voice.
        voice: Arc<Voice>,
    },
    /// A recorded file.
    Media(Arc<str>),
}
