//! The sweeper finds what stands still, and wakes exactly who owes it something.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use event_store::SystemStamper;
use events::{Priority, RecordedEvent};
use workers::{Nudges, SweepReport, Sweeper, Worker, WorkerError};
use world::World;

/// Remembers who was nudged about which stream.
#[derive(Default)]
struct Nudged(Mutex<Vec<(Worker, String)>>);

#[async_trait]
impl Nudges for Nudged {
    async fn nudge(&self, worker: Worker, _lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError> {
        self.0.lock().unwrap().push((worker, event.pk.to_string()));
        Ok(())
    }
}

async fn sweep(world: &World, patience: Duration) -> (SweepReport, Vec<(Worker, String)>) {
    let nudged = Arc::new(Nudged::default());
    let store = Arc::new(world.store.clone());
    let sweeper = Sweeper {
        log: store.clone(),
        orders: store,
        nudges: nudged.clone(),
        stamper: Arc::new(SystemStamper::new("a test")),
        patience,
    };
    let report = sweeper.sweep().await.unwrap();
    let told = nudged.0.lock().unwrap().clone();
    (report, told)
}

#[tokio::test]
async fn an_order_whose_message_was_lost_is_given_to_whoever_owes_it() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    // The orders worker did its part; the inventory worker never heard of it.
    let placed = world.place("order-1", &[("sku-1", 1)], 500).await;
    world.wake(Worker::Orders, &placed).await.unwrap();
    // Another order has ended, and a third one is too young to have stood still.
    world.place("order-2", &[("sku-1", 1)], 500).await;
    world.run("EVENTS#ORDER_ID#order-2").await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (report, told) = sweep(&world, Duration::from_millis(5)).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
    assert_eq!(told, [(Worker::Inventory, "EVENTS#ORDER_ID#order-1".to_owned())]);
    let (report, _) = sweep(&world, Duration::from_secs(60)).await;
    assert_eq!(report, SweepReport::default());
}

#[tokio::test]
async fn an_order_that_a_raw_event_blocks_is_not_nudged_for_ever() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    world.append_raw("EVENTS#ORDER_ID#order-1", "EVENT#Reservation", "NOBODY_KNOWS_ME", "{}").await;
    let placed = world.place("order-1", &[("sku-1", 1)], 500).await;
    world.wake(Worker::Orders, &placed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (report, told) = sweep(&world, Duration::from_millis(5)).await;
    assert_eq!((report, told), (SweepReport { stood_still: 1, nudged: 0 }, Vec::new()));
}
