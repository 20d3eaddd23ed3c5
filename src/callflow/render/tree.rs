//! A flow as a tree of lines.

use super::outline::{Block, Node, Way, outline};
use super::{NOT_REACHED, OTHERWISE, one_line, summary};
use crate::callflow::program::{Action, Program};

/// Longer messages are cut.
const WORDS: usize = 72;

pub(super) fn text(program: &Program, title: &str) -> String {
    let mut lines = Lines { program, text: format!("{}\n", one_line(title)) };
    lines.block(&outline(program), "");
    lines.text
}

struct Lines<'p> {
    program: &'p Program,
    text: String,
}

impl Lines<'_> {
    /// The recursion is as deep as the outline.
    fn block(&mut self, block: &Block, indent: &str) {
        for (index, node) in block.nodes.iter().enumerate() {
            let last = index + 1 == block.nodes.len();
            self.line(indent, last, &self.describe(node));
            let below = format!("{indent}{}", if last { "   " } else { "│  " });
            for (index, way) in node.ways.iter().enumerate() {
                let last = index + 1 == node.ways.len();
                self.way(way, last, &below);
            }
        }
    }

    fn way(&mut self, way: &Way, last: bool, indent: &str) {
        let label = if way.label == OTHERWISE { OTHERWISE.to_owned() } else { format!("key {}", way.label) };
        match &way.block {
            Some(block) => {
                self.line(indent, last, &label);
                self.block(block, &format!("{indent}{}", if last { "   " } else { "│  " }));
            }
            None => self.line(indent, last, &format!("{label}: the call ends (error_timeout)")),
        }
    }

    fn line(&mut self, indent: &str, last: bool, words: &str) {
        self.text.push_str(indent);
        self.text.push_str(if last { "└─ " } else { "├─ " });
        self.text.push_str(words);
        self.text.push('\n');
    }

    fn describe(&self, node: &Node) -> String {
        let Some(step) = self.program.steps.get(node.step) else { return String::new() };
        let summary = summary(self.program, &step.action);
        let mut words = summary.kind.to_owned();
        if let Some(spoken) = summary.words {
            words.push_str(&format!(" “{}”", cut(&spoken)));
        }
        if !summary.details.is_empty() {
            words.push_str(&format!(" · {}", summary.details.join(" · ")));
        }
        if matches!(step.action, Action::Transfer(_)) && node.goes_on {
            words.push_str(&format!(" · goes on if {NOT_REACHED}"));
        }
        if !node.reached {
            words.push_str(" · never reached");
        }
        words
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
