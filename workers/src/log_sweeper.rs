//! The log sweeper: reads the whole log, and nudges whoever owes any of its streams something.
//!
//! The [`crate::Sweeper`] finds orders by their rows, every minute. What has no row, it cannot find: an
//! order whose first message was lost, a lot that nobody counted, a customer whom no message reached. The
//! log has them all, so once a day it is read from end to end, and what it says of all orders is reported.
//!
//! What is young is left alone: whoever owes it something is at it. A SKU, a product or a customer may have something
//! young at every sweep, so there only what is young itself is left out, and what is old is owed all the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use event_store::{CatalogViews, LogScan, OrderViews, Segment, Stamper};
use events::{OrderId, RecordedEvent, StreamKey, Timestamp};
use orders::Status;
use serde::{Deserialize, Serialize};
use views::audit::still_since;
use views::owing::{moved_at, uncounted_lots};
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
    /// How long an order may stand still, a lot be uncounted, and an event of a customer or product not be shown.
    pub patience: Duration,
}

/// How many events are read at once.
const PAGE: usize = 2_000;

/// A sweep of the log, as far as it has come: what does not fit into one run of a function goes on in the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogSweep {
    /// When it began.
    pub began_at: Timestamp,
    /// Where the log is read to.
    after: Option<String>,
    /// Whether all of it was read.
    pub has_ended: bool,
    /// What was found so far.
    pub report: LogReport,
}

/// What a sweep of the log found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// Events read.
    pub events: u64,
    /// Orders by state.
    pub orders: BTreeMap<Status, u64>,
    /// Orders to which something is still to come.
    pub open: u64,
    /// Open orders of which nothing was heard for longer than they may stand still.
    pub stuck: u64,
    /// Those of them that have stood still for longest, at most [`NAMED`]: since when, and the order.
    pub longest: Vec<(Timestamp, OrderId)>,
    /// Streams that somebody owes something, and the messages sent about them.
    #[serde(flatten)]
    pub swept: SweepReport,
}

/// So many orders that stand still are named; all are counted.
pub const NAMED: usize = 20;

/// A sweep of the log begins so long after the one before.
const EVERY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// A clock that ticks a little early is early by less.
const EARLY_MILLIS: i64 = 60 * 1000;

impl LogSweep {
    /// A sweep that has not read anything yet.
    pub fn beginning(at: Timestamp) -> LogSweep {
        LogSweep { began_at: at, after: None, has_ended: false, report: LogReport::default() }
    }

    /// What is to be done at a tick of the clock: the rest of a sweep that did not come to its end, a new one a day after
    /// the last began, or nothing.
    pub fn at_tick(kept: Option<LogSweep>, now: Timestamp) -> Option<LogSweep> {
        match kept {
            Some(sweep) if !sweep.has_ended => Some(sweep),
            Some(last) if now.millis() - last.began_at.millis() < EVERY_MILLIS - EARLY_MILLIS => None,
            _ => Some(LogSweep::beginning(now)),
        }
    }
}

impl LogReport {
    fn count(&mut self, order: &OrderId, stream: &[RecordedEvent], still_since: Timestamp) {
        let facts = orders::fold(stream);
        let Some(status) = orders::status(&facts) else { return };
        *self.orders.entry(status).or_default() += 1;
        if orders::has_ended(&facts) {
            return;
        }
        self.open += 1;
        let Some(latest) = moved_at(&facts).filter(|latest| *latest < still_since) else { return };
        self.stuck += 1;
        self.longest.push((latest, order.clone()));
        self.longest.sort();
        self.longest.truncate(NAMED);
    }
}

impl LogSweeper {
    /// Looks at every stream once.
    ///
    /// # Errors
    /// The ports'; the next sweep begins anew.
    pub async fn sweep(&self) -> Result<LogReport, WorkerError> {
        let mut sweep = LogSweep::beginning(self.stamper.now());
        while !sweep.has_ended {
            self.go_on(&mut sweep).await?;
        }
        Ok(sweep.report)
    }

    /// Looks at the next streams, about [`PAGE`] events of them.
    ///
    /// # Errors
    /// The ports'; the sweep stays where it is, and may go on from there.
    pub async fn go_on(&self, sweep: &mut LogSweep) -> Result<(), WorkerError> {
        let still_since = still_since(self.stamper.now(), self.patience);
        let page = self.scan.scan(Segment { index: 0, of: 1 }, sweep.after.as_deref(), PAGE).await?;
        let mut report = sweep.report.clone();
        for stream in &page.streams {
            report.events += stream.len() as u64;
            let key = stream.first().and_then(|event| StreamKey::parse(&event.pk));
            if let Some(StreamKey::Order(order)) = &key {
                report.count(order, stream, still_since);
            }
            let nudged = match key {
                Some(key) => self.look_at(&key, stream, still_since).await?,
                None => 0,
            };
            report.swept.stood_still += u64::from(nudged > 0);
            report.swept.nudged += nudged;
        }
        sweep.has_ended = page.next.is_none();
        sweep.after = page.next;
        sweep.report = report;
        Ok(())
    }

    /// Nudges whoever has owed the stream something for longer than the patience; says how many messages that took.
    async fn look_at(
        &self,
        key: &StreamKey,
        stream: &[RecordedEvent],
        still_since: Timestamp,
    ) -> Result<u64, WorkerError> {
        match key {
            StreamKey::Order(id) => {
                let moved_at = moved_at(&orders::fold(stream));
                if moved_at.is_none_or(|moved_at| moved_at >= still_since) {
                    return Ok(0);
                }
                // Which event does not matter: a worker looks at the whole stream.
                let Some(event) = stream.last() else { return Ok(0) };
                let shown = self.orders.order(id).await?.map_or(0, |row| row.seen);
                let debtors = debtors(stream, shown);
                for worker in &debtors {
                    self.nudges.nudge(*worker, event.priority, event).await?;
                }
                Ok(debtors.len() as u64)
            }
            StreamKey::Sku(_) => {
                let mut nudged = 0;
                let lots = uncounted_lots(stream).map(|(sent, _)| sent);
                for sent in lots.filter(|sent| sent.occurred_at < still_since) {
                    self.nudges.nudge(Worker::Inventory, sent.priority, sent).await?;
                    nudged += 1;
                }
                Ok(nudged)
            }
            StreamKey::Customer(id) => {
                let old = older(stream, still_since);
                let Some(owed) = customer_row(&old) else { return Ok(0) };
                let shown = self.catalog.customer(id).await?.map_or(0, |row| row.seen);
                self.nudge_catalog(&old, shown < owed.seen).await
            }
            StreamKey::Product(id) => {
                let old = older(stream, still_since);
                let Some(owed) = product_row(&old) else { return Ok(0) };
                let shown = self.catalog.product(id).await?.map_or(0, |row| row.seen);
                self.nudge_catalog(&old, shown < owed.seen).await
            }
        }
    }

    async fn nudge_catalog(&self, stream: &[&RecordedEvent], owes: bool) -> Result<u64, WorkerError> {
        let Some(event) = stream.last().filter(|_| owes) else { return Ok(0) };
        self.nudges.nudge(Worker::Catalog, event.priority, event).await?;
        Ok(1)
    }
}

/// What of a stream is older than a moment. A row shows what was there when it was written, so one that has seen less
/// than this lacks something old, and one that has seen as much lacks at most something young.
fn older(stream: &[RecordedEvent], than: Timestamp) -> Vec<&RecordedEvent> {
    stream.iter().filter(|event| event.occurred_at < than).collect()
}
