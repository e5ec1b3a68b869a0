//! The audit names what rows and streams break, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event_store::memory::MemoryStore;
use event_store::{EventLog, IntentStore, LogScan, OrderViews, ScanPage, Segment, StoreError};
use events::{Event, EventName, OrderId, RecordedEvent, SkuRestocked, StockDelta, Timestamp};
use payments::intent::{Intent, State};
use views::audit::{PATIENCE, STUCK, still_since};
use views::invariants::Invariant;
use views::project::order_rows;
use views::{AuditReport, Finding, Pause, Ports, audit, audit_at_rest};

use crate::given::{ORDER_PK, event, item, lot, moving, order_id, raw, sku, stamp, units};

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

#[tokio::test]
async fn an_order_that_has_stood_still_though_somebody_owes_it_something_is_stuck() {
    let store = Arc::new(MemoryStore::new());
    in_order(&store, &[at(1_000, EventName::OrderPlaced, 1), at(2_000, EventName::ReserveInventory, 2)])
        .await;
    let report = audited_at_rest(&store, 2_001).await;
    let detail = "end: EVENTS#ORDER_ID#order-1 is PENDING_INVENTORY, and still owed EVENT#Reservation; \
                  it has stood still since 1970-01-01T00:00:02.000Z";
    assert_eq!(report.differences, [Finding { what: STUCK, detail: detail.to_owned() }]);
    assert_eq!((report.stuck, report.difference_count, report.open), (1, 1, 1));
    assert_eq!(report.still_since, Some(Timestamp::from_millis(2_001)));
}

#[tokio::test]
async fn an_order_that_moved_since_and_one_of_which_nobody_says_how_long_it_may_take_are_not_stuck() {
    let store = Arc::new(MemoryStore::new());
    in_order(&store, &[at(1_000, EventName::OrderPlaced, 1), at(2_000, EventName::ReserveInventory, 2)])
        .await;
    assert_eq!(audited_at_rest(&store, 2_000).await.differences, []);
    assert_eq!(audited(&store).await.differences, []);
}

#[tokio::test]
async fn noise_that_somebody_writes_by_hand_does_not_hide_an_order_that_is_stuck() {
    let store = Arc::new(MemoryStore::new());
    let mut noise = raw(ORDER_PK, "EVENT#Noise", "NOBODY_KNOWS_ME", "{}", 2);
    noise.occurred_at = Timestamp::from_millis(9_000);
    in_order(&store, &[at(1_000, EventName::OrderPlaced, 1), noise]).await;
    assert_eq!(stuck(&audited_at_rest(&store, 5_000).await).len(), 1);
}

#[tokio::test]
async fn a_lot_that_was_never_counted_is_stuck_however_young_the_lots_behind_it_are() {
    let store = Arc::new(MemoryStore::new());
    let sent = |id: &str, millis, number| {
        let sent = SkuRestocked { sku: sku("sku-a"), units: units(12), lot_id: lot(id) };
        let mut sent = item(Event::SkuRestocked(sent), number);
        sent.occurred_at = Timestamp::from_millis(millis);
        sent
    };
    stored(&store, &[sent("lot-lost", 1_000, 1), sent("lot-young", 5_000, 2)]).await;
    let detail = "lots: EVENTS#SKU#sku-a: lot lot-lost was never counted; \
                  it has stood still since 1970-01-01T00:00:01.000Z";
    assert_eq!(stuck(&audited_at_rest(&store, 5_000).await), [detail]);
    assert_eq!(stuck(&audited_at_rest(&store, 5_001).await).len(), 2);
    assert_eq!(audited(&store).await.differences, []);
}

#[tokio::test]
async fn an_order_that_moves_while_the_log_is_read_is_not_stuck() {
    let store = Arc::new(MemoryStore::new());
    let placed = at(1_000, EventName::OrderPlaced, 1);
    stored(&store, std::slice::from_ref(&placed)).await;
    let next = at(5_000, EventName::ReserveInventory, 2);
    let rows = order_rows(&[placed, next.clone()]).unwrap();
    let moves = Moves { store: store.clone(), next };
    let ports = Ports { scan: Arc::new(moves), ..ports(&store) };
    store.put(rows).await.unwrap();
    let report = audit_at_rest(&ports, Timestamp::from_millis(5_000), &|_, _| {}).await.unwrap();
    assert_eq!(report.differences, []);
}

#[tokio::test]
async fn what_a_raw_event_keeps_from_being_done_is_not_stuck_and_what_became_of_it_is_an_anomaly() {
    let store = Arc::new(MemoryStore::new());
    let stream = [
        at(1_000, EventName::OrderPlaced, 1),
        at(1_000, EventName::PaymentAttempted, 2),
        at(1_000, EventName::OrderPaymentAccepted, 3),
        raw(ORDER_PK, "EVENT#Refund", "NOBODY_KNOWS_ME", "{}", 4),
        at(1_000, EventName::OrderCancelled, 5),
    ];
    in_order(&store, &stream).await;
    let Event::OrderPaymentAccepted(paid) = event(EventName::OrderPaymentAccepted) else { unreachable!() };
    let charged = Intent { state: State::Charged, calls: 1, charges: 1, amount: Some(paid.amount) };
    assert!(store.save(&order_id(), charged, 0).await.unwrap());
    let report = audited_at_rest(&store, 5_000).await;
    assert_eq!((&report.differences[..], report.open), (&[][..], 1));
    let why = report.anomalies.iter().map(|anomaly| anomaly.why.contains("kept the money"));
    assert_eq!(why.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn the_moment_of_an_audit_is_as_long_before_now_as_its_patience_says() {
    let now = Timestamp::from_millis(1_000_000);
    for (patience, millis) in
        [(PATIENCE, 100_000), (Duration::ZERO, 1_000_000), (Duration::from_secs(u64::MAX), 0)]
    {
        assert_eq!(still_since(now, patience), Timestamp::from_millis(millis));
    }
}

fn at(millis: i64, name: EventName, id: u128) -> RecordedEvent {
    let mut item = item(event(name), id);
    item.occurred_at = Timestamp::from_millis(millis);
    // Whatever comes behind the first is an answer to it.
    item.causation_id = (id > 1).then_some(events::Ulid(1));
    item
}

/// The stream of an order, and its rows.
async fn in_order(store: &MemoryStore, stream: &[RecordedEvent]) {
    stored(store, stream).await;
    store.put(order_rows(stream).unwrap()).await.unwrap();
}

async fn audited_at_rest(store: &Arc<MemoryStore>, still_since: i64) -> AuditReport {
    audit_at_rest(&ports(store), Timestamp::from_millis(still_since), &|_, _| {}).await.unwrap()
}

/// What is said of that which is stuck.
fn stuck(report: &AuditReport) -> Vec<&str> {
    let stuck = report.differences.iter().filter(|finding| finding.what == STUCK);
    stuck.map(|finding| finding.detail.as_str()).collect()
}

/// A log to which an event is appended right after it was read.
struct Moves {
    store: Arc<MemoryStore>,
    next: RecordedEvent,
}

#[async_trait]
impl LogScan for Moves {
    async fn scan(
        &self,
        segment: Segment,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, StoreError> {
        let page = self.store.scan(segment, after, limit).await;
        stored(&self.store, std::slice::from_ref(&self.next)).await;
        page
    }

    async fn size(&self) -> Result<u64, StoreError> {
        self.store.size().await
    }
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
