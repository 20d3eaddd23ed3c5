//! Cuts a request document into pieces without holding it: one per field, one per destination.
//!
//! It owns the outer grammar: braces, commas, colons, names, the end. A piece is balanced and within its bounds, nothing
//! more; whoever takes it parses it. What is wrong with one piece does not stop the next, unless the outer structure is
//! lost.

use std::io::BufRead;

use super::balance::{Balance, Progress};
use super::input::{Input, Position, Stop};
use crate::reading::{element, shown_name};

/// The field whose elements are handed out one by one.
pub const DESTINATIONS: &str = "destinations";
/// The field that may be larger than the others.
pub const CALL_FLOW: &str = "callFlow";

/// How large one destination may be, in bytes.
pub const MAX_DESTINATION: usize = 64 << 10;
/// How large the flow may be, in bytes.
pub const MAX_FLOW: usize = 4 << 20;
/// How large any other field may be, in bytes.
pub const MAX_FIELD: usize = 256 << 10;
/// How long a field's name may be, in bytes.
const MAX_NAME: usize = 4 << 10;
/// How deep arrays and objects may be nested, the document itself included.
pub const MAX_DEPTH: u64 = 128;

/// The byte order mark some editors write.
const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// One piece of a request document.
#[derive(Debug, PartialEq)]
pub enum Piece<'a> {
    /// A field and its value.
    Field {
        /// Its name.
        name: &'a str,
        /// Its value: balanced, not yet parsed.
        raw: &'a [u8],
        /// Where the value begins.
        at: Position,
    },
    /// The array of destinations begins.
    Destinations,
    /// One element of that array.
    Destination {
        /// Its place, from 0.
        index: usize,
        /// The element: balanced, not yet parsed.
        raw: &'a [u8],
        /// Where it begins.
        at: Position,
    },
    /// Something that cannot be handed out; what follows is sound.
    Fault {
        /// The field it is about; none: the document, or a field too odd to name.
        field: Option<&'a str>,
        /// Where.
        path: String,
        /// What.
        message: String,
    },
}

/// Where in the document the scanner stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Start,
    FirstMember,
    NextMember,
    FirstElement,
    NextElement,
    End,
}

/// What was found, before it borrows the buffers.
enum Kind {
    Field,
    Destinations,
    Destination(usize),
    Fault { about_field: bool, path: String, message: String },
}

/// What became of one value.
enum Value {
    Kept,
    TooLarge,
    TooDeep,
}

/// Cuts a document into pieces, one for each call of [`Scanner::next`].
pub struct Scanner<R> {
    input: Input<R>,
    place: Place,
    name: String,
    piece: Vec<u8>,
    piece_at: Position,
    destinations_seen: bool,
    index: usize,
}

impl<R: BufRead> Scanner<R> {
    /// A scanner of `source`, which may hold up to `max_bytes`.
    pub fn new(source: R, max_bytes: Option<u64>) -> Self {
        Self {
            input: Input::new(source, max_bytes),
            place: Place::Start,
            name: String::new(),
            piece: Vec::new(),
            piece_at: Position::START,
            destinations_seen: false,
            index: 0,
        }
    }

    /// The next piece; none after the document's end.
    ///
    /// # Errors
    /// When reading cannot go on. Asking again is harmless and of no use.
    #[expect(clippy::should_implement_trait, reason = "the pieces borrow the scanner, which an iterator's cannot")]
    pub fn next(&mut self) -> Result<Option<Piece<'_>>, Stop> {
        let Some(kind) = self.advance()? else { return Ok(None) };
        Ok(Some(match kind {
            Kind::Field => Piece::Field { name: &self.name, raw: &self.piece, at: self.piece_at },
            Kind::Destinations => Piece::Destinations,
            Kind::Destination(index) => Piece::Destination { index, raw: &self.piece, at: self.piece_at },
            Kind::Fault { about_field, path, message } => {
                Piece::Fault { field: about_field.then_some(self.name.as_str()), path, message }
            }
        }))
    }

    fn advance(&mut self) -> Result<Option<Kind>, Stop> {
        loop {
            match self.place {
                Place::Start => {
                    if let Some(fault) = self.begin()? {
                        return Ok(Some(fault));
                    }
                }
                Place::FirstMember | Place::NextMember => {
                    if let Some(kind) = self.member()? {
                        return Ok(Some(kind));
                    }
                }
                Place::FirstElement | Place::NextElement => {
                    if let Some(kind) = self.element()? {
                        return Ok(Some(kind));
                    }
                }
                Place::End => {
                    return match self.input.peek_past_space()? {
                        None => Ok(None),
                        found => Err(self.input.expected("nothing after the last `}`", found)),
                    };
                }
            }
        }
    }

    fn begin(&mut self) -> Result<Option<Kind>, Stop> {
        let first = if self.input.position()? == Position::START { self.input.peek()? } else { None };
        if matches!(first, Some(0xFE | 0xFF)) {
            // In no UTF-8 there are these bytes; with them the byte order mark of UTF-16 begins.
            return Err(Stop::NoDocument("is UTF-16, or no text at all: save it as UTF-8 without a byte order mark"));
        }
        if first == Some(BOM[0]) {
            for byte in BOM {
                match self.input.peek()? {
                    Some(next) if next == byte => self.input.skip()?,
                    found => return Err(self.input.expected("`{`", found)),
                }
            }
            let message = "begins with a byte order mark, which JSON does not allow: save it as UTF-8 without one";
            return Ok(Some(Kind::Fault { about_field: false, path: String::new(), message: message.to_owned() }));
        }
        match self.input.peek_past_space()? {
            Some(b'{') => self.input.skip()?,
            None => return Err(Stop::NoDocument("is empty: a JSON object was expected")),
            Some(b'[') => return Err(Stop::NoDocument("must be an object, `{…}`, not an array")),
            Some(b'"') => return Err(Stop::NoDocument("must be an object, `{…}`, not a string")),
            found => return Err(self.input.expected("`{`", found)),
        }
        self.place = Place::FirstMember;
        Ok(None)
    }

    fn member(&mut self) -> Result<Option<Kind>, Stop> {
        let first = self.place == Place::FirstMember;
        match (self.input.peek_past_space()?, first) {
            (Some(b'}'), _) => {
                self.input.skip()?;
                self.place = Place::End;
                return Ok(None);
            }
            (Some(b','), false) => self.input.skip()?,
            (Some(b'"'), true) => {}
            (found, true) => return Err(self.input.expected("a field's name in quotes or `}`", found)),
            (found, false) => return Err(self.input.expected("`,` or `}`", found)),
        }
        match self.input.peek_past_space()? {
            Some(b'"') => {}
            found @ Some(b'}') => return Err(self.input.expected("another field after the comma", found)),
            found => return Err(self.input.expected("a field's name in quotes", found)),
        }
        self.place = Place::NextMember;
        let named = self.name()?;
        match self.input.peek_past_space()? {
            Some(b':') => self.input.skip()?,
            found => return Err(self.input.expected("`:`", found)),
        }
        let opening = self.input.peek_past_space()?;
        if let Err(message) = named {
            self.value(0, 1)?;
            return Ok(Some(Kind::Fault { about_field: false, path: String::new(), message }));
        }
        if self.name == DESTINATIONS {
            if std::mem::replace(&mut self.destinations_seen, true) {
                self.value(0, 1)?;
                return Ok(Some(self.fault(DESTINATIONS.to_owned(), "is there twice".to_owned())));
            }
            if opening == Some(b'[') {
                self.input.skip()?;
                self.place = Place::FirstElement;
                return Ok(Some(Kind::Destinations));
            }
        }
        let limit = if self.name == CALL_FLOW { MAX_FLOW } else { MAX_FIELD };
        let value = self.value(limit, 1)?;
        Ok(Some(self.kept_or_fault(&value, limit, Kind::Field, shown_name)))
    }

    fn element(&mut self) -> Result<Option<Kind>, Stop> {
        let first = self.place == Place::FirstElement;
        match (self.input.peek_past_space()?, first) {
            (Some(b']'), _) => {
                self.input.skip()?;
                self.place = Place::NextMember;
                return Ok(None);
            }
            (Some(b','), false) => {
                self.input.skip()?;
                if let found @ Some(b']') = self.input.peek_past_space()? {
                    return Err(self.input.expected("another destination after the comma", found));
                }
            }
            (_, true) => {}
            (found, false) => return Err(self.input.expected("`,` or `]`", found)),
        }
        self.place = Place::NextElement;
        let index = self.index;
        self.index += 1;
        let value = self.value(MAX_DESTINATION, 2)?;
        Ok(Some(self.kept_or_fault(&value, MAX_DESTINATION, Kind::Destination(index), |name| element(name, index))))
    }

    fn kept_or_fault(&self, value: &Value, limit: usize, kept: Kind, path: impl FnOnce(&str) -> String) -> Kind {
        match value {
            Value::Kept => kept,
            Value::TooLarge => self.fault(path(&self.name), format!("is larger than {} KiB", limit >> 10)),
            Value::TooDeep => self.fault(path(&self.name), format!("is nested deeper than {MAX_DEPTH} levels")),
        }
    }

    fn fault(&self, path: String, message: String) -> Kind {
        Kind::Fault { about_field: true, path, message }
    }

    /// Reads a field's name; the inner error is a name that is no name, with the document sound behind it.
    fn name(&mut self) -> Result<Result<(), String>, Stop> {
        self.name.clear();
        let value = self.value(MAX_NAME, 1)?;
        if !matches!(value, Value::Kept) {
            return Ok(Err(format!("a field's name is longer than {} KiB, at {}", MAX_NAME >> 10, self.piece_at)));
        }
        match serde_json::from_slice(&self.piece) {
            Ok(name) => {
                self.name = name;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(not_json(&error, &self.piece, self.piece_at))),
        }
    }

    /// Moves past one value and keeps its bytes, if they are not more than `limit` and not too deep below `depth` levels.
    fn value(&mut self, limit: usize, depth: u64) -> Result<Value, Stop> {
        self.piece.clear();
        self.piece_at = self.input.position()?;
        let mut balance = Balance::new(MAX_DEPTH - depth);
        let mut fits = true;
        loop {
            let piece = &mut self.piece;
            let (ended, progress) = self.input.with_chunk(|chunk| {
                let (used, progress) = balance.advance(chunk);
                fits = fits && piece.len() + used <= limit;
                if fits {
                    piece.extend_from_slice(&chunk[..used]);
                } else {
                    piece.clear();
                }
                (used, (chunk.is_empty(), progress))
            })?;
            match progress {
                Progress::Done => break,
                Progress::Wrong { expected } => {
                    let found = self.input.peek()?;
                    return Err(self.input.expected(expected, found));
                }
                Progress::More if !ended => {}
                Progress::More => return Err(self.input.expected(balance.missing(), None)),
            }
        }
        Ok(match (fits, balance.too_deep()) {
            (_, true) => Value::TooDeep,
            (false, false) => Value::TooLarge,
            (true, false) => Value::Kept,
        })
    }
}

/// The wording for a piece that is not JSON.
pub(super) fn not_json(error: &serde_json::Error, piece: &[u8], at: Position) -> String {
    // serde_json's own position is relative to the piece.
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    if !matches!(piece.first(), Some(b'{' | b'[' | b'"')) {
        let shown = shown_name(&String::from_utf8_lossy(piece));
        let what = if what.contains("range") { "is a number out of range" } else { "is no value" };
        return format!("is not JSON: `{shown}` {what}, at {at}");
    }
    let breaks = error.line().saturating_sub(1);
    let line = match breaks.checked_sub(1) {
        None => 0,
        Some(nth) => memchr::memchr_iter(b'\n', piece).nth(nth).map_or(piece.len(), |at| at + 1),
    };
    let offset = line.saturating_add(error.column().saturating_sub(1)).min(piece.len());
    let at = at.after(&piece[..offset]);
    format!("is not JSON: {what} at {at}")
}
