//! A collector for tests: takes spans and metrics by OTLP over HTTP, as a real one does, and keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A span as it arrived. Ids are in hexadecimal digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The service that sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace.
    pub trace_id: String,
    /// Its id.
    pub span_id: String,
    /// The id of the span that it continues; empty if it is the first.
    pub parent_id: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The traces that it is linked to.
    pub links: Vec<String>,
}

/// A collector on the loopback address. It is gone when it is dropped.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    received: Kept,
    counted: Counted,
    raw: Raw,
    server: JoinHandle<io::Result<()>>,
}

type Kept = Arc<Mutex<Vec<Received>>>;
type Counted = Arc<Mutex<BTreeMap<String, u64>>>;
type Raw = Arc<Mutex<Vec<u8>>>;

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    /// Starts to listen at a free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> io::Result<Collector> {
        let (received, counted, raw) = (Kept::default(), Counted::default(), Raw::default());
        let routes = Router::new()
            .route("/v1/traces", post(take_spans))
            .with_state(received.clone())
            .route("/v1/metrics", post(take_metrics))
            .with_state(counted.clone())
            .layer(from_fn_with_state(raw.clone(), keep_bytes));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Collector { endpoint, received, counted, raw, server })
    }

    /// Where spans are to be sent.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Every byte that arrived until now, whatever it says.
    pub fn bytes(&self) -> Vec<u8> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What arrived until now.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was counted until now, by its name; of what was measured, how often.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans of a trace that arrived until now.
    pub fn trace(&self, trace_id: &str) -> Vec<Received> {
        self.received().into_iter().filter(|span| span.trace_id == trace_id).collect()
    }
}

/// The spans of a trace that continue nothing which arrived. A trace that is connected has one.
pub fn roots(trace: &[Received]) -> Vec<&Received> {
    let arrived: BTreeSet<&str> = trace.iter().map(|span| &*span.span_id).collect();
    trace.iter().filter(|span| !arrived.contains(&*span.parent_id)).collect()
}

async fn keep_bytes(State(raw): State<Raw>, request: Request, next: Next) -> Result<Response, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| StatusCode::BAD_REQUEST)?;
    raw.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&body);
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

async fn take_spans(State(kept): State<Kept>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    for of_resource in request.resource_spans {
        let resource =
            of_resource.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        kept.extend(spans.map(|span| received(&service, span)));
    }
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

/// Sums are since the service began, so the last one says it all.
async fn take_metrics(State(counted): State<Counted>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let request = ExportMetricsServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let of_scopes = request.resource_metrics.into_iter().flat_map(|of_resource| of_resource.scope_metrics);
    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
    for metric in of_scopes.flat_map(|of_scope| of_scope.metrics) {
        let count = match metric.data {
            Some(metric::Data::Sum(sum)) => sum.data_points.iter().map(sum_of).sum(),
            Some(metric::Data::Histogram(measured)) => {
                measured.data_points.iter().map(|point| point.count).sum()
            }
            _ => continue,
        };
        counted.insert(metric.name, count);
    }
    Ok(ExportMetricsServiceResponse::default().encode_to_vec())
}

fn sum_of(point: &NumberDataPoint) -> u64 {
    match point.value {
        Some(number_data_point::Value::AsInt(sum)) => sum.unsigned_abs(),
        Some(number_data_point::Value::AsDouble(sum)) => sum as u64,
        None => 0,
    }
}

fn received(service: &str, span: Span) -> Received {
    Received {
        service: service.to_owned(),
        name: span.name,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        attributes: attributes(span.attributes),
        links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
    }
}

fn attributes(given: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| {
        let value = match pair.value?.value? {
            any_value::Value::StringValue(text) => text,
            any_value::Value::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((pair.key, value))
    };
    given.into_iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
