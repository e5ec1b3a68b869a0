//! A real shop's orders, with the server killed in the middle of them.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use server::{BINARY, Server};
use tempfile::TempDir;

fn importing(server: &Server) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut import = Command::new(BINARY);
    import
        .args(["import", "examples/online-retail/online-retail-2010-12.csv", "--url", &server.url])
        .current_dir(root)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    import
}

/// Every order, whatever its state.
async fn orders(server: &Server) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/orders?limit=200{token}")).await;
        all.extend(page["orders"].as_array().unwrap().iter().cloned());
        match page["next_token"].as_str() {
            Some(next) => token = format!("&next_token={next}"),
            None => return all,
        }
    }
}

fn ids(orders: &[Value]) -> BTreeSet<String> {
    orders.iter().map(|order| order["order_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_was_killed_and_begun_again_gives_the_orders_of_an_undisturbed_one() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    assert!(importing(&server).status().unwrap().success());
    let undisturbed = ids(&orders(&server).await);
    assert_eq!(undisturbed.len(), 461);
    server.stop();

    for after in [40, 150, 400, 900, 1_600] {
        let folder = TempDir::new().unwrap();
        let server = Server::start(folder.path(), &[]);
        let mut import = importing(&server).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        server.kill();
        import.wait().unwrap();

        let server = Server::start(folder.path(), &[]);
        assert!(importing(&server).status().unwrap().success(), "after {after} ms");
        let report = server.audit_at_rest().await;
        assert_eq!((&report["differences"], &report["open"]), (&json!([]), &json!(0)), "after {after} ms");
        let imported = orders(&server).await;
        assert_eq!(ids(&imported), undisturbed, "after {after} ms");
        assert!(imported.iter().all(|order| order["open"] == false), "after {after} ms");
        for report in server.replay_all().await {
            assert_eq!(report["differences"], json!([]), "after {after} ms: {report}");
        }
        let events = report["events"].clone();
        assert!(importing(&server).status().unwrap().success(), "a second time, after {after} ms");
        let again = server.audit_at_rest().await["events"].clone();
        assert_eq!(again, events, "importing it again adds nothing, after {after} ms");
        server.stop();
    }
}
