//! The sweeper: finds orders that have stood still, and nudges whoever owes them something.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::{After, Direction, EventLog, OrderQuery, OrderRow, OrderViews, Stamper, Window};
use events::{Priority, RecordedEvent, StreamKey};
use serde::{Deserialize, Serialize};
use views::Owing;
use views::audit::still_since;
use views::project::seen;

use crate::{Worker, WorkerError};

/// Sending a message to a worker's queue by hand.
#[async_trait]
pub trait Nudges: Send + Sync {
    /// Sends the event to the worker's queue, as if it had just been appended.
    async fn nudge(&self, worker: Worker, lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError>;
}

/// What the sweeper needs. The stream of a table keeps a day and a bus gives up after a day; the log
/// keeps everything, so it, not the pipeline, is the promise.
pub struct Sweeper {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// Where open orders are found.
    pub orders: Arc<dyn OrderViews>,
    /// Whom to wake.
    pub nudges: Arc<dyn Nudges>,
    /// Its clock.
    pub stamper: Arc<dyn Stamper>,
    /// How long an order may stand still.
    pub patience: Duration,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Open orders that had stood still.
    pub stood_still: u64,
    /// Messages sent.
    pub nudged: u64,
}

/// How many orders a sweep reads at once.
const PAGE: usize = 200;

impl Sweeper {
    /// Looks at every open order once.
    ///
    /// # Errors
    /// The ports'; the next sweep begins anew.
    pub async fn sweep(&self) -> Result<SweepReport, WorkerError> {
        self.sweep_behind(None, &|| true).await.map(|(report, _)| report)
    }

    /// Looks at open orders, those behind one of them if one is named, for as long as there is time. Beside what it did it
    /// gives the order behind which the next sweep goes on: whoever always began with the oldest would never come to the
    /// others.
    ///
    /// # Errors
    /// The ports'; the next sweep begins where this one did.
    pub async fn sweep_behind(
        &self,
        after: Option<After>,
        time_is_left: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(SweepReport, Option<After>), WorkerError> {
        let still_since = still_since(self.stamper.now(), self.patience);
        let mut report = SweepReport::default();
        let mut query = OrderQuery {
            open: Some(true),
            until: Some(still_since),
            window: Window { limit: PAGE, after, direction: Direction::Ascending },
            ..OrderQuery::default()
        };
        loop {
            let page = self.orders.orders(&query).await?;
            for row in page.rows.iter().filter(|row| row.updated_at < still_since) {
                report.stood_still += 1;
                report.nudged += self.nudge(row).await?;
                if !time_is_left() {
                    let id = row.order_id.as_str().to_owned();
                    return Ok((report, Some(After { created_at: row.created_at, id })));
                }
            }
            match page.next {
                Some(next) => query.window.after = Some(next),
                None => return Ok((report, None)),
            }
        }
    }

    async fn nudge(&self, row: &OrderRow) -> Result<u64, WorkerError> {
        let events = self.log.read_stream(&StreamKey::Order(row.order_id.clone()).pk()).await?;
        let Some(latest) = events.last() else { return Ok(0) };
        let debtors = debtors(&events, row.seen);
        for worker in &debtors {
            self.nudges.nudge(*worker, row.priority, latest).await?;
        }
        Ok(debtors.len() as u64)
    }
}

/// The workers that owe an order something that they can do. The orders worker also owes it rows that
/// show all of it. A slot that a raw event blocks is nobody's to settle: its message is a dead letter
/// already, and more of them would say nothing new.
pub fn debtors<Item: Borrow<RecordedEvent>>(stream: &[Item], shown: u32) -> Vec<Worker> {
    let order = orders::fold(stream.iter().map(Borrow::borrow));
    let owing = Owing::of(&order, stream).that_can_be_done(stream);
    let owes = [
        (Worker::Orders, owing.orders.is_some() || shown < seen(stream)),
        (Worker::Inventory, owing.inventory.is_some()),
        (Worker::Payments, owing.payments.is_some()),
    ];
    owes.into_iter().filter_map(|(worker, owes)| owes.then_some(worker)).collect()
}
