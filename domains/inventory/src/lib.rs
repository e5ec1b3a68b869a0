//! Stock: what an order still needs from the shelf, what goes back to it, and which lots await counting.

use events::{
    Event, EventName, Fact, InventoryCommitted, InventoryReleased, InventoryReservationFailed,
    InventoryReserved, InventoryReturned, OrderId, Quantity, RecordedEvent, ReserveInventory, Shortage, Sku,
    SkuRestocked, Slot, StockDelta, StockLine, StockReceived,
};

/// What of one order's stream concerns its stock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReservationFacts<'a> {
    requested: Fact<'a, &'a ReserveInventory>,
    reservation: Fact<'a, Reservation<'a>>,
    payment: Fact<'a, Payment>,
    settlement: Fact<'a, Settlement<'a>>,
    closing: Fact<'a, Closing>,
    returned: Fact<'a, ()>,
    /// What counters say is held: the lines of the reservation that moved them, even where a forged
    /// one claims the slot with a smaller id.
    held: Fact<'a, &'a [StockLine]>,
    /// What counters say was sold: the lines of the commitment that moved them.
    sold: Fact<'a, &'a [StockLine]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reservation<'a> {
    Reserved(&'a [StockLine]),
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    Accepted,
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settlement<'a> {
    Committed(&'a [StockLine]),
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Cancelled,
    Shipped,
}

/// What inventory owes an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed<'a> {
    /// What is to be done.
    pub what: Move,
    /// With which lines.
    pub lines: &'a [StockLine],
    /// Whether counters move. What settles a reservation that moved none, because it was forged
    /// through the raw event API, moves none either.
    pub moves_counters: bool,
    /// The event because of which it is owed.
    pub because_of: &'a RecordedEvent,
}

/// A movement of an order's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Hold every line, or none.
    Reserve,
    /// Sell what is held.
    Commit,
    /// Give back what is held: the order was cancelled.
    ReleaseCancelled,
    /// Give back what is held: the order cannot be paid.
    ReleaseUnpaid,
    /// Take back what was sold.
    Return,
}

/// Fills the slot the event settles, if it concerns stock.
pub fn evolve<'a>(facts: &mut ReservationFacts<'a>, item: &'a RecordedEvent) {
    let Ok(event) = item.event() else { return };
    match event {
        Event::ReserveInventory(e) => facts.requested.fill(item, e),
        Event::InventoryReserved(e) => {
            facts.reservation.fill(item, Reservation::Reserved(&e.items));
            if item.moved_counters() {
                facts.held.fill(item, &e.items);
            }
        }
        Event::InventoryReservationFailed(_) => facts.reservation.fill(item, Reservation::Failed),
        Event::OrderPaymentAccepted(_) => facts.payment.fill(item, Payment::Accepted),
        Event::OrderPaymentRejected(_) => facts.payment.fill(item, Payment::Rejected),
        Event::InventoryCommitted(e) => {
            facts.settlement.fill(item, Settlement::Committed(&e.items));
            if item.moved_counters() {
                facts.sold.fill(item, &e.items);
            }
        }
        Event::InventoryReleased(_) => facts.settlement.fill(item, Settlement::Released),
        Event::OrderCancelled(_) => facts.closing.fill(item, Closing::Cancelled),
        Event::OrderShipped(_) => facts.closing.fill(item, Closing::Shipped),
        Event::InventoryReturned(_) => facts.returned.fill(item, ()),
        // Nothing here moves stock of an order.
        Event::OrderPlaced(_)
        | Event::PaymentAttempted(_)
        | Event::ManualPaymentRecorded(_)
        | Event::OrderDelivered(_)
        | Event::OrderPaymentRefunded(_)
        | Event::SkuRestocked(_)
        | Event::StockReceived(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerErased(_)
        | Event::ProductListed(_)
        | Event::ProductRepriced(_)
        | Event::ProductWithdrawn(_) => {}
    }
}

/// The facts of a whole stream.
pub fn fold<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent>) -> ReservationFacts<'a> {
    let mut facts = ReservationFacts::default();
    stream.into_iter().for_each(|item| evolve(&mut facts, item));
    facts
}

/// What inventory owes this order now, if anything.
pub fn decide<'a>(facts: &ReservationFacts<'a>) -> Option<Owed<'a>> {
    let cancelled = facts.closing.get().filter(|closing| closing.what == Closing::Cancelled);
    let Some(reservation) = facts.reservation.get() else {
        let requested = facts.requested.get()?;
        let lines = requested.what.items.as_slice();
        let owed = Owed { what: Move::Reserve, lines, moves_counters: true, because_of: requested.by };
        return cancelled.is_none().then_some(owed);
    };
    let Reservation::Reserved(lines) = reservation.what else { return None };
    let Some(settlement) = facts.settlement.get() else {
        let (lines, moves_counters) = facts.held.what().map_or((lines, false), |held| (*held, true));
        let owed = |what, because_of| Owed { what, lines, moves_counters, because_of };
        return match (cancelled, facts.payment.get()) {
            (Some(cancelled), _) => Some(owed(Move::ReleaseCancelled, cancelled.by)),
            (None, Some(payment)) if payment.what == Payment::Rejected => {
                Some(owed(Move::ReleaseUnpaid, payment.by))
            }
            (None, Some(payment)) => Some(owed(Move::Commit, payment.by)),
            (None, None) => None,
        };
    };
    let (Settlement::Committed(lines), false) = (settlement.what, facts.returned.is_settled()) else {
        return None;
    };
    let (lines, moves_counters) = facts.sold.what().map_or((lines, false), |sold| (*sold, true));
    Some(Owed { what: Move::Return, lines, moves_counters, because_of: cancelled?.by })
}

impl Owed<'_> {
    /// The slot that doing it settles.
    pub fn slot(&self) -> Slot {
        match self.what {
            Move::Reserve => Slot::Reservation,
            Move::Commit | Move::ReleaseCancelled | Move::ReleaseUnpaid => Slot::Settlement,
            Move::Return => Slot::Return,
        }
    }

    /// The events that doing it can come to.
    pub fn answers(&self) -> &'static [EventName] {
        match self.what {
            Move::Reserve => &[EventName::InventoryReserved, EventName::InventoryReservationFailed],
            Move::Commit => &[EventName::InventoryCommitted],
            Move::ReleaseCancelled | Move::ReleaseUnpaid => &[EventName::InventoryReleased],
            Move::Return => &[EventName::InventoryReturned],
        }
    }

    /// The event that does it, for the order it is owed to.
    pub fn event(&self, order_id: &OrderId) -> Event {
        let (order_id, items) = (order_id.clone(), self.lines.to_vec());
        let released = |reason: &str| InventoryReleased {
            order_id: order_id.clone(),
            items: items.clone(),
            reason: reason.to_owned(),
        };
        match self.what {
            Move::Reserve => Event::InventoryReserved(InventoryReserved { order_id, items }),
            Move::Commit => Event::InventoryCommitted(InventoryCommitted { order_id, items }),
            Move::ReleaseCancelled => Event::InventoryReleased(released("order_cancelled")),
            Move::ReleaseUnpaid => Event::InventoryReleased(released("payment_rejected")),
            Move::Return => Event::InventoryReturned(InventoryReturned { order_id, items }),
        }
    }

    /// How the counters move with that event. No SKU twice, even where a forged event names one twice.
    pub fn deltas(&self) -> Vec<StockDelta> {
        if !self.moves_counters {
            return Vec::new();
        }
        let delta: fn(&Sku, Quantity) -> StockDelta = match self.what {
            Move::Reserve => StockDelta::reserve,
            Move::Commit => StockDelta::commit,
            Move::ReleaseCancelled | Move::ReleaseUnpaid => StockDelta::release,
            Move::Return => StockDelta::give_back,
        };
        let mut deltas: Vec<StockDelta> = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            let next = delta(&line.sku, line.quantity);
            match deltas.iter_mut().find(|known| known.sku == next.sku) {
                Some(known) => {
                    known.available += next.available;
                    known.reserved += next.reserved;
                    known.sold += next.sold;
                }
                None => deltas.push(next),
            }
        }
        deltas
    }
}

/// The fact that an order's stock was short.
pub fn reservation_failed(order_id: &OrderId, shortages: Vec<Shortage>) -> Event {
    let unknown = shortages.iter().any(|shortage| shortage.available.is_none());
    Event::InventoryReservationFailed(InventoryReservationFailed {
        order_id: order_id.clone(),
        reason: if unknown { "unknown_sku" } else { "out_of_stock" }.to_owned(),
        shortages,
    })
}

/// The fact that an order asks for more than can ever be held at once.
pub fn reservation_refused(order_id: &OrderId, reason: &str) -> Event {
    Event::InventoryReservationFailed(InventoryReservationFailed {
        order_id: order_id.clone(),
        reason: reason.to_owned(),
        shortages: Vec::new(),
    })
}

/// The fact that a lot was counted onto the shelf, and how the counters move with it.
pub fn receive(lot: &SkuRestocked) -> (Event, Vec<StockDelta>) {
    let received = StockReceived { sku: lot.sku.clone(), units: lot.units, lot_id: lot.lot_id.clone() };
    (Event::StockReceived(received), vec![StockDelta::receive(&lot.sku, lot.units)])
}
