//! Decisions that need nothing but their arguments: how an end is classified, when to dial again, when a window is
//! open, how many slots are free, whose turn it is.
//!
//! **Invariant:** pure. Nothing here keeps state, asks for the time or knows a port.

pub mod disposition;
pub mod fairness;
pub mod network;
pub mod prefix;
pub mod prefix_zones;
pub mod rate;
pub mod retry;
pub mod slots;
pub mod trunk;
pub mod window;
