//! What a collector sees of an order: one trace, from the request to the last worker.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use server::Server;
use telemetry::collector::{Collector, roots};
use telemetry::trace;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_from_its_request_to_its_last_worker_and_is_counted_once() {
    let folder = TempDir::new().unwrap();
    let collector = Collector::start().await.unwrap();
    let server = Server::start(folder.path(), &["--otlp-endpoint", collector.endpoint()]);
    server.stock("lamp", 10).await;
    let items = json!([{ "sku": "lamp", "quantity": 3 }]);
    let order = json!({ "order_id": "order-1", "customer_id": "customer-1", "items": items });
    server.post("/orders", order).await;
    server.until("/orders/order-1", |order| order["open"] == false).await;
    let history = server.get("/orders/order-1/events").await;
    server.stop();

    let appended_in: Vec<&str> = history["events"].as_array().unwrap().iter().map(traceparent).collect();
    assert_eq!(appended_in.len(), 6, "{history}");
    let seen = collector.trace(trace::id(appended_in[0]));
    let services: BTreeSet<&str> = seen.iter().map(|span| &*span.name).collect();
    assert_eq!(
        services,
        BTreeSet::from(["POST /orders", "orders-worker", "inventory-worker", "payments-worker"])
    );
    let [request] = &roots(&seen)[..] else { panic!("{:#?}", roots(&seen)) };
    assert_eq!((&*request.name, &*request.service, &*request.parent_id), ("POST /orders", "sagaline", ""));
    assert_eq!(request.attributes["http.response.status_code"], "201");
    // Each event names the span that appended it, and those are different looks of different workers.
    let spans: BTreeSet<&str> = seen.iter().map(|span| &*span.span_id).collect();
    let appended_in: BTreeSet<&str> =
        appended_in.iter().map(|traceparent| traceparent.split('-').nth(2).unwrap()).collect();
    assert!(appended_in.is_subset(&spans), "{appended_in:?} {spans:?}");
    assert!(appended_in.len() >= 4, "{appended_in:?}");
    let counted = collector.counted();
    let counts = ["orders_placed", "orders_settled", "time_to_settle"].map(|name| counted[name]);
    assert_eq!(counts, [1, 1, 1], "{counted:?}");
}

fn traceparent(event: &Value) -> &str {
    event["traceparent"].as_str().unwrap()
}
