//! A small shop: a customer, three products, and an order in each state, as events and as rows.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use event_store::{CatalogViews, EventLog, LogScan, OrderViews, Personal, Segment, Stamper};
use events::*;

/// 2010-12-01T08:26:00Z.
const BEGIN: i64 = 1_291_191_960_000;

/// A clock that ticks once per stamp, and begins a day after the shop's history.
#[derive(Default)]
pub struct Ticking(AtomicI64);

impl Stamper for Ticking {
    fn stamp(&self, after: Option<Ulid>) -> Stamp {
        let tick = self.0.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::from_millis(BEGIN + 86_400_000 + tick);
        Stamp { event_id: next_event_id(now, tick as u128, after), occurred_at: now, producer: "fuzz".into() }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN + 86_400_000)
    }
}

/// The stamp and the causes of the n-th event of a history. Three follow each other within a millisecond.
pub fn stamped(n: usize) -> (Stamp, Causes) {
    let occurred_at = Timestamp::from_millis(BEGIN + n as i64 / 3);
    let stamp = Stamp {
        event_id: Ulid::from_parts(occurred_at.millis().unsigned_abs(), n as u128),
        occurred_at,
        producer: "fuzz".into(),
    };
    let causes = Causes {
        priority: Priority::Standard,
        correlation_id: "fuzz".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    };
    (stamp, causes)
}

/// Everything that has happened.
static HISTORY: LazyLock<Vec<RecordedEvent>> = LazyLock::new(|| {
    let mut history = Vec::new();
    let mut happen = |event: Event, counters: Vec<StockDelta>| {
        let (stamp, causes) = stamped(history.len());
        history.push(RecordedEvent::new(event, counters, stamp, causes));
    };
    let read = |name: &str, data: &str| {
        let name = EventName::find(name).expect("a published name").0;
        let stream = data.split('"').nth(3).expect("a payload begins with an id");
        let pk =
            ["ORDER_ID", "CUSTOMER_ID", "PRODUCT_ID", "SKU"].map(|kind| format!("EVENTS#{kind}#{stream}"));
        let mut read = pk.iter().map(|pk| decode::read(name.as_str(), 1, data, pk));
        read.find_map(Result::ok).expect("a payload as it is published")
    };
    happen(read("CustomerRegistered", r#"{"customer_id":"cust-1"}"#), Vec::new());
    happen(read("CustomerRegistered", r#"{"customer_id":"gone-1"}"#), Vec::new());
    happen(read("CustomerErased", r#"{"customer_id":"gone-1"}"#), Vec::new());
    for (sku, price, currency) in [("lamp", "19.99", "GBP"), ("sock", "2", "GBP"), ("vase", "5", "EUR")] {
        let listed = format!(
            r#"{{"product_id":"{sku}","sku":"{sku}","name":"A {sku}","price":{price},"currency":"{currency}"}}"#
        );
        happen(read("ProductListed", &listed), Vec::new());
        let lot = format!(r#"{{"sku":"{sku}","units":100,"lot_id":"lot-1"}}"#);
        happen(read("SkuRestocked", &lot), Vec::new());
        let (sku, units) = (Sku::parse(sku).expect("an id"), Quantity::new(100).expect("a quantity"));
        happen(read("StockReceived", &lot), vec![StockDelta::receive(&sku, units)]);
    }
    happen(read("ProductWithdrawn", r#"{"product_id":"vase"}"#), Vec::new());
    const STORY: [&str; 8] = [
        "OrderPlaced",
        "ReserveInventory",
        "InventoryReserved",
        "PaymentAttempted",
        "OrderPaymentAccepted",
        "InventoryCommitted",
        "OrderShipped",
        "OrderDelivered",
    ];
    let lamp = (Sku::parse("lamp").expect("an id"), Quantity::new(1).expect("a quantity"));
    for (order, length) in
        [("ord-1", 1), ("ord-2", 3), ("ord-3", 6), ("ord-4", 7), ("ord-5", 8), ("ord-6", 3)]
    {
        for name in &STORY[..length] {
            let data = format!(
                r#"{{"order_id":"{order}","customer_id":"cust-1","items":[{{"sku":"lamp","quantity":1}}],
                    "total":19.99,"amount":19.99,"currency":"GBP","attempt":1,"payment_id":"pay-1"}}"#
            );
            let counters = match *name {
                "InventoryReserved" => vec![StockDelta::reserve(&lamp.0, lamp.1)],
                "InventoryCommitted" => vec![StockDelta::commit(&lamp.0, lamp.1)],
                _ => Vec::new(),
            };
            happen(read(name, &data), counters);
        }
    }
    happen(
        read("OrderCancelled", r#"{"order_id":"ord-6","reason":"changed my mind","by":"ann"}"#),
        Vec::new(),
    );
    let (stamp, causes) = stamped(history.len());
    let slot = ("EVENTS#ORDER_ID#ord-1", "EVENT#Delivery");
    history.push(RecordedEvent::raw(slot, ("OrderDelivered", 1, "no JSON"), Vec::new(), stamp, causes));
    history
});

/// Puts the shop into a store: its events, and the rows that they make.
pub async fn furnish(store: &(impl EventLog + OrderViews + CatalogViews)) {
    let mut streams: Vec<(Arc<str>, Vec<&RecordedEvent>)> = Vec::new();
    for event in &*HISTORY {
        store.append(event.clone()).await.expect("an empty store takes it");
        match streams.iter_mut().find(|(pk, _)| *pk == event.pk) {
            Some((_, stream)) => stream.push(event),
            None => streams.push((event.pk.clone(), vec![event])),
        }
    }
    for (_, stream) in &streams {
        if let Some(rows) = views::project::order_rows(stream) {
            store.put(rows).await.expect("an empty store takes it");
        }
        if let Some(row) = views::project::product_row(stream) {
            store.put_product(row).await.expect("an empty store takes it");
        }
        if let Some(row) = views::project::customer_row(stream) {
            let personal = Personal { name: Some("Ann".to_owned()), ..Personal::default() };
            store.put_customer(row.clone()).await.expect("an empty store takes it");
            store.put_personal(&row.customer_id, personal).await.expect("an empty store takes it");
        }
    }
}

/// The events of one of the shop's orders.
pub fn order(id: &str) -> Vec<RecordedEvent> {
    let pk = format!("EVENTS#ORDER_ID#{id}");
    HISTORY.iter().filter(|event| *event.pk == *pk).cloned().collect()
}

/// Every stream of a small store.
pub async fn streams(store: &impl LogScan) -> Vec<Vec<RecordedEvent>> {
    let all = store.scan(Segment { index: 0, of: 1 }, None, usize::MAX).await.expect("a whole store answers");
    all.streams
}
