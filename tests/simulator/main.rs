//! The simulated network across a process boundary: a server on a loopback port, workers that connect to it, and a
//! wire in between that can be cut. In real time, mostly sped up.

#![expect(clippy::unwrap_used, reason = "a test")]

mod scene;

mod conformance;
mod crowd;
mod dial_log;
mod intruders;
mod lines;
