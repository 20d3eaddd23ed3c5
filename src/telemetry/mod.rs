//! What can be seen of a process from outside: its log, its traces and its metrics.
//!
//! The rest of the program observes through functions named after what happened; which metric that moves is known here
//! only. **Invariant:** observing decides nothing, awaits nothing and cannot fail.

pub mod calls;
pub mod catalogue;
pub mod deployment;
pub mod dispatch;
mod exposition;
mod log;
mod metric;
mod process;
pub mod servers;
pub mod spans;
mod traces;
mod words;

pub use exposition::{Exposition, ExpositionError};
pub use log::{FilterError, LogFormat, complain, log_to_stderr, say};
pub use metric::{By, Kind, Metric, Role};
pub use traces::{Traces, TracesError};
