//! Spans that are sent to a collector, in batches, by a thread of their own: nobody waits for it, and what it cannot send
//! in time is dropped.

use std::time::Duration;

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::{TracesError, collector};
use crate::model::TraceParent;
use crate::telemetry::spans::{ASIDE, COMMAND};

/// How long the end of the process may wait for a collector.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Events that a span keeps, the first: those of a call with all the steps a flow may have, and as many more.
const MOST_EVENTS: u32 = 1_024;

/// The export of spans, if there is any.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// What the environment wants exported: to `OTEL_EXPORTER_OTLP_ENDPOINT`, and as the other variables of OpenTelemetry's
    /// specification say (headers, sampler, batches, resource).
    ///
    /// # Errors
    /// When the collector's address is none, or it is to be spoken to in a way that is not known here.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TracesError> {
        let Some(named) = collector(&variable)? else { return Ok(Self(None)) };
        let exporter = SpanExporter::builder().with_http().build();
        // What the library says of an address it quotes, and there may be a password in it.
        let exporter =
            exporter.map_err(|_| TracesError { variable: named, reason: "is no address of a collector".to_owned() })?;
        let mut resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let says_who = |value: String| value.split(',').any(|pair| pair.trim_start().starts_with("service.name="));
        if set("OTEL_SERVICE_NAME").is_none() && !set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(says_who) {
            resource = resource.with_service_name("robocall");
        }
        let mut provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
        if set("OTEL_SPAN_EVENT_COUNT_LIMIT").is_none() {
            provider = provider.with_max_events_per_span(MOST_EVENTS);
        }
        Ok(Self(Some(provider.build())))
    }

    /// What hears of spans for the export, and of what the log says in them: what happens in calls, and what is no detail.
    pub(in crate::telemetry) fn layer<S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync>(
        &self,
    ) -> Option<Box<dyn Layer<S> + Send + Sync>> {
        let tracer = Naming(self.0.as_ref()?.tracer("robocall"));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Else a span's parent could not be learnt while it lasts.
            .with_context_activation(false);
        Some(layer.with_filter(FilterFn::new(is_told).with_max_level_hint(LevelFilter::DEBUG)).boxed())
    }

    /// Sends what has not been sent, and waits for it: three seconds at most. Not to be called where futures run.
    pub fn end(self) {
        if let Some(provider) = self.0 {
            // What cannot be sent has been told of by who tried.
            drop(provider.shutdown_with_timeout(LAST_WAIT));
        }
    }
}

/// Begins spans under the names that collectors list them by, where the log's say too little there.
struct Naming(SdkTracer);

impl Tracer for Naming {
    type Span = <SdkTracer as Tracer>::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Self::Span {
        if builder.name == COMMAND {
            let mut attributes = builder.attributes.iter().flatten();
            let kind = attributes.find(|attribute| attribute.key.as_str() == "kind").map(|kind| kind.value.to_string());
            builder.name = format!("robocall.{COMMAND} {}", kind.unwrap_or_default()).into();
            builder.span_kind = Some(SpanKind::Consumer);
        }
        self.0.build_with_context(builder, parent)
    }
}

fn is_told(metadata: &Metadata<'_>) -> bool {
    let (target, calls) = (metadata.target(), crate::telemetry::calls::TARGET);
    let ours = target.split("::").next() == Some("robocall") && *metadata.level() <= Level::INFO;
    target == calls || (ours && target != ASIDE)
}

/// Says what a span is a part of.
pub(in crate::telemetry) fn continues(span: &Span, trace: TraceParent) {
    let (trace, parent, flags) = trace.ids();
    let (trace, parent, flags) = (TraceId::from(trace), SpanId::from(parent), TraceFlags::new(flags));
    let remote = SpanContext::new(trace, parent, flags, true, TraceState::NONE);
    // Without a collector there is nothing to tell.
    drop(span.set_parent(Context::new().with_remote_span_context(remote)));
}

/// The span around, as a parent elsewhere; none if spans are not exported. Whether it is sampled goes with it.
pub(in crate::telemetry) fn around() -> Option<TraceParent> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let (trace, parent) = (span.trace_id().to_bytes(), span.span_id().to_bytes());
    TraceParent::new(u128::from_be_bytes(trace), u64::from_be_bytes(parent), span.trace_flags().to_u8())
}

/// Says that a span that lasts is known for what it is: what is not sampled is not kept from now on, and of the rest no more
/// than the limit. Until it is begun, or over, a span keeps everything.
pub(in crate::telemetry) fn begins(span: &Span) {
    let _its_own = span.context();
}

/// Says what came of the attempt that the span around is about.
pub(in crate::telemetry) fn ends_with(result: &'static str) {
    Span::current().set_attribute("result", result);
}

/// Says with which status the question that the span around is about was answered.
pub(in crate::telemetry) fn is_answered(status: u16) {
    let span = Span::current();
    span.set_attribute("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.set_status(Status::error(""));
    }
}
