//! Audit: folds the whole log, holds everything that is stored against it, and names each broken promise.

mod doubts;
mod report;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use event_store::{Copy, Segment, StockRow, StoreError, View, ViewRow};
use events::{OrderId, RecordedEvent, Sku, StreamKey, Timestamp, anomalies};
use payments::intent::Intent;
use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::compare::{comparable, compare_counters, counters, let_others_run, rebuilt, settle_differences};
use crate::invariants::{Invariant, StockBook, held_by};
use crate::{Observe, Ports};
use doubts::{Verdict, intent, look_again};

pub use report::{AuditReport, Finding, MAX_FINDINGS, STUCK, ShownAnomaly};

/// Events per page of the scan.
const PAGE: usize = 10_000;
/// Rows per page when looking for rows without a stream.
const ROWS: usize = 1_000;

/// So long may something stand still that somebody owes something, if nothing else is said. Whoever owes an order
/// something is nudged every minute from the first on, so by then a dozen nudges have come to nothing; and it is longer
/// than clocks differ.
pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The moment since which nothing has moved that stands still for longer than this patience.
pub fn still_since(now: Timestamp, patience: Duration) -> Timestamp {
    let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.millis().saturating_sub(patience))
}

/// Reads everything. Safe under live traffic: what seems wrong is looked at again before it is named. Whatever somebody
/// owes may still be under way, so of orders that have not ended and of lots that were not counted nothing is asked.
///
/// # Errors
/// The ports'.
pub async fn audit(ports: &Ports, observe: Observe<'_>) -> Result<AuditReport, StoreError> {
    look(ports, None, observe).await
}

/// Does the same, and takes what has not moved since a moment for being at rest: what somebody still owes it is named as
/// [`STUCK`]. With a moment that is longer ago than the slowest message takes, safe under live traffic too; where nobody
/// writes any more, that moment may be now.
///
/// # Errors
/// The ports'.
pub async fn audit_at_rest(
    ports: &Ports,
    still_since: Timestamp,
    observe: Observe<'_>,
) -> Result<AuditReport, StoreError> {
    look(ports, Some(still_since), observe).await
}

async fn look(
    ports: &Ports,
    still_since: Option<Timestamp>,
    observe: Observe<'_>,
) -> Result<AuditReport, StoreError> {
    let mut audit = Audit {
        ports,
        report: AuditReport { still_since, ..AuditReport::default() },
        before: counters(ports).await?.into_iter().map(|row| (row.sku.clone(), row)).collect(),
        book: StockBook::default(),
        streams: FxHashSet::default(),
        suspects: Vec::new(),
        doubtful: Vec::new(),
    };
    let (total, mut cursor) = (ports.scan.size().await?, None::<String>);
    loop {
        let page = ports.scan.scan(Segment { index: 0, of: 1 }, cursor.as_deref(), PAGE).await?;
        for stream in &page.streams {
            audit.stream(stream).await?;
            let_others_run().await;
        }
        observe(audit.report.events, total);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    audit.doubts().await?;
    audit.rows().await?;
    audit.counters().await?;
    audit.rows_without_a_stream().await?;
    Ok(audit.report)
}

struct Audit<'a> {
    ports: &'a Ports,
    report: AuditReport,
    /// The counters before the log was read: those that did not move since must be what the book says.
    before: BTreeMap<Sku, StockRow>,
    book: StockBook,
    /// Hashes of the streams that were read.
    streams: FxHashSet<u64>,
    /// Rows that differed at first sight.
    suspects: Vec<(View, String)>,
    /// Streams that seemed to break a promise, or to be stuck, at first sight.
    doubtful: Vec<Arc<str>>,
}

impl Audit<'_> {
    async fn stream(&mut self, stream: &[RecordedEvent]) -> Result<(), StoreError> {
        self.report.events += stream.len() as u64;
        let Some(first) = stream.first() else { return Ok(()) };
        self.streams.insert(FxBuildHasher.hash_one(&*first.pk));
        anomalies(stream).into_iter().for_each(|anomaly| self.report.show(anomaly.into()));
        stream.iter().for_each(|event| self.book.add(event));
        held_by(stream).for_each(|(sku, units)| self.book.hold(sku, units));
        let mut kept = None;
        match StreamKey::parse(&first.pk) {
            Some(StreamKey::Order(order)) => {
                kept = intent(self.ports, &order).await?;
                self.order(&order, stream).await?;
            }
            Some(StreamKey::Customer(id)) => self.row(View::Customers, id.as_str(), stream).await?,
            Some(StreamKey::Product(id)) => self.row(View::Products, id.as_str(), stream).await?,
            Some(StreamKey::Sku(_)) | None => {}
        }
        self.promises(&first.pk, stream, kept.as_ref());
        Ok(())
    }

    fn promises(&mut self, pk: &Arc<str>, stream: &[RecordedEvent], intent: Option<&Intent>) {
        if !Verdict::of(stream, intent, self.report.still_since).is_quiet() {
            self.doubtful.push(pk.clone());
        }
    }

    async fn order(&mut self, id: &OrderId, stream: &[RecordedEvent]) -> Result<(), StoreError> {
        let facts = orders::fold(stream);
        if let Some(status) = orders::status(&facts) {
            *self.report.orders.entry(status).or_default() += 1;
            self.report.open += u64::from(!orders::has_ended(&facts));
        }
        for view in [View::Orders, View::Payments, View::Deliveries] {
            self.row(view, id.as_str(), stream).await?;
        }
        Ok(())
    }

    async fn row(&mut self, view: View, id: &str, stream: &[RecordedEvent]) -> Result<(), StoreError> {
        let live = self.ports.rows.row(view, Copy::Live, id).await?.map(comparable);
        if live != rebuilt(view, stream) {
            self.suspects.push((view, id.to_owned()));
        }
        Ok(())
    }

    async fn doubts(&mut self) -> Result<(), StoreError> {
        let doubtful = std::mem::take(&mut self.doubtful);
        for verdict in look_again(self.ports, doubtful, self.report.still_since).await? {
            self.report.find_all(verdict.violations);
            verdict.stuck.into_iter().for_each(|stuck| self.report.find_stuck(stuck));
            verdict.by_hand.into_iter().for_each(|anomaly| self.report.show(anomaly));
        }
        Ok(())
    }

    /// Looks again at the rows that differed: a worker may have been about to write them.
    async fn rows(&mut self) -> Result<(), StoreError> {
        let suspects = std::mem::take(&mut self.suspects);
        for (view, id, settled) in settle_differences(self.ports, suspects).await? {
            for difference in settled.differences {
                let field = if difference.field.is_empty() { "row" } else { &difference.field };
                let (live, rebuilt) = (difference.live, difference.rebuilt);
                let detail = format!("{view} {id}: {field} is {live}, the log says {rebuilt}");
                self.report.find(Invariant::Row, detail);
            }
        }
        Ok(())
    }

    async fn counters(&mut self) -> Result<(), StoreError> {
        let mut skus: Vec<Sku> = self.before.keys().chain(self.book.skus()).cloned().collect();
        skus.sort();
        skus.dedup();
        for sku in skus {
            let live = self.ports.stock.stock(&sku).await?;
            let mut found = Vec::new();
            self.book.check(&sku, live.as_ref(), &mut found);
            if live.as_ref() == self.before.get(&sku) && (found.is_empty() || !self.moved(&sku).await?) {
                self.report.find_all(found);
            } else if let Some(first) = compare_counters(self.ports, &sku).await?.differences.first() {
                // What moved while the log was read is compared with its ledger instead.
                let (field, live, ledger) = (&first.field, &first.live, &first.rebuilt);
                let detail = format!("stock {sku}: {field} is {live}, its ledger sums up to {ledger}");
                self.report.find(Invariant::Counters, detail);
            }
        }
        Ok(())
    }

    /// Whether a SKU's counters moved since the log was read, and perhaps back again: there are movements that
    /// the book does not know.
    async fn moved(&self, sku: &Sku) -> Result<bool, StoreError> {
        let behind = self.ports.stock.ledger(sku, self.book.movements(sku), 1).await?;
        Ok(!behind.is_empty())
    }

    async fn rows_without_a_stream(&mut self) -> Result<(), StoreError> {
        for view in [View::Orders, View::Customers, View::Products] {
            let mut after = None::<String>;
            loop {
                let rows = self.ports.rows.rows(view, Copy::Live, after.as_deref(), ROWS).await?;
                for row in &rows {
                    self.row_without_a_stream(row).await?;
                }
                match rows.last() {
                    Some(last) if rows.len() == ROWS => after = Some(last.id().to_owned()),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    async fn row_without_a_stream(&mut self, row: &ViewRow) -> Result<(), StoreError> {
        let Some(stream) = row.stream() else { return Ok(()) };
        let pk = stream.pk();
        let known = self.streams.contains(&FxBuildHasher.hash_one(pk.as_str()));
        if !known && self.ports.log.read_stream(&pk).await?.is_empty() {
            let detail = format!("{} {}: the row has no event in the log", row.view(), row.id());
            self.report.find(Invariant::OrphanRow, detail);
        }
        Ok(())
    }
}
