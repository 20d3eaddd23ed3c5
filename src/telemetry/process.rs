//! What the system knows of this process: read when somebody asks, not kept. Linux only.

use std::fmt::Write as _;

use procfs::WithCurrentSystemInfo as _;
use procfs::process::{LimitValue, Process, Stat};

use super::catalogue::{ADDRESSES, CPU, FILES, MEMORY, MOST_FILES, STARTED, THREADS};
use super::metric::{Kind, Metric};

/// Writes it down in Prometheus' text format. What cannot be read is left out. The recorder cannot hold it: its counters are
/// whole numbers, and processor time is not.
pub(super) fn write(text: &mut String) {
    let Ok(process) = Process::myself() else { return };
    if let Ok(stat) = process.stat() {
        line(text, &CPU, seconds(stat.utime + stat.stime));
        line(text, &MEMORY, whole(stat.rss_bytes().get()));
        line(text, &ADDRESSES, whole(stat.vsize));
        line(text, &THREADS, u32::try_from(stat.num_threads).unwrap_or(0).into());
        if let Some(started) = started(&stat) {
            line(text, &STARTED, started);
        }
    }
    if let Ok(open) = process.fd_count() {
        line(text, &FILES, whole(open as u64));
    }
    // Without a limit there is nothing to come close to.
    if let Ok(LimitValue::Value(most)) = process.limits().map(|limits| limits.max_open_files.soft_limit) {
        line(text, &MOST_FILES, whole(most));
    }
}

fn started(stat: &Stat) -> Option<f64> {
    Some(whole(procfs::boot_time_secs().ok()?) + seconds(stat.starttime))
}

/// The system counts time in ticks.
fn seconds(ticks: u64) -> f64 {
    whole(ticks) / whole(procfs::ticks_per_second())
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine million thousand million")]
fn whole(number: u64) -> f64 {
    number as f64
}

fn line(text: &mut String, metric: &Metric, value: f64) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Histogram(_) => "gauge",
    };
    let name = metric.name;
    let _never_fails = writeln!(text, "\n# HELP {name} {}\n# TYPE {name} {kind}\n{name} {value}", metric.help);
}

#[cfg(test)]
mod tests {
    use super::super::exposition::tests::value;
    use super::*;

    fn now() -> String {
        let mut text = String::new();
        write(&mut text);
        text
    }

    #[test]
    fn processor_time_is_told_in_fractions_of_a_second() {
        let at = |text: &str| value(text, "process_cpu_seconds_total");
        // What reads it takes time itself.
        assert!((0..1_000_000).any(|_| at(&now()).fract() > 0.0));
    }

    #[test]
    fn what_is_open_is_counted_and_there_is_a_most() {
        let file = || std::fs::File::open("/proc/self/stat").expect("a process");
        // Other tests of this process open and close some, too.
        let files: Vec<_> = (0..200).map(|_| file()).collect();
        let text = now();
        let (open, most) = (value(&text, "process_open_fds"), value(&text, "process_max_fds"));
        assert!(open >= 200.0 && open <= most, "{open} of {most}");
        drop(files);
        assert!(value(&text, "process_threads") >= 1.0);
        assert!(value(&text, "process_resident_memory_bytes") >= 1e6, "{text}");
        assert!(value(&text, "process_resident_memory_bytes") <= value(&text, "process_virtual_memory_bytes"));
    }
}
