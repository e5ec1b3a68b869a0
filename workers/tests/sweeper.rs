//! The sweeper finds what stands still, and wakes exactly who owes it something.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use event_store::{OrderViews, Stamper, SystemStamper};
use events::{Priority, RecordedEvent, Stamp, Timestamp, Ulid};
use workers::{Nudges, SweepReport, Sweeper, Worker, WorkerError};
use world::{World, order};

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

/// A clock that stands.
struct Standing(Timestamp);

impl Stamper for Standing {
    fn stamp(&self, _after: Option<Ulid>) -> Stamp {
        unreachable!("a sweeper appends nothing")
    }

    fn now(&self) -> Timestamp {
        self.0
    }
}

async fn sweep(world: &World, patience: Duration) -> (SweepReport, Vec<(Worker, String)>) {
    sweep_by(Arc::new(SystemStamper::new("a test")), world, patience).await
}

async fn sweep_by(
    clock: Arc<dyn Stamper>,
    world: &World,
    patience: Duration,
) -> (SweepReport, Vec<(Worker, String)>) {
    let (sweeper, nudged) = sweeper(world, patience, clock);
    let report = sweeper.sweep().await.unwrap();
    let told = nudged.0.lock().unwrap().clone();
    (report, told)
}

fn sweeper(world: &World, patience: Duration, stamper: Arc<dyn Stamper>) -> (Sweeper, Arc<Nudged>) {
    let nudged = Arc::new(Nudged::default());
    let store = Arc::new(world.store.clone());
    (Sweeper { log: store.clone(), orders: store, nudges: nudged.clone(), stamper, patience }, nudged)
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

#[tokio::test]
async fn an_order_has_stood_still_when_its_last_event_is_longer_ago_than_the_patience() {
    let world = World::new();
    let placed = world.place("order-1", &[("sku-1", 1)], 500).await;
    world.wake(Worker::Orders, &placed).await.unwrap();
    let row = world.store.order(&order("order-1")).await.unwrap().unwrap();
    let later = |millis| Arc::new(Standing(Timestamp::from_millis(row.updated_at.millis() + millis)));
    let patience = Duration::from_millis(1_000);
    let (report, _) = sweep_by(later(1_000), &world, patience).await;
    assert_eq!(report, SweepReport::default());
    let (report, _) = sweep_by(later(1_001), &world, patience).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
}

#[tokio::test]
async fn an_order_whose_rows_are_behind_is_given_to_the_orders_worker_though_nobody_owes_it_more() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    let placed = world.place("order-1", &[("sku-1", 9)], 500).await;
    world.wake(Worker::Orders, &placed).await.unwrap();
    // Stock is short, so the order has ended; the message that says so was lost before its row was written.
    world.wake(Worker::Inventory, &placed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (report, told) = sweep(&world, Duration::from_millis(5)).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
    assert_eq!(told, [(Worker::Orders, "EVENTS#ORDER_ID#order-1".to_owned())]);
    world.wake(Worker::Orders, &placed).await.unwrap();
    let (report, _) = sweep(&world, Duration::from_millis(5)).await;
    assert_eq!(report, SweepReport::default());
}

#[tokio::test]
async fn every_open_order_is_looked_at_however_many_there_are() {
    let world = World::new();
    for number in 0..250 {
        let placed = world.place(&format!("order-{number}"), &[("sku-1", 1)], 500).await;
        world.wake(Worker::Orders, &placed).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (report, told) = sweep(&world, Duration::from_millis(5)).await;
    let streams: BTreeSet<String> = told.into_iter().map(|(_, stream)| stream).collect();
    assert_eq!((report, streams.len()), (SweepReport { stood_still: 250, nudged: 250 }, 250));
}

#[tokio::test]
async fn a_sweep_without_time_looks_at_one_order_and_the_next_goes_on_behind_it() {
    let world = World::new();
    for id in ["order-1", "order-2", "order-3"] {
        let placed = world.place(id, &[("sku-1", 1)], 500).await;
        world.wake(Worker::Orders, &placed).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let clock = Arc::new(SystemStamper::new("a test"));
    let (sweeper, nudged) = sweeper(&world, Duration::from_millis(5), clock);
    let (mut after, mut reports) = (None, Vec::new());
    for _ in 0..4 {
        let (report, next) = sweeper.sweep_behind(after, &|| false).await.unwrap();
        reports.push((report.stood_still, next.is_some()));
        after = next;
    }
    // Behind the last order the next sweep finds nothing, and the one after it begins anew.
    assert_eq!(reports, [(1, true), (1, true), (1, true), (0, false)]);
    let streams: BTreeSet<String> =
        nudged.0.lock().unwrap().iter().map(|(_, stream)| stream.clone()).collect();
    assert_eq!(streams.len(), 3);
}
