//! Sending what is counted and measured to a collector by OTLP over HTTP, from time to time. For a process that lives.

use std::fmt;
use std::time::Duration;

use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::registry::LookupSpan;

use super::{ExportError, url_at};

/// Adds up what [`crate::metrics`] says.
#[derive(Debug)]
pub struct Meter {
    provider: SdkMeterProvider,
}

impl Meter {
    /// A meter of a service, which tells a collector at `endpoint` what it counted, `every` so often. It must be made
    /// in a runtime of several threads: a thread of the SDK waits for it.
    ///
    /// # Errors
    /// As of [`super::Exporter::new`].
    pub fn new(
        service: &str,
        endpoint: &str,
        patience: Duration,
        every: Duration,
    ) -> Result<Meter, ExportError> {
        let client = OnRuntime {
            runtime: Handle::current(),
            client: HyperClient::with_default_connector(patience, None),
        };
        let exporter = opentelemetry_otlp::MetricExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(url_at(endpoint, "metrics")?)
            .with_timeout(patience)
            .build()?;
        let provider = SdkMeterProvider::builder()
            .with_resource(Resource::builder().with_service_name(service.to_owned()).build())
            .with_reader(PeriodicReader::builder(exporter).with_interval(every).build())
            .build();
        Ok(Meter { provider })
    }

    /// The layer that hears of what is counted and measured.
    pub fn layer<S>(&self) -> MetricsLayer<S, SdkMeterProvider>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        MetricsLayer::new(self.provider.clone())
    }

    /// Tells the collector what it was not told yet, and nothing more.
    pub async fn stop(&self) {
        let provider = self.provider.clone();
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = stopped {
            tracing::warn!(%error, "failed to export metrics; the last of them are dropped");
        }
    }
}

/// A client that the SDK's thread, which has no runtime, may use.
struct OnRuntime {
    runtime: Handle,
    client: HyperClient,
}

impl fmt::Debug for OnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRuntime")
    }
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

#[cfg(all(test, feature = "collector"))]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::collector::Collector;
    use crate::metrics;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_counted_and_measured_arrives_at_the_collector_at_the_latest_when_it_stops() {
        let collector = Collector::start().await.unwrap();
        let patience = Duration::from_secs(10);
        let meter = Meter::new("test", collector.endpoint(), patience, Duration::from_secs(600)).unwrap();
        let subscriber = tracing_subscriber::registry().with(meter.layer());
        tracing::subscriber::with_default(subscriber, || {
            metrics::order_placed();
            metrics::order_placed();
            metrics::order_settled(12);
        });
        meter.stop().await;
        let counted = collector.counted();
        assert_eq!(
            (counted["orders_placed"], counted["orders_settled"], counted["time_to_settle"]),
            (2, 1, 1)
        );
    }
}
