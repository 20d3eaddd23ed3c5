//! Takes the pieces of a request one by one and remembers what judging the whole will need.
//!
//! Fields may come in any order, so a destination can come before the word on whether bad ones are skipped: what was
//! found is kept in numbers and in the first problems, and decided on at the end.

use serde_json::{Map, Value};

use super::destination::{DestinationReader, Outcome};
use super::hashing::DestinationsHash;
use super::header::{Found, NAMES};
use super::phones::SeenPhones;
use super::scanner::{DESTINATIONS, Piece};
use super::strict;
use crate::model::Number;
use crate::reading::{Problems, element, shown_name, unknown_field};

/// What was found so far.
pub(super) struct Desk {
    max_destinations: u32,
    destinations: DestinationReader,
    pub(super) fields: Map<String, Value>,
    pub(super) found: Found,
    pub(super) tally: Tally,
    pub(super) hash: DestinationsHash,
    /// Wrong whatever the request says.
    pub(super) problems: Problems,
    /// Wrong unless the request skips bad destinations.
    pub(super) skippable: Problems,
}

/// Destinations by kind.
#[derive(Default)]
pub(super) struct Tally {
    seen: SeenPhones,
    pub(super) duplicates: u64,
    pub(super) invalid: u64,
}

impl Tally {
    pub(super) fn unique(&self) -> u64 {
        self.seen.len() as u64
    }
}

impl Desk {
    pub(super) fn new(max_destinations: u32) -> Self {
        Self {
            max_destinations,
            destinations: DestinationReader::default(),
            fields: Map::new(),
            found: Found::default(),
            tally: Tally::default(),
            hash: DestinationsHash::default(),
            problems: Problems::default(),
            skippable: Problems::default(),
        }
    }

    /// Takes one piece; whether it was a destination.
    pub(super) fn take(&mut self, piece: &Piece<'_>) -> bool {
        match piece {
            Piece::Field { name, raw, at } => {
                let Some(known) = NAMES.iter().find(|known| *known == name) else {
                    // A document may hold millions of them; to look for near names is not cheap.
                    let full = self.problems.is_full();
                    let message = if full { String::new() } else { unknown_field(name, NAMES) };
                    self.problems.add(shown_name(name), message);
                    return false;
                };
                if self.fields.contains_key(*known) || self.found.spoiled.contains(known) {
                    self.problems.add(*known, "is there twice");
                    return false;
                }
                match strict::parse(raw, known, *at, &mut self.problems) {
                    Some(value) => drop(self.fields.insert((*known).to_owned(), value)),
                    None => self.found.spoil(known),
                }
                false
            }
            Piece::Destinations => {
                self.found.listed = Some(0);
                false
            }
            Piece::Destination { index, raw, at } => {
                self.found.listed = Some(index + 1);
                match self.destinations.read(raw, *index, *at, &mut self.skippable) {
                    Outcome::Broken(message) => self.problems.add(element(DESTINATIONS, *index), message),
                    Outcome::Good(draft) | Outcome::Bad(draft) => {
                        self.hash.add(&draft);
                        self.count(&draft.number);
                    }
                }
                true
            }
            Piece::Fault { field, path, message } => {
                self.problems.add(path.clone(), message.clone());
                if let Some(known) = field.and_then(|field| NAMES.into_iter().find(|known| *known == field)) {
                    self.found.spoil(known);
                }
                false
            }
        }
    }

    fn count(&mut self, number: &Number) {
        let full = self.tally.unique() > u64::from(self.max_destinations);
        let duplicate = match number {
            Number::Invalid(_) => {
                self.tally.invalid += 1;
                false
            }
            // Past the bound the request is refused anyway; remembering more would only cost memory.
            Number::Valid(phone) if full => self.tally.seen.contains(*phone),
            Number::Valid(phone) => !self.tally.seen.insert(*phone),
        };
        self.tally.duplicates += u64::from(duplicate);
    }
}
