//! Where the time comes from: the system's clock, or a virtual one that jumps to whatever comes next.
//!
//! **Invariant:** nothing else in the house reads the system's time.

mod steady;
mod system;
mod virtual_time;

pub use system::{InvalidSpeed, SystemClock};
pub use virtual_time::{Stuck, VirtualClock};
