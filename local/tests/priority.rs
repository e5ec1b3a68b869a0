//! An express order beside a backlog of ordinary ones: how far apart in the log it begins and ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event_store::{ChangeFeed, EventLog, Position, Stamper, SystemStamper};
use event_store_embedded::EmbeddedStore;
use events::{Causes, Priority, RecordedEvent};
use local::{Clients, Machine, Settings, Store};

const BACKLOG: u64 = 10_000;
/// The express order begins among the waiting ones, and ends with its stock sold.
const EXPRESS: &str = "EVENTS#ORDER_ID#order-express";
const END: &str = "InventoryCommitted";

fn given(name: &str, pk: &str, sk: &str, data: &str, priority: Priority) -> RecordedEvent {
    let stamp = SystemStamper::new("a test").stamp(None);
    let causes = Causes {
        priority,
        correlation_id: "one".into(),
        causation_id: None,
        traceparent: None,
        request_seed: None,
    };
    RecordedEvent::raw((pk, sk), (name, 1, data), Vec::new(), stamp, causes)
}

fn placed(order: &str, priority: Priority) -> RecordedEvent {
    let data = format!(
        r#"{{"order_id":"{order}","customer_id":"anna","items":[{{"sku":"sku-1","quantity":1}}],"total":5,"currency":"EUR","priority":"{}"}}"#,
        priority.as_str()
    );
    given("OrderPlaced", &format!("EVENTS#ORDER_ID#{order}"), "EVENT#OrderPlaced", &data, priority)
}

/// A store in which nobody has begun to work yet.
async fn a_backlog(folder: &Path) {
    let store = EmbeddedStore::open(folder).expect("an empty folder");
    let lot = r#"{"sku":"sku-1","units":100000,"lot_id":"lot-1"}"#;
    let moved = vec![events::StockDelta {
        sku: events::Sku::parse("sku-1").expect("a SKU"),
        available: 100_000,
        reserved: 0,
        sold: 0,
    }];
    let sent =
        given("SkuRestocked", "EVENTS#SKU#sku-1", "EVENT#SkuRestocked#LOT_ID#lot-1", lot, Priority::Standard);
    store.append(sent).await.expect("the store takes it");
    let mut received = given(
        "StockReceived",
        "EVENTS#SKU#sku-1",
        "EVENT#StockReceived#LOT_ID#lot-1",
        lot,
        Priority::Standard,
    );
    received.counters = moved;
    store.append(received).await.expect("the store takes it");
    let store = Arc::new(store);
    // Each waits for its sync, so many share one.
    let clients = (0..100).map(|client| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in (client..BACKLOG).step_by(100) {
                let order = placed(&format!("order-{n}"), Priority::Standard);
                store.append(order).await.expect("the store takes it");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("it places its orders");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_express_order_is_settled_while_ten_thousand_that_were_placed_before_it_wait() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    a_backlog(folder.path()).await;
    let settings = Settings {
        store: Store::Embedded,
        data: folder.path().to_owned(),
        fresh: false,
        port: 0,
        environment: "dev".into(),
        gateway_failures: 0.0,
        gateway_seed: 1,
        patience: Duration::from_secs(3_600),
        expire_after: None,
        asks_who: false,
        rate_limit: None,
        behind_proxy: false,
        clients: Clients::default(),
    };
    let machine = Machine::start(&settings).await.expect("it starts over what is there");
    let store = machine.store().clone();
    store.append(placed("order-express", Priority::Express)).await.expect("the store takes it");

    let (mut read_to, mut began, mut settled_before) = (Position(0), None, 0);
    let ended = 'follow: loop {
        for (position, event) in store.follow(read_to, 1_000).await.expect("the store reads") {
            read_to = position;
            let is_express = &*event.pk == EXPRESS;
            began = began.or(is_express.then_some(position.0));
            match (&*event.event_name, is_express) {
                (END, true) => break 'follow position.0,
                (END, false) => settled_before += 1,
                _ => {}
            }
        }
    };
    let positions = ended - began.expect("it was placed before it was settled");
    println!(
        "settled {positions} positions behind its place; {settled_before} of {BACKLOG} were settled before it"
    );
    // In one lane, every waiting order would be handled before each of its own steps: a backlog of positions for each.
    assert!(positions < BACKLOG, "{positions} positions");
    assert!(settled_before < BACKLOG / 10, "{settled_before} others were settled before it");
    drop(store);
    machine.stop().await;
}
