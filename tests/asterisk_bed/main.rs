//! The real Asterisks that other tests use do what these rely on.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

#[path = "../support/asterisk/mod.rs"]
mod asterisk;
#[path = "../support/sipp.rs"]
mod sipp;
#[path = "../support/sound.rs"]
mod sound;

mod app;
mod calls;
mod contexts;
mod helpers;

use std::sync::OnceLock;

use asterisk::Bed;

/// One pair of servers for all tests that break none.
fn bed() -> &'static Bed {
    static SHARED: OnceLock<Bed> = OnceLock::new();
    SHARED.get_or_init(Bed::start)
}
