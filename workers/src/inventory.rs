//! The inventory worker: reserves, commits, releases and takes back stock; counts lots onto the shelf.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{Appended, EventLog, Stamper, StoreError};
use events::{Event, OrderId, RecordedEvent, StreamKey};
use inventory::{Move, Owed, receive, reservation_failed, reservation_refused};

use crate::reconcile::{MAX_STEPS, append, too_many_steps};
use crate::{Nudge, Reconcile, Worker, WorkerError};

/// What the inventory worker needs.
pub struct InventoryWorker {
    /// The log, and the counters that ride on it.
    pub log: Arc<dyn EventLog>,
    /// Its clock and ids.
    pub stamper: Arc<dyn Stamper>,
}

#[async_trait]
impl Reconcile for InventoryWorker {
    fn name(&self) -> &'static str {
        Worker::Inventory.binary()
    }

    async fn reconcile(&self, stream: &StreamKey, nudge: &Nudge) -> Result<(), WorkerError> {
        match stream {
            StreamKey::Order(order) => self.settle_all(stream, order).await,
            StreamKey::Sku(_) => self.receive(nudge).await,
            StreamKey::Customer(_) | StreamKey::Product(_) => Ok(()),
        }
    }
}

impl InventoryWorker {
    async fn settle_all(&self, stream: &StreamKey, order: &OrderId) -> Result<(), WorkerError> {
        let pk = stream.pk();
        for step in 0..MAX_STEPS {
            let events = self.log.read_stream(&pk).await?;
            let facts = inventory::fold(events.iter().map(|item| &**item));
            let Some(owed) = inventory::decide(&facts) else {
                return if step == 0 { self.finish(&events).await } else { Ok(()) };
            };
            self.settle(order, &events, &owed).await?;
        }
        Err(too_many_steps(stream))
    }

    /// Completes what was settled before: perhaps this message is here again because whoever settled it died.
    async fn finish(&self, events: &[Arc<RecordedEvent>]) -> Result<(), WorkerError> {
        for event in events.iter().filter(|event| event.moved_counters()) {
            self.log.finish(event).await?;
        }
        Ok(())
    }

    async fn settle(
        &self,
        order: &OrderId,
        events: &[Arc<RecordedEvent>],
        owed: &Owed<'_>,
    ) -> Result<(), WorkerError> {
        let append =
            |event, deltas| append(&*self.log, &*self.stamper, events, event, deltas, owed.because_of);
        let deltas = owed.deltas();
        if owed.what == Move::Reserve && deltas.len() > event_store::log::MAX_COUNTERS {
            let refused = StoreError::TooManyCounters { counters: deltas.len() };
            append(reservation_refused(order, &refused.to_string()), Vec::new()).await?;
            return Ok(());
        }
        match append(owed.event(order), deltas).await? {
            Appended::Stored(_) | Appended::Taken(_) => Ok(()),
            Appended::Short(shortages) if owed.what == Move::Reserve => {
                append(reservation_failed(order, shortages), Vec::new()).await?;
                Ok(())
            }
            Appended::Short(shortages) => Err(WorkerError::Permanent(format!(
                "the counters of {} SKUs hold less than order {order} took from them; run `sagaline audit`",
                shortages.len()
            ))),
        }
    }

    /// Counts the lot that the nudge names onto the shelf.
    async fn receive(&self, nudge: &Nudge) -> Result<(), WorkerError> {
        let Some(item) = self.log.read_slot(&nudge.pk, &nudge.sk).await? else { return Ok(()) };
        let Ok(Event::SkuRestocked(lot)) = item.event() else { return Ok(()) };
        let (event, deltas) = receive(lot);
        append(&*self.log, &*self.stamper, std::slice::from_ref(&item), event, deltas, &item).await?;
        Ok(())
    }
}
