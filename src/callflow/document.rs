//! A flow as it was written: a checked tree of steps, and the canonical text it is frozen as.
//!
//! It owns what a flow document may contain. What of it is executed is a [`super::Program`]; the shape on the wire is
//! [`super::schema`].

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::program::{Content, Digit, OnFailure, Target, TransferKind, Voice};
use super::schema::{FlowDocument, NAMED_FLOW_FIELDS};
use crate::reading::{Fields, Problems, kind_of, member};

mod canonical;
mod language;
mod message;
mod read;
mod target;

pub use canonical::canonical;
pub(super) use message::is_speakable;
pub use target::{InvalidTarget, LONGEST as LONGEST_TARGET, PATTERN as TARGET_PATTERN};

/// How deep flows may be nested, the outermost counted.
pub const MAX_DEPTH: usize = 16;

/// How many steps a flow may have, those of its branches counted.
pub const MAX_STEPS: usize = 256;

/// A checked flow, or the part of one that a branch leads to.
///
/// **Invariant:** made only by [`Flow::read`], so it has steps, and keeps to [`MAX_DEPTH`] and [`MAX_STEPS`].
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    pub(super) steps: Vec<Node>,
}

/// One step and what hangs from it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Play { message: Spoken },
    Gather(GatherNode),
    Transfer(TransferNode),
    Hangup,
    OptOut { message: Option<Spoken> },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct GatherNode {
    pub message: Spoken,
    pub tries: u32,
    pub timeout: Duration,
    pub sensitive: bool,
    pub branches: Vec<BranchNode>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct BranchNode {
    pub digit: Option<Digit>,
    pub default: bool,
    pub flow: Flow,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct TransferNode {
    pub target: Target,
    pub alias: Option<Box<str>>,
    pub kind: TransferKind,
    pub ring_timeout: Duration,
    pub message: Option<Spoken>,
    pub on_failure: OnFailure,
}

/// A message, before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spoken {
    pub content: Content,
    pub voice: Arc<Voice>,
}

impl Node {
    /// The step's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Node::Play { .. } => "play",
            Node::Gather(_) => "gather",
            Node::Transfer(_) => "transfer",
            Node::Hangup => "hangup",
            Node::OptOut { .. } => "optOut",
        }
    }

    /// The step's message, if it has one.
    pub fn message(&self) -> Option<&Spoken> {
        match self {
            Node::Play { message } => Some(message),
            Node::Gather(gather) => Some(&gather.message),
            Node::Transfer(transfer) => transfer.message.as_ref(),
            Node::Hangup => None,
            Node::OptOut { message } => message.as_ref(),
        }
    }

    /// How many steps it is, with everything below it.
    pub fn size(&self) -> usize {
        match self {
            Node::Gather(gather) => 1 + gather.branches.iter().map(|branch| branch.flow.size()).sum::<usize>(),
            Node::Play { .. } | Node::Transfer(_) | Node::Hangup | Node::OptOut { .. } => 1,
        }
    }
}

impl Flow {
    /// How many steps it has, those of its branches counted.
    pub fn size(&self) -> usize {
        self.steps.iter().map(Node::size).sum()
    }

    /// Reads the document `{steps: […]}` that stands at `path`, noting everything that is wrong with it. `speaks` says
    /// whether a voice for a language (BCP 47) is to be had.
    pub fn read(flow: &Value, path: &str, speaks: &dyn Fn(&str) -> bool, problems: &mut Problems) -> Option<Self> {
        read::flow(flow, path, speaks, problems)
    }
}

/// What stands where a flow is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowReference<'v> {
    /// The flow itself.
    Steps,
    /// The name of a flow that is kept elsewhere; it contains only what is safe in a file name.
    Named(&'v str),
}

impl<'v> FlowReference<'v> {
    /// Tells `{steps: […]}` from `{flow: "name"}`. Of the steps nothing is checked yet.
    pub fn of(value: &'v Value, path: &str, problems: &mut Problems) -> Option<Self> {
        let Value::Object(map) = value else {
            problems.add(path, no_flow(value, true));
            return None;
        };
        let named = map.get("flow").is_some_and(|name| !name.is_null());
        if !named {
            return Some(Self::Steps);
        }
        if map.get("steps").is_some_and(|steps| !steps.is_null()) {
            problems.add(path, "has both `steps` and `flow`: give the steps or the name of a flow, not both");
            return None;
        }
        let before = problems.count();
        let mut fields = Fields::of(value, path, problems)?;
        let name = fields.required_string(NAMED_FLOW_FIELDS[0]);
        let unsafe_name = name.is_some_and(|name| !is_flow_name(name));
        if unsafe_name {
            fields.refuse("flow", "must be the name of a flow: 1 to 64 of a-z, 0-9, - and _");
        }
        fields.optional("steps");
        fields.finish();
        name.filter(|_| problems.count() == before).map(Self::Named)
    }
}

/// The complaint about a flow that is no object, with the shape it has; also that of a name, where one may stand.
fn no_flow(value: &Value, may_be_named: bool) -> String {
    let by_name = value.as_str().filter(|name| may_be_named && is_flow_name(name));
    let by_name = by_name.map(|name| format!(", or {{\"flow\": \"{name}\"}} for the flow of that name"));
    format!("must be an object, not {}: write {{\"steps\": […]}}{}", kind_of(value), by_name.unwrap_or_default())
}

/// Whether a flow may be kept under this name.
pub fn is_flow_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
}

/// The path of the flow that a gather's branch leads to.
pub(super) fn branch_flow_path(step_path: &str, branch: impl std::fmt::Display) -> String {
    member(&format!("{}[{branch}]", member(step_path, "branches")), "callFlow")
}

/// The wire form of a checked flow, with every default written out.
impl From<&Flow> for FlowDocument {
    fn from(flow: &Flow) -> Self {
        canonical::document(flow)
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
