//! What the spans of the log are besides: spans of a trace, exported over OTLP.
//!
//! Configured by the environment variables that OpenTelemetry's specification gives all programs, and switched on by them:
//! nothing is exported unless a collector is named. Needs the feature `otlp`; a program without it says so.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod exported;

#[cfg(not(feature = "otlp"))]
pub use absent::Traces;
#[cfg(not(feature = "otlp"))]
pub(super) use absent::{continues, ends_with, is_answered};
#[cfg(feature = "otlp")]
pub use exported::Traces;
#[cfg(feature = "otlp")]
pub(super) use exported::{continues, ends_with, is_answered};

/// Why spans cannot be exported as the environment wants.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct TracesError {
    variable: &'static str,
    reason: String,
}

/// Which variable names a collector, if any does and nothing is said against it.
///
/// # Errors
/// When the collector is to be spoken to in a way that is not known here.
fn collector(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<&'static str>, TracesError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]
        .into_iter()
        .find(|name| set(name).is_some());
    let (Some(named), false) = (named, is_off) else { return Ok(None) };
    let refuse =
        |variable, known, value| Err(TracesError { variable, reason: format!("only {known} is known, not `{value}`") });
    for variable in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        if let Some(value) = set(variable).filter(|value| value != "http/protobuf") {
            return refuse(variable, "http/protobuf", value);
        }
    }
    if let Some(value) = set("OTEL_TRACES_EXPORTER").filter(|value| value != "otlp") {
        return refuse("OTEL_TRACES_EXPORTER", "otlp or none", value);
    }
    Ok(Some(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<&'static str>, String> {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        collector(&variable).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_exported_unless_a_collector_is_named() {
        let (all, traces) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let at = "http://127.0.0.1:4318";
        assert_eq!(found(&[]), Ok(None));
        assert_eq!(found(&[(all, "")]), Ok(None), "empty is as good as unset");
        assert_eq!(found(&[(all, at)]), Ok(Some(all)));
        assert_eq!(found(&[(all, at), (traces, at), ("OTEL_TRACES_EXPORTER", "otlp")]), Ok(Some(traces)));
        assert_eq!(found(&[(all, at), ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(found(&[(all, at), ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    }

    #[test]
    fn a_collector_that_cannot_be_spoken_to_is_refused_by_the_variables_name() {
        let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
        ] {
            let refused = found(&[at, (variable, value)]).expect_err("it is not known");
            assert!(refused.starts_with(variable) && refused.ends_with(&format!("`{value}`")), "{refused}");
        }
        assert_eq!(found(&[at, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), Ok(Some(at.0)));
    }
}
