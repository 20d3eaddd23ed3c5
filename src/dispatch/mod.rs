//! Drives the core against the ports: takes requests in, claims destinations, carries calls, looks after what others
//! left, and lets go in order.
//!
//! **Invariant:** names no adapter. Whatever must survive this process is in the store or at the telephony backend
//! before anything relies on it; dropping any future here loses nothing but time.

mod adoption;
mod ahead;
mod alarm;
mod apps;
mod asked;
mod assignment;
mod call_task;
mod claims;
mod commands;
mod dialling;
mod drain;
mod fence;
mod insist;
mod intake;
mod leases;
mod ledger;
mod legs;
mod limits;
mod live_call;
mod mailbox;
mod obeyed;
mod organisations;
mod playing;
mod ports;
mod programs;
mod publisher;
mod reaper;
mod restraint;
mod roster;
mod second_leg;
mod shared;
mod worker;

pub use ports::Ports;
pub use programs::{FlowCatalogue, Programs};
pub use shared::WorkerSettings;
pub use worker::{Progress, Shutdown, Worker, WorkerFailure};
