//! Call flows: document → compile → program → call (the state machine), and the templates of their messages.
//!
//! **Invariant:** pure. No port, no runtime, no clock: events and time go in, commands come out.

pub mod call;
pub mod program;
mod step;
pub mod template;

pub use program::Program;
