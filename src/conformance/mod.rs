//! What every adapter of a port must do, as sentences that tests run against each of them.

mod clock;
pub mod store;

pub use clock::ManualClock;
