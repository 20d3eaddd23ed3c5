//! The nesting of a program, found again: steps in lists, and lists below the ways out of a gather.

use super::OTHERWISE;
use crate::callflow::program::{Action, Gather, OnFailure, Program};

/// Steps one below the other.
#[derive(Debug)]
pub(super) struct Block {
    pub nodes: Vec<Node>,
}

/// A step and the ways out of it, if it is a gather.
#[derive(Debug)]
pub(super) struct Node {
    pub step: usize,
    pub ways: Vec<Way>,
    /// Whether a call can come here at all.
    pub reached: bool,
    /// Whether a call can go on behind it.
    pub goes_on: bool,
}

/// A way out of a gather.
#[derive(Debug)]
pub(super) struct Way {
    /// The keys that lead here, as a label.
    pub label: String,
    /// None: the call ends.
    pub block: Option<Block>,
}

/// How deep the outline goes; compiled flows stay far below, and a program made by hand is cut off.
const DEEPEST: usize = 32;

pub(super) fn outline(program: &Program) -> Block {
    block(program, 0, program.steps.len(), true, DEEPEST)
}

/// The list of steps from `start` on, all of it before `end`.
fn block(program: &Program, start: usize, end: usize, mut reached: bool, deepest: usize) -> Block {
    let mut nodes = Vec::new();
    let mut place = start;
    while place < end {
        let Some(step) = program.steps.get(place) else { break };
        let mut node = Node { step: place, ways: Vec::new(), reached, goes_on: true };
        place += 1;
        match &step.action {
            Action::Play { .. } => {}
            Action::Hangup | Action::OptOut { .. } => node.goes_on = false,
            Action::Transfer(transfer) => node.goes_on = transfer.on_failure == OnFailure::Continue,
            Action::Gather(gather) => {
                // What follows the gather stands right behind its branches, or outside of this list.
                let behind = step.next.map(usize::from).filter(|next| (place..end).contains(next)).unwrap_or(end);
                node.ways = ways(program, gather, place, behind, reached, deepest);
                node.goes_on = node.ways.iter().any(Way::goes_on);
                place = behind;
            }
        }
        reached &= node.goes_on;
        nodes.push(node);
    }
    Block { nodes }
}

fn ways(program: &Program, gather: &Gather, start: usize, end: usize, reached: bool, deepest: usize) -> Vec<Way> {
    let keys = gather.branches.iter().map(|(digit, target)| (usize::from(*target), digit.as_char().to_string()));
    let default = gather.default.map(|target| (usize::from(target), OTHERWISE.to_owned()));
    let mut targets: Vec<(usize, String)> = Vec::new();
    for (target, label) in keys.chain(default).filter(|(target, _)| (start..end).contains(target)) {
        match targets.iter_mut().find(|(known, _)| *known == target) {
            Some((_, labels)) => *labels = format!("{labels} · {label}"),
            None => targets.push((target, label)),
        }
    }
    targets.sort_by_key(|(target, _)| *target);
    let ends: Vec<usize> = targets.iter().skip(1).map(|(target, _)| *target).chain([end]).collect();
    let mut ways: Vec<Way> = Vec::with_capacity(targets.len() + 1);
    if deepest > 0 {
        ways.extend(targets.into_iter().zip(ends).map(|((target, label), end)| Way {
            label,
            block: Some(block(program, target, end, reached, deepest - 1)),
        }));
    }
    if gather.default.is_none() {
        ways.push(Way { label: OTHERWISE.to_owned(), block: None });
    }
    ways
}

impl Block {
    /// Whether a call can come to its end.
    pub fn goes_on(&self) -> bool {
        self.nodes.iter().all(|node| node.goes_on)
    }
}

impl Way {
    fn goes_on(&self) -> bool {
        self.block.as_ref().is_some_and(Block::goes_on)
    }
}
