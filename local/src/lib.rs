//! The whole system in one process: log, change feed, routing, queues, workers, read models and HTTP.
//!
//! The templates say which queues there are, which events reach them and which function reads them; the
//! handlers are the ones that the Lambdas run.

mod dispatch;
mod docs;
mod feed;
mod http;
mod machine;
mod ops;
mod queue;
mod queue_state;
#[cfg(feature = "dynamodb")]
mod relay;
mod runs;
mod schedule;
mod stores;
pub mod wiring;

pub use machine::{Machine, Settings, declared};
pub use runs::{offline_audit, offline_key, offline_replay};
pub use stores::Store;
