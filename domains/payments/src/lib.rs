//! Money: when the gateway may be asked, what its answer means, and what must be given back.

use std::collections::BTreeMap;

use events::{
    Currency, Event, EventName, Fact, ManualPaymentRecorded, Money, OrderId, OrderPaymentAccepted,
    OrderPaymentRefunded, OrderPaymentRejected, OrderPlaced, PaidBy, PaymentAttempted, RecordedEvent, Slot,
};

pub mod intent;

/// How often the gateway is asked before the order is given up: once, and three retries.
pub const MAX_ATTEMPTS: u32 = 4;

/// What of one order's stream concerns its payment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PaymentFacts<'a> {
    placed: Fact<'a, &'a OrderPlaced>,
    reservation: Fact<'a, Reservation>,
    attempts: BTreeMap<u32, Fact<'a, ()>>,
    manual: Fact<'a, &'a ManualPaymentRecorded>,
    payment: Fact<'a, Payment<'a>>,
    closing: Fact<'a, Closing>,
    refund: Fact<'a, ()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reservation {
    Reserved,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Payment<'a> {
    Accepted(&'a OrderPaymentAccepted),
    Rejected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Cancelled,
    Shipped,
}

/// What payments owes an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed<'a> {
    /// What is to be done.
    pub what: Step<'a>,
    /// The event because of which it is owed.
    pub because_of: &'a RecordedEvent,
}

impl Owed<'_> {
    /// The slot that doing it settles first.
    pub fn slot(&self) -> Slot {
        match self.what {
            Step::Attempt { number, .. } => Slot::PaymentAttempt(number),
            Step::Close(_) => Slot::Payment,
            Step::Refund(_) => Slot::Refund,
        }
    }

    /// The events that doing it can come to. Whoever claims an attempt charges, and says what came of it.
    pub fn answers(&self) -> &'static [EventName] {
        use EventName::{OrderPaymentAccepted, OrderPaymentRefunded, OrderPaymentRejected, PaymentAttempted};
        match &self.what {
            Step::Attempt { .. } => &[PaymentAttempted, OrderPaymentAccepted, OrderPaymentRejected],
            Step::Close(closure) if closure.manual.is_some() && !closure.cancelled => &[OrderPaymentAccepted],
            Step::Close(_) => &[OrderPaymentAccepted, OrderPaymentRejected],
            Step::Refund(_) => &[OrderPaymentRefunded],
        }
    }
}

/// One step of settling a payment.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<'a> {
    /// Claim this attempt; whoever claimed it asks the gateway to charge.
    Attempt {
        /// The number to claim.
        number: u32,
        /// What to charge.
        amount: Money,
        /// In which currency.
        currency: &'a Currency,
    },
    /// Close the gateway's intent for good, and write down what turns out to be true.
    Close(Closure<'a>),
    /// Give the money back.
    Refund(&'a OrderPaymentAccepted),
}

/// What is needed to say how a closed intent ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Closure<'a> {
    order: &'a OrderPlaced,
    attempts: u32,
    cancelled: bool,
    manual: Option<&'a ManualPaymentRecorded>,
}

/// Fills the slot the event settles, if it concerns payment.
pub fn evolve<'a>(facts: &mut PaymentFacts<'a>, item: &'a RecordedEvent) {
    let Ok(event) = item.event() else { return };
    match event {
        Event::OrderPlaced(e) => facts.placed.fill(item, e),
        Event::InventoryReserved(_) => facts.reservation.fill(item, Reservation::Reserved),
        Event::InventoryReservationFailed(_) => facts.reservation.fill(item, Reservation::Failed),
        Event::PaymentAttempted(e) => facts.attempts.entry(e.attempt).or_default().fill(item, ()),
        Event::ManualPaymentRecorded(e) => facts.manual.fill(item, e),
        Event::OrderPaymentAccepted(e) => facts.payment.fill(item, Payment::Accepted(e)),
        Event::OrderPaymentRejected(_) => facts.payment.fill(item, Payment::Rejected),
        Event::OrderCancelled(_) => facts.closing.fill(item, Closing::Cancelled),
        Event::OrderShipped(_) => facts.closing.fill(item, Closing::Shipped),
        Event::OrderPaymentRefunded(_) => facts.refund.fill(item, ()),
        // Nothing here moves money.
        Event::ReserveInventory(_)
        | Event::InventoryCommitted(_)
        | Event::InventoryReleased(_)
        | Event::OrderDelivered(_)
        | Event::InventoryReturned(_)
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
pub fn fold<'a>(stream: impl IntoIterator<Item = &'a RecordedEvent>) -> PaymentFacts<'a> {
    let mut facts = PaymentFacts::default();
    stream.into_iter().for_each(|item| evolve(&mut facts, item));
    facts
}

/// What payments owes this order now, if anything.
pub fn decide<'a>(facts: &PaymentFacts<'a>) -> Option<Owed<'a>> {
    let cancelled = facts.closing.get().filter(|closing| closing.what == Closing::Cancelled);
    if let Some(payment) = facts.payment.get() {
        return match (payment.what, cancelled) {
            (Payment::Accepted(paid), Some(cancelled)) if !facts.refund.is_settled() => {
                Some(Owed { what: Step::Refund(paid), because_of: later(cancelled.by, payment.by) })
            }
            _ => None,
        };
    }
    let reservation = facts.reservation.get().filter(|held| held.what == Reservation::Reserved)?;
    let order = *facts.placed.what()?;
    let attempts = facts.attempts.len() as u32;
    let last_attempt = facts.attempts.values().filter_map(Fact::by).max_by_key(|by| by.event_id);
    let manual = facts.manual.what().copied();
    let closure = Closure { order, attempts, cancelled: cancelled.is_some(), manual };
    let close = |because_of| Some(Owed { what: Step::Close(closure), because_of });
    match (cancelled, facts.manual.by(), last_attempt) {
        (Some(_), _, None) => None,
        (Some(cancelled), _, Some(attempt)) => close(later(cancelled.by, attempt)),
        (None, Some(manual), _) => close(manual),
        (None, None, Some(attempt)) if attempts >= MAX_ATTEMPTS => close(attempt),
        (None, None, last_attempt) => {
            let number = (1..).find(|number| !facts.attempts.contains_key(number))?;
            let what = Step::Attempt { number, amount: order.total, currency: &order.currency };
            Some(Owed { what, because_of: last_attempt.unwrap_or(reservation.by) })
        }
    }
}

fn later<'a>(one: &'a RecordedEvent, other: &'a RecordedEvent) -> &'a RecordedEvent {
    if one.event_id > other.event_id { one } else { other }
}

/// The fact that an attempt is claimed.
pub fn attempted(order_id: &OrderId, attempt: u32) -> Event {
    Event::PaymentAttempted(PaymentAttempted { order_id: order_id.clone(), attempt })
}

/// The fact that the gateway took the money.
pub fn accepted(order_id: &OrderId, payment_id: &str, amount: Money, currency: &Currency) -> Event {
    Event::OrderPaymentAccepted(OrderPaymentAccepted {
        order_id: order_id.clone(),
        payment_id: payment_id.to_owned(),
        amount,
        currency: currency.clone(),
        by: PaidBy::Gateway,
    })
}

/// The fact that the gateway will not take the money.
pub fn declined(order_id: &OrderId, reason: &str, attempts: u32) -> Event {
    Event::OrderPaymentRejected(OrderPaymentRejected {
        order_id: order_id.clone(),
        reason: reason.to_owned(),
        attempts,
    })
}

/// The fact that the money was given back.
pub fn refunded(paid: &OrderPaymentAccepted) -> Event {
    Event::OrderPaymentRefunded(OrderPaymentRefunded {
        order_id: paid.order_id.clone(),
        payment_id: paid.payment_id.clone(),
        amount: paid.amount,
    })
}

impl Closure<'_> {
    /// What closing the intent turned out to mean. `charged` is the payment's id if the gateway had
    /// taken the money after all.
    pub fn outcome(&self, charged: Option<&str>) -> Event {
        let OrderPlaced { order_id, total, currency, .. } = self.order;
        match (charged, self.manual) {
            (Some(payment_id), _) => accepted(order_id, payment_id, *total, currency),
            (None, Some(manual)) if !self.cancelled => Event::OrderPaymentAccepted(OrderPaymentAccepted {
                order_id: order_id.clone(),
                payment_id: manual.reference.clone(),
                amount: *total,
                currency: currency.clone(),
                by: PaidBy::Operator,
            }),
            (None, _) if self.cancelled => declined(order_id, "cancelled", self.attempts),
            (None, _) => declined(order_id, "attempts_exhausted", self.attempts),
        }
    }
}
