//! Raw events in any order, repeated, unknown and contradictory: the system serves on, and the audit names
//! the anomalies and nothing else.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use server::{BINARY, Server};
use tempfile::TempDir;

/// Draws from a seed; the same seed draws the same.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }
}

/// A story of an order as raw events: name, slot, payload.
fn story(id: &str, draw: &mut Draw) -> Vec<Value> {
    let items = json!([{ "sku": "sku-raw", "quantity": 2 }]);
    let of = |more: Value| {
        let mut data = more;
        data["order_id"] = id.into();
        data
    };
    let placed = of(json!({ "customer_id": "customer-1", "items": items, "total": 5, "currency": "EUR" }));
    let flat = json!({ "orderId": id, "sku": "sku-raw", "units": 2, "price": 5, "userId": "customer-1" });
    let known = [
        ("OrderPlaced", "EVENT#OrderPlaced", placed),
        (
            "ReserveInventory",
            "EVENT#ReserveInventory",
            of(json!({ "customer_id": "customer-1", "items": items })),
        ),
        ("InventoryReserved", "EVENT#Reservation", of(json!({ "items": items }))),
        ("ORDER_STOCK_DEPLETED_EVENT", "EVENT#ORDER_STOCK_DEPLETED_EVENT", flat),
        ("PaymentAttempted", "EVENT#PaymentAttempt#1", of(json!({ "attempt": 1 }))),
        ("OrderPaymentAccepted", "EVENT#Payment", of(json!({ "amount": 5, "currency": "EUR" }))),
        ("OrderPaymentRejected", "EVENT#Payment", of(json!({}))),
        ("InventoryCommitted", "EVENT#Settlement", of(json!({ "items": items }))),
        ("InventoryReleased", "EVENT#Settlement", of(json!({ "items": items }))),
        ("OrderCancelled", "EVENT#Closing", of(json!({ "reason": "raw" }))),
        ("OrderShipped", "EVENT#Closing", of(json!({}))),
        ("OrderDelivered", "EVENT#Delivery", of(json!({}))),
        ("OrderPaymentRefunded", "EVENT#Refund", of(json!({ "amount": 5 }))),
        ("InventoryReturned", "EVENT#Return", of(json!({ "items": items }))),
        ("ORDER_RETRACTED_EVENT", "EVENT#Unknown", json!({ "why": "nobody knows" })),
        ("OrderCancelled", "EVENT#Undecodable", json!({ "order_id": 42 })),
        ("OrderShipped", "EVENT#Elsewhere", json!({ "order_id": "another-order" })),
    ];
    let mut told = Vec::new();
    for (n, (name, slot, data)) in known.into_iter().enumerate() {
        if n > 0 && draw.below(3) == 0 {
            continue;
        }
        // Sometimes under a key of its own, so that two events claim one decision.
        let sk = if draw.below(3) == 0 { format!("{slot}#Again") } else { slot.to_owned() };
        let event = json!({
            "pk": format!("EVENTS#ORDER_ID#{id}"),
            "sk": sk,
            "event_name": name,
            "data": data,
        });
        told.extend(vec![event; 1 + draw.below(2)]);
    }
    draw.shuffle(&mut told);
    told
}

/// The decision that an event settles, said once more and independently; `None` for what says nothing.
fn decision(event: &Value) -> Option<String> {
    if event["data"]["order_id"] == 42 || event["data"]["order_id"] == "another-order" {
        return None;
    }
    let settled = match event["event_name"].as_str().unwrap() {
        "OrderPlaced" => "placed",
        "ReserveInventory" => "requested",
        "InventoryReserved" | "InventoryReservationFailed" | "ORDER_STOCK_DEPLETED_EVENT" => "reservation",
        "PaymentAttempted" => return Some(format!("attempt {}", event["data"]["attempt"])),
        "OrderPaymentAccepted" | "OrderPaymentRejected" => "payment",
        "InventoryCommitted" | "InventoryReleased" => "settlement",
        "OrderCancelled" | "OrderShipped" => "closing",
        "OrderDelivered" => "delivery",
        "OrderPaymentRefunded" => "refund",
        "InventoryReturned" => "return",
        _ => return None,
    };
    Some(settled.to_owned())
}

/// The ids of a stream's events that should be shown as anomalies.
fn expected(events: &[Value]) -> BTreeSet<String> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut anomalies = BTreeSet::new();
    for event in events {
        let id = event["event_id"].as_str().unwrap();
        let is_first = decision(event).is_some_and(|decision| *first.entry(decision).or_insert(id) == id);
        if !is_first {
            anomalies.insert(id.to_owned());
        }
    }
    anomalies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_permutation_and_repetition_leaves_the_system_serving_and_the_audit_naming_anomalies_only() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    server.stock("sku-raw", 100_000).await;
    // Another one each time; `SAGALINE_SEED` draws what another run drew.
    let seed = std::env::var("SAGALINE_SEED").map_or(std::process::id().into(), |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut draw = Draw(seed);
    let ids: Vec<String> = (0..60).map(|n| format!("order-{n}")).collect();
    let mut all: Vec<Value> = ids.iter().flat_map(|id| story(id, &mut draw)).collect();
    // Stories mix; each keeps an order of its own that was drawn.
    let mixed = draw.below(all.len());
    all.rotate_left(mixed);
    for event in all {
        server.post("/chaos/raw-events", event).await;
    }

    // An event that only its own worker says wakes nobody if somebody else says it, such as a reservation behind a
    // cancellation; whoever therefore owes something learns of it from the sweeper, which comes by at each start.
    server.at_rest().await;
    server.stop();
    let server = Server::start(folder.path(), &["--patience", "0"]);
    let report = server.audit_once_nothing_is_stuck().await;
    assert_eq!(report["differences"], json!([]), "seed {seed}");
    let mut should = BTreeSet::new();
    for id in &ids {
        let stream = server.get(&format!("/orders/{id}/events")).await;
        should.extend(expected(stream["events"].as_array().unwrap()));
    }
    // A refund that was only said leaves the money where it is; that is shown as an anomaly of its own.
    let is_of_the_stream = |one: &&Value| !one["why"].as_str().unwrap().contains("the gateway kept");
    let named: Vec<&Value> =
        report["anomalies"].as_array().unwrap().iter().filter(is_of_the_stream).collect();
    let id = |one: &&Value| one["event_id"].as_str().unwrap().to_owned();
    let too_many: Vec<&&Value> = named.iter().filter(|one| !should.contains(&id(one))).collect();
    let missing = should.iter().filter(|event| !named.iter().any(|one| id(one) == **event));
    let missing: Vec<&String> = missing.collect();
    assert!(too_many.is_empty() && missing.is_empty(), "seed {seed}: {too_many:?} and not {missing:?}");
    for report in server.replay_all().await {
        assert_eq!(report["differences"], json!([]), "seed {seed}: {report}");
    }

    // It serves on, as if nothing had been.
    let order = json!({ "order_id": "order-sane", "customer_id": "customer-1",
        "items": [{ "sku": "sku-raw", "quantity": 1 }] });
    server.post("/orders", order).await;
    server.until("/orders/order-sane", |order| order["status"] == "PAID").await;
    server.stop();
}

/// What the scripts of `chaos/raw-events` leave, as their README says: what the order is, which anomalies the audit names,
/// and how many letters are dead.
const SCRIPTS: [(&str, &str, &[&str], usize); 4] = [
    ("duplicate", "PAID", &["EVENT#Again#1", "EVENT#Again#2", "EVENT#Again#3", "EVENT#Again#4"], 0),
    ("malformed", "PAID", &["EVENT#Lost", "EVENT#Malformed#1", "EVENT#Malformed#2", "EVENT#Malformed#3"], 2),
    ("out-of-order", "DELIVERED", &[], 0),
    ("unknown", "PAID", &["EVENT#Unknown#1", "EVENT#Unknown#2"], 0),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_script_of_raw_events_ends_as_its_folder_says() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("chaos").join("raw-events");
    let found = fs::read_dir(&scripts).unwrap().map(|entry| entry.unwrap().path());
    let found =
        found.filter(|path| path.extension().is_some_and(|it| it == "sh") && !path.ends_with("common.sh"));
    let found: BTreeSet<String> =
        found.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(found, SCRIPTS.map(|(name, ..)| name.to_owned()).into());

    let mut programs = vec![Path::new(BINARY).parent().unwrap().to_owned()];
    programs.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    for (name, status, anomalies, letters) in SCRIPTS {
        let folder = TempDir::new().unwrap();
        let server = Server::start(folder.path(), &[]);
        let done = Command::new("bash")
            .arg(scripts.join(format!("{name}.sh")))
            .env("PATH", env::join_paths(&programs).unwrap())
            .env("SAGALINE_URL", format!("http://127.0.0.1:{}", server.port()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&done.stderr));
        assert!(said.contains(&format!(" is {status}")), "{name}: {said}");
        let report = server.audit_at_rest().await;
        assert_eq!(report["differences"], json!([]), "{name}");
        let named = report["anomalies"].as_array().unwrap().iter().map(|one| one["sk"].as_str().unwrap());
        let mut named: Vec<&str> = named.collect();
        named.sort_unstable();
        assert_eq!(named, anomalies, "{name}: {report}");
        let dead = server.get("/ops/dead-letters").await;
        assert_eq!(dead["dead_letters"].as_array().unwrap().len(), letters, "{name}: {dead}");
        server.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_worker_can_read_becomes_a_dead_letter_that_can_be_shown_and_redriven() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    let nonsense = json!({ "pk": "NOT#A#STREAM", "sk": "EVENT#1", "event_name": "SkuRestocked", "data": {} });
    server.post("/chaos/raw-events", nonsense).await;
    let one = |letters: &Value| letters["dead_letters"].as_array().is_some_and(|letters| letters.len() == 1);
    let letters = server.until("/ops/dead-letters", one).await;
    let letter = &letters["dead_letters"][0];
    assert_eq!(
        ["queue", "source_queue", "pk", "event_name"].map(|field| letter[field].as_str().unwrap()),
        ["IMS-InventoryDLQ", "IMS-InventoryQueue", "NOT#A#STREAM", "SkuRestocked"]
    );
    assert_eq!(letter["receive_count"], 12, "as often as the template says");
    let shown = server.get(&format!("/ops/dead-letters/{}", letter["id"])).await;
    assert_eq!(&shown, letter);

    let redriven = server.finished_action("redrive", json!({ "queue": "IMS-InventoryDLQ" })).await;
    assert_eq!((&redriven["done"], &redriven["left"]), (&json!(1), &json!(0)));
    // Nothing was mended, so it is given up again, as a new letter, and survives a kill.
    let again = |letters: &Value| one(letters) && letters["dead_letters"][0]["id"] != letter["id"];
    server.until("/ops/dead-letters", again).await;
    server.kill();
    let server = Server::start(folder.path(), &[]);
    assert!(one(&server.get("/ops/dead-letters").await));
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redriving_what_fails_again_ends_and_does_not_chase_its_own_letters() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path(), &[]);
    for n in 0..50 {
        let nonsense =
            json!({ "pk": format!("NOT#A#STREAM#{n}"), "sk": "EVENT#1", "event_name": "SkuRestocked" });
        server.post("/chaos/raw-events", nonsense).await;
    }
    let all = |letters: &Value| letters["dead_letters"].as_array().is_some_and(|letters| letters.len() == 50);
    server.until("/ops/dead-letters", all).await;
    let redriven = server.finished_action("redrive", json!({})).await;
    assert_eq!((&redriven["done"], &redriven["left"]), (&json!(50), &json!(0)));
    server.until("/ops/dead-letters", all).await;
    server.stop();
}
