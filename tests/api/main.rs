//! The interface over HTTP, asked as clients ask it. Everything behind it is in memory here; `tests/deployment_api` asks
//! it between real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod alone;
mod another_language;
mod bad_input;
mod calling_out;
mod changing;
mod conforming;
mod control;
mod disposing;
mod door;
mod hostile;
mod in_a_demo;
mod listening;
mod looking;
mod noting;
mod recordings;
mod scheduling;
mod slow_log;
mod submitting;
mod world;
