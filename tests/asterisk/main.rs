//! The Asterisk backend against real Asterisks: ours, and one that plays the phone network. Real SIP, real sound.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

#[path = "../support/asterisk/mod.rs"]
mod asterisk;
#[path = "../support/grumbler.rs"]
mod grumbler;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/sipp.rs"]
mod sipp;
#[path = "../support/sound.rs"]
mod sound;

mod call;
mod conformance;
mod detection;
mod diverting;
mod independent;
mod joining;
mod keys;
mod names;
mod nodes;
mod outcomes;
mod playing;
mod recording;
mod supervision;
mod taking_over;
mod world;
