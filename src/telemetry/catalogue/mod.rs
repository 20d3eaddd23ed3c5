//! Every metric there is. `docs/metrics.md` is written from it, and the tests hold dashboards and alerts against it.
//!
//! Names follow Prometheus: base units, `_total` where something is counted. A label's words are known beforehand, or are names of
//! the configuration; nothing that callers, clients or requests choose ever becomes one, but organisations that an operator lists.

mod deployment;
mod process;
mod servers;
mod worker;

use super::metric::Metric;

pub use deployment::*;
pub use process::*;
pub use servers::*;
pub use worker::*;

/// Every metric, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    counted().chain(process::ALL.iter().copied())
}

/// Those that are counted, not read from the system when somebody asks.
pub(super) fn counted() -> impl Iterator<Item = &'static Metric> {
    [worker::ALL, servers::ALL, deployment::ALL].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::metric::Kind;
    use super::*;

    /// Most series one process may emit before any name of its configuration is counted.
    const MOST_SERIES: usize = 1_500;

    #[test]
    fn names_are_unique_and_say_kind_and_unit() {
        let mut names = BTreeSet::new();
        for metric in all() {
            assert!(names.insert(metric.name), "{} stands there twice", metric.name);
            let is_everybodys = process::ALL.iter().any(|of_process| of_process.name == metric.name);
            let prefix = if is_everybodys { "process_" } else { "robocall_" };
            assert!(metric.name.starts_with(prefix), "{}", metric.name);
            let counts = metric.name.ends_with("_total");
            assert_eq!(counts, metric.kind == Kind::Counter, "{}", metric.name);
            assert!(!metric.name.contains("_ms") && !metric.name.contains("minutes"), "{}: a base unit", metric.name);
            assert!(metric.help.ends_with('.') && metric.help.len() > 20, "{} is not explained", metric.name);
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
                assert!(bounds.is_sorted_by(|a, b| a < b) && bounds.len() <= 14, "{}", metric.name);
            }
        }
    }

    #[test]
    fn series_are_few() {
        let series = |metric: &Metric| {
            let words: usize = metric.by.iter().map(|by| by.words.len().max(1)).product();
            match metric.kind {
                Kind::Histogram(bounds) => words * (bounds.len() + 3),
                Kind::Counter | Kind::Gauge => words,
            }
        };
        let total: usize = all().map(series).sum();
        assert!(total <= MOST_SERIES, "{total} series");
    }
}
