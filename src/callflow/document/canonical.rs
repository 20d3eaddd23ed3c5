//! The text a flow is frozen as: the same for all ways of writing the same flow, and readable again.

use std::time::Duration;

use serde_json::Value;

use super::{BranchNode, Flow, Node, Spoken};
use crate::callflow::program::Content;
use crate::callflow::schema::{
    BranchDocument, FlowDocument, GatherDocument, HangupDocument, MessageDocument, OptOutDocument, PlayDocument,
    StepDocument, TransferDocument,
};
use crate::reading::Problems;

/// The canonical JSON text of a flow: names sorted, defaults written out, spellings of one thing made one, so that a
/// later version with other defaults reads the same flow. What is not a valid flow is only sorted.
pub fn canonical(flow: &Value) -> String {
    match Flow::read(flow, "", &|_| true, &mut Problems::default()) {
        Some(flow) => flow.canonical(),
        None => sorted(flow),
    }
}

impl Flow {
    /// As [`canonical`], of a flow that has been read.
    pub fn canonical(&self) -> String {
        // Plain structs with string keys: serialising them cannot fail.
        serde_json::to_value(document(self)).map(|value| sorted(&value)).unwrap_or_default()
    }
}

pub(super) fn document(flow: &Flow) -> FlowDocument {
    FlowDocument { steps: flow.steps.iter().map(step).collect() }
}

fn step(node: &Node) -> StepDocument {
    match node {
        Node::Play { message: spoken } => StepDocument::Play(PlayDocument { message: message(spoken) }),
        Node::Gather(gather) => StepDocument::Gather(GatherDocument {
            message: message(&gather.message),
            max_retries: u8::try_from(gather.tries).ok(),
            timeout_secs: seconds(gather.timeout),
            sensitive: Some(gather.sensitive),
            branches: gather.branches.iter().map(branch).collect(),
        }),
        Node::Transfer(transfer) => StepDocument::Transfer(TransferDocument {
            destination: transfer.target.as_written(),
            alias: transfer.alias.as_deref().map(str::to_owned),
            transfer_type: Some(transfer.kind),
            ring_timeout_secs: seconds(transfer.ring_timeout),
            message: transfer.message.as_ref().map(message),
            on_failure: Some(transfer.on_failure),
        }),
        Node::Hangup => StepDocument::Hangup(HangupDocument {}),
        Node::OptOut { message: spoken } => {
            StepDocument::OptOut(OptOutDocument { message: spoken.as_ref().map(message) })
        }
    }
}

fn branch(branch: &BranchNode) -> BranchDocument {
    BranchDocument {
        digit: branch.digit.map(|digit| digit.as_char().to_string()),
        default: Some(branch.default),
        call_flow: document(&branch.flow),
    }
}

fn message(spoken: &Spoken) -> MessageDocument {
    let (msg, media) = match &spoken.content {
        Content::Text(template) => (Some(template.to_string()), None),
        Content::Media(name) => (None, Some(name.to_string())),
    };
    MessageDocument {
        msg,
        media,
        language: Some(spoken.voice.language.to_string()),
        lang: None,
        gender: Some(spoken.voice.gender),
        pitch: Some(spoken.voice.pitch),
        rate: Some(spoken.voice.rate),
    }
}

fn seconds(length: Duration) -> Option<u8> {
    u8::try_from(length.as_secs()).ok()
}

/// Compact JSON with sorted names, whatever order the map of the JSON library keeps.
fn sorted(value: &Value) -> String {
    let mut text = String::new();
    write_sorted(value, &mut text);
    text
}

fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_sorted(element, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}
