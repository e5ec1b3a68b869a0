//! An order's stream and its payment intent: what the log says was done, and what the gateway did.

use std::borrow::Borrow;

use events::{Event, PaidBy, RecordedEvent};
use orders::Payment;
use payments::intent::{Intent, State};

use super::{Found, Invariant, has_raw_events, is_decided_by_hand, must};

/// What must hold between an order's stream and its payment intent at every instant. Both are of one instant.
pub fn of_payment<Item: Borrow<RecordedEvent>>(stream: &[Item], intent: &Intent, found: &mut Found) {
    let pk = stream.first().map_or("an order without events", |item| &*item.borrow().pk);
    let Intent { state, calls, charges, amount } = intent;
    must(found, *charges <= 1, Invariant::ChargedOnce, || format!("{pk} was charged {charges} times"));
    // A claim that was written by hand is nobody's, so nobody may have called because of it.
    let claims = stream.iter().filter(|item| claims_an_attempt((*item).borrow())).count();
    must(found, *calls as usize <= claims, Invariant::Calls, || {
        format!("{pk}: the gateway was asked {calls} times, and {claims} attempts were claimed")
    });
    must(found, claims > 0 || *charges == 0, Invariant::Claimed, || {
        format!("{pk} was charged, and no attempt was claimed")
    });
    let has_money_moved = *state != State::Open || *charges > 0;
    if !has_money_moved && !stream.iter().any(|item| speaks_of_an_outcome(item.borrow())) {
        return;
    }
    let facts = orders::fold(stream.iter().map(Borrow::borrow));
    if let (Some(placed), Some(amount)) = (facts.placed.what(), amount)
        && !has_raw_events(stream)
    {
        must(found, *amount == placed.total, Invariant::Amount, || {
            format!("{pk}: the gateway took {amount} of an order of {}", placed.total)
        });
    }
    if is_decided_by_hand(stream).is_some() {
        return;
    }
    must(found, *state != State::Refunded || facts.is_cancelled(), Invariant::Refund, || {
        format!("{pk}: the gateway gave the money back, and nobody cancelled the order")
    });
    let never = matches!(state, State::Declined | State::Cancelled);
    let agrees = match facts.payment.what() {
        None => true,
        Some(Payment::Accepted(paid)) if paid.by == PaidBy::Gateway => {
            matches!(state, State::Charged | State::Refunded)
        }
        Some(Payment::Accepted(_) | Payment::Rejected(_)) => never,
    };
    let agrees = agrees && !(facts.refund.is_settled() && matches!(state, State::Open | State::Charged));
    must(found, agrees, Invariant::Outcome, || {
        let refunded = if facts.refund.is_settled() { " and refunded" } else { "" };
        format!("{pk}: the log says {}{refunded}, the gateway's intent is {state:?}", outcome(&facts))
    });
}

fn claims_an_attempt(item: &RecordedEvent) -> bool {
    !item.is_raw() && matches!(item.event(), Ok(Event::PaymentAttempted(_)))
}

fn speaks_of_an_outcome(item: &RecordedEvent) -> bool {
    let Ok(event) = item.event() else { return false };
    matches!(
        event,
        Event::OrderPaymentAccepted(_) | Event::OrderPaymentRejected(_) | Event::OrderPaymentRefunded(_)
    )
}

fn outcome(facts: &orders::OrderFacts<'_>) -> &'static str {
    match facts.payment.what() {
        Some(Payment::Accepted(paid)) => match paid.by {
            PaidBy::Gateway => "paid by the gateway",
            PaidBy::Operator => "paid by another way",
        },
        Some(Payment::Rejected(_)) => "never to be paid",
        None => "nothing of a payment",
    }
}
