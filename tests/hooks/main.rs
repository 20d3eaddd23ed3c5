//! Events on their way to webhooks.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

mod anew;
mod attaching;
mod chaos;
mod scenes;
mod sender;
mod world;
