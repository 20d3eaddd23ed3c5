//! Reads flows and their steps, every problem at once.
//!
//! Where something is wrong a stand-in is used and the reading goes on; the outcome is thrown away at the end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{
    BranchNode, Flow, GatherNode, MAX_DEPTH, MAX_STEPS, Node, Spoken, TransferNode, branch_flow_path, no_flow,
};
use crate::callflow::program::{Digit, OnFailure, Target, TransferKind, Voice};
use crate::callflow::schema::{BRANCH_FIELDS, FLOW_FIELDS, STEP_FIELDS};
use crate::reading::{Fields, Problems, did_you_mean, element, kind_of, member, nearest, shown_name, unknown_field};

const TRANSFER_TYPES: [(&str, TransferKind); 3] = [
    ("attended", TransferKind::Attended),
    ("blind", TransferKind::Blind),
    // The reference's own spelling.
    ("attendend", TransferKind::Attended),
];
const ON_FAILURE: [(&str, OnFailure); 2] = [("hangup", OnFailure::Hangup), ("continue", OnFailure::Continue)];
/// What elsewhere says which step it is.
const OTHER_NAMES: [&str; 3] = ["type", "verb", "action"];
const DEFAULT_TRIES: u32 = 3;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_RING_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Reader<'p> {
    pub problems: &'p mut Problems,
    pub speaks: &'p dyn Fn(&str) -> bool,
    pub voices: Vec<Arc<Voice>>,
    steps: usize,
}

pub(super) fn flow(value: &Value, path: &str, speaks: &dyn Fn(&str) -> bool, problems: &mut Problems) -> Option<Flow> {
    let before = problems.count();
    let mut reader = Reader { problems, speaks, voices: Vec::new(), steps: 0 };
    let flow = reader.flow(value, path.to_owned(), 1);
    flow.filter(|_| problems.count() == before)
}

impl Reader<'_> {
    /// A flow at a depth, the outermost is 1. The recursion ends at [`MAX_DEPTH`], whatever the document.
    fn flow(&mut self, value: &Value, path: String, depth: usize) -> Option<Flow> {
        if depth > MAX_DEPTH {
            self.problems.add(path, format!("flows are nested more than {MAX_DEPTH} deep"));
            return None;
        }
        if !value.is_object() {
            self.problems.add(path, no_flow(value, depth == 1));
            return None;
        }
        let mut fields = Fields::of(value, path, self.problems)?;
        let steps_path = fields.path_of("steps");
        if value.get("flow").is_some() && value.get("steps").is_none() {
            fields.refuse(
                "flow",
                "a flow can be named only as the whole of a request's callFlow; here its steps are needed",
            );
            return None;
        }
        let steps = fields.required("steps");
        close(fields, value, &FLOW_FIELDS, "a flow");
        let steps = match steps? {
            Value::Array(steps) if steps.is_empty() => {
                self.problems.add(steps_path, "must have at least one step");
                return None;
            }
            Value::Array(steps) => steps,
            other => {
                self.problems.add(steps_path, format!("must be an array, not {}", kind_of(other)));
                return None;
            }
        };
        let mut flow = Flow { steps: Vec::with_capacity(steps.len().min(MAX_STEPS)) };
        for (index, step) in steps.iter().enumerate() {
            let path = element(&steps_path, index);
            self.steps += 1;
            if self.steps > MAX_STEPS {
                // Said once; there is no use in reading a flow of a million steps to its end.
                if self.steps == MAX_STEPS + 1 {
                    self.problems.add(
                        path,
                        format!("is one step too many: a flow has at most {MAX_STEPS}, its branches counted"),
                    );
                }
                break;
            }
            flow.steps.extend(self.step(step, path, depth));
        }
        Some(flow)
    }

    fn step(&mut self, value: &Value, path: String, depth: usize) -> Option<Node> {
        let mut fields = Fields::of(value, path.clone(), self.problems)?;
        let other = OTHER_NAMES.into_iter().find(|other| value.get(other).is_some());
        if let (None, Some(other)) = (fields.optional("name"), other) {
            fields.refuse("name", format!("is missing: `{other}` is called `name` here"));
            return None;
        }
        let name = fields.required_string("name")?;
        let Some((kind, known)) = STEP_FIELDS.iter().find(|(kind, _)| *kind == name) else {
            let kinds = STEP_FIELDS.map(|(kind, _)| kind);
            let hint = did_you_mean(nearest(name, kinds));
            fields.refuse("name", format!("must be one of: {}{hint}", kinds.join(", ")));
            return None;
        };
        match *kind {
            "play" => {
                let message = fields.required("message");
                close(fields, value, known, "a play step");
                Some(Node::Play { message: self.message(message?, member(&path, "message"))? })
            }
            "gather" => self.gather(value, path, depth),
            "transfer" => self.transfer(value, path),
            "hangup" => {
                close(fields, value, known, "a hangup step");
                Some(Node::Hangup)
            }
            _ => {
                let message = fields.optional("message");
                close(fields, value, known, "an optOut step");
                Some(Node::OptOut { message: self.optional_message(message, &path) })
            }
        }
    }

    fn optional_message(&mut self, message: Option<&Value>, step: &str) -> Option<Spoken> {
        self.message(message?, member(step, "message"))
    }

    fn gather(&mut self, value: &Value, path: String, depth: usize) -> Option<Node> {
        let mut fields = Fields::of(value, path.clone(), self.problems)?;
        let message = fields.required("message");
        let tries = fields.integer("maxRetries", 1..=10).and_then(|tries| u32::try_from(tries).ok());
        let timeout = fields.integer("timeoutSecs", 1..=60).map(Duration::from_secs);
        let sensitive = fields.boolean("sensitive").unwrap_or(false);
        let branches = fields.required("branches");
        close(fields, value, fields_of("gather"), "a gather step");
        let message = message.and_then(|message| self.message(message, member(&path, "message")));
        let branches = branches.map(|branches| self.branches(branches, &path, depth)).unwrap_or_default();
        let (tries, timeout) = (tries.unwrap_or(DEFAULT_TRIES), timeout.unwrap_or(DEFAULT_TIMEOUT));
        Some(Node::Gather(GatherNode { message: message?, tries, timeout, sensitive, branches }))
    }

    fn branches(&mut self, value: &Value, step: &str, depth: usize) -> Vec<BranchNode> {
        let path = member(step, "branches");
        let branches = match value {
            Value::Array(branches) if branches.is_empty() => {
                self.problems.add(path, "must have at least one branch");
                return Vec::new();
            }
            Value::Array(branches) => branches,
            other => {
                self.problems.add(path, format!("must be an array, not {}", kind_of(other)));
                return Vec::new();
            }
        };
        let mut seen: Vec<(Digit, usize)> = Vec::new();
        let mut default: Option<usize> = None;
        let mut read = Vec::new();
        for (index, value) in branches.iter().enumerate() {
            let path = element(&path, index);
            let Some(mut fields) = Fields::of(value, path.clone(), self.problems) else { continue };
            let digit_given = fields.optional("digit").is_some();
            let digit = digit(&mut fields);
            match digit.and_then(|digit| seen.iter().find(|(other, _)| *other == digit)) {
                Some((_, first)) => fields.refuse("digit", format!("the key has a branch already: branches[{first}]")),
                None => seen.extend(digit.map(|digit| (digit, index))),
            }
            let default_given = fields.boolean("default");
            if default_given == Some(true) {
                match default {
                    Some(first) => {
                        fields.refuse("default", format!("there is a default branch already: branches[{first}]"))
                    }
                    None => default = Some(index),
                }
            } else if !digit_given && (default_given == Some(false) || fields.optional("default").is_none()) {
                fields.refuse("digit", "is missing: a branch needs a digit, or `default`: true");
            }
            let flow = fields.required("callFlow");
            close(fields, value, &BRANCH_FIELDS, "a branch");
            let flow = flow.and_then(|flow| self.flow(flow, branch_flow_path(step, index), depth + 1));
            read.extend(flow.map(|flow| BranchNode { digit, default: default_given == Some(true), flow }));
        }
        read
    }

    fn transfer(&mut self, value: &Value, path: String) -> Option<Node> {
        let mut fields = Fields::of(value, path.clone(), self.problems)?;
        let target = fields.required_string("destination").and_then(|text| match text.parse::<Target>() {
            Ok(target) => Some(target),
            Err(error) => {
                fields.refuse("destination", error.to_string());
                None
            }
        });
        let alias = fields.string("alias");
        if alias
            .is_some_and(|alias| alias.is_empty() || alias.chars().count() > 128 || alias.contains(char::is_control))
        {
            fields.refuse("alias", "must have 1 to 128 characters, without line breaks");
        }
        let kind = fields.word("transferType", &TRANSFER_TYPES).unwrap_or_default();
        let ring_timeout = fields.integer("ringTimeoutSecs", 1..=120).map_or(DEFAULT_RING_TIMEOUT, Duration::from_secs);
        let on_failure = fields.word("onFailure", &ON_FAILURE).unwrap_or_default();
        let message = fields.optional("message");
        close(fields, value, fields_of("transfer"), "a transfer step");
        let message = self.optional_message(message, &path);
        let alias = alias.map(Into::into);
        Some(Node::Transfer(TransferNode { target: target?, alias, kind, ring_timeout, message, on_failure }))
    }
}

fn digit(fields: &mut Fields) -> Option<Digit> {
    let value = fields.optional("digit")?;
    let mut keys = value.as_str().unwrap_or_default().chars();
    let digit = match (keys.next(), keys.next()) {
        (Some(key), None) => Digit::new(key),
        _ => None,
    };
    if digit.is_none() {
        let hint = if value.is_number() { ", as a string" } else { "" };
        fields.refuse("digit", format!("must be one key{hint}: \"0\" to \"9\", \"*\" or \"#\""));
    }
    digit
}

fn fields_of(kind: &str) -> &'static [&'static str] {
    STEP_FIELDS.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, fields)| fields)
}

/// Ends the reading of an object: what it must not have is a problem, and if another step may have it, that is said.
pub(super) fn close(fields: Fields, value: &Value, known: &[&'static str], what: &str) {
    let path = fields.path().to_owned();
    let names = value.as_object().into_iter().flat_map(|map| map.keys());
    for name in names.filter(|name| !known.contains(&name.as_str())) {
        let elsewhere =
            known.contains(&"name").then(|| STEP_FIELDS.iter().find(|(_, fields)| fields.contains(&name.as_str())));
        let message = match elsewhere.flatten() {
            Some((kind, _)) => format!("belongs to a {kind} step; {what} has no such field"),
            None => unknown_field(name, known.iter().copied()),
        };
        fields.problems.add(member(&path, shown_name(name)), message);
    }
}
