//! The store passes every suite over two servers that speak DynamoDB's API and know nothing of each other.
//!
//! `cargo xtask test` starts them and says where they are; without them there is nothing to ask.
//!
//! What the servers do otherwise than the service's documentation says, as far as a test has to know:
//!
//! - DynamoDB Local, in the version that can be had from a registry (of 2020), takes 10 items in a transaction
//!   instead of 100, gives the taken event of a single put not back, and refuses empty texts. The first makes one
//!   claim untestable there: `cargo xtask test` leaves it out (`KNOWN_GAPS` in `xtask/src/doubles.rs`).

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};

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

mod dynamodb_local {
    use super::a_store_at;
    event_store::conformance!(without feed: a_store_at("SAGALINE_DYNAMODB_LOCAL", 10).await);
}

mod ministack {
    use super::a_store_at;
    event_store::conformance!(without feed: a_store_at("SAGALINE_MINISTACK", 100).await);
}
