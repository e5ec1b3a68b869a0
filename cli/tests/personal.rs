//! Whoever is erased is gone: what is left is found, and nothing is left.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod asking;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use asking::{Asking, BINARY};
use serde_json::{Value, json};
use tempfile::TempDir;

const CANARIES: [&str; 5] = ["canary-name", "canary-mail", "canary-street", "canary-user", "canary-key"];

fn audit(more: &[&str]) -> Output {
    Command::new(BINARY).args(["audit", "--personal", "-o", "json"]).args(more).output().unwrap()
}

/// What an audit of a folder that no server has open finds; whether all is well.
fn of_folder(data: &Path, words: &[&str]) -> (bool, Value) {
    let mut more = vec!["--data", data.to_str().unwrap()];
    words.iter().for_each(|word| more.extend(["--word", word]));
    let output = audit(&more);
    let report = serde_json::from_slice(&output.stdout);
    (output.status.success(), report.unwrap_or_else(|_| panic!("{output:?}")))
}

/// A customer, a user and keys with a canary in everything that says who they are; gives both customers' ids.
async fn people(server: &Asking, key: &str) -> [String; 2] {
    let post = async |path: &str, body: Value| server.done(key, "POST", path, &body).await;
    let [name, mail, street, user, key_name] = CANARIES;
    let mail = format!("{mail}@example.org");
    // Too long for one page of the store.
    let street = format!("{street} ").repeat(70);
    let anna = json!({ "customer_id": "anna-1", "name": name, "email": mail, "address": street });
    let headers = [("x-api-key", key), ("content-type", "application/json"), ("idempotency-key", "k")];
    for _ in 0..2 {
        assert_eq!(server.ask("POST", "/customers", &headers, anna.to_string()).await.0, 201);
    }
    let key_of_anna = json!({ "name": key_name, "role": "customer", "customer_id": "anna-1" });
    assert_eq!(server.ask("POST", "/keys", &headers, key_of_anna.to_string()).await.0, 201);
    let user = format!("{user}@example.org");
    let berta =
        json!({ "username": user, "password": "correct horse battery", "name": name, "address": street });
    let berta = post("/users", berta).await["customer_id"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        let wrong = json!({ "username": user, "password": "wrong horse battery!!" }).to_string();
        let json = [("content-type", "application/json")];
        assert_eq!(server.ask("POST", "/login", &json, wrong).await.0, 401);
    }
    post("/products", json!({ "product_id": "lamp", "sku": "lamp", "name": "A lamp", "price": 2.5 })).await;
    let order = json!({ "order_id": "order-1", "customer_id": "anna-1", "items": [{ "sku": "lamp", "quantity": 1 }] });
    assert_eq!(server.ask("POST", "/orders", &headers, order.to_string()).await.0, 201);
    ["anna-1".to_owned(), berta]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_whoever_is_erased_nothing_is_left_in_any_place_nor_in_any_byte_of_the_store() {
    let folder = TempDir::new().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let server = Asking::start(&data, File::create(&log).unwrap(), &[]);
    let key = server.key.clone().unwrap();
    let erased = people(&server, &key).await;
    let places = [&["--url", &*server.url, "--key", &*key][..]].concat();
    assert!(audit(&places).status.success(), "nobody was erased yet");
    server.kill();
    // It is looked where something is.
    let (is_clean, report) = of_folder(&data, &CANARIES);
    assert!(!is_clean && report["files"].as_array().unwrap().len() >= CANARIES.len(), "{report}");

    let server = Asking::start(&data, File::create(&log).unwrap(), &[]);
    for id in &erased {
        server.done(&key, "DELETE", &format!("/customers/{id}"), &Value::Null).await;
    }
    let order = server.done(&key, "GET", "/orders/order-1", &Value::Null).await;
    assert_eq!(order["customer_id"], "anna-1", "what was ordered stays");
    let asked = audit(&["--url", &server.url, "--key", &key]);
    let report: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert!(asked.status.success() && report["erased"] == 2 && report["finding_count"] == 0, "{report}");
    for place in ["event", "customer", "key", "answer"] {
        assert!(report["looked_at"][place].as_u64() > Some(0), "{place} was not looked at: {report}");
    }
    server.kill();
    let (is_clean, report) = of_folder(&data, &CANARIES);
    assert!(is_clean && report["erased"] == 2, "{report}");
    assert_eq!(report["files"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wrote_by_hand_about_an_erased_customer_is_named_and_not_said() {
    let folder = TempDir::new().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let server = Asking::start(&data, File::create(&log).unwrap(), &[]);
    let key = server.key.clone().unwrap();
    for id in ["anna-1", "bert-1"] {
        server.done(&key, "POST", "/customers", &json!({ "customer_id": id })).await;
        let data = json!({ "customer": id, "homeAddress": "canary-street" });
        let pk = format!("EVENTS#CUSTOMER_ID#{id}");
        let raw = json!({ "pk": pk, "sk": "EVENT#Moved", "event_name": "CustomerMoved", "data": data });
        server.done(&key, "POST", "/chaos/raw-events", &raw).await;
    }
    server.done(&key, "DELETE", "/customers/anna-1", &Value::Null).await;
    let asked = audit(&["--url", &server.url, "--key", &key]);
    let report: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert!(!asked.status.success(), "{report}");
    let left = json!([{ "customer_id": "anna-1", "place": "event", "key": "EVENTS#CUSTOMER_ID#anna-1 EVENT#Moved", "what": "/homeAddress" }]);
    assert_eq!(report["findings"], left);
    assert!(!report.to_string().contains("canary"));
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_somebody_wrote_as_they_liked_is_counted_wherever_it_is_kept_and_not_said() {
    let folder = TempDir::new().unwrap();
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let server = Asking::start(&data, File::create(&log).unwrap(), &[]);
    let key = server.key.clone().unwrap();
    let ask = async |method: &str, path: &str, request: &str, body: Value| {
        let headers = [("x-api-key", &*key), ("content-type", "application/json"), ("x-request-id", request)];
        let (status, answer) = server.ask(method, path, &headers, body.to_string()).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    };
    let made = "0f8fad5b-d9cb-469f-a165-70867728950e";
    ask("POST", "/customers", made, json!({ "customer_id": "anna-1" })).await;
    let lamp = json!({ "product_id": "lamp", "sku": "lamp", "name": "A lamp", "price": 2.5 });
    ask("POST", "/products", "our-lamp", lamp).await;
    ask("POST", "/inventory/restocks", "our-lot", json!({ "sku": "lamp", "units": 10, "lot_id": "lot-1" }))
        .await;
    server.until(&key, "/inventory/skus", |list| list["skus"][0]["available"] == 10).await;
    for order in ["order-1", "order-2"] {
        let items = json!([{ "sku": "lamp", "quantity": 1 }]);
        let order = json!({ "order_id": order, "customer_id": "anna-1", "items": items });
        ask("POST", "/orders", made, order).await;
    }
    let is_open = |order: &Value| order["open"] == true;
    for order in ["order-1", "order-2"] {
        server.until(&key, &format!("/orders/{order}"), |order| !is_open(order)).await;
    }
    // What follows from a request carries its id, and is counted with it.
    let by_hand = json!({ "status": "CANCELLED", "by": "canary-clerk" });
    ask("PATCH", "/orders/order-1", "canary-request", by_hand).await;
    ask("PATCH", "/orders/order-2", made, json!({ "status": "CANCELLED", "by": "operator" })).await;
    for order in ["order-1", "order-2"] {
        server.until(&key, &format!("/orders/{order}"), |order| !is_open(order)).await;
    }
    ask("POST", "/ops/dead-letters/redrive", made, json!({ "reason": "canary-reason" })).await;
    ask("POST", "/ops/dead-letters/redrive", made, json!({})).await;
    ask("DELETE", "/customers/anna-1", made, Value::Null).await;
    let asked = audit(&["--url", &server.url, "--key", &key]);
    let report: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert!(asked.status.success(), "{report}");
    // Who cancelled, for which request, and why letters were sent back.
    assert_eq!((&report["free_texts"], &report["looked_at"]["action"]), (&json!(3), &json!(2)), "{report}");
    assert!(!report.to_string().contains("canary"));
    server.kill();
    let (_, of_folder) = of_folder(&data, &[]);
    assert_eq!(of_folder["free_texts"], report["free_texts"]);
}
