//! Read models from the log: the projections, and what rebuilds and checks them.

pub mod project;
