//! What is served over HTTP.

mod sounds;

pub use sounds::{Sounds, SoundsError};
