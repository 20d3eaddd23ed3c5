//! Cuts a request that is larger than one message may be into parts, each a request document of its own: the same fields
//! and some of the destinations, as they were written.
//!
//! The same document cut at the same size gives the same parts, so that one that is sent again is known again.

use std::io::{self, BufRead};

use super::destination::{DestinationReader, Outcome};
use super::input::Stop;
use super::phones::SeenPhones;
use super::rules::MAX_PARTS;
use super::scanner::{Piece, Scanner};
use crate::model::Number;
use crate::reading::Problems;

/// Bytes of a part besides its fields and destinations: braces, names, two numbers.
const FRAME: usize = 96;

/// Why a request cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The source failed.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is no request.
    #[error("{0}")]
    Broken(String),
    /// It is a part itself.
    #[error("is one part of a request already, and larger than a message may be")]
    IsPart,
    /// Fields and one destination alone are larger than a part may be.
    #[error("has fields that are too large for parts of {0} bytes")]
    TooLarge(usize),
    /// There would be more parts than there may be.
    #[error("would have more than {MAX_PARTS} parts: make them larger")]
    TooMany,
    /// It was changed between two readings.
    #[error("was changed while it was read")]
    Changed,
}

impl From<Stop> for CutError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Unreadable(error) => Self::Unreadable(error),
            stop => Self::Broken(stop.to_string()),
        }
    }
}

/// Destinations as they stand in a request, those left out whose number stood there before.
struct Kept<R> {
    scanner: Scanner<R>,
    reader: DestinationReader,
    seen: Option<SeenPhones>,
    duplicates: u32,
}

impl<R: BufRead> Kept<R> {
    fn new(source: R, allow_duplicates: bool) -> Self {
        let seen = (!allow_duplicates).then(SeenPhones::default);
        Self { scanner: Scanner::new(source, None), reader: DestinationReader::default(), seen, duplicates: 0 }
    }

    /// The text of the next one.
    fn next(&mut self) -> Result<Option<Vec<u8>>, CutError> {
        loop {
            let (index, raw, at) = match self.scanner.next()? {
                None => return Ok(None),
                Some(Piece::Destination { index, raw, at }) => (index, raw, at),
                Some(Piece::Field { .. } | Piece::Destinations) => continue,
                Some(Piece::Fault { path, message, .. }) => return Err(CutError::Broken(format!("{path}: {message}"))),
            };
            // What is wrong with one is told by whoever checks it.
            let number = match self.reader.read(raw, index, at, &mut Problems::default()) {
                Outcome::Good(draft) | Outcome::Bad(draft) => Some(draft.number),
                Outcome::Broken(_) => None,
            };
            if let (Some(Number::Valid(phone)), Some(seen)) = (number, &mut self.seen)
                && !seen.insert(phone)
            {
                self.duplicates = self.duplicates.saturating_add(1);
                continue;
            }
            return Ok(Some(raw.to_vec()));
        }
    }
}

/// How a request is cut.
#[derive(Debug)]
pub struct Plan {
    /// Parts.
    pub parts: u32,
    /// Destinations that are left out because their number stands there before.
    pub duplicates: u32,
    /// Names and values of all fields but the destinations.
    head: Vec<u8>,
    allow_duplicates: bool,
    most: usize,
}

impl Plan {
    /// How the request that `open` opens is cut into parts of at most `most` bytes. It is read twice.
    ///
    /// # Errors
    /// When it cannot be read or cut.
    pub fn of<R: BufRead>(open: impl Fn() -> io::Result<R>, most: usize) -> Result<Self, CutError> {
        let mut plan = Self { parts: 0, duplicates: 0, head: Vec::new(), allow_duplicates: false, most };
        plan.read_fields(open()?)?;
        let mut destinations = Kept::new(open()?, plan.allow_duplicates);
        let mut size = usize::MAX;
        while let Some(raw) = destinations.next()? {
            if plan.head.len() + FRAME + raw.len() > most {
                return Err(CutError::TooLarge(most));
            }
            if size.saturating_add(raw.len() + 1) > most {
                plan.parts += 1;
                size = plan.head.len() + FRAME;
            }
            size += raw.len() + 1;
        }
        plan.duplicates = destinations.duplicates;
        plan.parts = plan.parts.max(1);
        if plan.parts > MAX_PARTS { Err(CutError::TooMany) } else { Ok(plan) }
    }

    fn read_fields(&mut self, source: impl BufRead) -> Result<(), CutError> {
        let mut scanner = Scanner::new(source, None);
        while let Some(piece) = scanner.next()? {
            match piece {
                Piece::Field { name: "part", .. } => return Err(CutError::IsPart),
                Piece::Field { name, raw, .. } => {
                    self.allow_duplicates |= name == "allowDuplicates" && (raw == b"true" || raw == b"\"true\"");
                    let name = serde_json::to_vec(name).map_err(|error| CutError::Broken(error.to_string()))?;
                    self.head.extend_from_slice(&name);
                    self.head.push(b':');
                    self.head.extend_from_slice(raw);
                    self.head.push(b',');
                }
                Piece::Destinations | Piece::Destination { .. } => {}
                Piece::Fault { path, message, .. } => return Err(CutError::Broken(format!("{path}: {message}"))),
            }
        }
        Ok(())
    }

    /// The parts of the request in `source`, which must be what was planned for.
    pub fn cut<R: BufRead>(&self, source: R) -> Parts<'_, R> {
        let destinations = Kept::new(source, self.allow_duplicates);
        Parts { plan: self, destinations, index: 0, first: None }
    }
}

/// The parts of a request, one after the other.
pub struct Parts<'a, R> {
    plan: &'a Plan,
    destinations: Kept<R>,
    index: u32,
    /// The destination that did not go into the part before.
    first: Option<Vec<u8>>,
}

impl<R: BufRead> Iterator for Parts<'_, R> {
    type Item = Result<Vec<u8>, CutError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.index < self.plan.parts).then(|| self.part())
    }
}

impl<R: BufRead> Parts<'_, R> {
    fn part(&mut self) -> Result<Vec<u8>, CutError> {
        let Plan { parts, head, most, .. } = self.plan;
        let mut part = b"{".to_vec();
        part.extend_from_slice(head);
        let place = format!("\"part\":{{\"index\":{},\"count\":{parts}}},\"destinations\":[", self.index);
        part.extend_from_slice(place.as_bytes());
        // Counted as it was when the parts were.
        let mut size = head.len() + FRAME;
        let mut separator: &[u8] = b"";
        while let Some(raw) = match self.first.take() {
            Some(first) => Some(first),
            None => self.destinations.next()?,
        } {
            if !separator.is_empty() && size + raw.len() + 1 > *most {
                self.first = Some(raw);
                break;
            }
            size += raw.len() + 1;
            part.extend_from_slice(separator);
            part.extend_from_slice(&raw);
            separator = b",";
        }
        part.extend_from_slice(b"]}");
        self.index += 1;
        if part.len() > *most || (self.index == *parts) != self.first.is_none() {
            return Err(CutError::Changed);
        }
        Ok(part)
    }
}
