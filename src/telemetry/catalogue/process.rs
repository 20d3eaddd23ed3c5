//! What the system knows of the process. Their names are those that every client of Prometheus gives them, so that dashboards
//! which people have already show ours, too.

use super::super::metric::Metric;
use super::super::metric::Role::Every;

/// Processor time.
pub static CPU: Metric = Metric::counter(
    Every,
    "process_cpu_seconds_total",
    "Processor time that the process has taken, in its own code and in the system's.",
);

/// Memory.
pub static MEMORY: Metric =
    Metric::gauge(Every, "process_resident_memory_bytes", "Memory that the process has, not what it has asked for.");

/// Address space.
pub static ADDRESSES: Metric =
    Metric::gauge(Every, "process_virtual_memory_bytes", "Addresses that the process has asked for.");

/// Descriptors.
pub static FILES: Metric =
    Metric::gauge(Every, "process_open_fds", "File descriptors that are open: files, connections, listeners.");

/// Most descriptors.
pub static MOST_FILES: Metric =
    Metric::gauge(Every, "process_max_fds", "File descriptors that the system lets the process open.");

/// Start.
pub static STARTED: Metric =
    Metric::gauge(Every, "process_start_time_seconds", "When the process was started, in seconds since 1970.");

/// Threads.
pub static THREADS: Metric = Metric::gauge(Every, "process_threads", "Threads of the process.");

pub(super) static ALL: &[&Metric] = &[&CPU, &MEMORY, &ADDRESSES, &FILES, &MOST_FILES, &STARTED, &THREADS];
