//! Where the boxes and lines of a picture go.
//!
//! A list of steps is a column; the ways out of a gather are columns side by side below it, and join again below the
//! longest. So no line ever crosses another.

use super::outline::{Block, Node, Way};
use super::wrap::{width, wrap};
use super::{END, NOT_REACHED, summary};
use crate::callflow::program::{Action, Program};

pub(super) const FONT: f32 = 13.0;
pub(super) const SMALL: f32 = 11.0;
pub(super) const LINE: f32 = 18.0;
pub(super) const BOX: f32 = 260.0;
pub(super) const PAD: f32 = 16.0;
pub(super) const PILL: f32 = 22.0;
const WORDS: usize = 3;
/// Between a box and the next one below.
const GAP: f32 = 36.0;
/// Between a gather and its ways: down to the line across, past the label, to the arrow's tip.
const FAN: f32 = 80.0;
const ACROSS: f32 = 20.0;
/// Between the longest way and where the ways are one again.
const JOIN: f32 = 24.0;
const BESIDE: f32 = 28.0;
/// Below a last step that needs words beside its line.
const TAIL: f32 = 22.0;

/// A point.
pub(super) type Point = (f32, f32);

/// Something drawn, in its final place.
pub(super) enum Shape {
    /// A step.
    Step {
        index: usize,
        kind: &'static str,
        corner: Point,
        height: f32,
        words: Vec<String>,
        details: Vec<String>,
        reached: bool,
    },
    /// Where the call ends without a step; given by its centre.
    Ending { centre: Point, width: f32, words: &'static str },
    /// A label on a line; given by its centre.
    Label { centre: Point, width: f32, words: String },
    /// Words to the right of a line.
    Beside { start: Point, words: &'static str },
    /// A line along points, with an arrow at its end or without.
    Line { points: Vec<Point>, arrow: bool },
}

/// A whole picture.
pub(super) struct Picture {
    pub width: f32,
    pub height: f32,
    pub shapes: Vec<Shape>,
}

/// Lays a flow out below `top`, within a picture at least `least` wide.
pub(super) fn lay_out(program: &Program, outline: &Block, top: f32, margin: f32, least: f32) -> Picture {
    let column = Column::of(program, outline);
    let width = (column.width + 2.0 * margin).max(least);
    let mut pen = Pen { shapes: Vec::new() };
    let mut bottom = top + column.height;
    if let Some((x, y)) = pen.column(column, width / 2.0, top) {
        let tip = y + GAP;
        pen.line(vec![(x, y), (x, tip)], true);
        pen.shapes.push(Shape::Ending { centre: (x, tip + PILL / 2.0), width: ending_width(END), words: END });
        bottom = tip + PILL;
    }
    Picture { width, height: bottom + margin, shapes: pen.shapes }
}

fn ending_width(words: &str) -> f32 {
    width(words, SMALL) + 24.0
}

fn label_width(words: &str) -> f32 {
    (width(words, SMALL) + 16.0).max(PILL)
}

const CALL_ENDS: &str = "call ends";

/// Details side by side, broken between two of them where possible.
fn wrap_details(details: &[String], room: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for detail in details {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} · {detail}"), SMALL) <= room => *line = format!("{line} · {detail}"),
            _ => lines.extend(wrap(detail, room, SMALL, 2)),
        }
    }
    lines
}

/// A measured list of steps.
struct Column {
    cells: Vec<Cell>,
    width: f32,
    height: f32,
}

/// A measured step with everything below it.
struct Cell {
    shape: Shape,
    box_height: f32,
    height: f32,
    lanes: Vec<Lane>,
    lanes_width: f32,
    reached: bool,
    goes_on: bool,
    beside: Option<&'static str>,
}

/// A measured way out of a gather.
struct Lane {
    label: String,
    column: Option<Column>,
    width: f32,
}

impl Column {
    /// The recursion is as deep as the outline.
    fn of(program: &Program, block: &Block) -> Self {
        let cells: Vec<Cell> = block.nodes.iter().filter_map(|node| Cell::of(program, node)).collect();
        let gaps = GAP * cells.len().saturating_sub(1) as f32;
        let tail = if cells.last().is_some_and(|cell| cell.beside.is_some()) { TAIL } else { 0.0 };
        let height = cells.iter().map(|cell| cell.height).sum::<f32>() + gaps + tail;
        let width = cells.iter().map(|cell| cell.lanes_width).fold(BOX, f32::max);
        Self { cells, width, height }
    }
}

impl Cell {
    fn of(program: &Program, node: &Node) -> Option<Self> {
        let action = &program.steps.get(node.step)?.action;
        let summary = summary(program, action);
        let room = BOX - 2.0 * PAD;
        let words = summary.words.map(|words| wrap(&format!("“{words}”"), room, FONT, WORDS)).unwrap_or_default();
        let details = wrap_details(&summary.details, room);
        let box_height = 2.0 * PAD + LINE * (words.len() + details.len()) as f32 + SMALL - 2.0;
        let lanes: Vec<Lane> = node.ways.iter().map(|way| Lane::of(program, way)).collect();
        let lanes_width =
            lanes.iter().map(|lane| lane.width).sum::<f32>() + BESIDE * lanes.len().saturating_sub(1) as f32;
        let mut height = box_height;
        if !lanes.is_empty() {
            height += FAN + lanes.iter().map(Lane::height).fold(0.0, f32::max);
            height += if node.goes_on { JOIN } else { 0.0 };
        }
        Some(Self {
            shape: Shape::Step {
                index: node.step,
                kind: summary.kind,
                corner: (0.0, 0.0),
                height: box_height,
                words,
                details,
                reached: node.reached,
            },
            box_height,
            height,
            lanes,
            lanes_width,
            reached: node.reached,
            goes_on: node.goes_on,
            beside: (matches!(action, Action::Transfer(_)) && node.goes_on).then_some(NOT_REACHED),
        })
    }
}

impl Lane {
    fn of(program: &Program, way: &Way) -> Self {
        let column = way.block.as_ref().map(|block| Column::of(program, block));
        let below = column.as_ref().map_or(ending_width(CALL_ENDS), |column| column.width);
        Self { label: way.label.clone(), width: below.max(label_width(&way.label)), column }
    }

    fn height(&self) -> f32 {
        self.column.as_ref().map_or(PILL, |column| column.height)
    }
}

struct Pen {
    shapes: Vec<Shape>,
}

impl Pen {
    fn line(&mut self, points: Vec<Point>, arrow: bool) {
        self.shapes.push(Shape::Line { points, arrow });
    }

    /// Draws a list around the vertical line `centre`; returns where the call leaves it.
    fn column(&mut self, column: Column, centre: f32, top: f32) -> Option<Point> {
        let mut y = top;
        let mut exit: Option<(Point, Option<&'static str>)> = None;
        for (index, cell) in column.cells.into_iter().enumerate() {
            if index > 0 {
                y += GAP;
            }
            if let Some((from, beside)) = exit.take().filter(|_| cell.reached) {
                self.line(vec![from, (centre, y)], true);
                self.beside(from, beside);
            }
            let (height, beside, reached) = (cell.height, cell.beside, cell.reached);
            exit = self.cell(cell, centre, y).filter(|_| reached).map(|from| (from, beside));
            y += height;
        }
        let (from, beside) = exit?;
        if beside.is_none() {
            return Some(from);
        }
        self.beside(from, beside);
        let end = (from.0, from.1 + TAIL);
        self.line(vec![from, end], false);
        Some(end)
    }

    fn beside(&mut self, (x, y): Point, words: Option<&'static str>) {
        self.shapes.extend(words.map(|words| Shape::Beside { start: (x + 10.0, y + 16.0), words }));
    }

    /// Draws a step and what is below it; returns where the call leaves it.
    fn cell(&mut self, cell: Cell, centre: f32, top: f32) -> Option<Point> {
        let mut shape = cell.shape;
        if let Shape::Step { corner, .. } = &mut shape {
            *corner = (centre - BOX / 2.0, top);
        }
        self.shapes.push(shape);
        let below = top + cell.box_height;
        if cell.lanes.is_empty() {
            return cell.goes_on.then_some((centre, below));
        }
        let tip = below + FAN;
        let end = top + cell.height;
        let mut left = centre - cell.lanes_width / 2.0;
        for lane in cell.lanes {
            let middle = left + lane.width / 2.0;
            left += lane.width + BESIDE;
            self.line(vec![(centre, below), (centre, below + ACROSS), (middle, below + ACROSS), (middle, tip)], true);
            let label = (middle, below + ACROSS + (FAN - ACROSS) / 2.0 - 4.0);
            self.shapes.push(Shape::Label { centre: label, width: label_width(&lane.label), words: lane.label });
            match lane.column {
                Some(column) => {
                    if let Some((x, y)) = self.column(column, middle, tip).filter(|_| cell.goes_on) {
                        self.line(vec![(x, y), (x, end), (centre, end)], false);
                    }
                }
                None => {
                    let centre = (middle, tip + PILL / 2.0);
                    self.shapes.push(Shape::Ending { centre, width: ending_width(CALL_ENDS), words: CALL_ENDS });
                }
            }
        }
        cell.goes_on.then_some((centre, end))
    }
}
