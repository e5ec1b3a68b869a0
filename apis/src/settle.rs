//! Appending what a request decided: it settles its slot now, or learns what settled it before.

use std::sync::Arc;

use event_store::{Appended, StoreError};
use events::{Event, Priority, RecordedEvent, Ulid};
use telemetry::metrics;

use crate::Api;
use crate::request::Caller;

/// Which event stands in the slot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Settled {
    /// Ours.
    Now(Arc<RecordedEvent>),
    /// Ours of before: the request came under its `Idempotency-Key` already, or somebody else is carrying it out beside.
    Again(Arc<RecordedEvent>),
    /// An earlier one; ours was not stored.
    Before(Arc<RecordedEvent>),
}

impl Api {
    /// Appends an event that was decided from events up to `after`.
    pub(crate) async fn settle(
        &self,
        event: Event,
        after: Option<Ulid>,
        caller: &Caller,
        priority: Priority,
    ) -> Result<Settled, StoreError> {
        let stamp = self.stamper.stamp(after);
        self.append(RecordedEvent::new(event, Vec::new(), stamp, caller.causes(priority)), caller).await
    }

    /// Appends an item of the log.
    pub(crate) async fn append(&self, item: RecordedEvent, caller: &Caller) -> Result<Settled, StoreError> {
        let id = item.event_id;
        match self.log.append(item).await? {
            // A store that repeats a write whose answer was lost finds our own event in the slot.
            Appended::Taken(stored) if stored.event_id != id => {
                let is_own = caller.has_appended([&*stored]);
                Ok(if is_own { Settled::Again(stored) } else { Settled::Before(stored) })
            }
            Appended::Stored(stored) | Appended::Taken(stored) => {
                if let Ok(Event::OrderPlaced(_)) = stored.event() {
                    metrics::order_placed();
                }
                Ok(Settled::Now(stored))
            }
            Appended::Short(_) => {
                Err(StoreError::Unavailable("counters were short though the event moves none".into()))
            }
        }
    }
}
