//! What a submitter sees of the request reader: what it accepts, and the words with which it refuses.

mod destinations;
mod document;
mod header;
mod hostile;
mod parts;
mod same;
mod schema;
mod whole;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::callflow::program::{Action, Step as FlowStep};
use crate::model::{Destination, OrganisationId};
use crate::reading::kind_of;

/// Takes any object with steps for a flow that hangs up.
pub(super) struct AnyFlow;

impl FlowCompiler for AnyFlow {
    fn compile(&self, flow: &Value, path: &str, problems: &mut Problems) -> Option<CompiledFlow> {
        if flow.get("steps").is_none_or(|steps| steps.as_array().is_none_or(Vec::is_empty)) {
            problems.add(format!("{path}.steps"), format!("no steps in {}", kind_of(flow)));
            return None;
        }
        let steps = vec![FlowStep { action: Action::Hangup, next: None }];
        let program = Arc::new(Program { steps, labels: Arc::from([]), messages: Arc::from([]) });
        Some(CompiledFlow { canonical: flow.to_string(), program })
    }
}

pub(super) fn bank() -> OrganisationId {
    "bank".parse().unwrap()
}

/// Checks a document with the usual limits.
pub(super) fn checked(document: impl AsRef<[u8]>) -> Checked {
    check(document.as_ref(), &bank(), &AnyFlow, Limits::default())
}

pub(super) fn accepted(document: impl AsRef<[u8]>) -> AcceptedRequest {
    match checked(document) {
        Ok(accepted) => accepted,
        Err(CheckError::Refused(refused)) => panic!("refused: {:#?}", refused.problems),
        Err(CheckError::Unreadable(error)) => panic!("unreadable: {error}"),
    }
}

pub(super) fn refused(document: impl AsRef<[u8]>) -> RefusedRequest {
    match checked(document) {
        Err(CheckError::Refused(refused)) => {
            assert!(!refused.problems.is_empty(), "a refusal says why");
            refused
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// What is wrong with a document, as it is shown to people.
pub(super) fn complaints(document: impl AsRef<[u8]>) -> Vec<String> {
    refused(document).problems.first().iter().map(ToString::to_string).collect()
}

/// A request that is right, with `changes` laid over it; null takes a field away.
pub(super) fn request_with(changes: Value) -> Value {
    let mut request = json!({
        "requestId": "r1",
        "destinations": [{"phone": "+6588893322"}],
        "callFlow": {"steps": [{"name": "hangup"}]},
    });
    let fields = request.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    request
}

/// What is wrong with a right request that was changed so.
pub(super) fn complaints_about(changes: Value) -> Vec<String> {
    complaints(request_with(changes).to_string())
}

/// The header of a right request that was changed so.
pub(super) fn header_of(changes: Value) -> crate::model::RequestHeader {
    accepted(request_with(changes).to_string()).header
}

/// A document around the raw text of its destinations' elements.
pub(super) fn around(elements: &str, rest: &str) -> String {
    format!(r#"{{"requestId":"r1","callFlow":{{"steps":[1]}},"destinations":[{elements}]{rest}}}"#)
}

/// All destinations of an accepted document, taken `max` at a time.
pub(super) fn destinations_of(document: impl AsRef<[u8]>, max: usize) -> Vec<Destination> {
    let header = accepted(document.as_ref()).header;
    let mut stream = DestinationStream::new(document.as_ref(), &header, 0);
    let mut all = Vec::new();
    loop {
        let chunk = stream.next_chunk(max).unwrap();
        if chunk.is_empty() {
            return all;
        }
        assert!(chunk.len() <= max);
        all.extend(chunk);
    }
}
