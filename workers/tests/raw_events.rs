//! What raw events can do to the workers: nothing that lasts.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use event_store::EventLog;
use events::{Event, InventoryCommitted, Quantity, StockDelta};
use inventory::reservation_refused;
use orders::Status;
use workers::{Worker, WorkerError};
use world::{World, order, sku};

const PK: &str = "EVENTS#ORDER_ID#order-1";

#[tokio::test]
async fn an_order_in_the_older_systems_words_runs_to_its_end() {
    let world = World::new();
    world
        .append_raw(
            "EVENTS#SKU#sku-1",
            "EVENT#1",
            "SKU_RESTOCKED_EVENT",
            r#"{"sku":"sku-1","units":5,"lotId":"lot-9"}"#,
        )
        .await;
    world.run("EVENTS#SKU#sku-1").await;
    let order = r#"{"orderId":"order-1","sku":"sku-1","units":2,"price":9.5,"userId":"user-1"}"#;
    world.append_raw(PK, "EVENT#ORDER_PLACED_EVENT", "ORDER_PLACED_EVENT", order).await;
    world.run(PK).await;
    assert_eq!(world.status("order-1").await, Some(Status::Paid));
    assert_eq!(world.counters("sku-1").await, [3, 0, 2]);
}

#[tokio::test]
async fn a_forged_reservation_moves_no_counter_and_neither_does_what_settles_it() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let forged = r#"{"order_id":"order-1","items":[{"sku":"sku-1","quantity":2}]}"#;
    world.append_raw(PK, "EVENT#Reservation", "InventoryReserved", forged).await;
    world.place("order-1", &[("sku-1", 2)], 500).await;
    world.run(PK).await;
    assert_eq!(world.status("order-1").await, Some(Status::Paid));
    world.cancel("order-1").await;
    world.run(PK).await;
    assert_eq!(world.status("order-1").await, Some(Status::Cancelled));
    assert_eq!(world.counters("sku-1").await, [5, 0, 0]);
}

#[tokio::test]
async fn a_slot_blocked_by_nonsense_is_a_permanent_failure_and_no_endless_loop() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    world.append_raw(PK, "EVENT#Reservation", "NOBODY_KNOWS_ME", "{}").await;
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    world.wake(Worker::Orders, &placed).await.unwrap();
    let failed = world.wake(Worker::Inventory, &placed).await;
    assert!(matches!(&failed, Err(WorkerError::Permanent(why)) if why.contains("blocked")), "{failed:?}");
    assert_eq!(world.counters("sku-1").await, [5, 0, 0]);
}

#[tokio::test]
async fn an_order_whose_request_for_stock_is_blocked_by_nonsense_is_shown_all_the_same() {
    let world = World::new();
    world.append_raw(PK, "EVENT#ReserveInventory", "NOBODY_KNOWS_ME", "{}").await;
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    let failed = world.wake(Worker::Orders, &placed).await;
    assert!(matches!(&failed, Err(WorkerError::Permanent(why)) if why.contains("blocked")), "{failed:?}");
    assert_eq!(world.status("order-1").await, Some(Status::PendingInventory));
}

#[tokio::test]
async fn a_shipment_that_came_before_the_payment_takes_effect_by_itself() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let order = r#"{"order_id":"order-1"}"#;
    world.append_raw(PK, "EVENT#Delivery", "OrderDelivered", order).await;
    world.append_raw(PK, "EVENT#Closing", "OrderShipped", order).await;
    world.place("order-1", &[("sku-1", 2)], 500).await;
    world.run(PK).await;
    assert_eq!(world.status("order-1").await, Some(Status::Delivered));
}

#[tokio::test]
async fn an_order_of_more_skus_than_can_be_held_at_once_is_refused_and_not_left_open() {
    for (skus, status) in [(99, Status::Paid), (100, Status::Cancelled), (120, Status::Cancelled)] {
        let world = World::new();
        let names: Vec<String> = (0..skus).map(|n| format!("sku-{n:03}")).collect();
        for name in &names {
            world.receive(name, 1).await;
        }
        let lines: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        world.place("order-1", &lines, 500).await;
        world.run(PK).await;
        assert_eq!(world.status("order-1").await, Some(status), "{skus} SKUs");
        if status == Status::Cancelled {
            let failed = world.store.read_slot(PK, "EVENT#Reservation").await.unwrap().unwrap();
            let why = format!("{skus} counters move at once, and at most 99 can; split the order");
            assert_eq!(failed.event(), Ok(&reservation_refused(&order("order-1"), &why)));
        }
    }
}

#[tokio::test]
async fn units_that_somebody_took_from_under_an_order_are_nobodys_shortage_but_a_case_for_a_person() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    for worker in [Worker::Orders, Worker::Inventory, Worker::Payments] {
        world.wake(worker, &placed).await.unwrap();
    }
    // Another order sells what is held for this one, which no worker would do.
    let committed = InventoryCommitted { order_id: order("order-2"), items: Vec::new() };
    let two = Quantity::new(2).unwrap();
    let taken = vec![StockDelta::commit(&sku("sku-1"), two)];
    world.append_moving(Event::InventoryCommitted(committed), taken).await;
    let failed = world.wake(Worker::Inventory, &placed).await;
    assert!(
        matches!(&failed, Err(WorkerError::Permanent(why)) if why.contains("sagaline audit")),
        "{failed:?}"
    );
    assert_eq!(world.store.read_slot(PK, "EVENT#Settlement").await, Ok(None));
    assert_eq!(world.counters("sku-1").await, [3, 0, 2]);
}

#[tokio::test]
async fn a_story_told_backwards_ends_without_anybody_sweeping() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let request =
        r#"{"order_id":"order-1","customer_id":"customer-1","items":[{"sku":"sku-1","quantity":2}]}"#;
    world.append_raw(PK, "EVENT#ReserveInventory", "ReserveInventory", request).await;
    world.run(PK).await;
    assert_eq!(world.counters("sku-1").await, [3, 2, 0]);
    // Each event wakes who listens to it, once: the placing comes last, and is enough.
    let placed = world.place("order-1", &[("sku-1", 2)], 500).await;
    for worker in workers::listeners(events::EventName::OrderPlaced) {
        world.wake(*worker, &placed).await.unwrap();
    }
    world.wake(Worker::Inventory, &placed).await.unwrap();
    world.wake(Worker::Orders, &placed).await.unwrap();
    assert_eq!(world.status("order-1").await, Some(Status::Paid));
    assert_eq!(world.counters("sku-1").await, [3, 0, 2]);
}
