//! Compiles a flow: from the tree that was written to the flat program that is walked.

use std::sync::Arc;

use serde_json::Value;

use super::document::{Flow, GatherNode, Node, Spoken, branch_flow_path};
use super::program::{Action, Gather, Message, MessageIndex, Program, Step, StepIndex, Transfer};
use crate::model::status::StepLabel;
use crate::reading::{Problems, element, member};

/// Where the flow stands in a request.
pub const FLOW_PATH: &str = "callFlow";

/// Compiles the flow `{steps: […]}` that stands at `path`, or notes everything that is wrong with it. Any language is
/// accepted.
pub fn compile(flow: &Value, path: &str, problems: &mut Problems) -> Option<Program> {
    compile_for(flow, path, &|_| true, problems)
}

/// Like [`compile`], for an engine that speaks the languages (BCP 47) for which `speaks` is true.
pub fn compile_for(
    flow: &Value,
    path: &str,
    speaks: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<Program> {
    Some(Flow::read(flow, path, speaks, problems)?.compile(path))
}

/// A frozen flow that can no longer be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored flow cannot be read: {0}")]
pub struct CorruptFlow(String);

impl Program {
    /// The program of a flow's canonical text, as it was compiled when the text was made.
    ///
    /// # Errors
    /// When the text was not made by [`canonical`](super::document::canonical) from a valid flow.
    pub fn from_canonical(text: &str) -> Result<Self, CorruptFlow> {
        let flow: Value = serde_json::from_str(text).map_err(|error| CorruptFlow(error.to_string()))?;
        let mut problems = Problems::default();
        compile(&flow, FLOW_PATH, &mut problems).ok_or_else(|| {
            CorruptFlow(problems.first().first().map_or_else(|| "no reason noted".to_owned(), ToString::to_string))
        })
    }
}

impl Flow {
    /// The program of a flow that stands at `path`.
    pub fn compile(&self, path: &str) -> Program {
        let mut parts = Parts { steps: Vec::with_capacity(self.size()), labels: Vec::new(), messages: Vec::new() };
        parts.flow(self, path, None);
        Program { steps: parts.steps, labels: parts.labels.into(), messages: parts.messages.into() }
    }
}

#[derive(Debug)]
struct Parts {
    steps: Vec<Step>,
    labels: Vec<StepLabel>,
    messages: Vec<Message>,
}

impl Parts {
    /// Appends a flow; at its end the call goes on with `after`.
    fn flow(&mut self, flow: &Flow, path: &str, after: Option<StepIndex>) {
        let steps_path = member(path, "steps");
        for (place, node) in flow.steps.iter().enumerate() {
            let behind = self.steps.len() + node.size();
            let next = if place + 1 < flow.steps.len() { Some(index(behind)) } else { after };
            self.step(node, &element(&steps_path, place), next);
        }
    }

    fn step(&mut self, node: &Node, path: &str, next: Option<StepIndex>) {
        let shows_keys = matches!(node, Node::Gather(gather) if !gather.sensitive);
        self.labels.push(StepLabel { name: node.name(), path: path.into(), shows_keys });
        let message = node.message().map(|spoken| self.message(spoken, path));
        // Only play, gather and a transfer that may go on lead anywhere.
        let (action, next) = match (node, message) {
            (Node::Play { .. }, Some(message)) => (Action::Play { message }, next),
            (Node::Gather(gather), Some(message)) => return self.gather(gather, message, path, next),
            (Node::Transfer(transfer), message) => {
                let transfer = Transfer {
                    target: transfer.target.clone(),
                    alias: transfer.alias.clone(),
                    kind: transfer.kind,
                    ring_timeout: transfer.ring_timeout,
                    message,
                    on_failure: transfer.on_failure,
                };
                let goes_on = transfer.on_failure == super::program::OnFailure::Continue;
                (Action::Transfer(transfer), next.filter(|_| goes_on))
            }
            (Node::OptOut { .. }, message) => (Action::OptOut { message }, None),
            // A play or gather always has its message; were it otherwise, hanging up would be the least harm.
            (Node::Hangup | Node::Play { .. } | Node::Gather(_), _) => (Action::Hangup, None),
        };
        self.steps.push(Step { action, next });
    }

    fn gather(&mut self, gather: &GatherNode, message: MessageIndex, path: &str, next: Option<StepIndex>) {
        let mut first = self.steps.len() + 1;
        let (mut branches, mut default) = (Vec::with_capacity(gather.branches.len()), None);
        for branch in &gather.branches {
            branches.extend(branch.digit.map(|digit| (digit, index(first))));
            default = default.or(branch.default.then(|| index(first)));
            first += branch.flow.size();
        }
        let action = Action::Gather(Gather {
            message,
            tries: gather.tries,
            timeout: gather.timeout,
            branches,
            default,
            sensitive: gather.sensitive,
        });
        self.steps.push(Step { action, next });
        for (place, branch) in gather.branches.iter().enumerate() {
            // Which branch was taken tells which key was pressed: below a sensitive gather no path says it.
            let path = if gather.sensitive { branch_flow_path(path, '*') } else { branch_flow_path(path, place) };
            self.flow(&branch.flow, &path, next);
        }
    }

    fn message(&mut self, spoken: &Spoken, step_path: &str) -> MessageIndex {
        let number = index(self.messages.len());
        let path = member(step_path, "message").into();
        self.messages.push(Message::new(path, spoken.content.clone(), Arc::clone(&spoken.voice)));
        number
    }
}

/// A place in a list no longer than [`super::document::MAX_STEPS`], which every checked flow keeps to.
fn index(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
