//! Destinations that share a clock: what of them was not claimed yet, and what waits for another dial.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::record::{Origin, read};
use crate::model::request::WindowZone;
use crate::model::{CallingWindow, Timestamp};
use crate::policy::window::{self, WindowState};

/// Later than anything that will happen.
pub(super) const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Destinations as they were loaded.
pub(super) struct StoredChunk {
    /// Which lane of its request it belongs to.
    pub lane: u32,
    /// The destinations one after the other; each begins with its index within its part.
    pub bytes: Box<[u8]>,
    /// What is added to the indices of its part.
    pub base: u32,
}

/// Destinations of one request that share a clock.
pub(super) struct Lane {
    /// The clocks by which the calling window must be open, all of them; without any it never is.
    zones: Vec<TimeZone>,
    /// Its chunks, in file order.
    pub chunks: Vec<u32>,
    /// Which of its chunks is being claimed from, and from which byte on.
    cursor: (usize, usize),
    /// Claimed and given back.
    pub returned: BTreeSet<u32>,
    /// Waiting for another dial.
    pub retries: BTreeSet<(Timestamp, u32)>,
    /// What the window was when last asked.
    window: WindowState,
}

/// What a lane can give, and when that changes by itself.
pub(super) struct Outlook {
    pub claimable: bool,
    pub next: Timestamp,
}

impl Lane {
    /// A lane of destinations that share the clocks of `recipients`, which count where the window asks for them.
    pub fn new(window: Option<&CallingWindow>, recipients: &[Box<str>]) -> Self {
        let names = match window.map(|window| &window.time_zone) {
            None => &[],
            Some(WindowZone::Named(name)) => std::slice::from_ref(name),
            Some(WindowZone::Recipient) => recipients,
        };
        // Whoever wrote a zone that nobody knows was told so at intake; were one here all the same, nobody is called.
        let zones: Result<Vec<_>, _> = names.iter().map(|name| window::zone(name)).collect();
        Self {
            zones: zones.unwrap_or_default(),
            chunks: Vec::new(),
            cursor: (0, 0),
            returned: BTreeSet::new(),
            retries: BTreeSet::new(),
            window: WindowState::Closed { until: Timestamp::from_millis(i64::MIN) },
        }
    }

    /// Whether its people may be called, and until when that holds.
    pub fn window(&mut self, window: Option<&CallingWindow>, now: Timestamp) -> WindowState {
        let Some(window) = window else { return WindowState::Open { until: NEVER } };
        if self.window.until() <= now {
            self.window = window::state(window, &self.zones, now);
        }
        self.window
    }

    /// The index in file order that comes next, if any is left.
    pub fn fresh(&self, chunks: &[StoredChunk]) -> Option<u32> {
        let head = self.head(chunks);
        let returned = self.returned.first().copied();
        match (head, returned) {
            (Some(head), Some(returned)) => Some(head.min(returned)),
            (head, returned) => head.or(returned),
        }
    }

    fn head(&self, chunks: &[StoredChunk]) -> Option<u32> {
        let chunk = &chunks[*self.chunks.get(self.cursor.0)? as usize];
        let (index, _): (u32, _) = read(&chunk.bytes[self.cursor.1..]);
        Some(chunk.base + index)
    }

    /// Notes that the index which [`Lane::fresh`] named is claimed; its destination takes `length` bytes.
    pub fn take_fresh(&mut self, index: u32, length: usize, chunks: &[StoredChunk]) {
        if self.returned.remove(&index) {
            return;
        }
        self.cursor.1 += length;
        let current = self.chunks.get(self.cursor.0).map_or(0, |chunk| chunks[*chunk as usize].bytes.len());
        if self.cursor.1 >= current {
            self.cursor = (self.cursor.0 + 1, 0);
        }
    }

    /// Takes a claimed index back to where it came from.
    pub fn put_back(&mut self, index: u32, origin: Origin) {
        match origin {
            Origin::Fresh => self.returned.insert(index),
            Origin::Retry { due } => self.retries.insert((due, index)),
        };
    }

    pub fn outlook(&self, window: WindowState, now: Timestamp, chunks: &[StoredChunk]) -> Outlook {
        let work = if self.fresh(chunks).is_some() {
            now
        } else {
            match self.retries.first() {
                Some((due, _)) => *due,
                None => return Outlook { claimable: false, next: NEVER },
            }
        };
        match window {
            WindowState::Open { .. } if work <= now => Outlook { claimable: true, next: NEVER },
            WindowState::Open { .. } => Outlook { claimable: false, next: work },
            WindowState::Closed { until } => Outlook { claimable: false, next: work.max(until) },
        }
    }

    /// Forgets all its work: nothing of it is to be dialled any more.
    pub fn clear(&mut self) {
        self.cursor = (self.chunks.len(), 0);
        self.returned.clear();
        self.retries.clear();
    }
}
