//! Every promise is noticed where it is broken, and none is where the real decisions are at work.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod audit;
mod broken;
#[path = "../../../domains/events/tests/given/mod.rs"]
mod given;
mod quiet;
mod replay;
mod saga;
