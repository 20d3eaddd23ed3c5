//! Finds the end of one JSON value in bytes that come in chunks, by its quotes and brackets alone.

use super::input::is_space;

/// What the latest chunk brought.
pub(super) enum Progress {
    /// The value goes on.
    More,
    /// The value has ended.
    Done,
    /// The byte behind those dealt with cannot stand there.
    Wrong {
        /// What could.
        expected: &'static str,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    /// Nothing has come yet.
    Nothing,
    /// A number, `true`, `false`, `null`, or what somebody took for one.
    Word,
    /// Between the values of arrays and objects.
    Structure,
    String,
    Escape,
}

/// How far one value has come.
pub(super) struct Balance {
    inside: Inside,
    depth: u64,
    /// Deepest level that is still followed; below it brackets are only counted.
    allowed: u64,
    too_deep: bool,
    /// The open brackets, innermost in the lowest bit; set for an array.
    arrays: u128,
}

impl Balance {
    /// A value that may be nested `allowed` levels deep, at most 128.
    pub(super) fn new(allowed: u64) -> Self {
        Self { inside: Inside::Nothing, depth: 0, allowed: allowed.min(128), too_deep: false, arrays: 0 }
    }

    /// Whether the value went deeper than allowed.
    pub(super) fn too_deep(&self) -> bool {
        self.too_deep
    }

    /// Deals with a chunk: how many of its bytes belong to the value, and whether that was all.
    pub(super) fn advance(&mut self, chunk: &[u8]) -> (usize, Progress) {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            match self.inside {
                Inside::Structure => match byte {
                    b'"' => self.inside = Inside::String,
                    b'{' | b'[' => self.open(byte),
                    b'}' | b']' => {
                        if let Err(expected) = self.close(byte) {
                            return (at, Progress::Wrong { expected });
                        }
                        if self.depth == 0 {
                            return (at + 1, Progress::Done);
                        }
                    }
                    _ => {}
                },
                Inside::String => match memchr::memchr2(b'"', b'\\', &chunk[at..]) {
                    None => return (chunk.len(), Progress::More),
                    Some(ahead) => {
                        at += ahead;
                        if chunk[at] == b'\\' {
                            self.inside = Inside::Escape;
                        } else if self.depth == 0 {
                            return (at + 1, Progress::Done);
                        } else {
                            self.inside = Inside::Structure;
                        }
                    }
                },
                Inside::Escape => self.inside = Inside::String,
                Inside::Word if ends_word(byte) => return (at, Progress::Done),
                Inside::Word => {}
                Inside::Nothing => match byte {
                    b'"' => self.inside = Inside::String,
                    b'{' | b'[' => {
                        self.inside = Inside::Structure;
                        self.open(byte);
                    }
                    _ if ends_word(byte) => return (at, Progress::Wrong { expected: "a value" }),
                    _ => self.inside = Inside::Word,
                },
            }
            at += 1;
        }
        (at, Progress::More)
    }

    /// What is missing if the document ends here. It can never end with a value: the document's own bracket follows.
    pub(super) fn missing(&self) -> &'static str {
        match self.inside {
            Inside::Word => "`,` or a closing bracket",
            Inside::Nothing => "a value",
            Inside::String | Inside::Escape => "`\"` at the end of a string",
            Inside::Structure if self.arrays & 1 == 1 => "`]`",
            Inside::Structure => "`}`",
        }
    }

    fn open(&mut self, bracket: u8) {
        self.depth += 1;
        if self.depth <= self.allowed {
            self.arrays = self.arrays << 1 | u128::from(bracket == b'[');
        } else {
            self.too_deep = true;
        }
    }

    fn close(&mut self, bracket: u8) -> Result<(), &'static str> {
        if self.depth <= self.allowed {
            match (self.arrays & 1 == 1, bracket) {
                (true, b'}') => return Err("`]`"),
                (false, b']') => return Err("`}`"),
                _ => self.arrays >>= 1,
            }
        }
        // Never called at depth 0: a value at depth 0 is not inside a structure.
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }
}

const fn ends_word(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b',' | b']' | b'}' | b'[' | b'{' | b'"' | b':')
}
