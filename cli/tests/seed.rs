//! The shop of `sagaline seed`: what is in a store afterwards, however often and with whatever interruption it was run.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use server::{BINARY, Server};
use tempfile::TempDir;

fn seeding(server: &Server) -> Command {
    let mut seed = Command::new(BINARY);
    seed.args(["seed", "-o", "json", "--url", &server.url]).stdin(Stdio::null());
    seed
}

fn seeded(server: &Server) -> Value {
    let Output { status, stdout, stderr } = seeding(server).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

/// What the shop is once it stands: orders as (status, reason), payments by their order, counters by their SKU.
#[derive(Debug, PartialEq)]
struct Shop {
    orders: BTreeMap<String, (String, String)>,
    payments: BTreeMap<String, (String, String)>,
    stock: BTreeMap<String, [i64; 3]>,
    customers: usize,
    products: usize,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Shop {
    async fn of(server: &Server) -> Shop {
        // An order is shown from its stream, a list from rows, which may be written a moment later.
        server.at_rest().await;
        let list = async |what: &str, key: &str| {
            let list = server.get(&format!("/{what}?limit=200")).await;
            let all = list[key].as_array().unwrap().clone();
            let id =
                ["order_id", "sku", "customer_id"].into_iter().find(|id| all[0][id].is_string()).unwrap();
            let is_of_the_shop = |row: &Value| text(&row[id]).to_lowercase().starts_with("shop-");
            all.into_iter().filter(is_of_the_shop).collect::<Vec<Value>>()
        };
        let (mut orders, mut payments) = (BTreeMap::new(), BTreeMap::new());
        for order in list("orders", "orders").await {
            let id = text(&order["order_id"]);
            let of_order = server.get(&format!("/orders/{id}/payments")).await;
            let of_order = of_order["payments"].as_array().unwrap().clone();
            payments
                .extend(of_order.iter().map(|row| (id.clone(), (text(&row["status"]), text(&row["by"])))));
            orders.insert(id, (text(&order["status"]), text(&order["status_reason"])));
        }
        let counters =
            |row: &Value| ["available", "reserved", "sold"].map(|name| row[name].as_i64().unwrap());
        Shop {
            orders,
            payments,
            stock: list("inventory/skus", "skus")
                .await
                .iter()
                .map(|row| (text(&row["sku"]), counters(row)))
                .collect(),
            customers: list("customers", "customers").await.len(),
            products: list("products", "products").await.len(),
        }
    }

    fn complete() -> Shop {
        let pairs = |all: &[(&str, &str, &str)]| {
            all.iter()
                .map(|(id, one, other)| ((*id).to_owned(), ((*one).to_owned(), (*other).to_owned())))
                .collect()
        };
        let stock = [
            ("SHOP-CUP", [42, 0, 6]),
            ("SHOP-EARL-GREY", [93, 0, 7]),
            ("SHOP-SAMOVAR", [1, 0, 0]),
            ("SHOP-SENCHA", [47, 0, 3]),
            ("SHOP-TEAPOT", [8, 1, 3]),
            ("SHOP-WHITE-TEA", [2, 0, 0]),
        ];
        Shop {
            orders: pairs(&[
                ("shop-cancelled-unpaid", "CANCELLED", "cancelled_on_request"),
                ("shop-confirmed", "CONFIRMED", ""),
                ("shop-delivered", "DELIVERED", ""),
                ("shop-out-of-stock", "CANCELLED", "reservation_failed"),
                ("shop-paid", "PAID", ""),
                ("shop-paid-by-transfer", "PAID", ""),
                ("shop-paid-express", "PAID", ""),
                ("shop-pending", "PENDING_INVENTORY", ""),
                ("shop-refunded", "CANCELLED", "cancelled_on_request"),
                ("shop-rejected", "CANCELLED", "payment_rejected"),
                ("shop-shipped", "SHIPPED", ""),
            ]),
            payments: pairs(&[
                ("shop-delivered", "ACCEPTED", "gateway"),
                ("shop-paid", "ACCEPTED", "gateway"),
                ("shop-paid-by-transfer", "ACCEPTED", "operator"),
                ("shop-paid-express", "ACCEPTED", "gateway"),
                ("shop-refunded", "REFUNDED", "gateway"),
                ("shop-rejected", "REJECTED", ""),
                ("shop-shipped", "ACCEPTED", "gateway"),
            ]),
            stock: stock.map(|(sku, counters)| (sku.to_owned(), counters)).into(),
            customers: 4,
            products: 6,
        }
    }
}

/// No promise is broken, although nothing is under way that could still mend it; how many events there are.
async fn clean(server: &Server) -> Value {
    let report = server.audit_at_rest().await;
    assert_eq!(report["differences"], json!([]), "{report}");
    for replay in server.replay_all().await {
        assert_eq!(replay["differences"], json!([]), "{replay}");
    }
    report["events"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeded_store_shows_every_state_and_seeding_it_again_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("lamp-01", 3).await;
    let report = seeded(&server);
    assert_eq!(report["notes"], json!([]));
    assert_eq!(Shop::of(&server).await, Shop::complete());
    let events = clean(&server).await;
    assert_eq!(seeded(&server), report, "what there is now is what there was");
    assert_eq!(clean(&server).await, events, "seeding it again adds nothing");
    assert_eq!(server.get("/inventory/skus/lamp-01").await["available"], 3, "other people's stock is theirs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeding_that_was_broken_off_and_begun_again_gives_the_same_shop() {
    for after in [20, 60, 120, 200, 320] {
        let folder = TempDir::new().unwrap();
        let server = Server::start(folder.path(), &[]);
        let mut seed = seeding(&server).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        server.kill();
        seed.wait().unwrap();

        let server = Server::start(folder.path(), &[]);
        assert_eq!(seeded(&server)["notes"], json!([]), "after {after} ms");
        assert_eq!(Shop::of(&server).await, Shop::complete(), "after {after} ms");
        clean(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_has_done_to_the_shop_since_stays_and_is_told() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    seeded(&server);
    for (order, becomes) in [("shop-shipped", "DELIVERED"), ("shop-paid", "CANCELLED")] {
        let (status, answer) =
            server.ask(Method::PATCH, &format!("/orders/{order}"), Some(json!({ "status": becomes }))).await;
        assert!(status.is_success(), "{answer}");
    }
    server.at_rest().await;
    let before = Shop::of(&server).await;
    let told = json!([
        "shop-shipped is DELIVERED, and was to be SHIPPED",
        "shop-paid is CANCELLED (cancelled_on_request), and was to be PAID",
    ]);
    assert_eq!(seeded(&server)["notes"], told);
    assert_eq!(Shop::of(&server).await, before);
    clean(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_raw_events_gets_the_orders_that_need_none() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &["--environment", "prod"]);
    let report = seeded(&server);
    assert_eq!(report["orders"].as_array().unwrap().len(), 7);
    let notes = report["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 4);
    assert!(notes.iter().all(|note| text(note).contains("this environment takes no raw events")), "{report}");
    clean(&server).await;
}
