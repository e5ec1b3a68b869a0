//! The races that systems of this shape lose, each run many times over the real store.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use event_store::{Appended, EventLog, OrderViews, ShadowViews, StoreError, SystemStamper};
use event_store_embedded::EmbeddedStore;
use events::{Event, InventoryReleased, OrderPaymentRejected, Quantity, RecordedEvent, StockLine, StreamKey};
use futures_util::future::join_all;
use orders::Status;
use payments::intent::State;
use views::project::order_rows;
use workers::inventory::InventoryWorker;
use workers::{Nudge, Reconcile, Worker, WorkerError};
use world::{World, order, sku};

const PK: &str = "EVENTS#ORDER_ID#order-1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_never_goes_backwards_however_late_an_older_view_arrives() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    world.place("order-1", &[("sku-1", 2)], 500).await;
    world.run(PK).await;
    assert_eq!(world.status("order-1").await, Some(Status::Paid));
    let stream = world.store.read_stream(PK).await.unwrap();
    // Workers that read the stream long ago, and write what they saw only now, in any order.
    for seen in (1..stream.len()).rev().chain(1..stream.len()) {
        let old = order_rows(&stream[..seen]).unwrap();
        assert!(!world.store.put(old).await.unwrap(), "a view of {seen} events was written");
    }
    assert_eq!(world.status("order-1").await, Some(Status::Paid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_arrives_before_its_order_is_visible_is_not_lost() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    // Everybody but the orders worker is first, and nobody has written a row.
    for worker in [Worker::Payments, Worker::Inventory] {
        world.wake(worker, &placed).await.unwrap();
    }
    assert_eq!(world.status("order-1").await, None);
    let cancelled = world.cancel("order-1").await;
    world.wake(Worker::Payments, &cancelled).await.unwrap();
    world.wake(Worker::Inventory, &cancelled).await.unwrap();
    world.wake(Worker::Orders, &placed).await.unwrap();
    assert_eq!(world.status("order-1").await, Some(Status::Cancelled));
    assert_eq!(world.names("order-1").await, ["OrderPlaced", "OrderCancelled"]);
    assert_eq!(world.counters("sku-1").await, [5, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stock_is_lost_when_a_release_meets_a_conflict() {
    for _ in 0..20 {
        let world = World::new();
        world.receive("sku-1", 100).await;
        let ids: Vec<String> = (0..10).map(|n| format!("order-{n}")).collect();
        for id in &ids {
            world.place(id, &[("sku-1", 10)], 500).await;
        }
        // Orders of one SKU are reserved, cancelled and released at once, each by several workers.
        let world = &world;
        let live = ids.iter().map(|id| async move {
            let pk = format!("EVENTS#ORDER_ID#{id}");
            tokio::join!(world.run(&pk), world.run(&pk), world.cancel(id));
            world.run(&pk).await;
        });
        join_all(live).await;
        for id in &ids {
            world.run(&format!("EVENTS#ORDER_ID#{id}")).await;
            assert_eq!(world.status(id).await, Some(Status::Cancelled));
        }
        assert_eq!(world.counters("sku-1").await, [100, 0, 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_was_done_twice_gives_back_once() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    world.place("order-1", &[("sku-1", 2)], 0).await;
    world.run(PK).await;
    let names = world.names("order-1").await;
    assert_eq!(names.iter().filter(|name| *name == "InventoryReleased").count(), 1);
    let lines = vec![StockLine { sku: sku("sku-1"), quantity: Quantity::new(2).unwrap() }];
    let again = InventoryReleased { order_id: order("order-1"), items: lines, reason: String::new() };
    let data = Event::InventoryReleased(again).to_data();
    let taken = world.append_raw(PK, "EVENT#Settlement", "InventoryReleased", &data).await;
    assert!(matches!(taken, event_store::Appended::Taken(_)));
    assert_eq!(world.counters("sku-1").await, [5, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_outcome_of_a_reservation_is_ever_stored() {
    for _ in 0..20 {
        let world = Arc::new(World::new());
        world.receive("sku-1", 5).await;
        // Together they want six of five: whoever is last is short, and each is decided by two workers.
        let ids = ["order-1", "order-2", "order-3"];
        for id in ids {
            world.place(id, &[("sku-1", 2)], 500).await;
        }
        let runs = ids.iter().chain(&ids).map(|id| {
            let (world, pk) = (world.clone(), format!("EVENTS#ORDER_ID#{id}"));
            tokio::spawn(async move { world.run(&pk).await })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        let mut reserved = 0;
        for id in ids {
            let names = world.names(id).await;
            let outcomes: Vec<&String> =
                names.iter().filter(|name| name.starts_with("InventoryReserv")).collect();
            assert_eq!(outcomes.len(), 1, "{names:?}");
            reserved += usize::from(outcomes[0] == "InventoryReserved");
        }
        assert_eq!((reserved, world.counters("sku-1").await), (2, [1, 0, 4]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_deliveries_charge_an_order_once() {
    for _ in 0..20 {
        let world = Arc::new(World::new());
        world.receive("sku-1", 5).await;
        let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
        world.wake(Worker::Orders, &placed).await.unwrap();
        world.wake(Worker::Inventory, &placed).await.unwrap();
        let deliveries = (0..16).map(|_| {
            let (world, placed) = (world.clone(), placed.clone());
            tokio::spawn(async move { world.wake(Worker::Payments, &placed).await })
        });
        for delivery in deliveries.collect::<Vec<_>>() {
            delivery.await.unwrap().unwrap();
        }
        let intent = world.intent("order-1").await;
        assert_eq!((intent.state, intent.charges), (State::Charged, 1));
        let names = world.names("order-1").await;
        assert_eq!(names.iter().filter(|name| *name == "OrderPaymentAccepted").count(), 1, "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_races_the_payment_leaves_nobody_charged() {
    for _ in 0..40 {
        let world = Arc::new(World::new());
        world.receive("sku-1", 5).await;
        world.place("order-1", &[("sku-1", 2)], 500).await;
        let run = tokio::spawn({
            let world = world.clone();
            async move { world.run(PK).await }
        });
        let cancel = tokio::spawn({
            let world = world.clone();
            async move { world.cancel("order-1").await }
        });
        run.await.unwrap();
        cancel.await.unwrap();
        world.run(PK).await;
        assert_eq!(world.status("order-1").await, Some(Status::Cancelled));
        assert_ne!(world.intent("order-1").await.state, State::Charged, "{:?}", world.names("order-1").await);
        assert_eq!(world.counters("sku-1").await, [5, 0, 0]);
        let row =
            world.store.row(event_store::View::Orders, event_store::Copy::Live, "order-1").await.unwrap();
        assert!(matches!(row, Some(event_store::ViewRow::Order(row)) if !row.open));
    }
}

#[tokio::test]
async fn four_transient_failures_end_an_order_and_give_everything_back() {
    let world = World::with_gateway_failures(1.0);
    world.receive("sku-1", 5).await;
    world.place("order-1", &[("sku-1", 2)], 500).await;
    world.run(PK).await;
    let names = world.names("order-1").await;
    assert_eq!(names.iter().filter(|name| *name == "PaymentAttempted").count(), 4);
    let row = world.store.payment(&order("order-1")).await.unwrap().unwrap();
    assert_eq!((row.status, row.attempts, row.retries), (event_store::PaymentStatus::Rejected, 4, 4));
    assert_eq!(row.reason.as_deref(), Some("attempts_exhausted"));
    assert_eq!(
        (world.intent("order-1").await.state, world.counters("sku-1").await),
        (State::Cancelled, [5, 0, 0])
    );
    let rejected =
        OrderPaymentRejected { order_id: order("order-1"), reason: "attempts_exhausted".into(), attempts: 4 };
    let stored = world.store.read_slot(PK, "EVENT#Payment").await.unwrap().unwrap();
    assert_eq!(stored.event(), Ok(&Event::OrderPaymentRejected(rejected)));
}

#[tokio::test]
async fn a_charge_that_failed_waits_for_its_message_and_the_last_one_closes_the_intent_at_once() {
    let world = World::with_gateway_failures(1.0);
    world.receive("sku-1", 5).await;
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    world.wake(Worker::Orders, &placed).await.unwrap();
    world.wake(Worker::Inventory, &placed).await.unwrap();
    for attempt in 1..=3 {
        let failed = world.wake(Worker::Payments, &placed).await;
        assert!(matches!(&failed, Err(WorkerError::Transient(_))), "attempt {attempt}: {failed:?}");
        assert_eq!(world.names("order-1").await.last().unwrap(), "PaymentAttempted");
        assert_eq!(world.intent("order-1").await.calls, attempt);
    }
    world.wake(Worker::Payments, &placed).await.unwrap();
    assert_eq!(world.names("order-1").await.last().unwrap(), "OrderPaymentRejected");
    assert_eq!(world.intent("order-1").await.calls, 4);
}

#[tokio::test]
async fn an_unknown_sku_and_a_short_one_are_told_apart() {
    let world = World::new();
    world.receive("sku-1", 1).await;
    world.place("order-1", &[("sku-1", 2), ("sku-2", 3)], 500).await;
    world.run(PK).await;
    let stored = world.store.read_slot(PK, "EVENT#Reservation").await.unwrap().unwrap();
    let data: serde_json::Value = serde_json::from_str(&stored.data).unwrap();
    assert_eq!(
        (stored.event_name.as_ref(), data["reason"].as_str(), &data["shortages"]),
        (
            "InventoryReservationFailed",
            Some("unknown_sku"),
            &serde_json::json!([
                { "sku": "sku-1", "requested": 2, "available": 1 },
                { "sku": "sku-2", "requested": 3, "available": null },
            ])
        )
    );
    assert_eq!(world.counters("sku-1").await, [1, 0, 0]);
}

/// A log that remembers which events were completed.
struct Completing(EmbeddedStore, Mutex<Vec<String>>);

#[async_trait]
impl EventLog for Completing {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        self.0.append(event).await
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        self.0.read_stream(pk).await
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        self.0.read_slot(pk, sk).await
    }

    async fn finish(&self, event: &RecordedEvent) -> Result<(), StoreError> {
        self.1.lock().unwrap().push(event.event_name.to_string());
        Ok(())
    }
}

#[tokio::test]
async fn what_somebody_settled_who_died_before_all_of_it_was_written_is_completed_by_whoever_comes_again() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    world.run(PK).await;
    let log = Arc::new(Completing(world.store.clone(), Mutex::default()));
    let inventory = InventoryWorker { log: log.clone(), stamper: Arc::new(SystemStamper::new("a test")) };
    let nudge = Nudge { pk: placed.pk.to_string(), sk: placed.sk.to_string() };
    inventory.reconcile(&StreamKey::Order(order("order-1")), &nudge).await.unwrap();
    assert_eq!(*log.1.lock().unwrap(), ["InventoryReserved", "InventoryCommitted"]);
}
