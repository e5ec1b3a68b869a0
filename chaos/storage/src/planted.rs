//! Bugs that must be found: a simulator that never finds one proves nothing.

use event_store_embedded::planted::{Bug, plant as plant_in_store};

/// A bug of the store, or of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A sync says that it is done, and does nothing.
    SkippedSync,
    /// Writes are answered before they are synced.
    AnsweredBeforeCommit,
    /// An event's counters move in one transaction, and the event is stored in the next.
    EventAndCountersInTwoWrites,
}

/// As long as it lives, this thread's stores have the bug.
pub(crate) struct Bugged;

pub(crate) fn plant(bug: Option<Planted>) -> Bugged {
    plant_in_store(match bug {
        None | Some(Planted::SkippedSync) => None,
        Some(Planted::AnsweredBeforeCommit) => Some(Bug::AnsweredBeforeCommit),
        Some(Planted::EventAndCountersInTwoWrites) => Some(Bug::EventAndCountersInTwoWrites),
    });
    Bugged
}

impl Drop for Bugged {
    fn drop(&mut self) {
        plant_in_store(None);
    }
}
