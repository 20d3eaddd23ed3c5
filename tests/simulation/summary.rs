//! What seeds amounted to: how often each thing was exercised.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    counts: BTreeMap<&'static str, u64>,
    /// A hash of every INVITE and event in order.
    pub trace: u64,
}

impl Summary {
    pub fn count(&mut self, what: &'static str, times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Adds another seed's.
    pub fn add(&mut self, other: &Summary) {
        for (what, times) in &other.counts {
            self.count(what, *times);
        }
        self.trace ^= other.trace;
    }

    /// One line for each thing.
    pub fn print(&self) {
        for (what, times) in &self.counts {
            println!("{times:>9}  {what}");
        }
    }
}
