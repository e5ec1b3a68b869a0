//! When, by whom and under which id an event is appended.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use events::{Stamp, Timestamp, Ulid, next_event_id};

/// A clock, a source of ids, and a name: what a function puts on the events it appends.
pub trait Stamper: Send + Sync {
    /// A stamp for an event that was decided from events up to `after`.
    fn stamp(&self, after: Option<Ulid>) -> Stamp;

    /// What the clock says.
    fn now(&self) -> Timestamp;
}

/// The machine's clock and random ids.
pub struct SystemStamper {
    producer: Arc<str>,
}

impl SystemStamper {
    /// A stamper for the function of this name.
    pub fn new(producer: &str) -> Self {
        SystemStamper { producer: producer.into() }
    }
}

impl Stamper for SystemStamper {
    fn stamp(&self, after: Option<Ulid>) -> Stamp {
        let now = self.now();
        let event_id = next_event_id(now, fastrand::u128(..), after);
        Stamp { event_id, occurred_at: now, producer: self.producer.clone() }
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(since.as_millis() as i64)
    }
}
