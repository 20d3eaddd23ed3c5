//! Metrics as Prometheus reads them.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalogue;
use super::metric::{Kind, Role};

/// What has been counted in this process, to be read by Prometheus.
#[derive(Clone)]
pub struct Exposition(PrometheusHandle);

/// Why nothing is counted.
#[derive(Debug, thiserror::Error)]
pub enum ExpositionError {
    /// A metric of the catalogue cannot be one.
    #[error("a metric cannot be measured: {0}")]
    Bounds(#[from] metrics_exporter_prometheus::BuildError),
    /// Somebody counts already.
    #[error("metrics of this process are counted elsewhere already")]
    Taken,
}

impl Exposition {
    /// Counts from now on, for as long as the process lives, beginning with zero where it is known what will be counted.
    ///
    /// # Errors
    /// When somebody else counts in this process.
    pub fn install(role: Role) -> Result<Self, ExpositionError> {
        let recorder = recorder()?;
        let exposition = Self(recorder.handle());
        metrics::set_global_recorder(recorder).map_err(|_| ExpositionError::Taken)?;
        catalogue::counted().for_each(super::metric::Metric::keep);
        super::metric::begin_counting();
        begin(role);
        Ok(exposition)
    }

    /// Everything counted so far, and how the process is now, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = self.0.render();
        super::process::write(&mut text);
        text
    }

    /// Puts in order what was measured since the last time: to be called now and then, or what nobody reads piles up.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

/// Without bounds of its own a histogram would become a summary, which cannot be added up over processes.
fn recorder() -> Result<PrometheusRecorder, ExpositionError> {
    let mut builder = PrometheusBuilder::new();
    for metric in catalogue::counted() {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Describes what a process of this role emits.
fn begin(role: Role) {
    catalogue::counted()
        .filter(|metric| metric.role == role || metric.role == Role::Every)
        .for_each(|metric| metric.begin());
    super::servers::build();
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What is exposed after something was observed.
    pub fn exposed(role: Role, observe: impl FnOnce()) -> String {
        let recorder = recorder().expect("bounds of the catalogue");
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            begin(role);
            observe();
        });
        handle.render()
    }

    /// The value of one series.
    pub fn value(exposed: &str, series: &str) -> f64 {
        let line = exposed.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not there:\n{exposed}")).parse().expect("a number")
    }

    #[test]
    fn what_is_known_beforehand_is_zero_before_the_first_event() {
        let exposed = exposed(Role::Worker, || {});
        assert_eq!(value(&exposed, "robocall_dials_total").to_bits(), 0_f64.to_bits());
        assert_eq!(value(&exposed, r#"robocall_attempts_total{result="busy"}"#).to_bits(), 0_f64.to_bits());
        assert_eq!(value(&exposed, r#"robocall_talk_seconds_bucket{le="6"}"#).to_bits(), 0_f64.to_bits());
        assert!(
            exposed.contains("# TYPE robocall_talk_seconds histogram") && !exposed.contains("summary"),
            "{exposed}"
        );
        assert!(!exposed.contains("robocall_api_"), "a worker has no interface");
        assert!(!exposed.contains("robocall_live_calls "), "what is not known is not zero");
    }
}
