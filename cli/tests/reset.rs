//! Removing a store: only one that nobody has open, and only where somebody wants it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use server::{BINARY, Server};
use tempfile::TempDir;

fn reset(data: &Path, more: &[&str]) -> Output {
    Command::new(BINARY).args(["reset", "--data"]).arg(data).args(more).stdin(Stdio::null()).output().unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_removed_if_somebody_says_so_and_no_server_has_it_open() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    server.stock("lamp-01", 3).await;

    let busy = reset(&data, &["--yes"]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(complaint(&busy).contains("is in use by another process"), "{}", complaint(&busy));
    server.stop();

    let unasked = reset(&data, &[]);
    assert_eq!(unasked.status.code(), Some(2), "nobody is there to ask");
    assert!(complaint(&unasked).contains("say --yes"), "{}", complaint(&unasked));
    let server = Server::start(&data, &[]);
    assert_eq!(server.get("/inventory/skus/lamp-01").await["available"], 3, "nothing was removed so far");
    server.stop();

    fs::write(data.join("notes.txt"), "mine").unwrap();
    assert!(reset(&data, &["--yes"]).status.success());
    assert!(!data.join("sagaline.db").exists());
    assert_eq!(fs::read_to_string(data.join("notes.txt")).unwrap(), "mine", "what is not of the store stays");
    let server = Server::start(&data, &[]);
    assert_eq!(server.get("/inventory/skus").await["skus"], serde_json::json!([]));
    server.stop();
}

#[test]
fn where_there_is_no_store_nothing_is_removed_and_nothing_is_made() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("photo"), "of a cat").unwrap();
    for data in [folder.path().to_owned(), folder.path().join("missing")] {
        let said = String::from_utf8(reset(&data, &["--yes"]).stdout).unwrap();
        assert!(said.starts_with("there is no store in "), "{said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
