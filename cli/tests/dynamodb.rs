//! The same orders over DynamoDB Local and over the embedded store, and the same end.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use server::{BINARY, Server};
use tempfile::TempDir;

/// What the end of every order, and the stock of every SKU, is.
#[derive(Debug, PartialEq)]
struct Ends {
    orders: BTreeMap<String, String>,
    stock: BTreeMap<String, [i64; 3]>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_orders_end_over_dynamodb_as_they_do_over_the_embedded_store() {
    let asked = std::env::var("REAL_ORDERS").ok().map(|orders| orders.parse::<usize>().unwrap());
    let part = asked.map_or(PARTS.first(), |asked| PARTS.iter().find(|part| part.orders == asked));
    let part = part.unwrap_or_else(|| panic!("REAL_ORDERS is none of {PARTS:?}"));
    let endpoint = std::env::var("SAGALINE_DYNAMODB_LOCAL")
        .expect("SAGALINE_DYNAMODB_LOCAL names a server; `cargo xtask test aws` starts it");
    let [embedded, beside, file] = [(); 3].map(|()| TempDir::new().unwrap());
    let file = file.path().join("orders.csv");
    write(&file, part.lines);
    let server = Server::start(embedded.path(), &[]);
    import(&server, &file);
    let expected = ends(&server).await;
    server.stop();
    assert_eq!(expected.orders.len(), part.orders);
    let began = Instant::now();

    let prefix = format!("run-{}-", std::process::id());
    let store = ["--store", "dynamodb", "--endpoint-url", &endpoint, "--table-prefix", &prefix];
    let server = Server::start(beside.path(), &store);
    import(&server, &file);
    assert_eq!(ends(&server).await, expected);
    println!("{} orders over DynamoDB: {:.0} s", part.orders, began.elapsed().as_secs_f64());
    let audit = server.audit_at_rest().await;
    assert_eq!((&audit["clean"], &audit["open"]), (&true.into(), &0.into()), "{audit}");
    for report in server.replay_all().await {
        assert_eq!((&report["state"], &report["difference_count"]), (&"done".into(), &0.into()), "{report}");
    }
    server.stop();

    // A process that starts anew finds everything, and does nothing twice.
    let server = Server::start(beside.path(), &store);
    assert_eq!(ends(&server).await, expected);
    assert_eq!(server.audit_at_rest().await["clean"], true);
    server.stop();

    // Without a process, an operator asks the tables.
    let tables = |words: &[&str]| of_tables(words, &endpoint, &prefix);
    let audit = tables(&["audit"]);
    assert_eq!((&audit["clean"], &audit["open"]), (&true.into(), &0.into()), "{audit}");
    let replay = tables(&["replay", "--view", "orders", "--diff", "--read-units", "2000"]);
    let rows = expected.orders.len();
    assert_eq!((&replay["difference_count"], &replay["rows"]), (&0.into(), &rows.into()), "{replay}");
    assert_eq!(replay["events"], audit["events"]);
    println!("{} events, read with {} units", replay["events"], replay["read_units"]);
}

/// What the command answers about tables.
fn of_tables(words: &[&str], endpoint: &str, prefix: &str) -> Value {
    let mut command = Command::new(BINARY);
    command.args(words).args(["-o", "json", "--store", "dynamodb"]);
    let output = command.args(["--endpoint-url", endpoint, "--table-prefix", prefix]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// So many lines of the file, and the orders of at most nine lines each that they are.
#[derive(Debug)]
struct Part {
    lines: usize,
    orders: usize,
}

/// What is played: as much as a server in Java on two cores does within a minute or so, or, with `REAL_ORDERS=1000`, a
/// thousand orders, which take it a quarter of an hour.
const PARTS: [Part; 2] = [Part { lines: 400, orders: 66 }, Part { lines: 7_570, orders: 1_000 }];

/// The first lines of the real orders.
fn write(file: &Path, lines: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let all = std::fs::read_to_string(root.join("examples/online-retail/online-retail-2010-12.csv")).unwrap();
    let first: Vec<&str> = all.lines().take(lines + 1).collect();
    std::fs::write(file, first.join("\n")).unwrap();
}

/// Plays the real orders, of at most nine lines each: DynamoDB Local takes ten items in a transaction. There is
/// enough of everything, so that no order's end depends on which came first.
fn import(server: &Server, file: &Path) {
    let mut import = Command::new(BINARY);
    import
        .arg("import")
        .arg(file)
        .args(["--url", &server.url, "--max-lines", "9", "--stock-share", "1", "--settle-timeout", "900"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(import.status().unwrap().success());
}

async fn ends(server: &Server) -> Ends {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let orders = all(server, "/orders", "orders").await;
    let stock = all(server, "/inventory/skus", "skus").await;
    let counters = |row: &Value| ["available", "reserved", "sold"].map(|name| row[name].as_i64().unwrap());
    Ends {
        orders: orders.iter().map(|row| (text(row, "order_id"), text(row, "status"))).collect(),
        stock: stock.iter().map(|row| (text(row, "sku"), counters(row))).collect(),
    }
}

/// Every row of a list.
async fn all(server: &Server, path: &str, field: &str) -> Vec<Value> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{path}?limit=200{token}")).await;
        all.extend(page[field].as_array().unwrap().iter().cloned());
        match page["next_token"].as_str() {
            Some(next) => token = format!("&next_token={next}"),
            None => return all,
        }
    }
}
