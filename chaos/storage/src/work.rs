//! What clients and workers of a busy shop would write next: orders and their stories, lots, rows, intents,
//! queues; and now and then what is there already, or contradicts it.

use std::sync::Arc;

use event_store_embedded::{DeadLetter, ParkedMessage, QueueChange};
use events::*;
use fastrand::Rng;
use payments::intent::State;

use crate::told::{World, Write};

/// Draws writes.
pub(crate) struct Work {
    rng: Rng,
    /// Seconds since the shop opened.
    clock: u64,
    /// All that were ever placed, whether that is stored or not.
    pub(crate) orders: Vec<OrderId>,
    lots: u32,
    /// The latest lot that was sent and not counted: its stream and slot.
    sent: Option<(String, String)>,
}

const SKUS: [&str; 4] = ["apple", "pear", "plum", "quince"];
pub(crate) const QUEUES: [&str; 2] = ["orders", "inventory"];

impl Work {
    pub(crate) fn new(seed: u64) -> Self {
        Work { rng: Rng::with_seed(seed), clock: 0, orders: Vec::new(), lots: 0, sent: None }
    }

    /// The next write, by somebody who sees the world so.
    pub(crate) fn next(&mut self, world: &World) -> Write {
        self.clock += 1;
        let order = match self.orders.is_empty() {
            true => None,
            // Mostly one of the latest.
            false => {
                let back = self.rng.usize(0..self.orders.len()).min(self.rng.usize(0..24));
                Some(self.orders[self.orders.len() - 1 - back].clone())
            }
        };
        match (self.rng.u8(0..20), order) {
            (0..=3, _) | (_, None) => self.placed(),
            (4..=5, _) => self.received(world),
            (6, _) => self.repeated(world),
            (7, Some(order)) => self.rows(world, &order),
            (8..=9, _) => self.queue(world),
            (_, Some(order)) => self.story(world, &order),
        }
    }

    fn record(&mut self, event: Event, counters: Vec<StockDelta>, because_of: Option<Ulid>) -> Write {
        let at = Timestamp::from_millis(1_735_689_600_000 + 1000 * self.clock as i64);
        let stamp = Stamp {
            event_id: Ulid::from_parts(at.millis().unsigned_abs(), self.rng.u128(..)),
            occurred_at: at,
            producer: "storage-simulator".into(),
        };
        let causes = Causes {
            priority: Priority::Standard,
            correlation_id: format!("request-{}", self.clock).into(),
            causation_id: because_of,
            request_seed: None,
            traceparent: None,
        };
        Write::Event(Arc::new(RecordedEvent::new(event, counters, stamp, causes)))
    }

    fn sku(&mut self) -> Sku {
        Sku::recorded(SKUS[self.rng.usize(..SKUS.len())]).expect("it is a plain word")
    }

    fn units(&mut self, most: u64) -> Quantity {
        Quantity::new(self.rng.u64(1..=most)).expect("it is not zero")
    }

    fn placed(&mut self) -> Write {
        let order_id =
            OrderId::recorded(&format!("o-{:016x}", self.rng.u64(..))).expect("it is a plain word");
        self.orders.push(order_id.clone());
        // Some names fill pages, so that a commit has much to write.
        let name_length = match self.rng.u8(0..40) {
            0 => self.rng.usize(0..60_000),
            1..=4 => self.rng.usize(0..6_000),
            _ => 8,
        };
        let price = Money::from_minor(self.rng.i64(1..10_000)).expect("it is not negative");
        let first = self.rng.usize(..SKUS.len());
        let items: Vec<OrderLine> = (0..self.rng.usize(1..=2))
            .map(|n| OrderLine {
                sku: Sku::recorded(SKUS[(first + n) % SKUS.len()]).expect("it is a plain word"),
                quantity: self.units(3),
                unit_price: Some(price),
                name: Some("n".repeat(name_length)),
            })
            .collect();
        let customer_id = CustomerId::recorded("customer").expect("it is a plain word");
        let (total, currency) = (price, Currency::default());
        let priority = Priority::Standard;
        let placed = OrderPlaced { order_id, customer_id, items, total, currency, priority };
        self.record(Event::OrderPlaced(placed), Vec::new(), None)
    }

    /// A lot is sent, or one that was sent is counted.
    fn received(&mut self, world: &World) -> Write {
        let counted = self.sent.take().filter(|_| self.rng.u8(0..8) > 0);
        let sent = counted.as_ref().and_then(|(pk, sk)| world.slot(pk, sk));
        if let Some(Ok(Event::SkuRestocked(lot))) = sent.map(|sent| sent.event()) {
            let SkuRestocked { sku, units, lot_id } = lot.clone();
            let counters = vec![StockDelta::receive(&sku, units)];
            let because_of = sent.map(|sent| sent.event_id);
            return self.record(
                Event::StockReceived(StockReceived { sku, units, lot_id }),
                counters,
                because_of,
            );
        }
        // Now and then the same lot again.
        self.lots += u32::from(self.lots == 0 || self.rng.u8(0..8) > 0);
        let lot_id = LotId::recorded(&format!("lot-{}", self.lots)).expect("it is a plain word");
        let (sku, units) = (self.sku(), self.units(20));
        self.sent = Some((StreamKey::Sku(sku.clone()).pk(), Slot::SkuRestocked(lot_id.clone()).sk()));
        self.record(Event::SkuRestocked(SkuRestocked { sku, units, lot_id }), Vec::new(), None)
    }

    /// An event that is there already: the same, or another one in its slot.
    fn repeated(&mut self, world: &World) -> Write {
        if world.events.is_empty() {
            return self.received(world);
        }
        let event = &world.events[self.rng.usize(..world.events.len())];
        if self.rng.bool() {
            return Write::Event(event.clone());
        }
        let mut other = (**event).clone();
        other.data = format!("{{\"contradicts\":{}}}", self.clock).into();
        other.event_id = Ulid::from_parts(event.event_id.timestamp_ms(), self.rng.u128(..));
        Write::Event(Arc::new(other))
    }

    /// What comes next in an order's story. Even orders are paid, odd ones may be cancelled.
    fn story(&mut self, world: &World, order: &OrderId) -> Write {
        let pk = StreamKey::Order(order.clone()).pk();
        let has = |slot: Slot| world.slot(&pk, &slot.sk());
        let order_id = order.clone();
        let first = has(Slot::OrderPlaced);
        let Some(Ok(Event::OrderPlaced(placed))) = first.map(|placed| placed.event()) else {
            return self.placed();
        };
        let because_of = first.map(|placed| placed.event_id);
        let lines = || -> Vec<StockLine> {
            let line = |line: &OrderLine| StockLine { sku: line.sku.clone(), quantity: line.quantity };
            placed.items.iter().map(line).collect()
        };
        let moves = |by: fn(&Sku, Quantity) -> StockDelta| -> Vec<StockDelta> {
            placed.items.iter().map(|line| by(&line.sku, line.quantity)).collect()
        };
        let pays = order.as_str().ends_with(|digit: char| "02468ace".contains(digit));
        let items = lines();
        if has(Slot::ReserveInventory).is_none() {
            let customer_id = placed.customer_id.clone();
            let asked = ReserveInventory { order_id, customer_id, items };
            return self.record(Event::ReserveInventory(asked), Vec::new(), because_of);
        }
        let Some(reservation) = has(Slot::Reservation) else {
            if self.rng.u8(0..6) == 0 {
                let (reason, shortages) = ("out_of_stock".to_owned(), Vec::new());
                let failed = InventoryReservationFailed { order_id, reason, shortages };
                return self.record(Event::InventoryReservationFailed(failed), Vec::new(), because_of);
            }
            let reserved = Event::InventoryReserved(InventoryReserved { order_id, items });
            return self.record(reserved, moves(StockDelta::reserve), because_of);
        };
        if !reservation.moved_counters() {
            return self.placed();
        }
        if !pays {
            if has(Slot::Closing).is_none() {
                let cancelled = OrderCancelled { order_id, reason: "changed".into(), by: "customer".into() };
                return self.record(Event::OrderCancelled(cancelled), Vec::new(), because_of);
            }
            let reason = "order_cancelled".to_owned();
            let released = Event::InventoryReleased(InventoryReleased { order_id, items, reason });
            return self.record(released, moves(StockDelta::release), because_of);
        }
        let attempts = (1..).take_while(|n| has(Slot::PaymentAttempt(*n)).is_some()).count() as u32;
        let (version, mut intent) = world.intents.get(order).cloned().unwrap_or_default();
        if intent.state != State::Charged {
            if intent.calls == attempts {
                let attempted = PaymentAttempted { order_id, attempt: attempts + 1 };
                return self.record(Event::PaymentAttempted(attempted), Vec::new(), because_of);
            }
            intent.charge(placed.total, self.rng.bool());
            // Somebody may have been faster.
            let computed_from = version.saturating_sub(u64::from(self.rng.u8(0..8) == 0));
            return Write::Intent { order: order_id, intent, computed_from };
        }
        if has(Slot::Payment).is_none() {
            let accepted = OrderPaymentAccepted {
                payment_id: format!("pay-{order_id}"),
                order_id,
                amount: placed.total,
                currency: placed.currency.clone(),
                by: PaidBy::Gateway,
            };
            return self.record(Event::OrderPaymentAccepted(accepted), Vec::new(), because_of);
        }
        if has(Slot::Settlement).is_none() {
            let committed = Event::InventoryCommitted(InventoryCommitted { order_id, items });
            return self.record(committed, moves(StockDelta::commit), because_of);
        }
        let shipped = OrderShipped { order_id, carrier: None, tracking: None };
        self.record(Event::OrderShipped(shipped), Vec::new(), because_of)
    }

    fn rows(&mut self, world: &World, order: &OrderId) -> Write {
        let stream = world.stream(&StreamKey::Order(order.clone()).pk());
        match views::project::order_rows(&stream) {
            Some(rows) => Write::Rows(Box::new(rows)),
            None => self.placed(),
        }
    }

    /// One step of a queue: its cursor moves, and messages that it passes are parked, done or given up.
    fn queue(&mut self, world: &World) -> Write {
        let queue = QUEUES[self.rng.usize(..QUEUES.len())].to_owned();
        let head = world.events.len() as u64;
        let mut changes =
            vec![QueueChange::Cursor { queue: queue.clone(), position: self.rng.u64(0..=head) }];
        for _ in 0..self.rng.usize(0..3) {
            let position = self.rng.u64(0..=head);
            let message = ParkedMessage {
                position: Some(position),
                body: format!("{{\"position\":{position}}}"),
                receive_count: self.rng.u32(1..5),
                visible_at: self.clock as i64,
                sent_at: position as i64,
            };
            changes.push(QueueChange::Park { queue: queue.clone(), id: None, message });
        }
        let numbers = &world.numbers.0;
        let own = numbers.iter().find(|(_, key)| key.0 == queue && world.parked.contains_key(*key));
        if let Some((id, (_, position))) = own {
            changes.push(if self.rng.bool() {
                QueueChange::Done { id: *id }
            } else {
                QueueChange::GiveUp { id: Some(*id), letter: self.letter(&queue, *position) }
            });
        }
        Write::Queue(changes)
    }

    fn letter(&mut self, queue: &str, position: u64) -> DeadLetter {
        DeadLetter {
            id: 0,
            queue: format!("{queue}-dead"),
            source_queue: queue.to_owned(),
            position: Some(position),
            body: format!("{{\"position\":{position}}}"),
            receive_count: 5,
            error: "it never went well".into(),
            dead_at: self.clock as i64,
        }
    }
}
