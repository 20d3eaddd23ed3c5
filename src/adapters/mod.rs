//! What the ports look like in the world: one folder for each kind of outside.
//!
//! **Invariant:** no adapter knows another, and nothing but the composition root names a concrete one.

pub mod memory;
