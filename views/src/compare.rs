//! Comparing a live row with what the log says, while both may still move.

use event_store::{Copy, Personal, StockRow, StoreError, View, ViewRow, Window};
use events::{CustomerId, OrderId, ProductId, RecordedEvent, Sku, StreamKey};
use serde::Serialize;
use serde_json::Value;

use crate::A_MOMENT;
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
            // Whose data was erased must have none left; what it is, no report says again.
            let is_left = customer.erased && customer.personal != Personal::default();
            let name = is_left.then(|| "not erased".to_owned());
            customer.personal = Personal { name, ..Personal::default() };
            ViewRow::Customer(customer)
        }
        row => row,
    }
}

/// A row that was compared with what the log says, once everything under way had arrived.
#[derive(Default)]
pub(crate) struct Settled {
    pub(crate) differences: Vec<Difference>,
    /// The row as it should be.
    pub(crate) truth: Option<ViewRow>,
    /// Whether the stored row has seen less, or is not there.
    pub(crate) is_behind: bool,
}

/// Compares rows with their streams as they are now, and again those that differ, all of them after one
/// pause, until they agree or were looked at often enough. Gives those that still differ, by their keys.
pub(crate) async fn settle_differences(
    ports: &Ports,
    mut suspects: Vec<(View, String)>,
) -> Result<Vec<(View, String, Settled)>, StoreError> {
    for look in 1.. {
        let mut settled = Vec::new();
        for (view, id) in &suspects {
            let found = compare(ports, *view, id).await?;
            if !found.differences.is_empty() {
                settled.push((*view, id.clone(), found));
            }
            let_others_run().await;
        }
        if settled.is_empty() || look >= ports.looks {
            return Ok(settled);
        }
        suspects = settled.into_iter().map(|(view, id, _)| (view, id)).collect();
        ports.pause.pause(A_MOMENT).await;
    }
    Ok(Vec::new())
}

/// Compares one row with what the log says now.
async fn compare(ports: &Ports, view: View, id: &str) -> Result<Settled, StoreError> {
    let Some(stream) = stream_of(view, id) else { return Ok(Settled::default()) };
    let live = ports.rows.row(view, Copy::Live, id).await?.map(comparable);
    let truth = rebuilt(view, &ports.log.read_stream(&stream.pk()).await?);
    let differences = differences(view, id, live.as_ref(), truth.as_ref());
    let is_behind = live.map(|row| row.seen()) < truth.as_ref().map(ViewRow::seen);
    Ok(Settled { differences, truth, is_behind })
}

/// Compares the counters of a SKU that may be moving with its ledger, both of one moment.
pub(crate) async fn compare_counters(ports: &Ports, sku: &Sku) -> Result<Settled, StoreError> {
    let (live, ledger) = ports.stock.counted(sku).await?;
    let [live, truth] = [live, ledger].map(|row| row.map(ViewRow::Stock));
    let differences = differences(View::Stock, sku.as_str(), live.as_ref(), truth.as_ref());
    Ok(Settled { differences, truth, is_behind: false })
}

/// Lets other tasks have the thread: what is read here comes so fast that nothing else would get it.
pub(crate) async fn let_others_run() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
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

#[cfg(test)]
mod tests {
    use event_store::CustomerRow;
    use events::Timestamp;

    use super::*;

    fn customer(erased: bool, name: Option<&str>) -> ViewRow {
        let personal = Personal { name: name.map(str::to_owned), ..Personal::default() };
        ViewRow::Customer(CustomerRow {
            customer_id: CustomerId::recorded("cust-1").unwrap(),
            seen: 1,
            erased,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            personal,
        })
    }

    #[test]
    fn what_is_left_of_somebody_who_was_erased_is_a_difference_that_does_not_say_it_again() {
        assert_eq!(comparable(customer(false, Some("Ann"))), customer(false, None));
        assert_eq!(comparable(customer(true, None)), customer(true, None));
        assert_eq!(comparable(customer(true, Some("Ann"))), customer(true, Some("not erased")));
    }
}
