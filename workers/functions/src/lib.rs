//! The workers as functions: what SQS sends to one, and what the clock starts.

mod carry;
mod given_up;
mod queue;
mod sweep;
mod worker;

pub use carry::{Bus, BusEvent, CarryError, EventBus, carried};
pub use given_up::carry_again;
pub use sweep::{sweep, sweep_log};
pub use worker::work;
