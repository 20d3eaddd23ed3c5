//! A program that exports no spans.

use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::{TracesError, collector};
use crate::model::TraceParent;

/// The export of spans: of none.
#[derive(Debug, Default)]
pub struct Traces(());

impl Traces {
    /// What the environment wants exported.
    ///
    /// # Errors
    /// When it names a collector: this program was built without export.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TracesError> {
        match collector(&variable)? {
            None => Ok(Self(())),
            Some(variable) => {
                let reason = "this program was built without the feature `otlp`: it exports no spans".to_owned();
                Err(TracesError { variable, reason })
            }
        }
    }

    /// What hears of spans for the export.
    pub(in crate::telemetry) fn layer<S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync>(
        &self,
    ) -> Option<Box<dyn Layer<S> + Send + Sync>> {
        None
    }

    /// Sends what has not been sent.
    pub fn end(self) {}
}

/// Says what a span is a part of.
pub(in crate::telemetry) fn continues(_: &Span, _: TraceParent) {}

/// The span around, as a parent elsewhere.
pub(in crate::telemetry) fn around() -> Option<TraceParent> {
    None
}

/// Says that a span that lasts is known for what it is.
pub(in crate::telemetry) fn begins(_: &Span) {}

/// Says what came of the attempt that the span around is about.
pub(in crate::telemetry) fn ends_with(_: &'static str) {}

/// Says with which status the question that the span around is about was answered.
pub(in crate::telemetry) fn is_answered(_: u16) {}
