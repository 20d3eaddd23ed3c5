//! A flow as the source of a graph, for Mermaid and Graphviz to lay out.

use std::fmt::Write as _;

use super::wrap::wrap;
use super::{END, NOT_REACHED, OTHERWISE, Summary, one_line, summary};
use crate::callflow::program::{Action, OnFailure, Program};

/// Lines of a box: so wide at a font size of 2, and so many.
const LINE: f32 = 44.0;
const LINES: usize = 4;

/// One arrow; without a target it leads to the end of the call.
struct Edge {
    from: usize,
    to: Option<usize>,
    label: Option<String>,
}

fn edges(program: &Program) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (from, step) in program.steps.iter().enumerate() {
        let next = step.next.map(usize::from);
        match &step.action {
            Action::Play { .. } => edges.push(Edge { from, to: next, label: None }),
            Action::Transfer(transfer) if transfer.on_failure == OnFailure::Continue => {
                edges.push(Edge { from, to: next, label: Some(NOT_REACHED.to_owned()) });
            }
            Action::Transfer(_) | Action::Hangup | Action::OptOut { .. } => {}
            Action::Gather(gather) => {
                let first = edges.len();
                let keys =
                    gather.branches.iter().map(|(digit, to)| (Some(usize::from(*to)), digit.as_char().to_string()));
                let ways = keys.chain([(gather.default.map(usize::from), OTHERWISE.to_owned())]);
                for (to, label) in ways {
                    match edges[first..].iter_mut().find(|edge| edge.to == to) {
                        Some(Edge { label: Some(known), .. }) => *known = format!("{known} · {label}"),
                        _ => edges.push(Edge { from, to, label: Some(label) }),
                    }
                }
            }
        }
    }
    // A program made by hand may lead anywhere; beyond the last step is the end.
    for edge in &mut edges {
        edge.to = edge.to.filter(|to| *to < program.steps.len());
    }
    edges
}

/// The lines of a step's box.
fn lines(summary: &Summary) -> Vec<String> {
    let mut lines = vec![summary.kind.to_owned()];
    if let Some(words) = &summary.words {
        lines.extend(wrap(words, LINE, 2.0, LINES));
    }
    if !summary.details.is_empty() {
        lines.extend(wrap(&summary.details.join(" · "), LINE, 2.0, LINES));
    }
    lines
}

pub(super) fn mermaid(program: &Program, title: &str) -> String {
    // A JSON string is a YAML string too.
    let mut text = format!("---\ntitle: {}\n---\nflowchart TD\n", serde_json::Value::from(one_line(title)));
    for (index, step) in program.steps.iter().enumerate() {
        let summary = summary(program, &step.action);
        let label = lines(&summary).iter().map(|line| mermaid_escaped(line)).collect::<Vec<_>>().join("<br>");
        let (open, close) = match step.action {
            Action::Play { .. } => ("(", ")"),
            Action::Gather(_) => ("{{", "}}"),
            Action::Transfer(_) => ("[[", "]]"),
            Action::Hangup | Action::OptOut { .. } => ("([", "])"),
        };
        let _ = writeln!(text, "    s{index}{open}\"{label}\"{close}:::{}", summary.kind);
    }
    let edges = edges(program);
    if edges.iter().any(|edge| edge.to.is_none()) {
        let _ = writeln!(text, "    ending([\"{END}\"]):::ending");
    }
    for edge in edges {
        let to = edge.to.map_or_else(|| "ending".to_owned(), |to| format!("s{to}"));
        let label = edge.label.map(|label| format!("|\"{}\"|", mermaid_escaped(&label))).unwrap_or_default();
        let _ = writeln!(text, "    s{} -->{label} {to}", edge.from);
    }
    for (kind, fill, stroke) in COLOURS {
        let _ = writeln!(text, "    classDef {kind} fill:{fill},stroke:{stroke},color:#1f2933");
    }
    text
}

/// Fill and line of each kind of box.
pub(super) const COLOURS: [(&str, &str, &str); 6] = [
    ("play", "#eef4ff", "#3b6fd4"),
    ("gather", "#fff6e5", "#c98a12"),
    ("transfer", "#e9f8f0", "#23875a"),
    ("hangup", "#f3f4f6", "#6b7280"),
    ("optOut", "#fdeeee", "#c24141"),
    ("ending", "#f3f4f6", "#6b7280"),
];

/// Everything but letters, digits and harmless marks as entities of Mermaid's, so that no text can become markup.
fn mermaid_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || !c.is_ascii() || " ,.:?!'-/$+%".contains(c) {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "#{};", u32::from(c));
        }
    }
    escaped
}

pub(super) fn dot(program: &Program, title: &str) -> String {
    let mut text = String::from("digraph flow {\n");
    let _ = writeln!(
        text,
        "    label={}; labelloc=t; fontname=\"Helvetica\"; fontsize=16;",
        dot_quoted(&[one_line(title)])
    );
    text.push_str("    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11];\n");
    text.push_str("    edge [fontname=\"Helvetica\", fontsize=10, color=\"#6b7280\"];\n");
    for (index, step) in program.steps.iter().enumerate() {
        let summary = summary(program, &step.action);
        let (_, fill, stroke) = COLOURS.iter().find(|(kind, ..)| *kind == summary.kind).unwrap_or(&COLOURS[0]);
        let shape = match step.action {
            Action::Gather(_) => ", shape=hexagon, style=filled",
            Action::Play { .. } | Action::Transfer(_) | Action::Hangup | Action::OptOut { .. } => "",
        };
        let label = dot_quoted(&lines(&summary));
        let _ = writeln!(text, "    s{index} [label={label}, fillcolor=\"{fill}\", color=\"{stroke}\"{shape}];");
    }
    let edges = edges(program);
    if edges.iter().any(|edge| edge.to.is_none()) {
        let _ = writeln!(text, "    ending [label=\"{END}\", shape=plaintext, style=\"\"];");
    }
    for edge in edges {
        let to = edge.to.map_or_else(|| "ending".to_owned(), |to| format!("s{to}"));
        let label = edge.label.map(|label| format!(" [label={}]", dot_quoted(&[label]))).unwrap_or_default();
        let _ = writeln!(text, "    s{} -> {to}{label};", edge.from);
    }
    text.push_str("}\n");
    text
}

/// A string of Graphviz': it knows escapes of its own behind backslashes, and entities behind ampersands.
fn dot_quoted(lines: &[String]) -> String {
    let escaped = lines.iter().map(|line| line.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;"));
    format!("\"{}\"", escaped.collect::<Vec<_>>().join("\\n"))
}
