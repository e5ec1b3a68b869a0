//! The projections: pure functions from a stream to its rows.

use std::borrow::Borrow;

use catalog::{fold_customer, fold_product};
use event_store::{
    CustomerRow, DeliveryRow, DeliveryStatus, OrderRow, OrderRows, PaymentRow, PaymentStatus, Personal,
    ProductRow,
};
use events::{OrderPlaced, PaidBy, RecordedEvent, Timestamp};
use orders::{Closing, OrderFacts, Payment, Reservation};

/// From how many events a stream's rows are folded: those that settle a slot, and those that claim one that is
/// settled. A claim may turn out to be the one that counts, if it was made earlier and arrived later; so rows
/// with it are newer than rows without. What says nothing to this code changes no row, and is not counted.
pub fn seen<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> u32 {
    let mut slots: Vec<&str> =
        stream.iter().map(Borrow::borrow).filter(|item| item.event().is_ok()).map(|item| &*item.sk).collect();
    slots.sort_unstable();
    slots.dedup();
    slots.len() as u32
}

/// The rows of an order's stream; `None` if the order was never placed.
pub fn order_rows<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> Option<OrderRows> {
    let facts = orders::fold(stream.iter().map(Borrow::borrow));
    let placed = *facts.placed.what()?;
    let seen = seen(stream);
    Some(OrderRows {
        order: order_row(&facts, placed, seen)?,
        payment: payment_row(&facts, placed, seen),
        delivery: delivery_row(&facts, placed, seen),
    })
}

fn order_row(facts: &OrderFacts<'_>, placed: &OrderPlaced, seen: u32) -> Option<OrderRow> {
    let (first, last) = span(facts.settled_by())?;
    Some(OrderRow {
        order_id: placed.order_id.clone(),
        seen,
        status: orders::status(facts)?,
        status_reason: facts.cancellation(),
        status_detail: reason_in_words(facts),
        customer_id: placed.customer_id.clone(),
        items: placed.items.clone(),
        total: placed.total,
        currency: placed.currency.clone(),
        priority: placed.priority,
        pending: facts.held().into_iter().map(str::to_owned).collect(),
        open: !orders::has_ended(facts),
        created_at: facts.placed.by().map_or(first, |by| by.occurred_at),
        updated_at: last,
    })
}

fn reason_in_words(facts: &OrderFacts<'_>) -> Option<String> {
    let words = match (facts.closing.what(), facts.reservation.what(), facts.payment.what()) {
        (Some(Closing::Cancelled(cancelled)), _, _) => &cancelled.reason,
        (_, Some(Reservation::Failed(failed)), _) => &failed.reason,
        (_, _, Some(Payment::Rejected(rejected))) => &rejected.reason,
        _ => return None,
    };
    Some(words.clone()).filter(|words| !words.is_empty())
}

fn payment_row(facts: &OrderFacts<'_>, placed: &OrderPlaced, seen: u32) -> Option<PaymentRow> {
    let attempts = facts.attempts.len() as u32;
    let own = facts.attempts.values().filter_map(|attempt| attempt.by());
    let (created_at, updated_at) = span(
        own.chain([facts.manual_payment.by(), facts.payment.by(), facts.refund.by()].into_iter().flatten()),
    )?;
    let by_the_last_attempt = match facts.payment.what() {
        Some(Payment::Accepted(accepted)) => accepted.by == PaidBy::Gateway,
        Some(Payment::Rejected(rejected)) => {
            rejected.reason != "attempts_exhausted" && rejected.reason != "cancelled"
        }
        None => false,
    };
    let status = match facts.payment.what() {
        _ if facts.refund.is_settled() => PaymentStatus::Refunded,
        Some(Payment::Accepted(_)) => PaymentStatus::Accepted,
        Some(Payment::Rejected(_)) => PaymentStatus::Rejected,
        None => PaymentStatus::Pending,
    };
    Some(PaymentRow {
        order_id: placed.order_id.clone(),
        seen,
        status,
        payment_id: match facts.payment.what() {
            Some(Payment::Accepted(accepted)) => Some(accepted.payment_id.clone()),
            _ => None,
        },
        by: match facts.payment.what() {
            Some(Payment::Accepted(accepted)) => Some(accepted.by),
            _ => None,
        },
        reason: match facts.payment.what() {
            Some(Payment::Rejected(rejected)) => Some(rejected.reason.clone()),
            _ => None,
        },
        amount: placed.total,
        currency: placed.currency.clone(),
        attempts,
        retries: attempts.saturating_sub(u32::from(by_the_last_attempt)),
        created_at,
        updated_at,
    })
}

fn delivery_row(facts: &OrderFacts<'_>, placed: &OrderPlaced, seen: u32) -> Option<DeliveryRow> {
    let paid = facts.payment.by().filter(|_| facts.is_paid())?;
    let own = [Some(paid), facts.closing.by(), facts.delivery.by()].into_iter().flatten();
    let (_, updated_at) = span(own)?;
    let (status, carrier, tracking) = match facts.closing.what() {
        None => (DeliveryStatus::Pending, None, None),
        Some(Closing::Cancelled(_)) => (DeliveryStatus::Cancelled, None, None),
        Some(Closing::Shipped(shipped)) => {
            let arrived = facts.delivery.is_settled();
            let status = if arrived { DeliveryStatus::Delivered } else { DeliveryStatus::Shipped };
            (status, shipped.carrier.clone(), shipped.tracking.clone())
        }
    };
    Some(DeliveryRow {
        order_id: placed.order_id.clone(),
        seen,
        status,
        carrier,
        tracking,
        created_at: paid.occurred_at,
        updated_at,
    })
}

/// The row of a product's stream; `None` if it was never listed.
pub fn product_row<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> Option<ProductRow> {
    let facts = fold_product(stream.iter().map(Borrow::borrow));
    let listed = *facts.listed.what()?;
    let (_, updated_at) = span(facts.settled_by())?;
    let repriced = facts.latest_price();
    Some(ProductRow {
        product_id: listed.product_id.clone(),
        seen: seen(stream),
        sku: listed.sku.clone(),
        name: listed.name.clone(),
        price: repriced.map_or(listed.price, |repriced| repriced.price),
        currency: repriced.map_or(&listed.currency, |repriced| &repriced.currency).clone(),
        withdrawn: facts.withdrawn.is_settled(),
        created_at: facts.listed.by()?.occurred_at,
        updated_at,
    })
}

/// The row of a customer's stream, without the personal data that only the customer table holds;
/// `None` if the customer was never registered.
pub fn customer_row<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> Option<CustomerRow> {
    let facts = fold_customer(stream.iter().map(Borrow::borrow));
    let registered = *facts.registered.what()?;
    let (_, updated_at) = span(facts.settled_by())?;
    Some(CustomerRow {
        customer_id: registered.customer_id.clone(),
        seen: seen(stream),
        personal: Personal::default(),
        erased: facts.erased.is_settled(),
        created_at: facts.registered.by()?.occurred_at,
        updated_at,
    })
}

/// The first and the last moment of some events.
fn span<'a>(items: impl Iterator<Item = &'a RecordedEvent>) -> Option<(Timestamp, Timestamp)> {
    items.map(|item| item.occurred_at).fold(None, |span, at| match span {
        None => Some((at, at)),
        Some((first, last)) => Some((first.min(at), last.max(at))),
    })
}
