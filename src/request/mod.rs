//! Call requests as they come in: a stream of bytes → a header, a compiled flow, and destinations in chunks.
//!
//! A request is read twice. [`Checker`] finds everything that is wrong with it and counts what it holds; nothing is
//! loaded before it has agreed. [`DestinationStream`] then hands the destinations out. Neither ever holds more than one
//! piece of the document, so a request may be larger than memory.
//!
//! **Invariant:** pure but for the `BufRead` it is given. No clock: whether a time has passed is asked elsewhere.

mod balance;
mod desk;
mod destination;
mod hashing;
mod header;
mod input;
mod parts;
mod phones;
mod reader;
mod rules;
mod scanner;
mod schema;
mod stream;
mod strict;
mod zones;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::callflow::Program;
use crate::reading::Problems;

pub use hashing::header_hash;
pub use input::{Found, Position, Stop};
pub use parts::{CutError, Parts, Plan};
pub use reader::{AcceptedRequest, CheckError, Checked, Checker, Limits, RefusedRequest, Step, check};
pub use scanner::{Piece, Scanner};
pub use schema::{
    CallRequestDocument, CallingWindowDocument, DestinationDocument, Flag, HookDocument, PartDocument, RetryDocument,
    RetryableResult, Weekday,
};
pub use stream::{DestinationStream, StreamError};

/// Reads a small document strictly: a name that is there twice is a problem, and its memory is bounded.
///
/// None is returned only when something was added to `problems`; a value may come with problems, too.
pub fn strict_json(document: &[u8], problems: &mut Problems) -> Option<Value> {
    strict::parse(document, "", Position::START, problems)
}

/// Turns the document of a flow into a program.
pub trait FlowCompiler: Send + Sync {
    /// Compiles the flow that stands at `path`, after looking it up if it is only named there.
    ///
    /// None is returned exactly when something was added to `problems`.
    fn compile(&self, flow: &Value, path: &str, problems: &mut Problems) -> Option<CompiledFlow>;
}

/// A flow that can be executed.
#[derive(Clone, Debug)]
pub struct CompiledFlow {
    /// Its document in canonical form: the same text for the same flow, whatever its spelling.
    pub canonical: String,
    /// What is executed.
    pub program: Arc<Program>,
}
