//! What a setting that is wrong is told, wherever it was said.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use server::{BINARY, Server};
use tempfile::TempDir;

/// Each setting, its flag, and something that it cannot be.
const WRONG: [(&str, &str, &str); 19] = [
    ("SAGALINE_URL", "--url", "ftp://127.0.0.1"),
    ("SAGALINE_API_KEY", "--key", "two words"),
    ("SAGALINE_PORT", "--port", "http"),
    ("SAGALINE_STORE", "--store", "mysql"),
    ("SAGALINE_ENDPOINT_URL", "--endpoint-url", "127.0.0.1:8000"),
    ("SAGALINE_TABLE_PREFIX", "--table-prefix", "my tables/"),
    ("SAGALINE_DATA", "--data", "a-file"),
    ("SAGALINE_AUTH", "--auth", "maybe"),
    ("SAGALINE_RATE_LIMIT", "--rate-limit", "many"),
    ("SAGALINE_BEHIND_PROXY", "--behind-proxy", "maybe"),
    ("SAGALINE_ENVIRONMENT", "--environment", "test"),
    ("SAGALINE_GATEWAY_FAILURES", "--gateway-failures", "2"),
    ("SAGALINE_GATEWAY_SEED", "--gateway-seed", "-1"),
    ("SAGALINE_PATIENCE", "--patience", "soon"),
    ("SAGALINE_EXPIRE_AFTER", "--expire-after", "never"),
    ("SAGALINE_LOG", "--log", "sagaline=loud"),
    ("SAGALINE_LOG_FILE", "--log-file", "."),
    ("SAGALINE_LOG_FILE", "--log-file", "no-such-folder/log"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "--otlp-endpoint", "collector:4318"),
];

/// A server that was told something wrong says so and ends, before it makes anything.
fn refused(more: &[&str], environment: Option<(&str, &str)>) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a-file"), "").unwrap();
    let mut up = Command::new(BINARY);
    up.arg("up").args(more).envs(environment).current_dir(folder.path()).stdin(Stdio::null());
    let done = up.output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{more:?} {environment:?}: {said}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "{more:?} {environment:?}: something was made"
    );
    said
}

#[test]
fn a_setting_that_is_wrong_is_named_as_a_flag_and_as_a_variable_and_nothing_is_made() {
    for (name, flag, wrong) in WRONG {
        let in_the_environment =
            refused(&["--port", "0"][..2 * usize::from(flag != "--port")], Some((name, wrong)));
        let on_the_command_line = refused(&[&format!("{flag}={wrong}")], None);
        for said in [in_the_environment, on_the_command_line] {
            assert!(said.contains(name) && said.contains(flag), "{name}={wrong}: {said}");
        }
    }
}

#[test]
fn a_setting_that_another_one_needs_is_named_too() {
    let said = refused(&["--port", "0"], Some(("SAGALINE_STORE", "dynamodb")));
    assert!(said.contains("--endpoint-url") && said.contains("SAGALINE_ENDPOINT_URL"), "{said}");
}

#[test]
fn every_setting_of_the_example_is_tried_out_with_something_wrong() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env.example");
    let example = fs::read_to_string(example).unwrap();
    let settings = example.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let settings: BTreeSet<&str> =
        settings.map(|(name, _)| name).filter(|name| !name.contains(char::is_lowercase)).collect();
    assert_eq!(settings, WRONG.map(|(name, ..)| name).into());
}

#[tokio::test]
async fn logs_are_appended_to_the_file_that_is_named() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, "what was there\n").unwrap();
    let more = ["--log", "info", "--log-file", log.to_str().unwrap()];
    let server = Server::start(&folder.path().join("data"), &more);
    server.post("/customers", serde_json::json!({ "customer_id": "anna-1" })).await;
    server.stop();
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.starts_with("what was there\n") && said.lines().count() > 1, "{said}");
    assert!(!said.contains('\u{1b}'), "a file is no terminal: {said}");
}
