//! The audit names what rows and streams break, and nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::memory::MemoryStore;
use event_store::{EventLog, OrderViews};
use events::{EventName, OrderId, RecordedEvent};
use views::invariants::Invariant;
use views::project::order_rows;
use views::{AuditReport, Pause, Ports, audit};

use crate::given::{ORDER_PK, event, item, raw};

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
        feed: store.clone(),
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
    async fn pause(&self) {
        panic!("there is nothing to wait for");
    }
}
