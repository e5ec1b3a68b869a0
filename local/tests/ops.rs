//! The operator's routes across restarts.

mod serving;

use std::net::SocketAddr;

use local::Clients;
use serde_json::Value;
use serving::{started, told};

/// An answer: its status, and its body if that is JSON.
async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    let said = told(address, request.as_bytes()).await;
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = said.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let is_problem = said.contains("content-type: application/problem+json");
    let status = status.unwrap_or_else(|| panic!("{request}{said}"));
    assert_eq!(status >= 400, is_problem, "{request}{said}");
    (status, serde_json::from_str(body).unwrap_or_default())
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_kept_names_nobody_elses_run_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let machine = started(folder.path(), Clients::default()).await;
    let once = format!("{JSON}idempotency-key: one\r\n");
    let (_, begun) = ask(machine.address(), "POST", "/ops/audits", &once, "{}").await;
    machine.stop().await;

    let machine = started(folder.path(), Clients::default()).await;
    let address = machine.address();
    let (_, others) = ask(address, "POST", "/ops/audits", JSON, "{}").await;
    assert_eq!(ask(address, "POST", "/ops/audits", &once, "{}").await.1, begun, "it is kept");
    assert_ne!(others["id"], begun["id"]);
    let (status, _) = ask(address, "GET", &format!("/ops/audits/{}", begun["id"]), "", "").await;
    assert_eq!(status, 404);
    machine.stop().await;
}
