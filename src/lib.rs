//! `robocall`: a campaign worker for automated phone calls.
//!
//! `ARCHITECTURE.md` has the map of the house and the life of one call.

pub mod model;
pub mod callflow;
pub mod reading;
#[cfg(feature = "daemon")]
pub mod ports;
#[cfg(feature = "daemon")]
pub mod adapters;
#[cfg(feature = "daemon")]
#[doc(hidden)]
pub mod conformance;
