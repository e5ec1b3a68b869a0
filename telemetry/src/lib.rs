//! One trace per order: spans continue what an event carries, events carry the span that appended them.
//!
//! Handlers mark their work with spans of `tracing`, and use [`trace`](mod@trace) to join them to the trace of their
//! request or event. A binary that is to export them adds the layer of `export` (a feature); without it, spans cost
//! next to nothing and events carry the trace of the request that began it all. What is counted goes the same way.

#[cfg(feature = "collector")]
pub mod collector;
#[cfg(feature = "export")]
pub mod export;
pub mod metrics;
pub mod trace;
