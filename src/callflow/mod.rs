//! Call flows: document → compile → program → call (the state machine), and the templates of their messages.
//!
//! **Invariant:** pure. No port, no runtime, no clock: events and time go in, commands come out.

mod ahead;
pub mod call;
pub mod compile;
pub mod document;
#[cfg(test)]
mod generate;
pub mod lint;
pub mod prepare;
pub mod program;
pub mod render;
pub mod schema;
mod step;
pub mod template;

pub use compile::{compile, compile_for};
pub use document::{Flow, FlowReference, canonical};
pub use prepare::{Unspeakable, Utterances};
pub use program::Program;
