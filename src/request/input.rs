//! Bytes on their way in: where the reader stands, and how much may come.

use std::fmt;
use std::io::{self, BufRead};

/// A place in the document, for people: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
}

impl Position {
    /// The first character of a document.
    pub const START: Position = Position { line: 1, column: 1 };

    /// The place behind `bytes`, if they begin here.
    #[must_use]
    pub fn after(self, bytes: &[u8]) -> Position {
        let (breaks, tail) = match memchr::memrchr(b'\n', bytes) {
            Some(last) => (memchr::memchr_iter(b'\n', bytes).count(), &bytes[last + 1..]),
            None => (0, bytes),
        };
        // Bytes that continue a UTF-8 character take no column.
        let characters = tail.iter().filter(|byte| !(0x80..0xC0).contains(*byte)).count();
        let column = if breaks == 0 { self.column } else { 1 };
        Position { line: self.line + breaks as u64, column: column + characters as u64 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why reading cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The source failed; what it holds is not known.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The source holds more than it may.
    #[error("is larger than {max} bytes")]
    TooLarge {
        /// How much it may hold.
        max: u64,
    },
    /// There is no document that could be read at all.
    #[error("{0}")]
    NoDocument(&'static str),
    /// The document's outer structure is broken, so what follows has no meaning.
    #[error("is not JSON: expected {expected}, found {found} at {at}")]
    Syntax {
        /// What would have been right.
        expected: &'static str,
        /// What stands there.
        found: Found,
        /// Where.
        at: Position,
    },
}

/// What stands where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing more.
    End,
    /// This byte.
    Byte(u8),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::End => f.write_str("the end of the document"),
            Found::Byte(byte) if byte.is_ascii_graphic() => write!(f, "`{}`", char::from(*byte)),
            Found::Byte(byte) => write!(f, "byte 0x{byte:02X}"),
        }
    }
}

/// A source of bytes with a bound, and the position in it.
pub(super) struct Input<R> {
    source: R,
    /// Bytes of the source before the chunk at hand.
    before: u64,
    max: Option<u64>,
    /// How large the chunk at hand is.
    held: usize,
    /// How much of the chunk at hand was dealt with. The source hears of it when it is all.
    used: usize,
    /// How much of the chunk at hand lies before `at`: positions are reckoned only where they are asked for.
    reckoned: usize,
    at: Position,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(source: R, max: Option<u64>) -> Self {
        Self { source, before: 0, max, held: 0, used: 0, reckoned: 0, at: Position::START }
    }

    /// Where the next byte stands.
    pub(super) fn position(&mut self) -> Result<Position, Stop> {
        if self.reckoned < self.used {
            let chunk = self.source.fill_buf()?;
            self.at = self.at.after(chunk.get(self.reckoned..self.used).unwrap_or_default());
            self.reckoned = self.used;
        }
        Ok(self.at)
    }

    /// Shows the bytes at hand, none at the end, to `look`, which says how many of them it has dealt with.
    pub(super) fn with_chunk<T>(&mut self, look: impl FnOnce(&[u8]) -> (usize, T)) -> Result<T, Stop> {
        if self.used >= self.held {
            self.refill()?;
        }
        let chunk = self.source.fill_buf()?.get(self.used..).unwrap_or_default();
        let (used, told) = look(chunk);
        self.used += used;
        Ok(told)
    }

    /// Gives the chunk at hand back and gets the next.
    fn refill(&mut self) -> Result<(), Stop> {
        self.position()?;
        self.source.consume(self.used);
        self.before += self.used as u64;
        (self.held, self.used, self.reckoned) = (0, 0, 0);
        self.held = loop {
            match self.source.fill_buf() {
                Ok(chunk) => break chunk.len(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        };
        match self.max {
            Some(max) if self.before.saturating_add(self.held as u64) > max => Err(Stop::TooLarge { max }),
            _ => Ok(()),
        }
    }

    /// The next byte, which stays; none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Stop> {
        self.with_chunk(|chunk| (0, chunk.first().copied()))
    }

    /// Takes one byte that was seen.
    pub(super) fn skip(&mut self) -> Result<(), Stop> {
        self.with_chunk(|chunk| (chunk.len().min(1), ()))
    }

    /// Takes white space; the next byte after it, which stays.
    pub(super) fn peek_past_space(&mut self) -> Result<Option<u8>, Stop> {
        loop {
            let (ended, next) = self.with_chunk(|chunk| {
                let space = chunk.iter().position(|byte| !is_space(*byte)).unwrap_or(chunk.len());
                (space, (chunk.is_empty(), chunk.get(space).copied()))
            })?;
            if ended || next.is_some() {
                return Ok(next);
            }
        }
    }

    /// The complaint that something else was expected here.
    pub(super) fn expected(&mut self, expected: &'static str, found: Option<u8>) -> Stop {
        match self.position() {
            Ok(at) => Stop::Syntax { expected, found: found.map_or(Found::End, Found::Byte), at },
            Err(stop) => stop,
        }
    }
}

/// JSON's white space.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
