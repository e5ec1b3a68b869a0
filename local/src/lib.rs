//! The whole system in one process: log, change feed, routing, queues, workers, read models and HTTP.
//!
//! The templates say which queues there are, which events reach them and which function reads them; the
//! handlers are the ones that the Lambdas run.

mod dispatch;
mod docs;
mod feed;
mod http;
mod letters;
mod machine;
mod ops;
mod queue;
mod queue_state;
#[cfg(feature = "dynamodb")]
mod relay;
mod runs;
mod schedule;
mod serve;
mod stores;
mod sweeps;
pub mod wiring;

pub use apis::limits::{BadRate, Rate};
pub use machine::{Machine, Settings, declared};
pub use ops::routes;
pub use runs::{offline_audit, offline_key, offline_personal, offline_replay};
pub use serve::Clients;
pub use stores::{Store, erase, is_store};
