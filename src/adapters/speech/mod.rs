//! Engines that make text audible, and what they have made.
//!
//! A prompt is made once: [`engine`] runs a program, [`wav`] and [`resample`] make its sound what telephones play,
//! [`cache`] keeps it in [`files`] under the hash of all that can be heard in it. Recorded files go the same way.

mod cache;
mod engine;
mod files;
mod flights;
mod languages;
mod process;
mod recordings;
mod resample;
mod silent;
mod spoken;
mod wav;

pub use engine::{CommandLine, Engine};
pub use process::Runner;
pub use silent::SilentSpeech;
pub use spoken::{EngineSpeech, Place};
pub use wav::{Form, Sound, read as read_wav};
