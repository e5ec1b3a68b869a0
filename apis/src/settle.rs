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
        let stamp = self.stamper.stamp(caller.behind(after));
        self.append(RecordedEvent::new(event, Vec::new(), stamp, caller.causes(priority))).await
    }

    /// Appends an item of the log.
    pub(crate) async fn append(&self, item: RecordedEvent) -> Result<Settled, StoreError> {
        let own = item.event_id;
        match self.log.append(item).await? {
            // A store that repeats a write whose answer was lost finds our own event in the slot.
            Appended::Taken(stored) if stored.event_id != own => Ok(Settled::Before(stored)),
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
