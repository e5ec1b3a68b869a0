//! Comparing a live row with what the log says, while both may still move.

use event_store::{Copy, StockRow, StoreError, View, ViewRow, Window};
use events::{CustomerId, OrderId, ProductId, RecordedEvent, Sku, StreamKey};
use serde::Serialize;
use serde_json::Value;

use crate::Ports;
use crate::project::{customer_row, order_rows, product_row};

/// A field of a row that is not what the log says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The read model.
    pub view: View,
    /// The row's key.
    pub id: String,
    /// The field; empty when the whole row is missing on one side.
    pub field: String,
    /// What is stored.
    pub live: Value,
    /// What the log says.
    pub rebuilt: Value,
}

/// How often a row that differs is looked at again: a worker may be about to write it.
const LOOKS: u32 = 100;

/// The row that a stream makes in a read model that shows streams.
pub(crate) fn rebuilt(view: View, stream: &[impl std::borrow::Borrow<RecordedEvent>]) -> Option<ViewRow> {
    match view {
        View::Orders => order_rows(stream).map(|rows| ViewRow::Order(rows.order)),
        View::Payments => order_rows(stream).and_then(|rows| rows.payment).map(ViewRow::Payment),
        View::Deliveries => order_rows(stream).and_then(|rows| rows.delivery).map(ViewRow::Delivery),
        View::Customers => customer_row(stream).map(ViewRow::Customer),
        View::Products => product_row(stream).map(ViewRow::Product),
        View::Stock => None,
    }
}

/// The stream that a row is folded from; `None` for stock, and for a key that is no id.
fn stream_of(view: View, id: &str) -> Option<StreamKey> {
    match view {
        View::Orders | View::Payments | View::Deliveries => OrderId::recorded(id).ok().map(StreamKey::Order),
        View::Customers => CustomerId::recorded(id).ok().map(StreamKey::Customer),
        View::Products => ProductId::recorded(id).ok().map(StreamKey::Product),
        View::Stock => None,
    }
}

/// What of a row the log does not say, taken out.
pub(crate) fn comparable(row: ViewRow) -> ViewRow {
    match row {
        ViewRow::Customer(mut customer) => {
            customer.personal = event_store::Personal::default();
            ViewRow::Customer(customer)
        }
        row => row,
    }
}

/// A row that was compared with what the log says, once everything under way had arrived.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) differences: Vec<Difference>,
    /// The row as it is stored.
    pub(crate) live: Option<ViewRow>,
    /// The row as it should be.
    pub(crate) truth: Option<ViewRow>,
}

/// Compares one row with its stream as it is now, and again for a while as long as they differ.
pub(crate) async fn settle_difference(ports: &Ports, view: View, id: &str) -> Result<Settled, StoreError> {
    let Some(stream) = stream_of(view, id) else { return Ok(Settled::default()) };
    let pk = stream.pk();
    let mut looks = 0;
    loop {
        let live = ports.rows.row(view, Copy::Live, id).await?.map(comparable);
        let truth = rebuilt(view, &ports.log.read_stream(&pk).await?);
        looks += 1;
        if live == truth || looks == LOOKS {
            let differences = differences(view, id, live.as_ref(), truth.as_ref());
            return Ok(Settled { differences, live, truth });
        }
        ports.pause.pause().await;
    }
}

/// Names each field in which two rows differ.
pub(crate) fn differences(
    view: View,
    id: &str,
    live: Option<&ViewRow>,
    rebuilt: Option<&ViewRow>,
) -> Vec<Difference> {
    let value = |row: Option<&ViewRow>| {
        row.map_or(Value::Null, |row| serde_json::to_value(row).expect("a row has only text keys"))
    };
    let difference =
        |field: &str, live, rebuilt| Difference { view, id: id.into(), field: field.into(), live, rebuilt };
    match (value(live), value(rebuilt)) {
        (Value::Object(live), Value::Object(rebuilt)) => {
            let mut fields: Vec<&String> = live.keys().chain(rebuilt.keys()).collect();
            fields.sort();
            fields.dedup();
            let side =
                |row: &serde_json::Map<String, Value>, field| row.get(field).cloned().unwrap_or_default();
            let pairs = fields.into_iter().map(|field| (field, side(&live, field), side(&rebuilt, field)));
            pairs
                .filter(|(_, live, rebuilt)| live != rebuilt)
                .map(|(field, live, rebuilt)| difference(field, live, rebuilt))
                .collect()
        }
        (live, rebuilt) if live != rebuilt => vec![difference("", live, rebuilt)],
        _ => Vec::new(),
    }
}

/// The counters of one SKU by its ledger, read while they stand still.
pub(crate) async fn settled_counters(ports: &Ports, sku: &Sku) -> Result<Option<StockRow>, StoreError> {
    let mut looks = 0;
    loop {
        let before = ports.stock.stock(sku).await?;
        let mut sum: Option<StockRow> = None;
        let mut read = 0;
        loop {
            let page = ports.stock.ledger(sku, read, 1_000).await?;
            read += page.len() as u64;
            let full = page.len() == 1_000;
            for entry in page {
                let row = sum.get_or_insert(StockRow {
                    sku: sku.clone(),
                    available: 0,
                    reserved: 0,
                    sold: 0,
                    created_at: entry.occurred_at,
                    updated_at: entry.occurred_at,
                });
                row.available += entry.available;
                row.reserved += entry.reserved;
                row.sold += entry.sold;
                row.created_at = row.created_at.min(entry.occurred_at);
                row.updated_at = row.updated_at.max(entry.occurred_at);
            }
            if !full {
                break;
            }
        }
        looks += 1;
        if ports.stock.stock(sku).await? == before || looks == LOOKS {
            return Ok(sum);
        }
        ports.pause.pause().await;
    }
}

/// All counters as they are now.
pub(crate) async fn counters(ports: &Ports) -> Result<Vec<StockRow>, StoreError> {
    let (mut all, mut window) = (Vec::new(), Window { limit: 1_000, ..Window::default() });
    loop {
        let page = ports.stock.stocks(&window).await?;
        all.extend(page.rows);
        match page.next {
            Some(next) => window.after = Some(next),
            None => return Ok(all),
        }
    }
}
