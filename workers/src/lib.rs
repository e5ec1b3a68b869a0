//! What happens when an event arrives: the saga's workers, each a loop that does what is owed.
//!
//! Start with [`saga`]: who listens to what. Then one file per worker, always in the same order: what it
//! needs, its loop, how each thing owed is done.

pub mod batch;
pub mod catalog;
pub mod error;
pub mod fake_gateway;
pub mod gateway;
pub mod inventory;
pub mod log_sweeper;
pub mod orders;
pub mod payments;
pub mod reconcile;
pub mod saga;
pub mod sweeper;

pub use batch::{Failure, Message, Nudge, handle_batch};
pub use error::WorkerError;
pub use fake_gateway::FakeGateway;
pub use gateway::{Charged, Gateway, GatewayError};
pub use log_sweeper::{DeadLetters, EXPIRED, LogReport, LogSweep, LogSweeper, Shortage};
pub use reconcile::Reconcile;
pub use saga::{Ports, Worker, Workers, listeners};
pub use sweeper::{Nudges, SweepReport, Sweeper};
