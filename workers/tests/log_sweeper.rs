//! The log sweeper finds what has no row, and wakes exactly who owes it something.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use event_store::{EventLog, Stamper};
use events::{
    Currency, CustomerErased, CustomerId, CustomerRegistered, Event, LotId, Money, Priority, ProductId,
    ProductListed, ProductRepriced, Quantity, RecordedEvent, ReserveInventory, SkuRestocked, Stamp,
    StockLine, Timestamp, Ulid,
};
use orders::Status;
use workers::{DeadLetters, LogSweep, LogSweeper, Nudges, Shortage, SweepReport, Worker, WorkerError};
use world::{World, order, sku};

const PATIENCE: Duration = Duration::from_secs(60);

/// Remembers who was nudged about which event.
#[derive(Default)]
struct Nudged(Mutex<Vec<Told>>);

/// A worker, and the keys of the event that it was nudged about.
type Told = (Worker, String, String);

#[async_trait]
impl Nudges for Nudged {
    async fn nudge(&self, worker: Worker, _lane: Priority, event: &RecordedEvent) -> Result<(), WorkerError> {
        self.0.lock().unwrap().push((worker, event.pk.to_string(), event.sk.to_string()));
        Ok(())
    }
}

/// A clock that stands.
struct Standing(Timestamp);

impl Stamper for Standing {
    fn stamp(&self, after: Option<Ulid>) -> Stamp {
        let event_id = events::next_event_id(self.0, 1, after);
        Stamp { event_id, occurred_at: self.0, producer: "oms-log-sweeper".into() }
    }

    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Two letters in one queue, none in another.
struct Letters;

#[async_trait]
impl DeadLetters for Letters {
    async fn counts(&self) -> Result<BTreeMap<String, u64>, WorkerError> {
        Ok(BTreeMap::from([("one".to_owned(), 2), ("another".to_owned(), 0)]))
    }
}

/// Sweeps when the patience with an event, and with all before it, has just ended, or some time before that.
async fn sweep_after(world: &World, event: &RecordedEvent, early_millis: i64) -> (SweepReport, Vec<Told>) {
    let (sweeper, nudged) = sweeper_after(world, event, early_millis);
    let report = sweeper.sweep().await.unwrap();
    let told = nudged.0.lock().unwrap().clone();
    (report.swept, told)
}

fn sweeper_after(world: &World, event: &RecordedEvent, early_millis: i64) -> (LogSweeper, Arc<Nudged>) {
    let ended = event.occurred_at.millis() + PATIENCE.as_millis() as i64 + 1;
    let nudged = Arc::new(Nudged::default());
    let store = Arc::new(world.store.clone());
    let sweeper = LogSweeper {
        scan: store.clone(),
        log: store.clone(),
        orders: store.clone(),
        catalog: store,
        nudges: nudged.clone(),
        letters: Arc::new(Letters),
        stamper: Arc::new(Standing(Timestamp::from_millis(ended - early_millis))),
        patience: PATIENCE,
        expire_after: None,
    };
    (sweeper, nudged)
}

/// A sweep that nothing is too young for.
async fn sweep(world: &World) -> (SweepReport, Vec<Told>) {
    let last = world.append(registered("customer-last")).await;
    world.wake(Worker::Catalog, &last).await.unwrap();
    sweep_after(world, &last, 0).await
}

/// Whom a sweep nudged about which stream, sorted by the stream. Any event of a stream will do.
fn streams(told: Vec<Told>) -> Vec<(String, Worker)> {
    let mut streams: Vec<_> = told.into_iter().map(|(worker, pk, _)| (pk, worker)).collect();
    streams.sort_by(|one, other| one.0.cmp(&other.0));
    streams
}

fn registered(id: &str) -> Event {
    Event::CustomerRegistered(CustomerRegistered { customer_id: CustomerId::parse(id).unwrap() })
}

fn listed() -> Event {
    Event::ProductListed(ProductListed {
        product_id: ProductId::parse("product-1").unwrap(),
        sku: sku("sku-1"),
        name: "A kettle".to_owned(),
        price: Money::from_minor(1_999).unwrap(),
        currency: Currency::default(),
    })
}

fn repriced(revision: u32) -> Event {
    Event::ProductRepriced(ProductRepriced {
        product_id: ProductId::parse("product-1").unwrap(),
        revision,
        price: Money::from_minor(2_099).unwrap(),
        currency: Currency::default(),
    })
}

fn lot(id: &str) -> Event {
    let lot_id = LotId::parse(id).unwrap();
    Event::SkuRestocked(SkuRestocked { sku: sku("sku-1"), units: Quantity::new(5).unwrap(), lot_id })
}

fn quiet() -> (SweepReport, Vec<Told>) {
    (SweepReport::default(), Vec::new())
}

#[tokio::test]
async fn an_order_without_a_row_is_given_to_exactly_those_who_owe_it_something() {
    let world = World::new();
    world.place("order-1", &[("sku-1", 1)], 500).await;
    // The orders worker was cut short between its event and its row.
    world.place("order-2", &[("sku-1", 1)], 500).await;
    let request = ReserveInventory {
        order_id: order("order-2"),
        customer_id: CustomerId::parse("customer-1").unwrap(),
        items: vec![StockLine { sku: sku("sku-1"), quantity: Quantity::new(1).unwrap() }],
    };
    world.append(Event::ReserveInventory(request)).await;
    let (report, found) = sweep(&world).await;
    assert_eq!(report, SweepReport { stood_still: 2, nudged: 3 });
    assert_eq!(
        streams(found),
        [
            ("EVENTS#ORDER_ID#order-1".to_owned(), Worker::Orders),
            ("EVENTS#ORDER_ID#order-2".to_owned(), Worker::Orders),
            ("EVENTS#ORDER_ID#order-2".to_owned(), Worker::Inventory),
        ]
    );
}

#[tokio::test]
async fn a_lot_that_nobody_counted_is_given_to_inventory_and_one_that_was_counted_is_not() {
    let world = World::new();
    world.append(lot("lot-lost")).await;
    world.receive("sku-1", 5).await;
    let (report, found) = sweep(&world).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
    assert_eq!(
        found,
        [(Worker::Inventory, "EVENTS#SKU#sku-1".to_owned(), "EVENT#SkuRestocked#LOT_ID#lot-lost".to_owned())]
    );
}

#[tokio::test]
async fn a_lot_that_nobody_counted_is_found_however_young_the_lots_behind_it_are() {
    let world = World::new();
    let lost = world.append(lot("lot-lost")).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let young = world.append(lot("lot-young")).await;
    let found = |id: &str| {
        let sk = format!("EVENT#SkuRestocked#LOT_ID#{id}");
        (Worker::Inventory, "EVENTS#SKU#sku-1".to_owned(), sk)
    };
    let nudged = |nudged| SweepReport { stood_still: 1, nudged };
    assert_eq!(sweep_after(&world, &lost, 1).await, quiet());
    assert_eq!(sweep_after(&world, &lost, 0).await, (nudged(1), vec![found("lot-lost")]));
    let both = vec![found("lot-lost"), found("lot-young")];
    assert_eq!(sweep_after(&world, &young, 0).await, (nudged(2), both));
}

#[tokio::test]
async fn a_product_whose_old_price_is_not_shown_is_found_however_young_its_new_price_is() {
    let world = World::new();
    let listed = world.append(listed()).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.append(repriced(1)).await;
    let (report, found) = sweep_after(&world, &listed, 0).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
    assert_eq!(streams(found), [("EVENTS#PRODUCT_ID#product-1".to_owned(), Worker::Catalog)]);
}

#[tokio::test]
async fn a_product_of_which_only_what_is_young_is_not_shown_is_left_alone() {
    let world = World::new();
    let listed = world.append(listed()).await;
    world.wake(Worker::Catalog, &listed).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let repriced = world.append(repriced(1)).await;
    assert_eq!(sweep_after(&world, &listed, 0).await, quiet());
    let (report, _) = sweep_after(&world, &repriced, 0).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
}

#[tokio::test]
async fn events_that_say_nothing_do_not_hide_an_order_that_stands_still() {
    let world = World::new();
    let placed = world.place("order-1", &[("sku-1", 1)], 500).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let pk = "EVENTS#ORDER_ID#order-1";
    world.append_raw(pk, "EVENT#Noise", "NOBODY_KNOWS_ME", "{}").await;
    world.append_raw(pk, "EVENT#Again", &placed.event_name, &placed.data).await;
    let (sweeper, nudged) = sweeper_after(&world, &placed, 0);
    let report = sweeper.sweep().await.unwrap();
    assert_eq!((report.stuck, report.longest), (1, vec![(placed.occurred_at, order("order-1"))]));
    let told = nudged.0.lock().unwrap().clone();
    assert_eq!(streams(told), [(pk.to_owned(), Worker::Orders)]);
}

#[tokio::test]
async fn a_lot_that_a_raw_event_keeps_from_being_counted_is_not_nudged_for_ever() {
    let world = World::new();
    world.append_raw("EVENTS#SKU#sku-1", "EVENT#StockReceived#LOT_ID#lot-1", "NOBODY_KNOWS_ME", "{}").await;
    let blocked = world.append(lot("lot-1")).await;
    assert!(matches!(world.wake(Worker::Inventory, &blocked).await, Err(WorkerError::Permanent(_))));
    assert_eq!(sweep(&world).await, quiet());
}

#[tokio::test]
async fn a_customer_and_a_product_that_are_not_shown_or_not_all_of_them_are_given_to_the_catalog() {
    let world = World::new();
    world.append(listed()).await;
    world.append(registered("customer-1")).await;
    let shown = world.append(registered("customer-2")).await;
    world.wake(Worker::Catalog, &shown).await.unwrap();
    let customer_id = CustomerId::parse("customer-2").unwrap();
    world.append(Event::CustomerErased(CustomerErased { customer_id })).await;
    let (report, found) = sweep(&world).await;
    assert_eq!(report, SweepReport { stood_still: 3, nudged: 3 });
    assert_eq!(
        streams(found),
        [
            ("EVENTS#CUSTOMER_ID#customer-1".to_owned(), Worker::Catalog),
            ("EVENTS#CUSTOMER_ID#customer-2".to_owned(), Worker::Catalog),
            ("EVENTS#PRODUCT_ID#product-1".to_owned(), Worker::Catalog),
        ]
    );
}

#[tokio::test]
async fn what_is_younger_than_the_patience_is_left_alone_and_so_is_what_moved_within_it() {
    let world = World::new();
    let placed = world.place("order-1", &[("sku-1", 1)], 500).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let cancelled = world.cancel("order-1").await;
    assert_eq!(sweep_after(&world, &placed, 0).await, quiet());
    assert_eq!(sweep_after(&world, &cancelled, 1).await, quiet());
    let (report, found) = sweep_after(&world, &cancelled, 0).await;
    assert_eq!(report, SweepReport { stood_still: 1, nudged: 1 });
    assert_eq!(streams(found), [("EVENTS#ORDER_ID#order-1".to_owned(), Worker::Orders)]);
}

#[tokio::test]
async fn where_everything_is_in_order_nobody_is_nudged() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    world.place("order-1", &[("sku-1", 1)], 500).await;
    world.run("EVENTS#ORDER_ID#order-1").await;
    for event in [listed(), registered("customer-1")] {
        let item = world.append(event).await;
        world.wake(Worker::Catalog, &item).await.unwrap();
    }
    world.append_raw("EVENTS#NOBODY#knows", "EVENT#Noise", "NOBODY_KNOWS_ME", "{}").await;
    assert_eq!(sweep(&world).await, quiet());
}

#[tokio::test]
async fn a_sweep_that_is_cut_short_goes_on_where_it_was_and_finds_what_one_in_one_piece_finds() {
    let world = World::new();
    for number in 0..2_500 {
        world.append(registered(&format!("customer-{number}"))).await;
    }
    let last = world.append(registered("customer-last")).await;
    let (sweeper, nudged) = sweeper_after(&world, &last, 0);
    let mut sweep = LogSweep::beginning(last.occurred_at);
    let mut parts = 0;
    while !sweep.has_ended {
        sweeper.go_on(&mut sweep).await.unwrap();
        // As it is kept between two runs of a function.
        sweep = serde_json::from_str(&serde_json::to_string(&sweep).unwrap()).unwrap();
        parts += 1;
    }
    assert!(parts > 1, "it came in one piece");
    assert_eq!(sweep.report.events, 2_501);
    let mut streams: Vec<String> = nudged.0.lock().unwrap().iter().map(|(_, pk, _)| pk.clone()).collect();
    streams.sort();
    streams.dedup();
    assert_eq!((streams.len(), sweep.report.swept.nudged), (2_501, 2_501));
    assert_eq!(sweeper.sweep().await.unwrap(), sweep.report);
}

#[tokio::test]
async fn the_report_counts_orders_by_their_state_and_names_those_that_stand_still() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    for id in ["order-1", "order-2"] {
        world.place(id, &[("sku-1", 1)], 500).await;
        world.run(&format!("EVENTS#ORDER_ID#{id}")).await;
    }
    world.place("order-3", &[("sku-1", 9)], 500).await;
    world.run("EVENTS#ORDER_ID#order-3").await;
    let stuck = world.place("order-4", &[("sku-1", 1)], 500).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let young = world.place("order-5", &[("sku-1", 1)], 500).await;
    let (sweeper, _) = sweeper_after(&world, &young, 1);
    let report = sweeper.sweep().await.unwrap();
    let orders = [(Status::PendingInventory, 2), (Status::Paid, 2), (Status::Cancelled, 1)];
    assert_eq!((report.orders, report.open, report.stuck), (orders.into(), 2, 1));
    assert_eq!(report.longest, [(stuck.occurred_at, order("order-4"))]);
    let shortage = Shortage { orders: 1, units: 6 };
    assert_eq!((report.short, report.shortages), (1, BTreeMap::from([(sku("sku-1"), shortage)])));
    assert_eq!(report.dead_letters, Some(Letters.counts().await.unwrap()));
    assert_eq!(report.expired, 0, "nothing expires unless it is said after how long");
}

#[tokio::test]
async fn what_was_short_before_the_last_day_is_not_reported_again() {
    let world = World::new();
    world.receive("sku-1", 5).await;
    world.place("order-1", &[("sku-1", 9)], 500).await;
    world.run("EVENTS#ORDER_ID#order-1").await;
    let latest = world.append(registered("customer-1")).await;
    let report = async |days: i64| {
        let (sweeper, _) = sweeper_after(&world, &latest, -days * 24 * 60 * 60 * 1_000);
        sweeper.sweep().await.unwrap()
    };
    assert_eq!((report(0).await.short, report(1).await.short), (1, 0));
}

#[tokio::test]
async fn no_more_skus_are_told_apart_than_a_sweep_can_carry_along_and_those_that_are_counted_go_on() {
    let world = World::new();
    for (order, of) in [("order-1", "sku-299"), ("order-2", "sku-new")] {
        world.place(order, &[(of, 2)], 500).await;
        world.run(&format!("EVENTS#ORDER_ID#{order}")).await;
    }
    let latest = world.append(registered("customer-1")).await;
    let (sweeper, _) = sweeper_after(&world, &latest, 0);
    let mut sweep = LogSweep::beginning(sweeper.stamper.now());
    let counted = (0..300).map(|n| (sku(&format!("sku-{n:03}")), Shortage { orders: 1, units: 1 }));
    sweep.report.shortages = counted.collect();
    sweeper.go_on(&mut sweep).await.unwrap();
    assert!(sweep.has_ended);
    let named = &sweep.report.shortages;
    assert_eq!((named.len(), named[&sku("sku-299")]), (20, Shortage { orders: 2, units: 3 }));
    assert_eq!(sweep.report.shortages_left_out, 280 + 1);
}

#[test]
fn what_a_sweep_writes_into_a_cancellation_is_no_free_text_of_anybodys() {
    for ours in [LogSweeper::BINARY, workers::EXPIRED] {
        assert!(views::personal::OURS.contains(&ours), "{ours}");
    }
}

#[tokio::test]
async fn of_many_skus_that_were_short_the_worst_are_named_and_the_others_counted() {
    let world = World::new();
    let short = async |order: &str, of: &str, units: u64| {
        world.place(order, &[(of, units)], 500).await;
        world.run(&format!("EVENTS#ORDER_ID#{order}")).await;
    };
    for n in 0..25 {
        short(&format!("order-{n:02}"), &format!("sku-{n:02}"), 1).await;
    }
    for n in 95..98 {
        short(&format!("order-{n}"), "sku-99", 1).await;
    }
    short("order-99", "sku-98", 7).await;
    let latest = world.append(registered("customer-1")).await;
    let report = sweeper_after(&world, &latest, 0).0.sweep().await.unwrap();
    let named: Vec<String> = report.shortages.keys().map(ToString::to_string).collect();
    let worst: Vec<String> = (0..18).map(|n| format!("sku-{n:02}")).collect();
    assert_eq!(named, [&worst[..], &["sku-98".to_owned(), "sku-99".to_owned()]].concat());
    assert_eq!(report.shortages[&sku("sku-99")], Shortage { orders: 3, units: 3 });
    assert_eq!((report.short, report.shortages_left_out), (29, 7));
}

/// An order in each state that an order can stand still in, told by its name.
async fn one_of_each(world: &World) {
    world.receive("sku-1", 100).await;
    for id in
        ["order-new", "order-held", "order-claimed", "order-by-hand", "order-paid", "order-off", "order-gone"]
    {
        world.place(id, &[("sku-1", 1)], 500).await;
    }
    for id in ["order-held", "order-claimed", "order-by-hand"] {
        let pk = format!("EVENTS#ORDER_ID#{id}");
        let placed = world.store.read_stream(&pk).await.unwrap();
        world.wake(Worker::Orders, &placed[0]).await.unwrap();
        world.wake(Worker::Inventory, &placed[0]).await.unwrap();
    }
    let attempt = events::PaymentAttempted { order_id: order("order-claimed"), attempt: 1 };
    world.append(Event::PaymentAttempted(attempt)).await;
    let by_hand = events::ManualPaymentRecorded {
        order_id: order("order-by-hand"),
        by: "operator".into(),
        reference: "cash".into(),
    };
    world.append(Event::ManualPaymentRecorded(by_hand)).await;
    world.run("EVENTS#ORDER_ID#order-paid").await;
    world.cancel("order-off").await;
    let shipped = events::OrderShipped { order_id: order("order-gone"), carrier: None, tracking: None };
    world.append(Event::OrderShipped(shipped)).await;
}

#[tokio::test]
async fn an_order_that_stood_still_for_too_long_is_cancelled_unless_somebody_paid_or_shipped_it() {
    let world = World::new();
    one_of_each(&world).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let young = world.place("order-young", &[("sku-1", 1)], 500).await;
    let (mut sweeper, nudged) = sweeper_after(&world, &young, 1);
    sweeper.expire_after = Some(PATIENCE);
    assert_eq!(sweeper.sweep().await.unwrap().expired, 3);
    for expired in ["order-new", "order-held", "order-claimed"] {
        assert_eq!(world.names(expired).await.last().unwrap(), "OrderCancelled", "{expired}");
        let told = |nudged: &Nudged| nudged.0.lock().unwrap().iter().any(|(_, pk, _)| pk.ends_with(expired));
        assert!(!told(&nudged), "the cancellation of {expired} wakes whoever owes it something");
    }
    let stream = world.store.read_stream("EVENTS#ORDER_ID#order-held").await.unwrap();
    let Ok(Event::OrderCancelled(cancelled)) = stream.last().unwrap().event() else {
        panic!("it is cancelled")
    };
    assert_eq!((cancelled.reason.as_str(), cancelled.by.as_str()), ("expired", "oms-log-sweeper"));
    assert_eq!(stream.last().unwrap().producer.as_ref(), "oms-log-sweeper");
    for stays in ["order-by-hand", "order-paid", "order-gone", "order-young"] {
        assert!(!world.names(stays).await.contains(&"OrderCancelled".to_owned()), "{stays}");
    }
    assert_eq!(sweeper.sweep().await.unwrap().expired, 0, "an order expires once");

    // What follows is what follows any cancellation: the stock goes back, and the attempt is closed.
    for id in ["order-new", "order-held", "order-claimed"] {
        world.run(&format!("EVENTS#ORDER_ID#{id}")).await;
        let stream = world.store.read_stream(&format!("EVENTS#ORDER_ID#{id}")).await.unwrap();
        assert!(orders::has_ended(&orders::fold(stream.iter().map(|item| &**item))), "{id}");
    }
}

/// A log of which the sweep sees an older state than there is: as a scan does that lags, or is overtaken.
struct Overtaken {
    store: event_store_embedded::EmbeddedStore,
    seen: Vec<Vec<RecordedEvent>>,
}

#[async_trait]
impl event_store::LogScan for Overtaken {
    async fn scan(
        &self,
        _: event_store::Segment,
        _: Option<&str>,
        _: usize,
    ) -> Result<event_store::ScanPage, event_store::StoreError> {
        Ok(event_store::ScanPage { streams: self.seen.clone(), next: None })
    }

    async fn size(&self) -> Result<u64, event_store::StoreError> {
        event_store::LogScan::size(&self.store).await
    }
}

#[tokio::test]
async fn an_order_that_was_paid_since_the_sweep_read_it_does_not_expire() {
    let world = World::new();
    world.receive("sku-1", 100).await;
    let placed = world.place("order-1", &[("sku-1", 1)], 500).await;
    world.run("EVENTS#ORDER_ID#order-1").await;
    let (mut sweeper, _) = sweeper_after(&world, &placed, -60_000);
    sweeper.expire_after = Some(PATIENCE);
    let seen = vec![vec![placed.as_ref().clone()]];
    sweeper.scan = Arc::new(Overtaken { store: world.store.clone(), seen });
    assert_eq!(sweeper.sweep().await.unwrap().expired, 0);
    assert_eq!(world.status("order-1").await, Some(Status::Paid));
}

#[test]
fn a_sweep_begins_once_a_day_and_what_has_begun_is_brought_to_its_end_first() {
    let hour = |hours: i64| Timestamp::from_millis(hours * 60 * 60 * 1000);
    let early = |seconds: i64| Timestamp::from_millis(hour(72).millis() - seconds * 1000);
    let mut ended = LogSweep::beginning(hour(48));
    ended.has_ended = true;
    let begun = LogSweep::beginning(hour(48));
    for (kept, now, expected) in [
        (None, hour(48), Some(LogSweep::beginning(hour(48)))),
        (Some(begun.clone()), hour(49), Some(begun.clone())),
        (Some(begun.clone()), hour(100), Some(begun)),
        (Some(ended.clone()), hour(49), None),
        (Some(ended.clone()), hour(71), None),
        (Some(ended.clone()), early(61), None),
        // A clock that ticks a little early.
        (Some(ended.clone()), early(60), Some(LogSweep::beginning(early(60)))),
        (Some(ended), hour(72), Some(LogSweep::beginning(hour(72)))),
    ] {
        assert_eq!(LogSweep::at_tick(kept, now), expected);
    }
}
