//! Audit: folds the whole log, compares it with everything that is stored, and names each difference.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use event_store::{Copy, Segment, StockRow, StoreError, View, ViewRow};
use events::{Anomaly, Event, OrderId, RecordedEvent, Sku, StreamKey, anomalies};
use orders::{OrderFacts, Status};
use payments::intent::State;
use rustc_hash::{FxBuildHasher, FxHashSet};
use serde::Serialize;

use crate::compare::{comparable, compare_counters, counters, let_others_run, rebuilt, settle_differences};
use crate::replay::add_up;
use crate::{Observe, Ports};

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AuditReport {
    /// Events read.
    pub events: u64,
    /// Orders by state.
    pub orders: BTreeMap<Status, u64>,
    /// Orders to which something is still to come.
    pub open: u64,
    /// What is not as it should be, the first [`MAX_FINDINGS`].
    pub differences: Vec<Finding>,
    /// How many differences there were.
    pub difference_count: u64,
    /// Events that readers pass over, the first [`MAX_FINDINGS`]. They are shown, and are no difference.
    pub anomalies: Vec<ShownAnomaly>,
    /// How many anomalies there were.
    pub anomaly_count: u64,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which promise is broken: `row`, `counters`, `conservation`, `reserved`, `gateway`.
    pub what: &'static str,
    /// Where, what is stored, and what the log says.
    pub detail: String,
}

/// An anomaly as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownAnomaly {
    /// The stream.
    pub pk: String,
    /// The key it stands under.
    pub sk: String,
    /// Its id.
    pub event_id: String,
    /// Its name.
    pub event_name: String,
    /// Why it is passed over.
    pub why: String,
}

/// So many differences and anomalies are named; all are counted.
pub const MAX_FINDINGS: usize = 1_000;
/// Events per page of the scan.
const PAGE: usize = 10_000;
/// Rows per page when looking for rows without a stream.
const ROWS: usize = 1_000;

/// Reads everything. Safe under live traffic: what differs is looked at again before it is named.
///
/// # Errors
/// The ports'.
pub async fn audit(ports: &Ports, observe: Observe<'_>) -> Result<AuditReport, StoreError> {
    let mut audit = Audit {
        ports,
        report: AuditReport::default(),
        before: counters(ports).await?.into_iter().map(|row| (row.sku.clone(), row)).collect(),
        sums: BTreeMap::new(),
        received: BTreeMap::new(),
        held: BTreeMap::new(),
        streams: FxHashSet::default(),
        suspects: Vec::new(),
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
    audit.rows().await?;
    audit.counters().await?;
    audit.rows_without_a_stream().await?;
    Ok(audit.report)
}

impl AuditReport {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.difference_count == 0
    }
}

struct Audit<'a> {
    ports: &'a Ports,
    report: AuditReport,
    /// The counters before the log was read: those that did not move since must equal the sums.
    before: BTreeMap<Sku, StockRow>,
    /// What the log's deltas sum up to.
    sums: BTreeMap<Sku, StockRow>,
    /// Units of received lots.
    received: BTreeMap<Sku, i64>,
    /// Units of orders that are reserved and not settled, with counters moved.
    held: BTreeMap<Sku, i64>,
    /// Hashes of the streams that were read.
    streams: FxHashSet<u64>,
    /// Rows that differed at first sight.
    suspects: Vec<(View, String)>,
}

impl Audit<'_> {
    async fn stream(&mut self, stream: &[RecordedEvent]) -> Result<(), StoreError> {
        self.report.events += stream.len() as u64;
        let Some(first) = stream.first() else { return Ok(()) };
        self.streams.insert(FxBuildHasher.hash_one(&*first.pk));
        self.anomalies(anomalies(stream));
        stream.iter().for_each(|event| add_up(&mut self.sums, event));
        match StreamKey::parse(&first.pk) {
            Some(StreamKey::Order(order)) => self.order(&order, stream).await,
            Some(StreamKey::Customer(id)) => self.row(View::Customers, id.as_str(), stream).await,
            Some(StreamKey::Product(id)) => self.row(View::Products, id.as_str(), stream).await,
            Some(StreamKey::Sku(sku)) => {
                let arrived = |event: &RecordedEvent| {
                    let own = event.counters.iter().filter(|delta| delta.sku == sku);
                    own.map(|delta| delta.available).sum::<i64>()
                };
                *self.received.entry(sku.clone()).or_default() += stream.iter().map(arrived).sum::<i64>();
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn order(&mut self, id: &OrderId, stream: &[RecordedEvent]) -> Result<(), StoreError> {
        let facts = orders::fold(stream);
        if let Some(status) = orders::status(&facts) {
            *self.report.orders.entry(status).or_default() += 1;
            self.report.open += u64::from(!orders::has_ended(&facts));
        }
        self.hold(stream);
        self.gateway(id, &facts).await?;
        for view in [View::Orders, View::Payments, View::Deliveries] {
            self.row(view, id.as_str(), stream).await?;
        }
        Ok(())
    }

    /// What a stream holds by the events that moved counters; a forged one moved none, whatever it claims.
    fn hold(&mut self, stream: &[RecordedEvent]) {
        let moved = |is: fn(&Event) -> bool| {
            stream.iter().find(move |item| item.moved_counters() && item.event().is_ok_and(is))
        };
        let reserved = moved(|event| matches!(event, Event::InventoryReserved(_)));
        let settled =
            moved(|event| matches!(event, Event::InventoryCommitted(_) | Event::InventoryReleased(_)));
        if let (Some(reserved), None) = (reserved, settled) {
            for delta in &reserved.counters {
                *self.held.entry(delta.sku.clone()).or_default() += delta.reserved;
            }
        }
    }

    /// No order is charged twice, none is left charged and cancelled.
    async fn gateway(&mut self, id: &OrderId, facts: &OrderFacts<'_>) -> Result<(), StoreError> {
        let Some(intents) = self.ports.intents.as_deref().filter(|_| !facts.attempts.is_empty()) else {
            return Ok(());
        };
        let stored = intents.load(id).await?.intent;
        if stored.charges > 1 {
            self.find("gateway", format!("order {id} was charged {} times", stored.charges));
        }
        let kept = stored.state == State::Charged && facts.cancellation().is_some();
        if kept && orders::has_ended(facts) {
            self.kept(id, facts);
        }
        Ok(())
    }

    /// The gateway kept the money of a cancelled order. Where a part of the order's story was written by hand,
    /// a refund that never was above all, the log says what somebody made it say: that is an anomaly.
    fn kept(&mut self, id: &OrderId, facts: &OrderFacts<'_>) {
        let Some(by_hand) = facts.settled_by().find(|item| item.is_raw()) else {
            return self.find("gateway", format!("order {id} is cancelled, and the gateway kept its money"));
        };
        self.show(ShownAnomaly {
            pk: by_hand.pk.to_string(),
            sk: by_hand.sk.to_string(),
            event_id: by_hand.event_id.to_string(),
            event_name: by_hand.event_name.to_string(),
            why: "it was written by hand, and the gateway kept the money of its cancelled order".to_owned(),
        });
    }

    async fn row(&mut self, view: View, id: &str, stream: &[RecordedEvent]) -> Result<(), StoreError> {
        let live = self.ports.rows.row(view, Copy::Live, id).await?.map(comparable);
        if live != rebuilt(view, stream) {
            self.suspects.push((view, id.to_owned()));
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
                self.find("row", format!("{view} {id}: {field} is {live}, the log says {rebuilt}"));
            }
        }
        Ok(())
    }

    async fn counters(&mut self) -> Result<(), StoreError> {
        let mut skus: Vec<Sku> = self.before.keys().chain(self.sums.keys()).cloned().collect();
        skus.sort();
        skus.dedup();
        for sku in skus {
            let live = self.ports.stock.stock(&sku).await?;
            let stood_still = live == self.before.get(&sku).cloned();
            if stood_still {
                let units = |row: Option<&StockRow>| row.map(|row| (row.available, row.reserved, row.sold));
                let truth = self.sums.get(&sku);
                if units(live.as_ref()) != units(truth) {
                    let (live, truth) = (said(live.as_ref()), said(truth));
                    self.find(
                        "counters",
                        format!("stock {sku} is {live}, the log's deltas sum up to {truth}"),
                    );
                }
            } else if let Some(first) = compare_counters(self.ports, &sku).await?.differences.first() {
                // What moved while the log was read is compared with its ledger instead.
                let (field, live, ledger) = (&first.field, &first.live, &first.rebuilt);
                self.find(
                    "counters",
                    format!("stock {sku}: {field} is {live}, its ledger sums up to {ledger}"),
                );
            }
            if stood_still {
                self.conserved(&sku, live.as_ref());
            }
        }
        Ok(())
    }

    fn conserved(&mut self, sku: &Sku, live: Option<&StockRow>) {
        let Some(StockRow { available, reserved, sold, .. }) = live else { return };
        let received = self.received.get(sku).copied().unwrap_or(0);
        let held = self.held.get(sku).copied().unwrap_or(0);
        if available + reserved + sold != received {
            let detail = format!("stock {sku} is {}, and its lots held {received}", said(live));
            self.find("conservation", detail);
        }
        if *reserved != held {
            self.find("reserved", format!("stock {sku} holds {reserved} for orders that hold {held}"));
        }
    }

    /// Rows that no stream explains.
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
            self.find("row", format!("{} {}: the row has no event in the log", row.view(), row.id()));
        }
        Ok(())
    }

    fn find(&mut self, what: &'static str, detail: String) {
        self.report.difference_count += 1;
        if self.report.differences.len() < MAX_FINDINGS {
            self.report.differences.push(Finding { what, detail });
        }
    }

    fn anomalies(&mut self, found: Vec<Anomaly>) {
        for anomaly in found {
            self.show(ShownAnomaly {
                why: anomaly.why.to_string(),
                pk: anomaly.pk,
                sk: anomaly.sk,
                event_id: anomaly.event_id.to_string(),
                event_name: anomaly.event_name,
            });
        }
    }

    fn show(&mut self, anomaly: ShownAnomaly) {
        self.report.anomaly_count += 1;
        if self.report.anomalies.len() < MAX_FINDINGS {
            self.report.anomalies.push(anomaly);
        }
    }
}

fn said(row: Option<&StockRow>) -> String {
    match row {
        Some(row) => format!("{} available, {} reserved, {} sold", row.available, row.reserved, row.sold),
        None => "nothing".to_owned(),
    }
}
