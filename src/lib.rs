//! `robocall`: a campaign worker for automated phone calls.
//!
//! `ARCHITECTURE.md` has the map of the house and the life of one call.

pub mod model;
pub mod callflow;
pub mod policy;
pub mod reading;
