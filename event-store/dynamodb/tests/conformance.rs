//! The store passes every suite over two servers that speak DynamoDB's API and know nothing of each other.
//!
//! `cargo xtask test` starts them and says where they are; without them there is nothing to ask.
//!
//! What the servers do otherwise than the service's documentation says, as far as a test here has to know (docs/aws.md,
//! "What the doubles do otherwise", lists all of it):
//!
//! - DynamoDB Local, in the version that can be had from a registry (of 2020), takes 10 items in a transaction
//!   instead of 100, gives the taken event of a single put not back, and refuses empty texts. The first makes one
//!   claim untestable there: `cargo xtask test` leaves it out (`KNOWN_GAPS` in `xtask/src/doubles.rs`).
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use event_store::{Appended, EventLog, ShadowViews, Stamper, StockViews, SystemStamper, View, ViewRow};
use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};
use events::{Causes, Priority, Quantity, RecordedEvent, Sku, StockDelta};

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// Tables of its own for every claim, on the server that a variable names.
async fn a_store_at(variable: &str, transaction_items: usize) -> DynamoStore {
    let endpoint = std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} names no server; `cargo xtask test aws` starts it"));
    let prefix = format!("T{}x{}-", std::process::id(), WORLDS.fetch_add(1, Ordering::Relaxed));
    let connection = Connection::to_a_double(&endpoint);
    // The servers share their machine with the rest of the tests.
    let patience = Duration::from_secs(60);
    let limits = Limits { transaction_items, patience, ..Limits::default() };
    let store = DynamoStore::new(&connection, Tables::prefixed(&prefix), limits);
    store.create_tables(&prefix).await.expect("the server makes tables");
    store
}

/// An order of so many lines has its ledger written behind the transaction; a writer may die in between.
#[tokio::test]
async fn a_ledger_that_its_writer_left_behind_is_completed_from_the_log_and_no_counter_is_touched() {
    let store = a_store_at("SAGALINE_MINISTACK", 100).await;
    let sku = |n: u32| Sku::recorded(&format!("sku-{n}")).unwrap();
    let one = Quantity::new(1).unwrap();
    let counters = (0..60).map(|n| StockDelta::receive(&sku(n), one)).collect();
    let stamp = SystemStamper::new("test").stamp(None);
    let causes = Causes {
        priority: Priority::Standard,
        correlation_id: "request-1".into(),
        causation_id: None,
        traceparent: None,
    };
    let event = RecordedEvent::raw(("MANY", "EVENT#Moved"), ("Moved", 1, "{}"), counters, stamp, causes);
    assert!(matches!(store.append(event.clone()).await, Ok(Appended::Stored(_))));
    let (live, sum) = store.counted(&sku(7)).await.unwrap();
    assert!(live.is_some() && live == sum, "the ledger is written before the append is acknowledged");

    store.forget_entry(&sku(7), event.event_id).await.unwrap();
    let (stays, sum) = store.counted(&sku(7)).await.unwrap();
    assert_eq!((&stays, sum), (&live, None));
    let rebuilt = ViewRow::Stock(live.clone().unwrap());
    store.adopt(vec![rebuilt], View::Stock, Vec::new()).await.unwrap();
    assert_eq!(store.counted(&sku(7)).await, Ok((live.clone(), live)));
}

mod dynamodb_local {
    use super::a_store_at;
    event_store::conformance!(without feed: a_store_at("SAGALINE_DYNAMODB_LOCAL", 10).await);
}

mod ministack {
    use super::a_store_at;
    event_store::conformance!(without feed: a_store_at("SAGALINE_MINISTACK", 100).await);
}
