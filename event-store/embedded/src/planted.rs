//! Bugs that the storage simulator must catch, planted in the thread that writes.

use std::cell::Cell;

use rusqlite::Connection;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Writes are answered before they are synced.
    AnsweredBeforeCommit,
    /// An event's counters move in one transaction, and the event is stored in the next.
    EventAndCountersInTwoWrites,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// From now on the writes of this thread have the bug.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

pub(crate) fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Ends a transaction in its middle, and begins the next one.
pub(crate) fn split(sql: &Connection) -> rusqlite::Result<()> {
    if has(Bug::EventAndCountersInTwoWrites) { sql.execute_batch("COMMIT; BEGIN IMMEDIATE") } else { Ok(()) }
}
