//! What every adapter of a port must do, as tests that each adapter runs in a world of its own.
//!
//! They are compiled into the library so that tests of any crate can use them; nothing else calls them.

mod clock;
pub mod hooks;
pub mod keys;
pub mod store;
pub mod telephony;

pub use clock::ManualClock;
