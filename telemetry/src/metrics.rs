//! What is counted and measured: each a function, called where it happens.
//!
//! A value is an event of `tracing` under [`TARGET`], whose field says what it is, as the crate `tracing-opentelemetry`
//! reads it: `monotonic_counter.<name>` is added up, `gauge.<name>` is how many there are now, `histogram.<name>` is a
//! distribution, here of milliseconds.
//! Where nobody listens, it is never made.

use tracing::{Level, enabled, info};

/// The target of every value; what prints a log leaves it out.
pub const TARGET: &str = "metrics";

/// Whether anybody listens: whether it is worth finding out what a value is.
pub fn wanted() -> bool {
    enabled!(target: TARGET, Level::INFO)
}

/// An order was accepted, and is in the log.
pub fn order_placed() {
    info!(target: TARGET, { monotonic_counter.orders_placed = 1_u64 }, "measured");
}

/// An order came to its end for the first time, so many milliseconds after it was placed.
pub fn order_settled(millis: u64) {
    info!(target: TARGET, { monotonic_counter.orders_settled = 1_u64, histogram.time_to_settle = millis }, "measured");
}

/// Messages were handed out again, because they had not been handled.
pub fn messages_retried(messages: u64) {
    info!(target: TARGET, { monotonic_counter.messages_retried = messages }, "measured");
}

/// Messages were not handled, and stay in their queue: the only sign of it, for the invocation succeeds.
pub fn messages_failed(messages: u64) {
    info!(target: TARGET, { monotonic_counter.messages_failed = messages }, "measured");
}

/// A call of the store was made again, because it was throttled, collided or had no answer.
pub fn call_retried() {
    info!(target: TARGET, { monotonic_counter.calls_retried = 1_u64 }, "measured");
}

/// A worker was told of an event that says nothing, or claims what was settled.
pub fn anomaly() {
    info!(target: TARGET, { monotonic_counter.anomalies = 1_u64 }, "measured");
}

/// An order was first heard of so many milliseconds after it was placed.
pub fn event_age(millis: u64) {
    info!(target: TARGET, { histogram.event_age = millis }, "measured");
}

/// The whole log was swept: so many orders are open, so many of these stand still, and somebody owes so many streams
/// something.
pub fn log_swept(open: u64, stuck: u64, owed: u64) {
    info!(target: TARGET, { gauge.orders_open = open, gauge.orders_stuck = stuck, gauge.streams_owed = owed }, "measured");
}

/// An order was cancelled because it had stood still for too long.
pub fn order_expired() {
    info!(target: TARGET, { monotonic_counter.orders_expired = 1_u64 }, "measured");
}

/// So many letters lie in dead-letter queues.
pub fn dead_letters(letters: u64) {
    info!(target: TARGET, { gauge.dead_letters = letters }, "measured");
}

/// A process answered its first invocation.
pub fn cold_start() {
    info!(target: TARGET, { monotonic_counter.cold_starts = 1_u64 }, "measured");
}
