//! The real binary as a subprocess: started on any free port, asked over HTTP, killed at will.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

pub const BINARY: &str = env!("CARGO_BIN_EXE_sagaline");

/// A running server. Dropped, it is killed.
pub struct Server {
    process: Mutex<Child>,
    pub url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// How long an audit or a replay may take: of a thousand orders over a server in Java it takes minutes.
const LONG_ENOUGH: Duration = Duration::from_secs(900);

impl Server {
    pub fn start(data: &Path, more: &[&str]) -> Server {
        Server::start_at(data, 0, more)
    }

    /// Where it is listening.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn start_at(data: &Path, port: u16, more: &[&str]) -> Server {
        let mut process = Command::new(BINARY)
            .args(["up", "--auth", "off", "--port", &port.to_string(), "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let url = said.split_whitespace().find(|word| word.starts_with("http://"));
        let Some(url) = url.map(|url| url.trim_end_matches(',').to_owned()) else {
            process.kill().ok();
            panic!("the server did not start: {said:?}");
        };
        Server {
            process: Mutex::new(process),
            url,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// kill -9: nothing is finished, nothing is closed. Whoever is asking it something may still be waiting.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Ctrl-C, and waiting until it has ended by itself.
    pub fn stop(self) {
        let mut process = self.process.lock().unwrap();
        let id = process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(process.wait().unwrap().success());
    }

    /// A request; `None` when the server is gone.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(StatusCode, Value)> {
        let body = body.map_or_else(String::new, |body| body.to_string());
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let answer = self.client.request(request).await.ok()?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.try_ask(method, path, body).await.expect("the server answers")
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask(Method::GET, path, None).await;
        assert!(status.is_success(), "GET {path}: {status} {value}");
        value
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, value) = self.ask(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "POST {path}: {status} {value}");
        value
    }

    /// A customer, and a product with so many units on the shelf.
    pub async fn stock(&self, sku: &str, units: u64) {
        self.post("/customers", json!({ "customer_id": "customer-1", "name": "Anna" })).await;
        self.post("/products", json!({ "product_id": sku, "sku": sku, "name": sku, "price": 2.5 })).await;
        self.post("/inventory/restocks", json!({ "sku": sku, "units": units, "lot_id": "lot-1" })).await;
        let path = format!("/inventory/skus/{sku}");
        self.until(&path, |row| row["available"].as_u64().is_some_and(|there| there > 0)).await;
    }

    /// Asks until the answer is as it should be, for a while.
    pub async fn until(&self, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        self.within(Duration::from_secs(60), path, is_right).await
    }

    async fn within(&self, patience: Duration, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + patience;
        loop {
            let (_, value) = self.ask(Method::GET, path, None).await;
            if is_right(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{path} stays {value}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no message is under way.
    pub async fn at_rest(&self) {
        let idle = |queues: &Value| {
            let queues = queues["queues"].as_array().into_iter().flatten();
            let busy = ["visible", "in_flight", "delayed", "behind"];
            queues
                .filter(|queue| queue["dead_letter"] == false)
                .all(|queue| busy.iter().all(|field| queue[field] == 0))
        };
        self.until("/ops/queues", idle).await;
    }

    /// Waits until nothing is under way, and gives the report of an audit that takes everything for being at rest.
    pub async fn audit_at_rest(&self) -> Value {
        self.at_rest().await;
        self.finished("audits", json!({ "patience": 0 })).await
    }

    /// Does the same until nobody owes anything any more, for as long as a sweep may be away.
    pub async fn audit_once_nothing_is_stuck(&self) -> Value {
        let deadline = Instant::now() + Duration::from_secs(150);
        loop {
            let report = self.audit_at_rest().await;
            let mut differences = report["differences"].as_array().into_iter().flatten();
            if differences.all(|one| one["what"] != "stuck") || Instant::now() > deadline {
                return report;
            }
        }
    }

    /// Rebuilds and compares every read model.
    pub async fn replay_all(&self) -> Vec<Value> {
        let mut reports = Vec::new();
        for view in ["orders", "payments", "deliveries", "customers", "products", "stock"] {
            reports.push(self.finished("replays", json!({ "view": view, "diff": true })).await);
        }
        reports
    }

    /// Has something done to dead letters, and gives what it came to.
    pub async fn finished_action(&self, deed: &str, body: Value) -> Value {
        let begun = self.post(&format!("/ops/dead-letters/{deed}"), body).await;
        self.until(&format!("/ops/actions/{}", begun["id"]), |action| action["state"] == "done").await
    }

    pub async fn finished(&self, kind: &str, body: Value) -> Value {
        let started = self.post(&format!("/ops/{kind}"), body).await;
        let path = format!("/ops/{kind}/{}", started["id"]);
        self.within(LONG_ENOUGH, &path, |run| run["state"] != "running").await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        process.kill().ok();
        process.wait().ok();
    }
}
