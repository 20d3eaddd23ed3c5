//! Flows as pictures: a tree of text, Mermaid, Graphviz, SVG.
//!
//! Everything a flow contains is foreign text here: each form escapes it in its own way. The work is linear in the
//! number of steps.

use super::program::{Action, Content, MessageIndex, Program, TransferKind};

mod graph;
mod layout;
mod outline;
mod svg;
mod tree;
mod wrap;

/// What a flow is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A tree of lines for a terminal.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
    /// A picture that needs nothing else.
    Svg,
}

/// Draws a flow.
pub fn render(program: &Program, title: &str, form: Form) -> String {
    match form {
        Form::Text => tree::text(program, title),
        Form::Mermaid => graph::mermaid(program, title),
        Form::Dot => graph::dot(program, title),
        Form::Svg => svg::svg(program, title),
    }
}

/// What a step says and does, in words.
struct Summary {
    kind: &'static str,
    /// The message, or what stands for it.
    words: Option<String>,
    /// What else matters, shortly.
    details: Vec<String>,
}

/// The words for the way that is taken when no known key came.
const OTHERWISE: &str = "otherwise";
/// The words for the way behind a transfer that reached nobody.
const NOT_REACHED: &str = "nobody reached";
/// The words for what follows the last step.
const END: &str = "end of call";

fn summary(program: &Program, action: &Action) -> Summary {
    let spoken = |message: &MessageIndex| words_of(program, *message);
    match action {
        Action::Play { message } => Summary { kind: "play", words: spoken(message), details: Vec::new() },
        Action::Gather(gather) => {
            let mut details = vec![
                if gather.tries == 1 { "1 try".to_owned() } else { format!("{} tries", gather.tries) },
                format!("{} s", gather.timeout.as_secs()),
            ];
            details.extend(gather.sensitive.then(|| "sensitive".to_owned()));
            Summary { kind: "gather", words: spoken(&gather.message), details }
        }
        Action::Transfer(transfer) => {
            let target = transfer.target.as_written();
            let mut details = vec![match &transfer.alias {
                Some(alias) => format!("to {} ({target})", one_line(alias)),
                None => format!("to {target}"),
            }];
            details.extend((transfer.kind == TransferKind::Blind).then(|| "blind".to_owned()));
            details.push(format!("rings {} s", transfer.ring_timeout.as_secs()));
            Summary { kind: "transfer", words: transfer.message.as_ref().and_then(spoken), details }
        }
        Action::Hangup => Summary { kind: "hangup", words: None, details: Vec::new() },
        Action::OptOut { message } => Summary {
            kind: "optOut",
            words: message.as_ref().and_then(spoken),
            details: vec!["never call again".to_owned()],
        },
    }
}

fn words_of(program: &Program, message: MessageIndex) -> Option<String> {
    let message = program.messages.get(usize::from(message))?;
    Some(match &message.content {
        Content::Text(template) => one_line(&template.to_string()),
        Content::Media(name) => format!("♪ {}", one_line(name)),
    })
}

/// Blanks of all kinds as single spaces; control characters, which no form can show, are left out. So are the marks
/// that turn the direction of the text around them.
fn one_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let visible: String = text.chars().filter(|c| c.is_whitespace() || !(c.is_control() || turns(*c))).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
