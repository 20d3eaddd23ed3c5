//! Engines that make text audible.

mod silent;

pub use silent::SilentSpeech;
