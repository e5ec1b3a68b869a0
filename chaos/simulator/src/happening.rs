//! What happens outside of all tasks: deliveries, time-outs, requests, the hands of operators.

use std::sync::Arc;

use events::RecordedEvent;

use crate::executor::TaskId;
use crate::sim::Row;

/// Something that is due at a time.
pub enum Happening {
    /// The pipe reads a shard.
    Pump(usize),
    /// A rule's target gets an event, at the n-th try.
    Deliver(Delivery),
    /// A queue may have something for its function.
    Poll(usize),
    /// A message becomes visible, if it was not received again since.
    Visible {
        /// The queue.
        queue: usize,
        /// The message.
        message: u64,
        /// How often it had been received then.
        receive_count: u32,
    },
    /// A function has used up its time.
    TimeOut(TaskId),
    /// A client sends a request.
    Ask(usize),
    /// An index shows a row.
    Index(Box<Row>),
    /// Somebody sends the dead letters back.
    Redrive,
    /// The sweeper is woken.
    Sweep,
    /// The log sweeper is woken.
    SweepLog,
    /// An operator rebuilds a read model.
    Replay,
    /// An operator audits.
    Audit,
    /// The storm is over.
    Peace,
}

/// What a rule sends to a queue.
pub struct Delivery {
    /// The queue.
    pub queue: usize,
    /// The message's body.
    pub body: Arc<str>,
    /// How often it was tried before.
    pub tries: u32,
}

/// Some of a shard's records, on their way through the pipe.
pub struct Batch {
    /// The records, in the order of the log.
    pub records: Vec<Arc<RecordedEvent>>,
    /// How often it was tried before.
    pub tries: u32,
}
