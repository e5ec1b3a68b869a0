//! The log: append an event if its slot is empty, read what is there, follow what comes.

use std::sync::Arc;

use async_trait::async_trait;
use events::recorded::MAX_DATA;
use events::{RecordedEvent, Shortage};

/// Why a store did not do what it was asked. Nothing was stored, or it may be asked again: repeating
/// any call is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The world is broken for now; ask again later. The effect may have happened.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The payload is larger than may be written. Asking again will not help.
    #[error("payload of {bytes} bytes is larger than {MAX_DATA} bytes; split it or carry less")]
    TooLarge {
        /// The payload's size.
        bytes: usize,
    },
    /// More counters than one atomic write can move. Asking again will not help.
    #[error("{counters} counters move at once, and at most {MAX_COUNTERS} can; split the order")]
    TooManyCounters {
        /// How many would move.
        counters: usize,
    },
}

/// The most counters that can move with one event: a DynamoDB transaction takes 100 items, one of
/// them the event. Source: "TransactWriteItems", Amazon DynamoDB API reference.
pub const MAX_COUNTERS: usize = 99;

/// What became of an append.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// The slot was empty; the event is stored for good and its counters have moved.
    Stored(Arc<RecordedEvent>),
    /// The slot was taken, by the event given back. Nothing was stored, no counter moved.
    Taken(Arc<RecordedEvent>),
    /// A counter would have gone below zero: these were short. Nothing was stored, no counter moved.
    Short(Vec<Shortage>),
}

/// The log as workers and the API see it.
///
/// What must hold:
/// - An event is stored only if no event has its `pk` and `sk`; who comes first settles it, and every
///   later one gets that event back. This is decided before any counter is looked at.
/// - Counters of an event move in the same atomic write, all or none, and none goes below zero.
///   A SKU without counters counts as zero for what is added to it, and is short of anything taken.
/// - [`Appended::Stored`] is returned only when the event survives a crash of everything.
/// - Reads see every append that was acknowledged before they began.
/// - Event and counters never wait for [`EventLog::finish`], and finishing an event that is finished changes nothing.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Stores the event and moves its counters, if its slot is empty and no counter is short.
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError>;

    /// All events of one stream, in the order of their ids; none for a stream nobody wrote to.
    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError>;

    /// The event of one slot.
    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError>;

    /// Completes what is written behind a stored event where not all of it fits into one atomic write: its ledger, if
    /// whoever appended it died too soon. There is nothing to complete where one write takes everything.
    async fn finish(&self, event: &RecordedEvent) -> Result<(), StoreError> {
        let _ = event;
        Ok(())
    }
}

/// What every adapter refuses before it stores anything.
///
/// # Errors
/// [`StoreError::TooLarge`] or [`StoreError::TooManyCounters`].
pub fn check(event: &RecordedEvent) -> Result<(), StoreError> {
    let (bytes, counters) = (event.data.len(), event.counters.len());
    if bytes > MAX_DATA {
        return Err(StoreError::TooLarge { bytes });
    }
    if counters > MAX_COUNTERS {
        return Err(StoreError::TooManyCounters { counters });
    }
    Ok(())
}

/// One share of the log, for reading it in parallel: share `index` of `of`, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Which share.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

/// Some whole streams, and where to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanPage {
    /// Streams with all of their events.
    pub streams: Vec<Vec<RecordedEvent>>,
    /// Pass it to the next call; `None` when the segment is read to its end.
    pub next: Option<String>,
}

/// Reading the whole log, for replay and audit.
///
/// What must hold: over all segments, every stream that was there when the scan began is given
/// exactly once, with every event that was there; later ones may be given or not.
#[async_trait]
pub trait LogScan: Send + Sync {
    /// The next streams of a segment, about `limit` events of them.
    async fn scan(&self, segment: Segment, after: Option<&str>, limit: usize)
    -> Result<ScanPage, StoreError>;

    /// About how many events there are, to show progress.
    async fn size(&self) -> Result<u64, StoreError>;
}

/// A place in the change feed: events appended later have greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Following the log as it grows.
///
/// What must hold: every stored event comes exactly once in a walk along `after`, and no event
/// appears behind a position that was already given.
#[async_trait]
pub trait ChangeFeed: Send + Sync {
    /// The next events after a position, at most `limit`; waits until there is one.
    async fn follow(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<RecordedEvent>)>, StoreError>;

    /// The position of the latest event.
    async fn head(&self) -> Result<Position, StoreError>;
}
