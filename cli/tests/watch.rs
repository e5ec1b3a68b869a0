//! Watching an order: each event once, to its end, over a server that is killed and comes back.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::process::{Child, Command, Output, Stdio};

use hyper::Method;
use serde_json::{Value, json};
use server::{BINARY, Server};
use tempfile::TempDir;

fn watch(server: &Server, more: &[&str]) -> Child {
    let mut command = Command::new(BINARY);
    command.args(["--url", &server.url, "-o", "json", "order", "watch", "order-1"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn names(watched: &Output) -> Vec<String> {
    let lines = String::from_utf8_lossy(&watched.stdout);
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| event["event_name"].as_str().unwrap().to_owned()).collect()
}

async fn place(server: &Server, quantity: u64) {
    let order = json!({
        "order_id": "order-1",
        "customer_id": "customer-1",
        "items": [{ "sku": "sku-1", "quantity": quantity }],
    });
    server.post("/orders", order).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_watched_to_its_end_over_a_server_that_is_killed_and_comes_back() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &["--gateway-failures", "1"]);
    server.stock("sku-1", 10).await;
    place(&server, 1).await;
    server.until("/orders/order-1", |order| order["status"] == "CONFIRMED").await;
    let watching = watch(&server, &[]);
    let late = watch(&server, &["--timeout", "1"]).wait_with_output().unwrap();
    assert_eq!(late.status.code(), Some(5), "{}", String::from_utf8_lossy(&late.stderr));
    assert!(names(&late).contains(&"InventoryReserved".to_owned()));

    let port = server.port();
    server.kill();
    // Nobody is there for as long as it takes to notice, and to ask in vain.
    let gone = watch(&server, &[]).wait_with_output().unwrap();
    assert_eq!(gone.status.code(), Some(3), "who was never there is not waited for");
    let server = Server::start_at(folder.path(), port, &[]);
    server.until("/orders/order-1", |order| order["open"] == false).await;
    let watched = watching.wait_with_output().unwrap();
    assert_eq!(watched.status.code(), Some(0), "{}", String::from_utf8_lossy(&watched.stderr));
    let (_, stream) = server.ask(Method::GET, "/orders/order-1/events", None).await;
    let mut all: Vec<String> = stream["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["event_name"].as_str().unwrap().to_owned())
        .collect();
    let mut seen = names(&watched);
    seen.sort();
    all.sort();
    assert_eq!(seen, all, "each event once");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watching_an_order_that_comes_to_nothing_fails_with_a_code_of_its_own() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("sku-1", 1).await;
    place(&server, 2).await;
    let watched = watch(&server, &[]).wait_with_output().unwrap();
    assert_eq!(watched.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&watched.stderr).contains("order-1 is CANCELLED (reservation_failed"));
    assert_eq!(names(&watched).last().unwrap(), "InventoryReservationFailed");
    server.stop();
}
