//! A flow as an SVG picture that needs nothing else: no script, no style sheet, no font.

use std::fmt::Write as _;

use super::graph::COLOURS;
use super::layout::{BOX, FONT, LINE, PAD, PILL, Picture, Point, SMALL, Shape, lay_out};
use super::outline::outline;
use super::wrap::{width, wrap};
use super::{one_line, summary};
use crate::callflow::program::Program;

const MARGIN: f32 = 32.0;
const TITLE: f32 = 20.0;
const INK: &str = "#1f2933";
const FAINT: &str = "#5b6472";
const WIRE: &str = "#8a94a3";
/// How round the corners of lines are.
const ROUND: f32 = 8.0;

pub(super) fn svg(program: &Program, title: &str) -> String {
    let title = wrap(&one_line(title), 900.0, TITLE, 1).pop().unwrap_or_default();
    let least = width(&title, TITLE) + 2.0 * MARGIN;
    let picture = lay_out(program, &outline(program), MARGIN + TITLE + 28.0, MARGIN, least);
    let Picture { width, height, shapes } = picture;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" font-family=\"Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif\">\n"
    );
    let title = escaped(&title);
    let _ = writeln!(text, "<title>{title}</title>");
    let _ = writeln!(
        text,
        "<defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0.8 L9.4 5 L0 9.2 z\" fill=\"{WIRE}\"/></marker></defs>"
    );
    let _ = writeln!(text, "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>");
    let _ = writeln!(
        text,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\" font-size=\"{TITLE}\" font-weight=\"600\" fill=\"{INK}\">{title}</text>",
        width / 2.0,
        MARGIN + TITLE / 2.0
    );
    // Lines first, so that boxes and labels lie on top of them.
    let (lines, others): (Vec<&Shape>, Vec<&Shape>) =
        shapes.iter().partition(|shape| matches!(shape, Shape::Line { .. }));
    for shape in lines.into_iter().chain(others) {
        draw(program, shape, &mut text);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(program: &Program, shape: &Shape, text: &mut String) {
    match shape {
        Shape::Step { .. } => step(program, shape, text),
        Shape::Ending { centre, width, words } => {
            pill(*centre, *width, "#f3f4f6", WIRE, text);
            centred(*centre, words, FAINT, text);
        }
        Shape::Label { centre, width, words } => {
            pill(*centre, *width, "#ffffff", WIRE, text);
            centred(*centre, words, INK, text);
        }
        Shape::Beside { start: (x, y), words } => {
            let _ = writeln!(
                text,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{SMALL}\" font-style=\"italic\" fill=\"{FAINT}\">{}</text>",
                escaped(words)
            );
        }
        Shape::Line { points, arrow } => {
            let marker = if *arrow { " marker-end=\"url(#tip)\"" } else { "" };
            let _ = writeln!(
                text,
                "<path d=\"{}\" fill=\"none\" stroke=\"{WIRE}\" stroke-width=\"1.5\"{marker}/>",
                path(points)
            );
        }
    }
}

fn step(program: &Program, shape: &Shape, text: &mut String) {
    let Shape::Step { index, kind, corner: (x, y), height, words, details, reached } = shape else { return };
    let (_, fill, stroke) = COLOURS.iter().find(|(known, ..)| known == kind).unwrap_or(&COLOURS[0]);
    let dashed = if *reached { "" } else { " stroke-dasharray=\"5 4\" opacity=\"0.6\"" };
    let full = program.steps.get(*index).and_then(|step| summary(program, &step.action).words).unwrap_or_default();
    let place = program.labels.get(*index).map_or("", |label| &label.path);
    let _ = writeln!(
        text,
        "<g{}><title>{} {}</title>",
        if *reached { "" } else { " opacity=\"0.75\"" },
        escaped(place),
        escaped(&full)
    );
    let _ = writeln!(
        text,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{BOX}\" height=\"{height:.1}\" rx=\"10\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.2\"{dashed}/>"
    );
    let left = x + PAD;
    let mut baseline = y + PAD + SMALL - 2.0;
    let unreached = if *reached { "" } else { " · NEVER REACHED" };
    let _ = writeln!(
        text,
        "<text x=\"{left:.1}\" y=\"{baseline:.1}\" font-size=\"{SMALL}\" font-weight=\"700\" letter-spacing=\"0.8\" fill=\"{stroke}\">{}{unreached}</text>",
        spaced_name(kind)
    );
    let lines = words.iter().map(|line| (line, FONT, INK)).chain(details.iter().map(|line| (line, SMALL, FAINT)));
    for (line, size, colour) in lines {
        baseline += LINE;
        let _ = writeln!(
            text,
            "<text x=\"{left:.1}\" y=\"{baseline:.1}\" font-size=\"{size}\" fill=\"{colour}\">{}</text>",
            escaped(line)
        );
    }
    text.push_str("</g>\n");
}

/// The step's name as a heading.
fn spaced_name(kind: &str) -> String {
    if kind == "optOut" { "OPT OUT".to_owned() } else { kind.to_uppercase() }
}

fn pill((x, y): Point, width: f32, fill: &str, stroke: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{PILL}\" rx=\"{:.1}\" fill=\"{fill}\" stroke=\"{stroke}\"/>",
        x - width / 2.0,
        y - PILL / 2.0,
        PILL / 2.0
    );
}

fn centred((x, y): Point, words: &str, colour: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"{SMALL}\" fill=\"{colour}\">{}</text>",
        y + SMALL * 0.36,
        escaped(words)
    );
}

/// A line along points that turns in rounded corners.
fn path(points: &[Point]) -> String {
    let mut points = points.to_vec();
    points.dedup_by(|a, b| (a.0 - b.0).abs() < 0.5 && (a.1 - b.1).abs() < 0.5);
    let mut path = String::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| points.get(index)).copied();
        match (before, points.get(index + 1).copied()) {
            (None, _) => {
                let _ = write!(path, "M{x:.1} {y:.1}");
            }
            (Some(before), Some(after)) => {
                let (entry, exit) = (towards((x, y), before), towards((x, y), after));
                let _ = write!(path, " L{:.1} {:.1} Q{x:.1} {y:.1} {:.1} {:.1}", entry.0, entry.1, exit.0, exit.1);
            }
            (Some(_), None) => {
                let _ = write!(path, " L{x:.1} {y:.1}");
            }
        }
    }
    path
}

/// A little way from a corner towards another point, at most half of it.
fn towards((x, y): Point, (to_x, to_y): Point) -> Point {
    let length = (to_x - x).hypot(to_y - y);
    let share = if length > 0.0 { (ROUND / length).min(0.5) } else { 0.0 };
    (x + (to_x - x) * share, y + (to_y - y) * share)
}

/// Text for XML: markup as entities, and none of the characters that XML cannot contain.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
