//! An order: what is known of it, what state that makes, and what is owed to it next.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

use events::{
    Event, EventName, Fact, InventoryCommitted, InventoryReleased, InventoryReservationFailed,
    InventoryReserved, InventoryReturned, ManualPaymentRecorded, OrderCancelled, OrderDelivered,
    OrderPaymentAccepted, OrderPaymentRefunded, OrderPaymentRejected, OrderPlaced, OrderShipped,
    RecordedEvent, ReserveInventory, Slot, StockLine, Ulid,
};
use serde::{Deserialize, Serialize};

/// The filled slots of one order's stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OrderFacts<'a> {
    /// The order exists.
    pub placed: Fact<'a, &'a OrderPlaced>,
    /// Stock was asked for.
    pub requested: Fact<'a, &'a ReserveInventory>,
    /// Stock is held, or was short.
    pub reservation: Fact<'a, Reservation<'a>>,
    /// The claimed payment attempts by number.
    pub attempts: BTreeMap<u32, Fact<'a, ()>>,
    /// An operator's word that it was paid.
    pub manual_payment: Fact<'a, &'a ManualPaymentRecorded>,
    /// Paid, or never will be.
    pub payment: Fact<'a, Payment<'a>>,
    /// Held stock was sold, or given back.
    pub settlement: Fact<'a, Settlement<'a>>,
    /// Cancelled, or shipped.
    pub closing: Fact<'a, Closing<'a>>,
    /// Arrived.
    pub delivery: Fact<'a, &'a OrderDelivered>,
    /// Money was given back.
    pub refund: Fact<'a, &'a OrderPaymentRefunded>,
    /// Sold stock came back.
    pub returned: Fact<'a, &'a InventoryReturned>,
}

/// How the reservation ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reservation<'a> {
    /// Every line is held.
    Reserved(&'a InventoryReserved),
    /// Nothing is held.
    Failed(&'a InventoryReservationFailed),
}

/// How the payment ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Payment<'a> {
    /// Paid.
    Accepted(&'a OrderPaymentAccepted),
    /// Never will be.
    Rejected(&'a OrderPaymentRejected),
}

/// What became of held stock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Settlement<'a> {
    /// Sold.
    Committed(&'a InventoryCommitted),
    /// Back on the shelf.
    Released(&'a InventoryReleased),
}

/// How the order was closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Closing<'a> {
    /// On request.
    Cancelled(&'a OrderCancelled),
    /// The parcel left.
    Shipped(&'a OrderShipped),
}

/// The state of an order, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Placed; stock is not decided.
    PendingInventory,
    /// Stock is held; payment is not decided.
    Confirmed,
    /// Paid.
    Paid,
    /// Paid, and the parcel left.
    Shipped,
    /// Paid, left and arrived.
    Delivered,
    /// Nothing will come of it; everything is given back.
    Cancelled,
}

impl Status {
    /// Every state.
    pub const ALL: [Status; 6] = [
        Status::PendingInventory,
        Status::Confirmed,
        Status::Paid,
        Status::Shipped,
        Status::Delivered,
        Status::Cancelled,
    ];

    /// The name that clients see.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::PendingInventory => "PENDING_INVENTORY",
            Status::Confirmed => "CONFIRMED",
            Status::Paid => "PAID",
            Status::Shipped => "SHIPPED",
            Status::Delivered => "DELIVERED",
            Status::Cancelled => "CANCELLED",
        }
    }

    /// Reads the name that clients see.
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an order is [`Status::Cancelled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusReason {
    /// Somebody asked for it.
    CancelledOnRequest,
    /// There was not enough stock.
    ReservationFailed,
    /// It could not be paid.
    PaymentRejected,
}

/// What the orders domain owes an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Owed<'a> {
    /// Ask for the stock of the placed order.
    RequestInventory(&'a OrderPlaced),
}

impl Owed<'_> {
    /// The slot that doing it settles.
    pub fn slot(&self) -> Slot {
        match self {
            Owed::RequestInventory(_) => Slot::ReserveInventory,
        }
    }

    /// The events that doing it can come to.
    pub fn answers(&self) -> &'static [EventName] {
        match self {
            Owed::RequestInventory(_) => &[EventName::ReserveInventory],
        }
    }
}

/// Fills the slot the event settles. A slot that is already filled stays as it is, so any order and
/// any number of deliveries give the same facts.
pub fn evolve<'a>(facts: &mut OrderFacts<'a>, item: &'a RecordedEvent) {
    let Ok(event) = item.event() else { return };
    match event {
        Event::OrderPlaced(e) => facts.placed.fill(item, e),
        Event::ReserveInventory(e) => facts.requested.fill(item, e),
        Event::InventoryReserved(e) => facts.reservation.fill(item, Reservation::Reserved(e)),
        Event::InventoryReservationFailed(e) => facts.reservation.fill(item, Reservation::Failed(e)),
        Event::PaymentAttempted(e) => facts.attempts.entry(e.attempt).or_default().fill(item, ()),
        Event::ManualPaymentRecorded(e) => facts.manual_payment.fill(item, e),
        Event::OrderPaymentAccepted(e) => facts.payment.fill(item, Payment::Accepted(e)),
        Event::OrderPaymentRejected(e) => facts.payment.fill(item, Payment::Rejected(e)),
        Event::InventoryCommitted(e) => facts.settlement.fill(item, Settlement::Committed(e)),
        Event::InventoryReleased(e) => facts.settlement.fill(item, Settlement::Released(e)),
        Event::OrderCancelled(e) => facts.closing.fill(item, Closing::Cancelled(e)),
        Event::OrderShipped(e) => facts.closing.fill(item, Closing::Shipped(e)),
        Event::OrderDelivered(e) => facts.delivery.fill(item, e),
        Event::OrderPaymentRefunded(e) => facts.refund.fill(item, e),
        Event::InventoryReturned(e) => facts.returned.fill(item, e),
        // Events of other streams.
        Event::SkuRestocked(_)
        | Event::StockReceived(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerErased(_)
        | Event::ProductListed(_)
        | Event::ProductRepriced(_)
        | Event::ProductWithdrawn(_) => {}
    }
}

/// The facts of a whole stream.
pub fn fold<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent>) -> OrderFacts<'a> {
    let mut facts = OrderFacts::default();
    stream.into_iter().for_each(|item| evolve(&mut facts, item));
    facts
}

/// The state that the facts make; `None` for a stream whose order was never placed.
pub fn status(facts: &OrderFacts<'_>) -> Option<Status> {
    facts.placed.get()?;
    Some(if facts.cancellation().is_some() {
        Status::Cancelled
    } else if facts.is_paid() && facts.is_shipped() && facts.delivery.is_settled() {
        Status::Delivered
    } else if facts.is_paid() && facts.is_shipped() {
        Status::Shipped
    } else if facts.is_paid() {
        Status::Paid
    } else if facts.is_reserved() {
        Status::Confirmed
    } else {
        Status::PendingInventory
    })
}

/// What the orders domain owes this order now, if anything.
pub fn decide<'a>(facts: &OrderFacts<'a>) -> Option<Owed<'a>> {
    match facts.placed.what() {
        Some(placed) if !facts.requested.is_settled() && !facts.is_cancelled() => {
            Some(Owed::RequestInventory(placed))
        }
        _ => None,
    }
}

/// Whether the order has reached its one end: it is decided, and no domain owes it anything. So it is
/// cancelled with everything given back, or paid with everything settled; only forged events end it
/// otherwise. An attempt without an outcome may have moved money, so it is no end.
pub fn has_ended(facts: &OrderFacts<'_>) -> bool {
    let cancelled = facts.is_cancelled();
    let request_is_answered = cancelled || (facts.requested.is_settled() && facts.reservation.is_settled());
    let stock_is_settled = !facts.is_reserved()
        || match facts.settlement.what() {
            None => false,
            Some(Settlement::Committed(_)) => !cancelled || facts.returned.is_settled(),
            Some(Settlement::Released(_)) => true,
        };
    let money_is_settled = match facts.payment.what() {
        None => !facts.is_reserved() || facts.attempts.is_empty(),
        Some(Payment::Accepted(_)) => !cancelled || facts.refund.is_settled(),
        Some(Payment::Rejected(_)) => true,
    };
    match status(facts) {
        None | Some(Status::PendingInventory | Status::Confirmed) => false,
        Some(Status::Cancelled | Status::Paid | Status::Shipped | Status::Delivered) => {
            request_is_answered && stock_is_settled && money_is_settled
        }
    }
}

/// Whether an order that stands still may be cancelled for that alone: nobody paid, or said that they had, and no parcel
/// left. An attempt that is under way is closed at the gateway, as after any cancellation.
pub fn may_expire(facts: &OrderFacts<'_>) -> bool {
    match status(facts) {
        Some(Status::PendingInventory | Status::Confirmed) => {
            !facts.manual_payment.is_settled() && !facts.is_shipped()
        }
        None | Some(Status::Paid | Status::Shipped | Status::Delivered | Status::Cancelled) => false,
    }
}

/// How many milliseconds the order took to its first end, if it was this event that ended it. A paid order that is
/// cancelled later ends a second time, which is not asked for.
pub fn took<Item: Borrow<RecordedEvent>>(stream: &[Item], ended_by: Ulid) -> Option<u64> {
    let mut events: Vec<&RecordedEvent> = stream.iter().map(Borrow::borrow).collect();
    events.sort_by_key(|item| item.event_id);
    let mut facts = OrderFacts::default();
    let end = events.into_iter().find(|item| {
        evolve(&mut facts, item);
        has_ended(&facts)
    })?;
    let millis = end.occurred_at.millis() - facts.placed.by()?.occurred_at.millis();
    (end.event_id == ended_by).then(|| millis.max(0).unsigned_abs())
}

impl<'a> OrderFacts<'a> {
    /// Every line is held, or was.
    pub fn is_reserved(&self) -> bool {
        matches!(self.reservation.what(), Some(Reservation::Reserved(_)))
    }

    /// Money was taken, by whomever.
    pub fn is_paid(&self) -> bool {
        matches!(self.payment.what(), Some(Payment::Accepted(_)))
    }

    /// Cancelled on request.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.closing.what(), Some(Closing::Cancelled(_)))
    }

    /// The parcel left, or somebody said so before the payment was there.
    pub fn is_shipped(&self) -> bool {
        matches!(self.closing.what(), Some(Closing::Shipped(_)))
    }

    /// Why nothing will come of the order, if so.
    pub fn cancellation(&self) -> Option<StatusReason> {
        if self.is_cancelled() {
            Some(StatusReason::CancelledOnRequest)
        } else if matches!(self.reservation.what(), Some(Reservation::Failed(_))) {
            Some(StatusReason::ReservationFailed)
        } else if matches!(self.payment.what(), Some(Payment::Rejected(_))) {
            Some(StatusReason::PaymentRejected)
        } else {
            None
        }
    }

    /// Events that are in the log but take effect only when what comes before them is there.
    pub fn held(&self) -> Vec<&'static str> {
        let mut held = Vec::new();
        if self.cancellation().is_some() {
            return held;
        }
        if self.is_shipped() && !self.is_paid() {
            held.push("OrderShipped");
        }
        if self.delivery.is_settled() && !(self.is_paid() && self.is_shipped()) {
            held.push("OrderDelivered");
        }
        held
    }

    /// The events that settled a slot: those the facts were folded from.
    pub fn settled_by(&self) -> impl Iterator<Item = &'a RecordedEvent> + '_ {
        [
            self.placed.by(),
            self.requested.by(),
            self.reservation.by(),
            self.manual_payment.by(),
            self.payment.by(),
            self.settlement.by(),
            self.closing.by(),
            self.delivery.by(),
            self.refund.by(),
            self.returned.by(),
        ]
        .into_iter()
        .flatten()
        .chain(self.attempts.values().filter_map(Fact::by))
    }

    /// The latest event the facts were folded from.
    pub fn latest(&self) -> Option<Ulid> {
        self.settled_by().map(|item| item.event_id).max()
    }
}

/// The lines of an order as stock is asked for: what, and how many.
pub fn stock_lines(placed: &OrderPlaced) -> Vec<StockLine> {
    placed.items.iter().map(|line| StockLine { sku: line.sku.clone(), quantity: line.quantity }).collect()
}
