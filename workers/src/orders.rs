//! The orders worker: asks for the stock of a placed order, and keeps the order's rows.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{EventLog, OrderViews, Stamper};
use events::{Anomaly, Event, RecordedEvent, ReserveInventory, StreamKey, anomalies};
use orders::{Owed, stock_lines};
use telemetry::metrics;
use views::project::order_rows;

use crate::reconcile::{MAX_STEPS, append, too_many_steps};
use crate::{Nudge, Reconcile, Worker, WorkerError};

/// What the orders worker needs.
pub struct OrdersWorker {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where it keeps the rows.
    pub views: Arc<dyn OrderViews>,
    /// Its clock and ids.
    pub stamper: Arc<dyn Stamper>,
}

#[async_trait]
impl Reconcile for OrdersWorker {
    fn name(&self) -> &'static str {
        Worker::Orders.binary()
    }

    async fn reconcile(&self, stream: &StreamKey, nudge: &Nudge) -> Result<(), WorkerError> {
        let StreamKey::Order(_) = stream else { return Ok(()) };
        let pk = stream.pk();
        for step in 0..MAX_STEPS {
            let events = self.log.read_stream(&pk).await?;
            if step == 0 {
                measure(&events, nudge);
            }
            match self.settle(&events).await {
                Ok(true) => {}
                Ok(false) => return self.show(&events).await,
                // What cannot be settled, because a raw event blocks it, can be shown all the same.
                Err(error @ WorkerError::Permanent(_)) => {
                    self.show(&events).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(too_many_steps(stream))
    }
}

impl OrdersWorker {
    /// Does the next thing owed; says whether there was one.
    async fn settle(&self, events: &[Arc<RecordedEvent>]) -> Result<bool, WorkerError> {
        let facts = orders::fold(events.iter().map(|item| &**item));
        let (Some(Owed::RequestInventory(placed)), Some(because_of)) =
            (orders::decide(&facts), facts.placed.by())
        else {
            return Ok(false);
        };
        let request = Event::ReserveInventory(ReserveInventory {
            order_id: placed.order_id.clone(),
            customer_id: placed.customer_id.clone(),
            items: stock_lines(placed),
        });
        append(&*self.log, &*self.stamper, events, request, Vec::new(), because_of).await?;
        Ok(true)
    }

    /// Writes the order's rows, unless newer ones are there.
    async fn show(&self, events: &[Arc<RecordedEvent>]) -> Result<(), WorkerError> {
        if let Some(rows) = order_rows(events) {
            self.views.put(rows).await?;
        }
        Ok(())
    }
}

/// Counts the event that the nudge tells of, if it is an anomaly.
fn measure(events: &[Arc<RecordedEvent>], nudge: &Nudge) {
    let is_told_of = |anomaly: &Anomaly| anomaly.sk == nudge.sk;
    if metrics::wanted() && anomalies(events.iter().map(|item| &**item)).iter().any(is_told_of) {
        metrics::anomaly();
    }
}
