//! What is served over HTTP, and what is sent.

mod hooks;
mod sounds;
mod vitals;

pub use hooks::{HookReach, HttpHooks, Lookup};
pub use sounds::{Sounds, SoundsError};
pub use vitals::{Vital, Vitals, VitalsError, lives};
