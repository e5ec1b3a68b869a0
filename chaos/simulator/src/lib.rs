//! The whole system in one thread, under virtual time, from one seed: the real handlers over simulated
//! ports, and everything that can go wrong between them.
//!
//! Start with [`world`]: how a run goes. `sim` is what every port call goes through, `pipeline` the way of
//! an event from the log to a worker, `swarm` what a seed turns on, `checker`, `book` and `reference` what
//! must hold. The handlers do not know that they are simulated.

pub mod ask;
mod book;
mod checker;
mod clock;
pub mod executor;
pub mod figures;
mod gateway;
mod happening;
mod holder;
mod instance;
pub mod numbers;
mod panics;
mod pipeline;
pub mod planted;
mod ports;
mod queue;
mod reference;
mod rest;
pub mod runs;
pub mod shrink;
mod sim;
pub mod site;
pub mod swarm;
mod trace;
mod upkeep;
pub mod workload;
pub mod world;

pub use ports::Ports;
pub use world::{Outcome, Plan, run};
