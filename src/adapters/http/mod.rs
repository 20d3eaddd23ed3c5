//! What is served over HTTP, and what is sent.

mod hooks;
mod sounds;

pub use hooks::{HookReach, HttpHooks, Lookup};
pub use sounds::{Sounds, SoundsError};
