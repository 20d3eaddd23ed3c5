//! What is allowed in a flow but hardly meant: diagnostics for whoever writes one.

use serde::Serialize;
use serde_json::Value;

use super::document::{Flow, GatherNode, Node, Spoken, branch_flow_path};
use super::program::{Content, OnFailure};
use super::template::{MAX_CHARS, Template};
use crate::reading::{Problems, element, member, nearest};

/// With placeholders, a text longer than this leaves them little room.
const CROWDED: usize = MAX_CHARS * 9 / 10;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The flow is refused.
    Error,
    /// Calls will go wrong, or not as it seems.
    Warning,
    /// Worth a look.
    Note,
}

/// Something about a flow that its author should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where, such as `callFlow.steps[1].branches`.
    pub path: String,
    /// What.
    pub message: String,
    /// What could be done about it.
    pub help: Option<String>,
}

/// Everything there is to say about the flow at `path`: its errors, or if there are none, what [`lint`] finds.
pub fn check(flow: &Value, path: &str, speaks: &dyn Fn(&str) -> bool, properties: Option<&[&str]>) -> Vec<Diagnostic> {
    let mut problems = Problems::default();
    if let Some(flow) = Flow::read(flow, path, speaks, &mut problems) {
        return lint(&flow, path, properties);
    }
    let errors = problems.into_parts().0.into_iter();
    let diagnostic = |severity, path, message| Diagnostic { severity, path, message, help: None };
    errors.map(|error| diagnostic(Severity::Error, error.path, error.message)).collect()
}

/// What is allowed in the flow at `path` but hardly meant, in document order. `properties` are the names that
/// destinations have, where they are known.
pub fn lint(flow: &Flow, path: &str, properties: Option<&[&str]>) -> Vec<Diagnostic> {
    let mut linter = Linter { properties, found: Vec::new() };
    linter.flow(flow, path);
    linter.found
}

#[derive(Debug)]
struct Linter<'k> {
    properties: Option<&'k [&'k str]>,
    found: Vec<Diagnostic>,
}

impl Linter<'_> {
    fn note(&mut self, severity: Severity, path: String, message: String, help: Option<String>) {
        self.found.push(Diagnostic { severity, path, message, help });
    }

    fn warn(&mut self, path: String, message: impl Into<String>, help: &str) {
        self.note(Severity::Warning, path, message.into(), Some(help.to_owned()));
    }

    /// Whether a call can come to the flow's end.
    fn flow(&mut self, flow: &Flow, path: &str) -> bool {
        let steps = member(path, "steps");
        let mut ended_by: Option<&Node> = None;
        let mut told = false;
        for (index, node) in flow.steps.iter().enumerate() {
            let path = element(&steps, index);
            if let Some(end) = ended_by.filter(|_| !told) {
                let (why, help) = why_ended(end);
                self.warn(path.clone(), format!("is never reached: {why}"), help);
                told = true;
            }
            if !self.step(node, &path) {
                ended_by = ended_by.or(Some(node));
            }
        }
        ended_by.is_none()
    }

    /// Whether a call can go on behind the step.
    fn step(&mut self, node: &Node, path: &str) -> bool {
        if let Some(message) = node.message() {
            self.message(message, &member(path, "message"));
        }
        match node {
            Node::Play { .. } => true,
            Node::Gather(gather) => self.gather(gather, path),
            Node::Transfer(transfer) => transfer.on_failure == OnFailure::Continue,
            Node::Hangup | Node::OptOut { .. } => false,
        }
    }

    fn gather(&mut self, gather: &GatherNode, path: &str) -> bool {
        let branches = member(path, "branches");
        let keys: Vec<char> = gather.branches.iter().filter_map(|branch| Some(branch.digit?.as_char())).collect();
        if keys.is_empty() {
            let message = format!(
                "no key leads anywhere: the message is spoken {} before the default branch is taken",
                times(gather.tries)
            );
            self.warn(branches.clone(), message, "give the branches digits, or use a play step");
        }
        if !gather.branches.iter().any(|branch| branch.default) {
            let message = format!(
                "no branch is the default: after {} without a known key the flow ends with error_timeout",
                if gather.tries == 1 { "1 try".to_owned() } else { format!("{} tries", gather.tries) }
            );
            self.warn(branches.clone(), message, "add `\"default\": true` to a branch");
        }
        if let Content::Text(text) = &gather.message.content {
            self.keys_spoken_of(text, &gather.message.voice.language, gather, path);
        }
        let mut goes_on = false;
        for (index, branch) in gather.branches.iter().enumerate() {
            goes_on |= self.flow(&branch.flow, &branch_flow_path(path, index));
        }
        goes_on
    }

    /// Compares the keys that a message offers with those that lead somewhere. Only what is certain is told.
    fn keys_spoken_of(&mut self, text: &Template, language: &str, gather: &GatherNode, path: &str) {
        let words: Vec<String> = text.literals().flat_map(words_of).collect();
        let english = language == "en" || language.starts_with("en-");
        let is_known =
            |key: char| gather.branches.iter().any(|branch| branch.digit.is_some_and(|d| d.as_char() == key));
        if english {
            let offered = words.windows(2).filter(|pair| pair[0] == "press").filter_map(|pair| key_of(&pair[1], true));
            for key in offered.filter(|key| !is_known(*key)).collect::<std::collections::BTreeSet<_>>() {
                let path = member(&member(path, "message"), "msg");
                self.warn(path, format!("offers key {key}, but no branch has it"), "add a branch, or change the text");
            }
        }
        let spoken = |key: char, spelled: bool| words.iter().any(|word| key_of(word, spelled) == Some(key));
        let keys = || gather.branches.iter().filter_map(|branch| branch.digit).map(|digit| digit.as_char());
        if !keys().any(|key| spoken(key, false)) {
            return;
        }
        for (index, branch) in gather.branches.iter().enumerate() {
            let Some(key) = branch.digit.map(|digit| digit.as_char()).filter(|key| key.is_ascii_digit()) else {
                continue;
            };
            if !spoken(key, english) {
                let path = member(&element(&member(path, "branches"), index), "digit");
                self.note(Severity::Note, path, format!("the message speaks of other keys, but not of {key}"), None);
            }
        }
    }

    fn message(&mut self, message: &Spoken, path: &str) {
        let Content::Text(text) = &message.content else { return };
        let path = member(path, "msg");
        let mut placeholders: Vec<&str> = Vec::new();
        for name in text.placeholders() {
            if !placeholders.contains(&name) {
                placeholders.push(name);
            }
        }
        if let Some(known) = self.properties {
            for name in placeholders.iter().filter(|name| !known.contains(name)) {
                let help = nearest(name, known.iter().copied()).map(|near| format!("did you mean {{{{{near}}}}}?"));
                let message = format!("no destination has a property `{name}`: calls fail with error_missing_property");
                self.note(Severity::Warning, path.clone(), message, help);
            }
        }
        let literal = text.literal_len();
        if literal > CROWDED && !placeholders.is_empty() {
            let message = format!("leaves {} of {MAX_CHARS} characters for its values", MAX_CHARS - literal);
            self.warn(path.clone(), message, "longer values fail with error_msg_too_long: shorten the text");
        }
        if text.literals().any(|literal| literal.contains(['{', '}'])) {
            self.warn(path, "has single braces, which are spoken as they stand", "a placeholder is written {{name}}");
        }
    }
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn why_ended(node: &Node) -> (&'static str, &'static str) {
    match node {
        Node::Transfer(_) => (
            "the flow ends with the transfer before it",
            "with `\"onFailure\": \"continue\"` the flow goes on when nobody is reached",
        ),
        Node::Gather(_) => ("every branch of the gather before it ends the call", "let a branch run to its end"),
        Node::OptOut { .. } => ("an optOut step ends the call", "speak with the optOut step's own message"),
        Node::Hangup | Node::Play { .. } => ("a hangup step ends the call", "remove one of the two"),
    }
}

/// The words of a text in small letters; `*` and `#` are words.
fn words_of(text: &str) -> Vec<String> {
    let spaced = text.replace('*', " * ").replace('#', " # ").to_lowercase();
    let words = spaced.split(|c: char| !c.is_alphanumeric() && c != '*' && c != '#');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The key that a word names: as its face, or spelled in English.
fn key_of(word: &str, spelled: bool) -> Option<char> {
    let mut chars = word.chars();
    if let (Some(key), None) = (chars.next(), chars.next()) {
        return "0123456789*#".contains(key).then_some(key);
    }
    const SPELLED: [(&str, char); 13] = [
        ("zero", '0'),
        ("one", '1'),
        ("two", '2'),
        ("three", '3'),
        ("four", '4'),
        ("five", '5'),
        ("six", '6'),
        ("seven", '7'),
        ("eight", '8'),
        ("nine", '9'),
        ("star", '*'),
        ("hash", '#'),
        ("pound", '#'),
    ];
    SPELLED.iter().find(|(name, _)| spelled && *name == word).map(|(_, key)| *key)
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
