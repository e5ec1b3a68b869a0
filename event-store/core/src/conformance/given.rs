//! The worlds that claims start from: events, rows, and how to wait for what may be a moment behind.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use events::{
    Causes, Currency, Event, LotId, Money, OrderId, Priority, Quantity, RecordedEvent, Sku, Stamp,
    StockDelta, StockReceived, Timestamp, Ulid,
};

use crate::log::{Appended, EventLog};
use crate::rows::StockRow;
use crate::views::{After, Direction, Page, Window};

pub fn sku(text: &str) -> Sku {
    Sku::recorded(text).unwrap()
}

pub fn order_id(text: &str) -> OrderId {
    OrderId::recorded(text).unwrap()
}

pub fn units(units: u64) -> Quantity {
    Quantity::new(units).unwrap()
}

pub fn euros(euros: i64) -> Money {
    Money::from_minor(euros * 100).unwrap()
}

pub fn euro() -> Currency {
    Currency::parse("EUR").unwrap()
}

/// The n-th second of the world.
pub fn second(n: u64) -> Timestamp {
    Timestamp::from_millis(1_735_689_600_000 + 1000 * n as i64)
}

/// The n-th id of the world; ids grow with the seconds.
pub fn id(n: u64) -> Ulid {
    Ulid::from_parts(second(n).millis() as u64, u128::from(n))
}

pub fn stamp(n: u64) -> Stamp {
    Stamp { event_id: id(n), occurred_at: second(n), producer: "conformance".into() }
}

pub fn causes() -> Causes {
    Causes {
        priority: Priority::Standard,
        correlation_id: "request-1".into(),
        causation_id: None,
        request_seed: None,
        traceparent: None,
    }
}

/// The n-th event of the world, under any key.
pub fn noted(pk: &str, sk: &str, n: u64) -> RecordedEvent {
    RecordedEvent::raw((pk, sk), ("Noted", 1, &format!("{{\"n\":{n}}}")), Vec::new(), stamp(n), causes())
}

/// The event, and what moves with it.
pub fn moved(mut event: RecordedEvent, counters: Vec<StockDelta>) -> RecordedEvent {
    event.counters = counters;
    event
}

/// The n-th event of the world, and what it moves. It has its stream to itself.
pub fn moving(n: u64, counters: Vec<StockDelta>) -> RecordedEvent {
    moved(noted(&format!("MOVES#{n:04}"), "EVENT#Moved", n), counters)
}

/// A lot of so many units arrives.
pub fn received(of: &str, quantity: u64, n: u64) -> RecordedEvent {
    let (sku, units) = (sku(of), units(quantity));
    let counters = vec![StockDelta::receive(&sku, units)];
    let lot_id = LotId::recorded(&format!("lot-{n}")).unwrap();
    RecordedEvent::new(
        Event::StockReceived(StockReceived { sku, units, lot_id }),
        counters,
        stamp(n),
        causes(),
    )
}

pub fn reserve(of: &str, quantity: u64) -> StockDelta {
    StockDelta::reserve(&sku(of), units(quantity))
}

/// Appends what must be stored, and gives it back as it is stored.
pub async fn store(log: &(impl EventLog + ?Sized), event: RecordedEvent) -> Arc<RecordedEvent> {
    let event = Arc::new(event);
    assert_eq!(log.append((*event).clone()).await, Ok(Appended::Stored(event.clone())));
    event
}

/// The counters of a SKU whose first event was in one second and its latest in another.
pub fn stock_row(
    of: &str,
    [available, reserved, sold]: [i64; 3],
    [first, latest]: [u64; 2],
) -> Option<StockRow> {
    let (created_at, updated_at) = (second(first), second(latest));
    Some(StockRow { sku: sku(of), available, reserved, sold, created_at, updated_at })
}

/// One of a small world of appends: few streams, few slots, few SKUs, so that they meet.
/// Worlds of different names never meet.
pub fn random_append(world: &str, n: u64, rng: &mut fastrand::Rng) -> RecordedEvent {
    let pk = format!("{world}#STREAM#{}", rng.u8(0..4));
    let sk = format!("EVENT#{}", rng.u8(0..12));
    let mut counters = Vec::new();
    for item in ["apple", "pear", "plum"] {
        let (item, units) = (sku(&format!("{world}-{item}")), units(rng.u64(1..6)));
        match rng.u8(0..12) {
            0..=2 => counters.push(StockDelta::receive(&item, units)),
            3..=4 => counters.push(StockDelta::reserve(&item, units)),
            5 => counters.push(StockDelta::commit(&item, units)),
            6 => counters.push(StockDelta::release(&item, units)),
            7 => counters.push(StockDelta::give_back(&item, units)),
            _ => {}
        }
    }
    moved(noted(&pk, &sk, n), counters)
}

/// Waits for an answer that must come; ten seconds are for slow machines, not for polling.
pub async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), answer).await.expect("must answer in time")
}

/// Asks until the answer is the expected one, because a list may be a moment behind.
pub async fn soon<T: PartialEq + Debug>(what: impl Debug, expected: T, ask: impl AsyncFn() -> T) {
    for _ in 0..100 {
        if ask().await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask().await, expected, "{what:?}");
}

/// Walks a list in both directions, in pages of each of the limits: every page is full unless the
/// list ends, and the page that reaches the end says so.
pub async fn soon_listed<Row: Clone + PartialEq + Debug>(
    what: impl Debug,
    mut rows: Vec<Row>,
    limits: &[usize],
    place: impl Fn(&Row) -> After,
    list: impl AsyncFn(Window) -> Page<Row>,
) {
    rows.sort_by_key(|row| (place(row).created_at, place(row).id));
    for direction in [Direction::Ascending, Direction::Descending] {
        for limit in limits {
            let mut pages: Vec<Vec<Row>> = rows.chunks(*limit).map(<[Row]>::to_vec).collect();
            if pages.is_empty() {
                pages.push(Vec::new());
            }
            let last = pages.len() - 1;
            let mut after = None;
            for (n, rows) in pages.into_iter().enumerate() {
                let window = Window { limit: *limit, after, direction };
                let next = if n < last { rows.last().map(&place) } else { None };
                let expected = Page { rows, next: next.clone() };
                soon((&what, &window), expected, async || list(window.clone()).await).await;
                after = next;
            }
        }
        rows.reverse();
    }
}
