//! Speech that can be heard: the real espeak-ng, an operator's program, recorded files, and prompts made ahead.
//!
//! An espeak-ng that is not installed is a failure: `./dev test` installs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ahead;
mod command;
mod espeak;
mod fetched;
mod scene;
