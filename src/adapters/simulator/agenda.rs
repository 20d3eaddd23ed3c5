//! What will happen by itself, and when: one queue for all legs.
//!
//! **Invariant:** it holds nothing that will not happen; what is called off is removed at once, so that nobody is woken
//! for it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use crate::model::Timestamp;

/// Something that happens to a leg by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The leg has lived as long as it may.
    LifeOver,
    /// It has rung for as long as its caller wants.
    RingTimeout,
    /// The dial goes on: a first ring, an answer, a refusal.
    Progress,
    /// A playback has come to its end.
    PlaybackEnd,
    /// The far end presses a key.
    Key,
    /// The far end hangs up.
    Leave,
    /// The far end has had enough of the silence.
    TiredOfSilence,
    /// Machine detection has made up its mind.
    Verdict,
    /// The machine's beep is over.
    Beep,
}

impl Due {
    /// How many places a leg needs for what is due.
    pub(super) const PLACES: usize = 7;

    /// A leg's place for it. What is due only before the answer shares its place with what is due only after it.
    pub(super) const fn place(self) -> usize {
        match self {
            Due::LifeOver => 0,
            Due::RingTimeout | Due::PlaybackEnd => 1,
            Due::Progress | Due::Key => 2,
            Due::Leave => 3,
            Due::TiredOfSilence => 4,
            Due::Verdict => 5,
            Due::Beep => 6,
        }
    }
}

/// Names an entry: its time, then its place in the order of making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// When it is due.
    pub(super) at: Timestamp,
    order: NonZeroU64,
}

/// The queue. Legs are named by their fingerprints.
pub(super) struct Agenda {
    queue: BTreeMap<Entry, (u64, Due)>,
    next: NonZeroU64,
}

impl Agenda {
    pub(super) const fn new() -> Self {
        Self { queue: BTreeMap::new(), next: NonZeroU64::MIN }
    }

    /// Puts something on the queue.
    pub(super) fn put(&mut self, at: Timestamp, leg: u64, due: Due) -> Entry {
        let entry = Entry { at, order: self.next };
        self.next = self.next.saturating_add(1);
        self.queue.insert(entry, (leg, due));
        entry
    }

    /// Calls something off.
    pub(super) fn remove(&mut self, entry: Entry) {
        self.queue.remove(&entry);
    }

    /// When the next thing is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|(entry, _)| entry.at)
    }

    /// Takes the next thing that is due by `now`.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, u64, Due)> {
        let first = self.queue.first_entry().filter(|first| first.key().at <= now)?;
        let (entry, (leg, due)) = first.remove_entry();
        Some((entry.at, leg, due))
    }
}
