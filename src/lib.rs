//! `robocall`: a campaign worker for automated phone calls.
//!
//! `ARCHITECTURE.md` has the map of the house and the life of one call.

#[cfg(feature = "daemon")]
pub mod adapters;
#[cfg(feature = "daemon")]
pub mod api;
pub mod callflow;
#[cfg(feature = "daemon")]
pub mod cli;
pub mod command;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
#[doc(hidden)]
pub mod conformance;
#[cfg(feature = "daemon")]
pub mod daemon;
#[cfg(feature = "daemon")]
pub mod dispatch;
#[cfg(feature = "daemon")]
pub mod hooks;
pub mod model;
pub mod policy;
#[cfg(feature = "daemon")]
pub mod ports;
pub mod reading;
pub mod request;
#[cfg(feature = "daemon")]
pub mod retention;
#[cfg(feature = "daemon")]
pub mod shutdown;
#[cfg(feature = "daemon")]
pub mod telemetry;
#[cfg(feature = "daemon")]
pub mod tls;
