//! Commands that send more than the server takes from them wait as it asks them to, and leave nothing out.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod asking;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use asking::{Asking, BINARY};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server that takes little from everybody but admins, and a key of an operator's.
async fn with_an_operator(folder: &TempDir) -> (Asking, String) {
    let server = Asking::start(&folder.path().join("data"), Stdio::inherit(), &["--rate-limit", "50/s"]);
    let admin = server.key.clone().unwrap();
    let made = server.done(&admin, "POST", "/keys", &json!({ "name": "till", "role": "operator" })).await;
    let key = made["api_key"].as_str().unwrap().to_owned();
    (server, key)
}

/// What a command that succeeds reports.
fn report(server: &Asking, key: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(BINARY);
    command.args(arguments).args(["-o", "json", "--url", &server.url]).env("SAGALINE_API_KEY", key);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeding_that_is_told_to_wait_waits() {
    let folder = TempDir::new().unwrap();
    let (server, key) = with_an_operator(&folder).await;
    let report = report(&server, &key, &["seed"]);
    let count = |list: &str| report[list].as_array().unwrap().len();
    // An operator may write no raw events, so four orders are left out.
    assert_eq!([count("orders"), count("products"), count("customers")], [7, 6, 4], "{report}");
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.len() == 4 && notes.iter().all(|note| note.to_string().contains("raw event")), "{report}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_told_to_wait_refuses_nobody() {
    let folder = TempDir::new().unwrap();
    let (server, key) = with_an_operator(&folder).await;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/online-retail");
    let whole = fs::read_to_string(examples.join("online-retail-2010-12.csv")).unwrap();
    let some: Vec<&str> = whole.lines().take(201).collect();
    let file = folder.path().join("two-hundred-lines.csv");
    fs::write(&file, some.join("\n")).unwrap();
    let report = report(&server, &key, &["import", file.to_str().unwrap()]);
    assert_eq!(
        (&report["refused"], &report["open"], &report["lines"]),
        (&json!([]), &json!([]), &json!(200))
    );
    let admin = server.key.clone().unwrap();
    let listed = server.done(&admin, "GET", "/products?limit=200", &Value::Null).await;
    assert_eq!(json!(listed["products"].as_array().unwrap().len()), report["products"]);
    server.stop();
}
