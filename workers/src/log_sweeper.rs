//! The log sweeper: reads the whole log, and nudges whoever owes any of its streams something.
//!
//! The [`crate::Sweeper`] finds orders by their rows, every minute. What has no row, it cannot find: an
//! order whose first message was lost, a lot that nobody counted, a customer whom no message reached. The
//! log has them all, so once a day it is read from end to end.

use std::sync::Arc;
use std::time::Duration;

use event_store::{CatalogViews, LogScan, OrderViews, Segment, Stamper};
use events::{Event, RecordedEvent, Slot, StreamKey, Timestamp};
use views::project::{customer_row, product_row};

use crate::sweeper::{Nudges, SweepReport, debtors};
use crate::{Worker, WorkerError};

/// What the log sweeper needs.
pub struct LogSweeper {
    /// The whole log.
    pub scan: Arc<dyn LogScan>,
    /// What is shown of orders.
    pub orders: Arc<dyn OrderViews>,
    /// What is shown of customers and products.
    pub catalog: Arc<dyn CatalogViews>,
    /// Whom to wake.
    pub nudges: Arc<dyn Nudges>,
    /// Its clock.
    pub stamper: Arc<dyn Stamper>,
    /// How long a stream may stand still.
    pub patience: Duration,
}

/// How many events are read at once.
const PAGE: usize = 2_000;

impl LogSweeper {
    /// Looks at every stream once.
    ///
    /// # Errors
    /// The ports'; the next sweep begins anew.
    pub async fn sweep(&self) -> Result<SweepReport, WorkerError> {
        let still_since =
            Timestamp::from_millis(self.stamper.now().millis() - self.patience.as_millis() as i64);
        let (mut report, mut after) = (SweepReport::default(), None::<String>);
        loop {
            let page = self.scan.scan(Segment { index: 0, of: 1 }, after.as_deref(), PAGE).await?;
            for stream in &page.streams {
                if stream.iter().all(|event| event.occurred_at < still_since) {
                    let nudged = self.look_at(stream).await?;
                    report.stood_still += u64::from(nudged > 0);
                    report.nudged += nudged;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(report);
            }
        }
    }

    /// Nudges whoever owes the stream something; says how many messages that took.
    async fn look_at(&self, stream: &[RecordedEvent]) -> Result<u64, WorkerError> {
        // Which one does not matter: a worker looks at the whole stream.
        let Some(event) = stream.last() else { return Ok(0) };
        match StreamKey::parse(&event.pk) {
            Some(StreamKey::Order(id)) => {
                let shown = self.orders.order(&id).await?.map_or(0, |row| row.seen);
                let debtors = debtors(stream, shown);
                for worker in &debtors {
                    self.nudges.nudge(*worker, event.priority, event).await?;
                }
                Ok(debtors.len() as u64)
            }
            Some(StreamKey::Sku(_)) => {
                let mut nudged = 0;
                for lot in uncounted(stream) {
                    self.nudges.nudge(Worker::Inventory, lot.priority, lot).await?;
                    nudged += 1;
                }
                Ok(nudged)
            }
            Some(StreamKey::Customer(id)) => {
                let shown = self.catalog.customer(&id).await?.map_or(0, |row| row.seen);
                self.nudge_catalog(event, customer_row(stream).is_some_and(|row| row.seen > shown)).await
            }
            Some(StreamKey::Product(id)) => {
                let shown = self.catalog.product(&id).await?.map_or(0, |row| row.seen);
                self.nudge_catalog(event, product_row(stream).is_some_and(|row| row.seen > shown)).await
            }
            None => Ok(0),
        }
    }

    async fn nudge_catalog(&self, event: &RecordedEvent, owes: bool) -> Result<u64, WorkerError> {
        if owes {
            self.nudges.nudge(Worker::Catalog, event.priority, event).await?;
        }
        Ok(u64::from(owes))
    }
}

/// The lots that were sent and not counted onto the shelf, and whose slot is free for it.
fn uncounted(stream: &[RecordedEvent]) -> impl Iterator<Item = &RecordedEvent> {
    stream.iter().filter(move |item| match item.event() {
        Ok(Event::SkuRestocked(lot)) => {
            let counted = Slot::StockReceived(lot.lot_id.clone()).sk();
            stream.iter().all(|item| *item.sk != *counted)
        }
        _ => false,
    })
}
