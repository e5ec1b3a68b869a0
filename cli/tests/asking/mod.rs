//! A server that asks whoever asks it something who they are: what it said at its start, and how to ask it.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_sagaline");

pub struct Asking {
    process: Child,
    pub url: String,
    /// The first key, if this start made one.
    pub key: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Asking {
    /// Starts it; what it logs goes into a file.
    pub fn start(data: &Path, log: &Path, more: &[&str]) -> Asking {
        let mut process = Command::new(BINARY)
            .args(["up", "--port", "0", "--data"])
            .arg(data)
            .args(more)
            .env_remove("SAGALINE_API_KEY")
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let (mut url, mut key) = (None, None);
        for line in BufReader::new(process.stdout.as_mut().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(shown) = line.trim().strip_prefix("export SAGALINE_API_KEY=") {
                key = Some(shown.to_owned());
            }
            let said = line.split_whitespace().find(|word| word.starts_with("http://"));
            url = url.or(said.map(|word| word.trim_end_matches(',').to_owned()));
            if line.contains("listOrders") {
                break;
            }
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        Asking { process, url: url.expect("it says where it is"), key, client }
    }

    /// An answer: its status, and its body if that is JSON.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<String>,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.into())).unwrap();
        let answer = self.client.request(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Asks with a key and a JSON body for something that succeeds.
    pub async fn done(&self, key: &str, method: &str, path: &str, body: &Value) -> Value {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.ask(method, path, &headers, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Asks until the answer is as it should be, for a while.
    pub async fn until(&self, key: &str, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.done(key, "GET", path, &Value::Null).await;
            if is_right(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} stays {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ctrl-C, and waiting until it has ended by itself.
    pub fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
