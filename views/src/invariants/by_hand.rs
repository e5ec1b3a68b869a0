//! Who decided: the system, or somebody who wrote events by hand.

use std::borrow::Borrow;

use events::{RecordedEvent, Slot};

use crate::owing::stands_under;

/// Whether anything in the stream was written by hand.
pub fn has_raw_events<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> bool {
    stream.iter().any(|item| item.borrow().is_raw())
}

/// The event by which somebody decided over an order's stock or money in the system's place: a raw one that
/// claims such a decision by what it says, or stands in its slot. It may be passed over by now, and yet have
/// been acted on. Raw events that only place, ask, claim an attempt, record a payment or deliver are answered
/// like any other and excuse nothing.
pub fn is_decided_by_hand<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> Option<&RecordedEvent> {
    stream.iter().map(Borrow::borrow).find(|item| item.is_raw() && claims_a_decision(item))
}

const DECISIONS: [Slot; 6] =
    [Slot::Reservation, Slot::Payment, Slot::Settlement, Slot::Closing, Slot::Refund, Slot::Return];

fn claims_a_decision(item: &RecordedEvent) -> bool {
    let says = item.event().is_ok_and(|event| decides(&event.slot()));
    says || DECISIONS.iter().any(|slot| stands_under(item, slot))
}

fn decides(slot: &Slot) -> bool {
    match slot {
        Slot::Reservation
        | Slot::Payment
        | Slot::Settlement
        | Slot::Closing
        | Slot::Refund
        | Slot::Return => true,
        Slot::OrderPlaced
        | Slot::ReserveInventory
        | Slot::PaymentAttempt(_)
        | Slot::ManualPayment
        | Slot::Delivery
        | Slot::SkuRestocked(_)
        | Slot::StockReceived(_)
        | Slot::CustomerRegistered
        | Slot::CustomerErased
        | Slot::ProductListed
        | Slot::ProductRepriced(_)
        | Slot::ProductWithdrawn => false,
    }
}
