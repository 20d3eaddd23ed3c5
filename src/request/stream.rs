//! The destinations of a request that was checked, chunk by chunk.

use std::io::{self, BufRead};

use super::destination::{DestinationReader, Outcome};
use super::input::Stop;
use super::phones::SeenPhones;
use super::scanner::{Piece, Scanner};
use crate::model::{Destination, Number, RequestHeader};
use crate::reading::Problems;

/// Why there are no more destinations to be had.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The source failed; it may be read again from its beginning.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The source does not hold what was checked.
    #[error("is not the request that was checked: {0}")]
    Changed(String),
}

/// Hands out the destinations of a checked request: normalised, without duplicates, numbered.
///
/// The same source gives the same destinations under the same numbers every time.
pub struct DestinationStream<R> {
    scanner: Scanner<R>,
    reader: DestinationReader,
    seen: SeenPhones,
    skip_invalid: bool,
    allow_duplicates: bool,
    next_index: u32,
}

impl<R: BufRead> DestinationStream<R> {
    /// The destinations in `source`, a request that was accepted with `header`, numbered from `first_index`: 0, or for
    /// one part of a request what its other parts leave.
    pub fn new(source: R, header: &RequestHeader, first_index: u32) -> Self {
        Self {
            scanner: Scanner::new(source, None),
            reader: DestinationReader::default(),
            seen: SeenPhones::default(),
            skip_invalid: header.skip_invalid,
            allow_duplicates: header.allow_duplicates,
            next_index: first_index,
        }
    }

    /// The next destinations: `max` (at least one) of them, fewer only if there are no more, none after the last.
    ///
    /// # Errors
    /// When the source fails or is not what was checked.
    pub fn next_chunk(&mut self, max: usize) -> Result<Vec<Destination>, StreamError> {
        let max = max.max(1);
        let mut chunk = Vec::new();
        while chunk.len() < max
            && let Some((_, destination)) = self.next_placed()?
        {
            chunk.push(destination);
        }
        Ok(chunk)
    }

    /// The next destination, and its place in the document; none after the last.
    ///
    /// # Errors
    /// When the source fails or is not what was checked.
    pub fn next_placed(&mut self) -> Result<Option<(usize, Destination)>, StreamError> {
        loop {
            let (index, raw, at) = match self.scanner.next() {
                Ok(None) => return Ok(None),
                Ok(Some(Piece::Destination { index, raw, at })) => (index, raw, at),
                Ok(Some(Piece::Field { .. } | Piece::Destinations)) => continue,
                Ok(Some(Piece::Fault { path, message, .. })) => {
                    return Err(StreamError::Changed(format!("{path} {message}")));
                }
                Err(Stop::Unreadable(error)) => return Err(error.into()),
                Err(stop) => return Err(StreamError::Changed(stop.to_string())),
            };
            let mut problems = Problems::default();
            let draft = match self.reader.read(raw, index, at, &mut problems) {
                Outcome::Good(draft) => draft,
                Outcome::Bad(draft) if self.skip_invalid => draft,
                Outcome::Bad(_) => {
                    let first = problems.first().first().map(ToString::to_string);
                    return Err(StreamError::Changed(first.unwrap_or_default()));
                }
                Outcome::Broken(message) => return Err(StreamError::Changed(message)),
            };
            if let Number::Valid(phone) = draft.number
                && !self.allow_duplicates
                && !self.seen.insert(phone)
            {
                continue;
            }
            let destination = draft.into_destination(self.next_index);
            self.next_index = self.next_index.saturating_add(1);
            return Ok(Some((index, destination)));
        }
    }
}
