//! The API through its router, over the store in memory: what clients are promised.

// Helpers of tests unwrap as tests do; clippy.toml exempts only the test functions themselves.
#![allow(clippy::unwrap_used)]

mod access;
mod appends;
mod bad_bodies;
mod catalog;
mod change;
mod compat;
mod described;
mod edge;
mod erasing;
mod idempotency;
mod inventory;
mod limits;
mod lists;
mod openapi;
mod place;
mod raw_events;
mod read;
mod robust;
mod versions;
mod wait;
mod world;
