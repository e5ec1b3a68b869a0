//! The audit names what rows and streams break, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::memory::MemoryStore;
use event_store::{EventLog, LogScan, OrderViews, ScanPage, Segment, StoreError};
use events::{EventName, OrderId, RecordedEvent, StockDelta};
use views::invariants::Invariant;
use views::project::order_rows;
use views::{AuditReport, Finding, Pause, Ports, audit};

use crate::given::{ORDER_PK, event, item, moving, raw, sku, stamp, units};

/// The promises that are shown to be noticed here.
pub const NOTICED: [Invariant; 2] = [Invariant::Row, Invariant::OrphanRow];

#[tokio::test]
async fn a_store_that_is_as_the_log_says_is_clean_and_its_anomalies_are_no_difference() {
    let store = Arc::new(MemoryStore::new());
    let stream =
        [item(event(EventName::OrderPlaced), 1), raw(ORDER_PK, "EVENT#Noise", "NOBODY_KNOWS_ME", "{}", 2)];
    stored(&store, &stream).await;
    store.put(order_rows(&stream).unwrap()).await.unwrap();
    let report = audited(&store).await;
    assert_eq!((report.differences, report.anomaly_count, report.open), (Vec::new(), 1, 1));
}

#[tokio::test]
async fn a_row_that_is_wrong_a_row_without_a_stream_and_a_cause_that_is_nowhere_are_named() {
    let store = Arc::new(MemoryStore::new());
    let mut uncaused = item(event(EventName::OrderPlaced), 2);
    uncaused.causation_id = Some(events::Ulid(1));
    let mut rows = order_rows(std::slice::from_ref(&uncaused)).unwrap();
    stored(&store, &[uncaused]).await;
    rows.order.status = orders::Status::Paid;
    store.put(rows.clone()).await.unwrap();
    rows.order.order_id = OrderId::recorded("order-2").unwrap();
    store.put(rows).await.unwrap();
    let found: Vec<&str> = audited(&store).await.differences.iter().map(|finding| finding.what).collect();
    let noticed = NOTICED.map(Invariant::name);
    assert_eq!(found, [Invariant::Cause.name(), noticed[0], noticed[1]]);
}

#[tokio::test]
async fn counters_that_moved_and_moved_back_while_the_log_was_read_are_no_difference() {
    let store = Arc::new(MemoryStore::new());
    let received = StockDelta::receive(&sku("apple"), units(3));
    stored(&store, &[moving(event(EventName::StockReceived), 1, vec![received])]).await;
    let ports = Ports { scan: Arc::new(ReservedAndReleased(store.clone())), ..ports(&store) };
    let report = audit(&ports, &|_, _| {}).await.unwrap();
    let of_counters = |finding: &&Finding| finding.detail.starts_with("stock ");
    assert_eq!(report.differences.iter().find(of_counters), None);
}

/// A log to which a reservation is appended just before it is read, and its release right after.
struct ReservedAndReleased(Arc<MemoryStore>);

#[async_trait]
impl LogScan for ReservedAndReleased {
    async fn scan(
        &self,
        segment: Segment,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, StoreError> {
        let appended = |name, id, delta| {
            let mut item = moving(event(name), id, vec![delta]);
            item.occurred_at = stamp(1).occurred_at;
            item
        };
        let (apple, one) = (sku("apple"), units(1));
        let reserved = appended(EventName::InventoryReserved, 2, StockDelta::reserve(&apple, one));
        let released = appended(EventName::InventoryReleased, 3, StockDelta::release(&apple, one));
        stored(&self.0, &[item(event(EventName::OrderPlaced), 1), reserved]).await;
        let page = self.0.scan(segment, after, limit).await;
        stored(&self.0, &[released]).await;
        page
    }

    async fn size(&self) -> Result<u64, StoreError> {
        self.0.size().await
    }
}

pub async fn stored(store: &MemoryStore, stream: &[RecordedEvent]) {
    for event in stream {
        store.append(event.clone()).await.unwrap();
    }
}

async fn audited(store: &Arc<MemoryStore>) -> AuditReport {
    audit(&ports(store), &|_, _| {}).await.unwrap()
}

/// The ports of replay and audit over a store that nobody else writes to.
pub fn ports(store: &Arc<MemoryStore>) -> Ports {
    Ports {
        log: store.clone(),
        scan: store.clone(),
        feed: Some(store.clone()),
        rows: store.clone(),
        orders: store.clone(),
        stock: store.clone(),
        intents: Some(store.clone()),
        pause: Arc::new(Never),
        looks: 1,
    }
}

/// Nobody writes, so nobody waits.
struct Never;

#[async_trait]
impl Pause for Never {
    async fn pause(&self, _: Duration) {
        panic!("there is nothing to wait for");
    }
}
