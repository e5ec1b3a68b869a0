//! Sending spans to a collector by OTLP over HTTP, when the binary says it is time.
//!
//! The SDK's own batches are sent by a thread of theirs, which a function's frozen process would stop in the middle.
//! Here spans wait until somebody flushes: a function at the end of each invocation, a server every second.

mod meter;

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

pub use meter::Meter;

/// Spans that wait for a flush, at most: about 10 MB. Later ones are dropped, and counted.
const ROOM: usize = 10_000;
/// Spans in one request.
const BATCH: usize = 512;

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The collector's address is no good.
    #[error("{0} is no address of a collector; give one such as http://127.0.0.1:4318")]
    Endpoint(String),
    /// What the SDK says.
    #[error("failed to set up the export of spans: {0}")]
    Setup(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Where a collector takes a kind of signal.
fn url_at(endpoint: &str, signal: &str) -> Result<String, ExportError> {
    if !endpoint.starts_with("http://") {
        return Err(ExportError::Endpoint(endpoint.to_owned()));
    }
    Ok(format!("{}/v1/{signal}", endpoint.trim_end_matches('/')))
}

/// Where spans go.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
    waiting: Waiting,
    collector: opentelemetry_otlp::SpanExporter,
}

impl Exporter {
    /// An exporter of the spans of a service, to a collector that speaks OTLP over HTTP at `endpoint`, such as
    /// `http://127.0.0.1:4318`; a request takes at most `patience`. Nothing is connected to yet. The variables
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say which share of traces is kept; without them, all are.
    ///
    /// # Errors
    /// An address that is not of this form. A collector stands on the same machine, so it is asked without TLS.
    pub fn new(service: &str, endpoint: &str, patience: Duration) -> Result<Exporter, ExportError> {
        let traces = url_at(endpoint, "traces")?;
        let resource = Resource::builder().with_service_name(service.to_owned()).build();
        let mut collector = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(HyperClient::with_default_connector(patience, None))
            .with_endpoint(traces)
            .with_timeout(patience)
            .build()?;
        collector.set_resource(&resource);
        let waiting = Waiting::default();
        let provider =
            SdkTracerProvider::builder().with_span_processor(waiting.clone()).with_resource(resource).build();
        Ok(Exporter { provider, waiting, collector })
    }

    /// The layer that turns the spans of `tracing` into spans that are exported.
    pub fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("sagaline"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what waits. What the collector does not take is dropped: a trace is not worth an order's time.
    pub async fn flush(&self) {
        let (spans, dropped) = self.waiting.take();
        if dropped > 0 {
            tracing::warn!(dropped, "more spans ended than there was room for");
        }
        let mut spans = spans.into_iter().peekable();
        while spans.peek().is_some() {
            let batch = spans.by_ref().take(BATCH).collect();
            if let Err(error) = self.collector.export(batch).await {
                tracing::warn!(%error, "failed to export spans; they are dropped");
                return;
            }
        }
    }
}

/// Spans that ended and were not sent yet.
#[derive(Debug, Clone, Default)]
struct Waiting(Arc<Mutex<Ended>>);

#[derive(Debug, Default)]
struct Ended {
    spans: Vec<SpanData>,
    dropped: u64,
}

impl Waiting {
    fn take(&self) -> (Vec<SpanData>, u64) {
        let Ended { spans, dropped } = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (spans, dropped)
    }
}

impl SpanProcessor for Waiting {
    fn on_start(&self, _span: &mut Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.spans.len() < ROOM {
            ended.spans.push(span);
        } else {
            ended.dropped += 1;
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::trace;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    /// The spans that end while `work` is done.
    fn spans_of(work: impl FnOnce()) -> Vec<SpanData> {
        let exporter = Exporter::new("test", "http://127.0.0.1:4318", Duration::from_secs(1)).unwrap();
        let subscriber = tracing_subscriber::registry().with(exporter.layer());
        tracing::subscriber::with_default(subscriber, work);
        exporter.waiting.take().0
    }

    #[test]
    fn a_span_that_joins_a_trace_is_a_child_of_who_began_it_and_says_so_of_itself() {
        let mut said = None;
        let spans = spans_of(|| {
            let span = tracing::info_span!("look");
            trace::join(&span, TRACE);
            span.in_scope(|| said = trace::current());
        });
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(span.span_context.trace_id().to_string(), trace::id(TRACE));
        assert_eq!(span.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(said, Some(trace::write(&span.span_context)));
    }

    #[test]
    fn a_span_is_linked_to_the_traces_of_its_batch() {
        let spans = spans_of(|| trace::link(&tracing::info_span!("look"), TRACE));
        let linked: Vec<String> =
            spans[0].links.iter().map(|link| trace::write(&link.span_context)).collect();
        assert_eq!(linked, [TRACE]);
    }

    #[test]
    fn a_span_of_a_trace_that_is_not_sampled_is_not_exported() {
        let unsampled = TRACE.replace("-01", "-00");
        assert!(spans_of(|| trace::join(&tracing::info_span!("look"), &unsampled)).is_empty());
    }

    #[test]
    fn spans_beyond_the_room_are_dropped_and_counted() {
        let exporter = Exporter::new("test", "http://127.0.0.1:4318", Duration::from_secs(1)).unwrap();
        let subscriber = tracing_subscriber::registry().with(exporter.layer());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..ROOM + 3 {
                drop(tracing::info_span!("work"));
            }
        });
        let (spans, dropped) = exporter.waiting.take();
        assert_eq!((spans.len(), dropped), (ROOM, 3));
    }

    #[test]
    fn an_address_that_no_collector_has_is_refused() {
        for bad in ["", "127.0.0.1:4318", "https://collector", "grpc://127.0.0.1:4317"] {
            let refused = Exporter::new("test", bad, Duration::from_secs(1));
            assert!(matches!(refused, Err(ExportError::Endpoint(_))), "{bad}");
        }
    }

    #[cfg(feature = "collector")]
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_flushed_arrives_at_the_collector_and_what_it_does_not_take_is_dropped() {
        let collector = crate::collector::Collector::start().await.unwrap();
        let exporter = Exporter::new("test", collector.endpoint(), Duration::from_secs(10)).unwrap();
        let subscriber = tracing_subscriber::registry().with(exporter.layer());
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("outer", order_id = "order-1").entered();
            tracing::info_span!("inner").in_scope(|| {});
            drop(outer);
        });
        exporter.flush().await;
        let [inner, outer] = &collector.received()[..] else { panic!("{:?}", collector.received()) };
        assert_eq!((&*inner.name, &*inner.service, &inner.parent_id), ("inner", "test", &outer.span_id));
        assert_eq!((&outer.attributes["order_id"], &*outer.parent_id), (&"order-1".to_owned(), ""));

        let nobody = Exporter::new("test", "http://127.0.0.1:9", Duration::from_secs(1)).unwrap();
        let subscriber = tracing_subscriber::registry().with(nobody.layer());
        tracing::subscriber::with_default(subscriber, || drop(tracing::info_span!("lost")));
        nobody.flush().await;
        assert_eq!(nobody.waiting.take(), (Vec::new(), 0));
    }
}
