//! The log sweeper: reads the whole log, nudges whoever owes any of its streams something, and cancels what has expired.
//!
//! The [`crate::Sweeper`] finds orders by their rows, every minute. What has no row, it cannot find: an
//! order whose first message was lost, a lot that nobody counted, a customer whom no message reached. The
//! log has them all, so once a day it is read from end to end, and what it says of all orders is reported.
//!
//! Orders that nobody paid and that stand still may be left standing, or expire: then they are cancelled as a customer would
//! cancel them, in the slot that a shipment would take, and everything that follows is the workers' business.
//!
//! What is young is left alone: whoever owes it something is at it. A SKU, a product or a customer may have something
//! young at every sweep, so there only what is young itself is left out, and what is old is owed all the same.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::{Appended, CatalogViews, EventLog, LogScan, OrderViews, Segment, Stamper};
use events::{Event, EventName, OrderCancelled, OrderId, RecordedEvent, Sku, StreamKey, Timestamp};
use orders::{OrderFacts, Reservation, Status};
use serde::{Deserialize, Serialize};
use telemetry::metrics;
use views::audit::still_since;
use views::owing::{moved_at, uncounted_lots};
use views::project::{customer_row, product_row};

use crate::reconcile::append;
use crate::sweeper::{Nudges, SweepReport, debtors};
use crate::{Worker, WorkerError};

/// Counting what was given up.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// How many letters each dead-letter queue holds.
    async fn counts(&self) -> Result<BTreeMap<String, u64>, WorkerError>;
}

/// What the log sweeper needs.
pub struct LogSweeper {
    /// The whole log.
    pub scan: Arc<dyn LogScan>,
    /// Where orders that have expired are cancelled.
    pub log: Arc<dyn EventLog>,
    /// What is shown of orders.
    pub orders: Arc<dyn OrderViews>,
    /// What is shown of customers and products.
    pub catalog: Arc<dyn CatalogViews>,
    /// Whom to wake.
    pub nudges: Arc<dyn Nudges>,
    /// What was given up.
    pub letters: Arc<dyn DeadLetters>,
    /// Its clock.
    pub stamper: Arc<dyn Stamper>,
    /// How long an order may stand still, a lot be uncounted, and an event of a customer or product not be shown.
    pub patience: Duration,
    /// After how long an order that stands still and that nobody paid is cancelled; never, if nothing is said.
    pub expire_after: Option<Duration>,
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
    /// Orders that were short of stock in the day before the sweep began.
    #[serde(default)]
    pub short: u64,
    /// The SKUs that they were short of: the first [`COUNTED`] while the log is read, and in the end the worst [`NAMED`] of
    /// those.
    #[serde(default)]
    pub shortages: BTreeMap<Sku, Shortage>,
    /// How many SKUs more they were short of. Those behind the first [`COUNTED`] are not told apart: each order counts.
    #[serde(default)]
    pub shortages_left_out: u64,
    /// Orders that were cancelled because they had stood still for too long. They are counted above as they were.
    #[serde(default)]
    pub expired: u64,
    /// How many letters each dead-letter queue held at the end; `None` before, and if nobody could say.
    #[serde(default)]
    pub dead_letters: Option<BTreeMap<String, u64>>,
    /// Streams that somebody owes something, and the messages sent about them.
    #[serde(flatten)]
    pub swept: SweepReport,
}

/// How short a SKU was: the greater, the worse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shortage {
    /// Orders that did not get it.
    pub orders: u64,
    /// Units that were missing for them, each seen alone.
    pub units: u64,
}

/// So many orders that stand still are named, and so many SKUs; all orders are counted.
pub const NAMED: usize = 20;
/// So many SKUs that were short are told apart while the log is read: a sweep as far as it has come has to fit into one item
/// of a table, 400 KB, and a SKU of an older system may take a kilobyte as JSON (512 bytes, each escaped). Orders come in
/// the order of their ids, which says nothing of what was ordered, so what many are short of is among the first.
pub const COUNTED: usize = 300;

/// Why an order was cancelled that had stood still for too long, as its event says it.
pub const EXPIRED: &str = "expired";

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
    fn count(&mut self, order: &OrderId, facts: &OrderFacts<'_>, still_since: Timestamp, day: Timestamp) {
        let Some(status) = orders::status(facts) else { return };
        *self.orders.entry(status).or_default() += 1;
        self.count_shortages(facts, day);
        if orders::has_ended(facts) {
            return;
        }
        self.open += 1;
        let Some(latest) = moved_at(facts).filter(|latest| *latest < still_since) else { return };
        self.stuck += 1;
        self.longest.push((latest, order.clone()));
        self.longest.sort();
        self.longest.truncate(NAMED);
    }

    /// Counts what an order was short of since the beginning of the day.
    fn count_shortages(&mut self, facts: &OrderFacts<'_>, day: Timestamp) {
        let is_of_the_day = facts.reservation.by().is_some_and(|event| event.occurred_at >= day);
        let Some(Reservation::Failed(failed)) = facts.reservation.what().filter(|_| is_of_the_day) else {
            return;
        };
        self.short += 1;
        for shortage in &failed.shortages {
            if self.shortages.len() == COUNTED && !self.shortages.contains_key(&shortage.sku) {
                self.shortages_left_out += 1;
                continue;
            }
            let counted = self.shortages.entry(shortage.sku.clone()).or_default();
            counted.orders += 1;
            let available = shortage.available.unwrap_or(0).max(0).unsigned_abs();
            counted.units += u64::from(shortage.requested.get()).saturating_sub(available);
        }
    }

    /// Keeps the worst of what was counted.
    fn name_the_worst(&mut self) {
        let mut counted: Vec<(Sku, Shortage)> = std::mem::take(&mut self.shortages).into_iter().collect();
        counted.sort_by_key(|(_, shortage)| Reverse(*shortage));
        self.shortages_left_out += counted.len().saturating_sub(NAMED) as u64;
        counted.truncate(NAMED);
        self.shortages.extend(counted);
    }
}

impl LogSweeper {
    /// The name of its binary, in the templates and in what it appends.
    pub const BINARY: &str = "oms-log-sweeper";
    /// The events that it appends.
    pub const APPENDS: &[EventName] = &[EventName::OrderCancelled];

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
        let now = self.stamper.now();
        let (still_since, expires) =
            (still_since(now, self.patience), self.expire_after.map(|after| still_since(now, after)));
        let day = Timestamp::from_millis(sweep.began_at.millis() - EVERY_MILLIS);
        let page = self.scan.scan(Segment { index: 0, of: 1 }, sweep.after.as_deref(), PAGE).await?;
        let mut report = sweep.report.clone();
        for stream in &page.streams {
            report.events += stream.len() as u64;
            let key = stream.first().and_then(|event| StreamKey::parse(&event.pk));
            if let Some(StreamKey::Order(order)) = &key {
                let facts = orders::fold(stream);
                report.count(order, &facts, still_since, day);
                let expires = expires.filter(|before| has_expired(&facts, *before));
                if let Some(before) = expires
                    && self.expire(order, before).await?
                {
                    // Its event wakes everybody.
                    report.expired += 1;
                    continue;
                }
            }
            let nudged = match key {
                Some(key) => self.look_at(&key, stream, still_since).await?,
                None => 0,
            };
            report.swept.stood_still += u64::from(nudged > 0);
            report.swept.nudged += nudged;
        }
        if page.next.is_none() {
            report.name_the_worst();
            let counted = self.letters.counts().await;
            report.dead_letters =
                counted.map_err(|error| tracing::warn!(%error, "failed to count dead letters")).ok();
            metrics::log_swept(report.open, report.stuck, report.swept.stood_still);
            if let Some(letters) = &report.dead_letters {
                metrics::dead_letters(letters.values().sum());
            }
        }
        sweep.has_ended = page.next.is_none();
        sweep.after = page.next;
        sweep.report = report;
        Ok(())
    }

    /// Cancels an order, if it is still so that it has expired; says whether it did. Whoever ships or pays it meanwhile was
    /// first, or sees the cancellation, as after any other.
    async fn expire(&self, order: &OrderId, before: Timestamp) -> Result<bool, WorkerError> {
        let stream = self.log.read_stream(&StreamKey::Order(order.clone()).pk()).await?;
        let facts = orders::fold(stream.iter().map(|item| &**item));
        let Some(placed) = facts.placed.by().filter(|_| has_expired(&facts, before)) else {
            return Ok(false);
        };
        let (reason, by) = (EXPIRED.to_owned(), LogSweeper::BINARY.to_owned());
        let cancelled = Event::OrderCancelled(OrderCancelled { order_id: order.clone(), reason, by });
        match append(&*self.log, &*self.stamper, &stream, cancelled, Vec::new(), placed).await {
            Ok(Appended::Stored(_)) => {
                metrics::order_expired();
                Ok(true)
            }
            // Somebody else closed it, or nobody can.
            Ok(Appended::Taken(_) | Appended::Short(_)) | Err(WorkerError::Permanent(_)) => Ok(false),
            Err(error) => Err(error),
        }
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

/// Whether an order has stood still since before a moment, and may be cancelled for it.
fn has_expired(facts: &OrderFacts<'_>, before: Timestamp) -> bool {
    orders::may_expire(facts) && moved_at(facts).is_some_and(|moved_at| moved_at < before)
}

/// What of a stream is older than a moment. A row shows what was there when it was written, so one that has seen less
/// than this lacks something old, and one that has seen as much lacks at most something young.
fn older(stream: &[RecordedEvent], than: Timestamp) -> Vec<&RecordedEvent> {
    stream.iter().filter(|event| event.occurred_at < than).collect()
}
