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
pub(super) use absent::{around, begins, continues, ends_with, is_answered};
#[cfg(feature = "otlp")]
pub use exported::Traces;
#[cfg(feature = "otlp")]
pub(super) use exported::{around, begins, continues, ends_with, is_answered};

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
    let refuse = |variable, reason: String| Err(TracesError { variable, reason });
    let is_address = |value: &String| ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme));
    if !set(named).as_ref().is_some_and(is_address) {
        return refuse(named, "must begin with http:// or https://".to_owned());
    }
    let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let protocol = protocols.into_iter().find_map(|variable| Some((variable, set(variable)?)));
    if let Some((variable, value)) = protocol.filter(|(_, value)| !value.eq_ignore_ascii_case("http/protobuf")) {
        return refuse(variable, format!("only http/protobuf is known, not `{value}`"));
    }
    if let Some(value) = set("OTEL_TRACES_EXPORTER").filter(|value| value != "otlp") {
        return refuse("OTEL_TRACES_EXPORTER", format!("only otlp or none is known, not `{value}`"));
    }
    let sampler = set(SAMPLER).unwrap_or_else(|| SAMPLERS[0].to_owned());
    if !SAMPLERS.contains(&&*sampler) {
        return refuse(SAMPLER, format!("is one of {}, not `{sampler}`", SAMPLERS.join(", ")));
    }
    let is_ratio = |value: &String| value.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio));
    match set(SAMPLER_ARG) {
        Some(value) if sampler.ends_with("ratio") && !is_ratio(&value) => {
            refuse(SAMPLER_ARG, format!("must be a number from 0 to 1, not `{value}`"))
        }
        _ => Ok(Some(named)),
    }
}

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Those that there are, the default first: whatever else is written would mean all spans.
const SAMPLERS: [&str; 6] = [
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "always_on",
    "always_off",
    "traceidratio",
];

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
            ("OTEL_TRACES_SAMPLER", "parentbased"),
        ] {
            let refused = found(&[at, (variable, value)]).expect_err("it is not known");
            assert!(refused.starts_with(variable) && refused.ends_with(&format!("`{value}`")), "{refused}");
        }
        assert_eq!(found(&[at, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), Ok(Some(at.0)));
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        assert_eq!(found(&[at, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), of_traces]), Ok(Some(at.0)), "it goes before");
        for (sampler, argument, is_known) in
            [("traceidratio", "0.01", true), ("parentbased_traceidratio", "1%", false), ("always_on", "1%", true)]
        {
            let found = found(&[at, ("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
            assert_eq!(found.is_ok(), is_known, "{sampler} {argument}: {found:?}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_and_not_repeated() {
        for address in ["collector:4318", "tenant:s3cret@collector"] {
            for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
                let refused = found(&[(variable, address)]).expect_err("it is none");
                assert!(refused.starts_with(variable) && !refused.contains("collector"), "{refused}");
            }
        }
    }
}
