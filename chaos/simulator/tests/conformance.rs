//! The simulator's ports, untroubled, are ports like any other.

#![allow(clippy::unwrap_used, reason = "tests")]

event_store::conformance!(simulator::Ports::untroubled());
