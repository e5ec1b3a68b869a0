//! Read models from the log: the projections, what rebuilds and checks them, and every promise in one place.
//!
//! Nothing here wakes a worker or reaches a gateway: replay and audit only read the log and rows, and
//! write rows.

pub mod audit;
pub mod compare;
pub mod invariants;
pub mod owing;
pub mod personal;
pub mod project;
pub mod replay;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::{ChangeFeed, EventLog, IntentStore, LogScan, OrderViews, ShadowViews, StockViews};

pub use audit::{AuditReport, Finding, audit, audit_at_rest};
pub use compare::Difference;
pub use invariants::{Invariant, Violation};
pub use owing::Owing;
pub use replay::{Mode, ReplayReport, replay};

/// What replay and audit need of the world.
#[derive(Clone)]
pub struct Ports {
    /// Single streams, strongly consistent.
    pub log: Arc<dyn EventLog>,
    /// The whole log.
    pub scan: Arc<dyn LogScan>,
    /// What was appended since, where the store knows an order of append. Without it, what was appended while a
    /// replay read the log is found by comparing: rows that differ are folded from their streams as they are then.
    pub feed: Option<Arc<dyn ChangeFeed>>,
    /// Live rows and rebuilt ones.
    pub rows: Arc<dyn ShadowViews>,
    /// The rows of orders, as their worker writes them.
    pub orders: Arc<dyn OrderViews>,
    /// The counters' ledger.
    pub stock: Arc<dyn StockViews>,
    /// The built-in gateway's intents, where it is the gateway.
    pub intents: Option<Arc<dyn IntentStore>>,
    /// Waiting a moment for a worker that is about to catch up.
    pub pause: Arc<dyn Pause>,
    /// How often what differs is looked at again before it is called a difference; 1 where nobody writes.
    pub looks: u32,
}

/// Time enough for a worker that is about to catch up.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Waiting, by whatever clock there is.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Waits so long.
    async fn pause(&self, time: Duration);
}

/// Told how far a long run has come: events read so far, and about how many there are.
pub type Observe<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);
