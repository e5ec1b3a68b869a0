//! The ports over DynamoDB: an event is an item, a slot its key, and a condition decides who was first.
//!
//! What is where:
//!
//! | table | key | what an item is |
//! |---|---|---|
//! | events | `pk`, `sk` | an event; see `event_item` |
//! | orders, payments, deliveries, customers, products | `id` | a row as JSON text in `row`, the events it was folded from in `seen`, and the keys of the lists it is in |
//! | stock | `id` | the counters of a SKU, and in `moves` how many events moved them |
//! | stock ledger | `sku`, `event_id` | one movement |
//! | payment intents | `id` | the gateway's intent, and how often it was written |
//! | users | `id` | a user, a key or a secret; see `access` |
//! | idempotency | `id` | an answer that was given, or what was tried lately, and how often it was written |
//! | shadow | `shelf`, `id` | a row that a replay built; the replay's progress; where a sweep goes on |
//!
//! Lists are read from indexes that hold keys alone, spread over [`SHELVES`] shelves each, and the rows then by
//! their keys, strongly consistent: an index is written only when a row changes its place in a list.

mod access;
mod beside;
mod bookmark;
mod calls;
mod catalog;
mod client;
pub mod deadline;
mod event_item;
mod intents;
mod ledger;
mod lists;
mod log;
mod meter;
mod orders;
mod pace;
mod pauses;
mod row_item;
mod scan;
pub mod schema;
#[cfg(test)]
mod scripted;
mod shadow;
mod stock;
#[cfg(feature = "stream")]
pub mod stream;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use client::Connection;
pub use event_item::to_event;
pub use lists::SHELVES;
pub use meter::Consumed;
pub use row_item::Item;
pub use tables::Tables;

/// The ports over DynamoDB. Cheap to clone: clones share one client.
#[derive(Clone)]
pub struct DynamoStore {
    client: Client,
    tables: Arc<Tables>,
    limits: Limits,
    meter: Arc<meter::Meter>,
    pace: Arc<pace::Pace>,
    live_keys: Arc<shadow::LiveKeys>,
}

/// What a call may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Items in one transaction: 100, and 10 in older versions of DynamoDB Local.
    pub transaction_items: usize,
    /// How long a call is tried again, where [`deadline`] sets no earlier end.
    pub patience: Duration,
    /// Read units a second that reading the whole log may take, all segments together; as many as there are if `None`.
    pub scan_units: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { transaction_items: 100, patience: Duration::from_secs(5), scan_units: None }
    }
}

impl DynamoStore {
    /// A store over these tables. Nothing is connected to before the first call.
    pub fn new(connection: &Connection, tables: Tables, limits: Limits) -> DynamoStore {
        DynamoStore {
            client: connection.client(),
            tables: Arc::new(tables),
            limits,
            meter: Arc::default(),
            pace: Arc::new(pace::Pace::of(limits.scan_units)),
            live_keys: Arc::default(),
        }
    }

    /// What has been consumed since the store was made.
    pub fn consumed(&self) -> Consumed {
        self.meter.consumed()
    }
}
