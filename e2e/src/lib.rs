//! The whole system as an account would run it, on a double: deployed from the templates, driven by its queues.

pub mod deploy;
pub mod double;
pub mod pipe;
pub mod tap;
pub mod units;
mod zip;
