//! The workers as functions: what SQS sends to one, and what the clock starts.

mod queue;
mod sweep;
mod worker;

pub use sweep::{sweep, sweep_log};
pub use worker::work;
