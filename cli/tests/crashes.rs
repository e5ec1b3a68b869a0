//! kill -9 under load: what was acknowledged is there, and comes to its end.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use server::Server;
use tempfile::TempDir;

/// How often the server is killed: `KILLS`, or so often.
fn cycles() -> u64 {
    std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(200)
}

/// How many clients place orders meanwhile.
const CLIENTS: u64 = 8;

/// What clients were told was done, and what they asked for, whether they were told or not.
#[derive(Default)]
struct Acknowledged {
    placed: BTreeSet<String>,
    cancelled: BTreeSet<String>,
    lots: u64,
    sent_orders: u64,
    sent_lots: u64,
}

/// Once their server is gone, clients notice in less.
const NOTICED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_order_is_lost_in_hundreds_of_kills_under_load() {
    let cycles = cycles();
    let folder = TempDir::new().unwrap();
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let failing = ["--gateway-failures", "0.2", "--patience", "1"];
    {
        let server = Server::start(folder.path(), &failing);
        for sku in ["sku-hot", "sku-cold"] {
            server.stock(sku, 2_000).await;
        }
        server.kill();
    }
    for cycle in 0..cycles {
        let server = Arc::new(Server::start(folder.path(), &failing));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                tokio::spawn(place_until_killed(server.clone(), acknowledged.clone(), cycle, client))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(10 + cycle * 7919 % 120)).await;
        // While requests are on their way: what was acknowledged, but perhaps not read yet, was promised.
        server.kill();
        for client in clients {
            tokio::time::timeout(NOTICED, client).await.expect("the server is gone").unwrap();
        }
    }

    let server = Server::start(folder.path(), &failing);
    // Every client has ended, and holds nothing of it any more.
    let told = Arc::into_inner(acknowledged).unwrap().into_inner().unwrap();
    let Acknowledged { placed, cancelled, lots, sent_orders, sent_lots } = told;
    assert!(placed.len() as u64 > cycles, "only {} orders were placed", placed.len());
    for id in &placed {
        let order = server.until(&format!("/orders/{id}"), |order| order["open"] == false).await;
        let status = order["status"].as_str().unwrap();
        let ended = if cancelled.contains(id) { &["CANCELLED"][..] } else { &["PAID", "CANCELLED"] };
        assert!(ended.contains(&status), "{order}");
    }
    let report = server.audit_at_rest().await;
    assert_eq!((&report["differences"], &report["anomalies"]), (&json!([]), &json!([])));
    assert_eq!((&report["clean"], &report["open"]), (&json!(true), &json!(0)));
    for report in server.replay_all().await {
        assert_eq!((&report["state"], &report["differences"]), (&json!("done"), &json!([])), "{report}");
    }
    let mut units = 0;
    for sku in ["sku-hot", "sku-cold"] {
        let row = server.get(&format!("/inventory/skus/{sku}")).await;
        let counters = ["available", "reserved", "sold"].map(|counter| row[counter].as_i64().unwrap());
        assert!(counters.iter().all(|counter| *counter >= 0) && counters[1] == 0, "{row}");
        units += counters.iter().sum::<i64>();
    }
    let stored: u64 = report["orders"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let received = units as u64 - 4_000;
    println!(
        "{cycles} kills: of {sent_orders} orders {} were acknowledged and {stored} are there, of {sent_lots} lots {lots} \
         were acknowledged and {received} are there; {} events",
        placed.len(),
        report["events"]
    );
    assert!((placed.len() as u64..=sent_orders).contains(&stored));
    assert!(sent_lots > 0 && (lots..=sent_lots).contains(&received));
    server.stop();
}

async fn place_until_killed(server: Arc<Server>, told: Arc<Mutex<Acknowledged>>, cycle: u64, client: u64) {
    for n in 0.. {
        let id = format!("order-{cycle}-{client}-{n}");
        let sku = if n % 3 == 0 { "sku-cold" } else { "sku-hot" };
        let order = json!({
            "order_id": id,
            "customer_id": "customer-1",
            "items": [{ "sku": sku, "quantity": 1 + n % 2 }],
        });
        told.lock().unwrap().sent_orders += 1;
        let Some((status, answer)) = server.try_ask(Method::POST, "/orders", Some(order)).await else {
            return;
        };
        assert_eq!(status, 201, "{answer}");
        told.lock().unwrap().placed.insert(id.clone());
        // Not every client begins with the same: in a short life, none comes far.
        let turn = n + client;
        if turn % 4 == 1 {
            let Some((status, _)) = server.try_ask(Method::DELETE, &format!("/orders/{id}"), None).await
            else {
                return;
            };
            assert_eq!(status, 200);
            told.lock().unwrap().cancelled.insert(id);
        }
        if turn % 8 == 6 {
            let lot = json!({ "sku": sku, "units": 1, "lot_id": format!("lot-{cycle}-{client}-{n}") });
            told.lock().unwrap().sent_lots += 1;
            let Some((status, _)) = server.try_ask(Method::POST, "/inventory/restocks", Some(lot)).await
            else {
                return;
            };
            assert_eq!(status, 202);
            told.lock().unwrap().lots += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_under_way_and_the_next_start_goes_on() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("sku-1", 100).await;
    for n in 0..20 {
        let order = json!({
            "order_id": format!("order-{n}"),
            "customer_id": "customer-1",
            "items": [{ "sku": "sku-1", "quantity": 1 }],
        });
        server.post("/orders", order).await;
    }
    server.stop();
    let server = Server::start(folder.path(), &[]);
    for n in 0..20 {
        server.until(&format!("/orders/order-{n}"), |order| order["status"] == "PAID").await;
    }
    let report: Value = server.audit_at_rest().await;
    assert_eq!((&report["clean"], &report["orders"]), (&json!(true), &json!({ "PAID": 20 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_still_owes_is_stuck_for_an_audit_without_patience() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &["--gateway-failures", "1"]);
    server.stock("sku-1", 100).await;
    let order = json!({
        "order_id": "order-1",
        "customer_id": "customer-1",
        "items": [{ "sku": "sku-1", "quantity": 1 }],
    });
    server.post("/orders", order).await;
    server.until("/orders/order-1", |order| order["status"] == "CONFIRMED").await;
    let beside_traffic = server.finished("audits", json!({})).await;
    assert_eq!((&beside_traffic["clean"], &beside_traffic["open"]), (&json!(true), &json!(1)));
    server.kill();
    let stuck = |more: &[&str]| {
        let mut audit = std::process::Command::new(server::BINARY);
        audit.args(["audit", "--output", "json", "--data"]).arg(folder.path()).args(more);
        let report: Value = serde_json::from_slice(&audit.output().unwrap().stdout).unwrap();
        let differences = report["differences"].as_array().unwrap().iter();
        let stuck = differences.filter(|difference| difference["what"] == "stuck");
        let details = stuck.map(|stuck| stuck["detail"].as_str().unwrap().to_owned());
        details.collect::<Vec<_>>()
    };
    assert_eq!(stuck(&[]), [""; 0]);
    let owed = stuck(&["--patience", "0"]);
    assert!(matches!(&owed[..], [owed] if owed.contains("ORDER_ID#order-1 is CONFIRMED")), "{owed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_are_rebuilt_and_swapped_under_load_stay_right() {
    let folder = TempDir::new().unwrap();
    let server = Arc::new(Server::start(folder.path(), &[]));
    server.stock("sku-hot", 100_000).await;
    server.stock("sku-cold", 100_000).await;
    let told = Arc::new(Mutex::new(Acknowledged::default()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| tokio::spawn(place_until_killed(server.clone(), told.clone(), 0, client)))
        .collect();
    for _ in 0..20 {
        let report = server.finished("replays", json!({ "view": "stock", "diff": true, "swap": true })).await;
        assert_eq!((&report["state"], &report["differences"]), (&json!("done"), &json!([])), "{report}");
    }
    let busy = server.finished("audits", json!({})).await;
    assert_eq!(busy["differences"], json!([]));
    for client in clients {
        client.abort();
        client.await.ok();
    }
    let report = server.audit_at_rest().await;
    assert_eq!((&report["differences"], &report["open"]), (&json!([]), &json!(0)));
    assert_eq!(server.get("/ops/dead-letters").await, json!({ "dead_letters": [] }));
}

#[test]
fn a_server_whose_output_nobody_reads_stops_in_good_order() {
    let folder = TempDir::new().unwrap();
    let mut process = std::process::Command::new(server::BINARY)
        .args(["up", "--auth", "off", "--port", "0", "--data"])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(process.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut String::new()).unwrap();
    drop(said);
    let id = process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(process.wait().unwrap().success());
}
