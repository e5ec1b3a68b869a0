//! Power cuts, failing calls and a full disk under the embedded store, drawn from a seed that replays them.
//!
//! A disk in memory ([`SimulatedDisk`]) keeps apart what was written and what was synced. SQLite reaches it as
//! a virtual file system, so the store runs as it does in production, with its write-ahead log, its readers and
//! its checkpoints. Its two threads are moved by hand, and what one does in the middle of the other's work
//! happens inside a call to the disk, so nothing is left to chance.

#[allow(unsafe_code, reason = "SQLite calls a file system through pointers to functions")]
mod binding;
mod disk;
mod embedded_disk;
mod faults;
mod file;
mod locks;
mod look;
mod machine;
mod open_file;
#[cfg(feature = "planted")]
mod planted;
mod report;
mod round;
mod run;
mod state;
mod told;
mod trace;
mod work;

pub use disk::SimulatedDisk;
pub use faults::{Call, Fate, Faults};
#[cfg(feature = "planted")]
pub use planted::Planted;
pub use report::Report;
pub use run::{Failure, Options, run};
pub use state::Life;
pub use trace::Trace;
