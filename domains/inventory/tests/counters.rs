//! Units are conserved: whatever happens in whatever order, and whatever is forged, none appears or is lost.

#![allow(clippy::unwrap_used)]

#[path = "../../events/tests/given/mod.rs"]
mod given;

use std::collections::BTreeMap;

use events::*;
use given::*;
use inventory::{Move, decide, fold, receive, reservation_failed};
use proptest::prelude::*;

const SKUS: [&str; 3] = ["sku-a", "sku-b", "sku-c"];
const ORDERS: [&str; 2] = ["order-1", "order-2"];

/// Something that happens to the shelf or to an order.
#[derive(Debug, Clone)]
enum Happening {
    Received(usize, u64),
    Asked(usize, Vec<StockLine>),
    Accepted(usize),
    Rejected(usize),
    Cancelled(usize),
    /// The inventory worker looks at the order and does the next thing owed.
    Worked(usize),
    /// Somebody writes an event of the raw API, under its own slot or another key, with an older or a newer id.
    Forged(Event, Option<String>, u128),
}

fn lines() -> impl Strategy<Value = Vec<StockLine>> {
    prop::collection::vec((0..SKUS.len(), 1u64..4).prop_map(|(sku, count)| line(SKUS[sku], count)), 0..4)
}

fn happening() -> impl Strategy<Value = Happening> {
    let order = 0..ORDERS.len();
    let forged =
        (order.clone(), lines(), 0..5, prop::option::of("[a-c]"), prop_oneof![0u128..9, 900u128..999]);
    prop_oneof![
        3 => (0..SKUS.len(), 1u64..9).prop_map(|(sku, count)| Happening::Received(sku, count)),
        3 => (order.clone(), lines()).prop_map(|(order, lines)| Happening::Asked(order, lines)),
        1 => order.clone().prop_map(Happening::Accepted),
        1 => order.clone().prop_map(Happening::Rejected),
        1 => order.clone().prop_map(Happening::Cancelled),
        6 => order.prop_map(Happening::Worked),
        2 => forged.prop_map(|(order, items, kind, key, id)| {
            let order_id = id_of(order);
            let reason = String::new();
            let event = match kind {
                0 => Event::InventoryReserved(InventoryReserved { order_id, items }),
                1 => reservation_failed(&order_id, Vec::new()),
                2 => Event::InventoryCommitted(InventoryCommitted { order_id, items }),
                3 => Event::InventoryReleased(InventoryReleased { order_id, items, reason }),
                _ => Event::InventoryReturned(InventoryReturned { order_id, items }),
            };
            Happening::Forged(event, key, id)
        }),
    ]
}

fn id_of(order: usize) -> OrderId {
    OrderId::recorded(ORDERS[order]).unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Units {
    available: i64,
    reserved: i64,
    sold: i64,
}

impl Units {
    fn moved(self, delta: &StockDelta) -> Units {
        Units {
            available: self.available + delta.available,
            reserved: self.reserved + delta.reserved,
            sold: self.sold + delta.sold,
        }
    }

    fn is_negative(self) -> bool {
        self.available < 0 || self.reserved < 0 || self.sold < 0
    }
}

/// The log and the counters that ride on it.
#[derive(Debug, Default)]
struct Shelf {
    log: Vec<RecordedEvent>,
    counters: BTreeMap<Sku, Units>,
    lots: u64,
    ids: u128,
}

impl Shelf {
    fn stream(&self, order: usize) -> Vec<RecordedEvent> {
        let pk = StreamKey::Order(id_of(order)).pk();
        self.log.iter().filter(|item| *item.pk == *pk).cloned().collect()
    }

    /// Stores the event and moves its counters, all or none; `false` if one is short.
    fn append(&mut self, event: Event, deltas: Vec<StockDelta>) -> bool {
        self.ids += 1;
        self.store(moving(event, 100 + self.ids, deltas))
    }

    fn store(&mut self, item: RecordedEvent) -> bool {
        if self.log.iter().any(|stored| stored.pk == item.pk && stored.sk == item.sk) {
            return true;
        }
        let mut counters = self.counters.clone();
        for delta in &item.counters {
            let units = counters.entry(delta.sku.clone()).or_default();
            *units = units.moved(delta);
            if units.is_negative() {
                return false;
            }
        }
        self.counters = counters;
        self.log.push(item);
        true
    }

    fn happens(&mut self, happening: Happening) {
        let order_id = |order: usize| id_of(order);
        match happening {
            Happening::Received(index, count) => {
                self.lots += 1;
                let lot_id = lot(&format!("lot-{}", self.lots));
                let (event, deltas) =
                    receive(&SkuRestocked { sku: sku(SKUS[index]), units: units(count), lot_id });
                assert!(self.append(event, deltas));
            }
            Happening::Asked(order, items) => {
                let customer_id = customer_id();
                let asked = ReserveInventory { order_id: order_id(order), customer_id, items };
                self.append(Event::ReserveInventory(asked), Vec::new());
            }
            Happening::Accepted(order) => {
                let (order_id, amount, currency) = (order_id(order), money(1), eur());
                let (payment_id, by) = (String::new(), PaidBy::Gateway);
                let paid = OrderPaymentAccepted { order_id, payment_id, amount, currency, by };
                self.append(Event::OrderPaymentAccepted(paid), Vec::new());
            }
            Happening::Rejected(order) => {
                let rejected =
                    OrderPaymentRejected { order_id: order_id(order), reason: String::new(), attempts: 1 };
                self.append(Event::OrderPaymentRejected(rejected), Vec::new());
            }
            Happening::Cancelled(order) => {
                let (reason, by) = (String::new(), String::new());
                let cancelled = OrderCancelled { order_id: order_id(order), reason, by };
                self.append(Event::OrderCancelled(cancelled), Vec::new());
            }
            Happening::Worked(order) => self.work(order),
            Happening::Forged(event, key, id) => {
                let key = key.unwrap_or_else(|| event.slot().sk());
                self.store(under(&key, &event, id));
            }
        }
    }

    fn work(&mut self, order: usize) {
        let stream = self.stream(order);
        let facts = fold(&stream);
        let Some(owed) = decide(&facts) else { return };
        if !self.append(owed.event(&id_of(order)), owed.deltas()) {
            assert_eq!(owed.what, Move::Reserve, "only what is asked for can be short: {stream:?}");
            self.append(reservation_failed(&id_of(order), Vec::new()), Vec::new());
        }
    }

    /// What the log says was received, is held and was sold, from the events that moved counters.
    fn explained(&self) -> BTreeMap<Sku, Units> {
        let mut explained: BTreeMap<Sku, Units> =
            self.counters.keys().map(|sku| (sku.clone(), Units::default())).collect();
        for item in self.log.iter().filter(|item| item.moved_counters()) {
            let (moves, lines) = match item.event().unwrap() {
                Event::StockReceived(e) => {
                    ([1, 0, 0], vec![StockLine { sku: e.sku.clone(), quantity: e.units }])
                }
                Event::InventoryReserved(e) => ([-1, 1, 0], e.items.clone()),
                Event::InventoryCommitted(e) => ([0, -1, 1], e.items.clone()),
                Event::InventoryReleased(e) => ([1, -1, 0], e.items.clone()),
                Event::InventoryReturned(e) => ([1, 0, -1], e.items.clone()),
                other => panic!("{other:?} moved counters"),
            };
            for line in lines {
                let [available, reserved, sold] = moves.map(|sign: i64| sign * line.quantity.units());
                let units = explained.entry(line.sku.clone()).or_default();
                *units = units.moved(&StockDelta { sku: line.sku, available, reserved, sold });
            }
        }
        explained
    }

    fn received(&self, sku: &Sku) -> i64 {
        let lots = self.log.iter().filter_map(|item| match item.event() {
            Ok(Event::StockReceived(e)) if e.sku == *sku => Some(e.units.units()),
            _ => None,
        });
        lots.sum()
    }

    /// Units of orders whose stock is really held: reserved with counters, and not settled with counters.
    fn held(&self, sku: &Sku) -> i64 {
        let of_an_order = |order| {
            let stream = self.stream(order);
            let moved = |slot: Slot| {
                let mut found = stream.iter().filter(|item| item.moved_counters());
                found.find(|item| item.event().unwrap().slot() == slot).cloned()
            };
            match (moved(Slot::Reservation), moved(Slot::Settlement)) {
                (Some(reserved), None) => {
                    let own = reserved.counters.iter().filter(|delta| delta.sku == *sku);
                    own.map(|delta| delta.reserved).sum()
                }
                _ => 0,
            }
        };
        (0..ORDERS.len()).map(of_an_order).sum()
    }

    fn check(&self) {
        assert_eq!(self.counters, self.explained(), "{:?}", self.log);
        for (sku, units) in &self.counters {
            assert!(!units.is_negative(), "{sku} {units:?}");
            assert_eq!(units.available + units.reserved + units.sold, self.received(sku), "{:?}", self.log);
            assert_eq!(units.reserved, self.held(sku), "{:?}", self.log);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn units_are_conserved_after_everything_that_can_happen_or_be_forged(
        happenings in prop::collection::vec(happening(), 0..50),
    ) {
        let mut shelf = Shelf::default();
        for happening in happenings {
            shelf.happens(happening);
            shelf.check();
        }
    }

    #[test]
    fn nothing_stays_held_for_a_cancelled_order_whose_settlement_nobody_forged(
        happenings in prop::collection::vec(happening(), 0..50),
    ) {
        let mut shelf = Shelf::default();
        for happening in happenings {
            let forges_an_end = |event: &Event| matches!(event.slot(), Slot::Settlement | Slot::Return)
                || matches!(event, Event::InventoryReservationFailed(_));
            if !matches!(&happening, Happening::Forged(event, ..) if forges_an_end(event)) {
                shelf.happens(happening);
            }
        }
        for order in 0..ORDERS.len() {
            shelf.happens(Happening::Cancelled(order));
            (0..3).for_each(|_| shelf.work(order));
        }
        for units in shelf.counters.values() {
            prop_assert_eq!((units.reserved, units.sold), (0, 0), "{:?}", shelf.log);
        }
    }
}

fn order(names: &[EventName]) -> Vec<RecordedEvent> {
    names.iter().zip(1..).map(|(name, id)| item(event(*name), id)).collect()
}

#[test]
fn what_settles_a_forged_reservation_moves_no_counter() {
    use EventName::*;
    for (names, what) in [
        (&[InventoryReserved, OrderCancelled][..], Move::ReleaseCancelled),
        (&[InventoryReserved, OrderPaymentRejected], Move::ReleaseUnpaid),
        (&[InventoryReserved, OrderPaymentAccepted], Move::Commit),
        (&[InventoryReserved, InventoryCommitted, OrderCancelled], Move::Return),
    ] {
        let stream = order(names);
        let facts = fold(&stream);
        let owed = decide(&facts).unwrap();
        assert_eq!((owed.what, owed.moves_counters, owed.deltas()), (what, false, Vec::new()));
    }
}

#[test]
fn a_forged_reservation_with_an_older_id_does_not_hide_what_is_held() {
    let held = vec![line("sku-a", 2)];
    let deltas = vec![StockDelta::reserve(&sku("sku-a"), units(2))];
    let forged = under("forged", &reserved(vec![line("sku-b", 9)]), 1);
    let stream =
        [forged, moving(reserved(held.clone()), 5, deltas), item(event(EventName::OrderCancelled), 6)];
    let facts = fold(&stream);
    let owed = decide(&facts).unwrap();
    assert_eq!((owed.what, owed.lines, owed.moves_counters), (Move::ReleaseCancelled, &held[..], true));
}

#[test]
fn a_sku_that_is_named_twice_moves_once_by_the_sum() {
    let stream = [item(reserved(Vec::new()), 9)];
    assert_eq!(decide(&fold(&stream)), None);
    let twice = vec![line("sku-a", 2), line("sku-b", 1), line("sku-a", 3)];
    let asked = ReserveInventory { order_id: order_id(), customer_id: customer_id(), items: twice };
    let stream = [item(Event::ReserveInventory(asked), 1)];
    let facts = fold(&stream);
    let deltas = decide(&facts).unwrap().deltas();
    let expected =
        [StockDelta::reserve(&sku("sku-a"), units(5)), StockDelta::reserve(&sku("sku-b"), units(1))];
    assert_eq!(deltas, expected);
}

#[test]
fn what_inventory_owes_is_the_published_table() {
    use EventName::*;
    for (names, owed) in [
        (&[][..], None),
        (&[OrderPlaced], None),
        (&[ReserveInventory], Some(Move::Reserve)),
        (&[ReserveInventory, OrderShipped], Some(Move::Reserve)),
        (&[ReserveInventory, OrderPaymentAccepted], Some(Move::Reserve)),
        (&[ReserveInventory, OrderCancelled], None),
        (&[ReserveInventory, InventoryReservationFailed], None),
        (&[ReserveInventory, InventoryReservationFailed, OrderCancelled], None),
        (&[InventoryReserved], None),
        (&[InventoryReserved, OrderShipped], None),
        (&[InventoryReserved, OrderPaymentAccepted], Some(Move::Commit)),
        (&[InventoryReserved, OrderPaymentAccepted, OrderShipped], Some(Move::Commit)),
        (&[InventoryReserved, OrderPaymentRejected], Some(Move::ReleaseUnpaid)),
        (&[InventoryReserved, OrderCancelled], Some(Move::ReleaseCancelled)),
        (&[InventoryReserved, OrderPaymentAccepted, OrderCancelled], Some(Move::ReleaseCancelled)),
        (&[InventoryReserved, OrderPaymentRejected, OrderCancelled], Some(Move::ReleaseCancelled)),
        (&[InventoryReserved, InventoryReleased, OrderCancelled], None),
        (&[InventoryReserved, InventoryCommitted], None),
        (&[InventoryReserved, InventoryCommitted, OrderShipped], None),
        (&[InventoryReserved, InventoryCommitted, OrderCancelled], Some(Move::Return)),
        (&[InventoryReserved, InventoryCommitted, OrderCancelled, InventoryReturned], None),
    ] {
        let stream = order(names);
        assert_eq!(decide(&fold(&stream)).map(|owed| owed.what), owed, "{names:?}");
    }
}
