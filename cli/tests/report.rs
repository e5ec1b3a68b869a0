//! The daily report: made by the clock or when an operator asks, kept over restarts; and orders that expire.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use server::{BINARY, Server};
use tempfile::TempDir;

fn report(server: &Server, more: &[&str]) -> Output {
    Command::new(BINARY).args(["--url", &server.url, "-o", "json", "report"]).args(more).output().unwrap()
}

fn shown(server: &Server, more: &[&str]) -> Value {
    let output = report(server, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn place(server: &Server, order: &str, quantity: u64) {
    let items = json!([{ "sku": "sku-1", "quantity": quantity }]);
    server.post("/orders", json!({ "order_id": order, "customer_id": "customer-1", "items": items })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_tells_of_orders_shortages_and_letters_and_is_there_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let none = report(&server, &[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("POST /ops/sweeps"), "nothing was swept yet");

    server.stock("sku-1", 3).await;
    place(&server, "order-1", 1).await;
    place(&server, "order-2", 5).await;
    let nonsense = json!({ "pk": "NOT#A#STREAM", "sk": "EVENT#1", "event_name": "SkuRestocked" });
    server.post("/chaos/raw-events", nonsense).await;
    let one = |letters: &Value| letters["dead_letters"].as_array().is_some_and(|all| all.len() == 1);
    server.until("/ops/dead-letters", one).await;
    server.at_rest().await;

    let now = shown(&server, &["--now"]);
    assert_eq!(now["orders"], json!({ "PAID": 1, "CANCELLED": 1 }));
    assert_eq!((&now["open"], &now["stuck"], &now["expired"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(now["short"], 1);
    assert_eq!(now["shortages"]["sku-1"]["orders"], 1);
    assert_eq!(now["dead_letters"], json!({ "IMS-InventoryDLQ": 1 }));
    server.kill();
    let server = Server::start(folder.path(), &[]);
    let last = shown(&server, &[]);
    for field in ["began_at", "orders", "shortages", "dead_letters", "events"] {
        assert_eq!(last[field], now[field], "{field}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_pays_expires_where_that_was_asked_for_and_its_stock_goes_back() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("sku-1", 3).await;
    // Somebody stands where the attempt to charge it would, so nobody ever charges it.
    let blocked = json!({
        "pk": "EVENTS#ORDER_ID#order-1", "sk": "EVENT#PaymentAttempt#1", "event_name": "OrderPutAside", "data": {}
    });
    server.post("/chaos/raw-events", blocked).await;
    place(&server, "order-1", 2).await;
    server.until("/orders/order-1", |order| order["status"] == "CONFIRMED").await;
    assert_eq!(shown(&server, &["--now"])["expired"], 0, "nothing expires by itself");
    server.stop();

    let server = Server::start(folder.path(), &["--expire-after", "1"]);
    while shown(&server, &["--now"])["expired"] == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let order = server.until("/orders/order-1", |order| order["open"] == false).await;
    let why = ["status", "status_reason", "status_detail"].map(|field| order[field].as_str().unwrap());
    assert_eq!(why, ["CANCELLED", "cancelled_on_request", "expired"]);
    let stock = server.until("/inventory/skus/sku-1", |stock| stock["reserved"] == 0).await;
    assert_eq!((&stock["available"], &stock["sold"]), (&json!(3), &json!(0)));
    let audit = server.audit_at_rest().await;
    assert_eq!((&audit["clean"], &audit["open"]), (&json!(true), &json!(0)), "{audit}");
    server.stop();
}
