//! One stream: causes, keys, movements, amounts, and whether its order has ended.

use std::borrow::Borrow;

use events::{Event, Quantity, RecordedEvent, Sku, StockDelta, StockLine, Ulid};
use orders::{OrderFacts, Payment, Status};

use super::stock::moved_by;
use super::{Found, Invariant, has_raw_events, must};
use crate::owing::{Owing, stands_under};

/// An event has at most so many causes above it. The longest history that the saga can tell has 9: placed,
/// asked, reserved, four attempts, paid, and what settles it.
pub const MAX_CAUSATION_DEPTH: usize = 16;

/// What must hold of one stream at every instant. `stream` holds all of its events, in any order.
pub fn of_stream<Item: Borrow<RecordedEvent>>(stream: &[Item], found: &mut Found) {
    let by_hand = has_raw_events(stream);
    let causes = Causes::of(stream);
    for item in stream.iter().map(Borrow::borrow) {
        of_causes(item, &causes, found);
        of_slot(item, found);
        of_movement(item, by_hand, found);
    }
    let is_shelf = stream.iter().any(|item| matches!(item.borrow().event(), Ok(Event::StockReceived(_))));
    if !is_shelf {
        of_taken(stream, found);
    }
    let facts = orders::fold(stream.iter().map(Borrow::borrow));
    if !by_hand {
        of_amounts(&facts, found);
    }
    of_end(&facts, stream, found);
}

/// Finds causes by their ids.
enum Causes<'a, Item> {
    /// Of a stream as short as an order's: by walking along it.
    Few(&'a [Item]),
    /// Of a long one, a SKU's: sorted.
    Many(Vec<&'a RecordedEvent>),
}

/// A stream of at most so many events is walked along.
const FEW: usize = 48;

impl<'a, Item: Borrow<RecordedEvent>> Causes<'a, Item> {
    fn of(stream: &'a [Item]) -> Self {
        if stream.len() <= FEW {
            return Causes::Few(stream);
        }
        let mut sorted: Vec<&RecordedEvent> = stream.iter().map(Borrow::borrow).collect();
        sorted.sort_unstable_by_key(|item| item.event_id);
        Causes::Many(sorted)
    }

    fn find(&self, id: Ulid) -> Option<&'a RecordedEvent> {
        match self {
            Causes::Few(stream) => stream.iter().map(Borrow::borrow).find(|item| item.event_id == id),
            Causes::Many(sorted) => {
                let at = sorted.binary_search_by_key(&id, |item| item.event_id).ok()?;
                Some(sorted[at])
            }
        }
    }

    fn is_too_deep(&self, item: &RecordedEvent) -> bool {
        // Fewer events than causes are allowed cannot have too many.
        let events = match self {
            Causes::Few(stream) => stream.len(),
            Causes::Many(sorted) => sorted.len(),
        };
        if events <= MAX_CAUSATION_DEPTH {
            return false;
        }
        let first = item.causation_id.and_then(|id| self.find(id));
        let above = |cause: &&'a RecordedEvent| cause.causation_id.and_then(|id| self.find(id));
        std::iter::successors(first, above).nth(MAX_CAUSATION_DEPTH).is_some()
    }
}

fn of_causes<Item: Borrow<RecordedEvent>>(
    item: &RecordedEvent,
    causes: &Causes<'_, Item>,
    found: &mut Found,
) {
    let Some(cause) = item.causation_id else {
        must(found, item.is_raw() || !is_answer(item), Invariant::Answer, || {
            format!("{} answers nothing", named(item))
        });
        return;
    };
    must(found, item.is_raw() || causes.find(cause).is_some(), Invariant::Cause, || {
        format!("{} was caused by {cause}, which its stream does not have", named(item))
    });
    must(found, cause < item.event_id, Invariant::CauseOrder, || {
        format!("{} is not younger than its cause {cause}", named(item))
    });
    must(found, !causes.is_too_deep(item), Invariant::CausationDepth, || {
        format!("{} has more than {MAX_CAUSATION_DEPTH} causes above it", named(item))
    });
}

/// Whether an event is what a worker owes because of another one; the rest is appended because somebody asked for it.
fn is_answer(item: &RecordedEvent) -> bool {
    let Ok(event) = item.event() else { return false };
    match event {
        Event::ReserveInventory(_)
        | Event::InventoryReserved(_)
        | Event::InventoryReservationFailed(_)
        | Event::PaymentAttempted(_)
        | Event::OrderPaymentAccepted(_)
        | Event::OrderPaymentRejected(_)
        | Event::InventoryCommitted(_)
        | Event::InventoryReleased(_)
        | Event::InventoryReturned(_)
        | Event::OrderPaymentRefunded(_)
        | Event::StockReceived(_) => true,
        Event::OrderPlaced(_)
        | Event::ManualPaymentRecorded(_)
        | Event::OrderCancelled(_)
        | Event::OrderShipped(_)
        | Event::OrderDelivered(_)
        | Event::SkuRestocked(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerErased(_)
        | Event::ProductListed(_)
        | Event::ProductRepriced(_)
        | Event::ProductWithdrawn(_) => false,
    }
}

/// What nobody can read claims no slot.
fn of_slot(item: &RecordedEvent, found: &mut Found) {
    if item.is_raw() {
        return;
    }
    if let Ok(event) = item.event() {
        let slot = event.slot();
        must(found, stands_under(item, &slot), Invariant::Slot, || {
            format!("{} settles {slot} under another key", named(item))
        });
    }
}

fn of_movement(item: &RecordedEvent, by_hand: bool, found: &mut Found) {
    must(found, is_moved_as_said(item, by_hand), Invariant::Movement, || {
        format!("{} moved {:?} and says {}", named(item), item.counters, item.data)
    });
}

/// Whether counters moved as the event says. What settles a forged reservation moves none, so in a stream with
/// raw events a settlement may have moved nothing.
fn is_moved_as_said(item: &RecordedEvent, by_hand: bool) -> bool {
    if item.is_raw() {
        return !item.moved_counters();
    }
    let Ok(event) = item.event() else { return !item.moved_counters() };
    let moved = &item.counters;
    let settles =
        |delta, lines: &[StockLine]| (by_hand && moved.is_empty()) || is_sum_of(moved, lines, delta);
    match event {
        Event::InventoryReserved(e) => is_sum_of(moved, &e.items, StockDelta::reserve),
        Event::InventoryCommitted(e) => settles(StockDelta::commit, &e.items),
        Event::InventoryReleased(e) => settles(StockDelta::release, &e.items),
        Event::InventoryReturned(e) => settles(StockDelta::give_back, &e.items),
        Event::StockReceived(lot) => *moved == [StockDelta::receive(&lot.sku, lot.units)],
        Event::OrderPlaced(_)
        | Event::ReserveInventory(_)
        | Event::InventoryReservationFailed(_)
        | Event::PaymentAttempted(_)
        | Event::ManualPaymentRecorded(_)
        | Event::OrderPaymentAccepted(_)
        | Event::OrderPaymentRejected(_)
        | Event::OrderCancelled(_)
        | Event::OrderShipped(_)
        | Event::OrderDelivered(_)
        | Event::OrderPaymentRefunded(_)
        | Event::SkuRestocked(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerErased(_)
        | Event::ProductListed(_)
        | Event::ProductRepriced(_)
        | Event::ProductWithdrawn(_) => moved.is_empty(),
    }
}

/// How a line moves its SKU's counters.
type Delta = fn(&Sku, Quantity) -> StockDelta;

/// Whether the deltas are those of the lines, where lines of one SKU may have been added up.
fn is_sum_of(deltas: &[StockDelta], lines: &[StockLine], delta: Delta) -> bool {
    let one_by_one = deltas.len() == lines.len()
        && deltas.iter().zip(lines).all(|(moved, line)| *moved == delta(&line.sku, line.quantity));
    one_by_one || is_sum_of_each_sku(deltas, lines, delta)
}

fn is_sum_of_each_sku(deltas: &[StockDelta], lines: &[StockLine], delta: Delta) -> bool {
    let units = |sku: &Sku| {
        let own = lines.iter().filter(|line| line.sku == *sku).map(|line| delta(sku, line.quantity));
        own.fold([0; 3], |sum, next| added(sum, &next))
    };
    let is_there = |line: &StockLine| deltas.iter().filter(|moved| moved.sku == line.sku).count() == 1;
    lines.iter().all(is_there) && deltas.iter().all(|moved| added([0; 3], moved) == units(&moved.sku))
}

fn added([available, reserved, sold]: [i64; 3], delta: &StockDelta) -> [i64; 3] {
    [available + delta.available, reserved + delta.reserved, sold + delta.sold]
}

fn of_taken<Item: Borrow<RecordedEvent>>(stream: &[Item], found: &mut Found) {
    for (sku, units @ [taken, held, sold]) in moved_by(stream) {
        must(found, units.iter().all(|count| *count >= 0), Invariant::Taken, || {
            let pk = stream.first().map_or("", |item| &item.borrow().pk);
            format!("{pk} took {taken} of {sku}, holds {held} and sold {sold}")
        });
    }
}

fn of_amounts(facts: &OrderFacts<'_>, found: &mut Found) {
    let (Some(placed), Some(Payment::Accepted(paid))) = (facts.placed.what(), facts.payment.what()) else {
        return;
    };
    let is_total = paid.amount == placed.total && paid.currency == placed.currency;
    must(found, is_total, Invariant::Amount, || {
        let (paid, total) = ((paid.amount, &paid.currency), (placed.total, &placed.currency));
        format!("order {} of {total:?} was paid with {paid:?}", placed.order_id)
    });
    let refunded = facts.refund.what().map(|refund| refund.amount);
    must(found, refunded.is_none_or(|amount| amount == paid.amount), Invariant::Amount, || {
        format!("order {} was paid with {} and refunded {refunded:?}", placed.order_id, paid.amount)
    });
}

fn of_end<Item: Borrow<RecordedEvent>>(facts: &OrderFacts<'_>, stream: &[Item], found: &mut Found) {
    let status = orders::status(facts);
    let is_decided = match status {
        None | Some(Status::PendingInventory | Status::Confirmed) => false,
        Some(Status::Paid | Status::Shipped | Status::Delivered | Status::Cancelled) => true,
    };
    let owing = is_decided.then(|| Owing::of(facts, stream));
    let has_ended = orders::has_ended(facts);
    let is_done = owing.as_ref().is_some_and(Owing::is_nothing);
    must(found, has_ended == is_done, Invariant::Ended, || {
        let pk = stream.first().map_or("", |item| &item.borrow().pk);
        let owed: Vec<_> = owing.iter().flat_map(Owing::slots).map(ToString::to_string).collect();
        format!("{pk} is {status:?}, ended is {has_ended}, and {owed:?} are owed")
    });
}

fn named(item: &RecordedEvent) -> String {
    format!("{} {} {} {}", item.pk, item.sk, item.event_name, item.event_id)
}

#[cfg(test)]
#[path = "../../../domains/events/tests/given/mod.rs"]
mod given;

#[cfg(test)]
mod tests {
    use events::EventName::ReserveInventory;
    use events::EventName::{InventoryCommitted, InventoryReserved, OrderPaymentAccepted, OrderPlaced};

    use super::*;

    #[test]
    fn an_order_that_is_called_ended_while_something_is_owed_is_noticed() {
        let names =
            [OrderPlaced, ReserveInventory, InventoryReserved, OrderPaymentAccepted, InventoryCommitted];
        let stream: Vec<RecordedEvent> =
            (1..).zip(names).map(|(id, name)| given::item(given::event(name), id)).collect();
        let (facts, mut found) = (orders::fold(&stream), Vec::new());
        of_end(&facts, &stream, &mut found);
        assert_eq!(found, []);
        // What has ended by these facts has not by the stream, in which nothing was committed.
        of_end(&facts, &stream[..4], &mut found);
        assert_eq!(found.iter().map(|one| one.invariant).collect::<Vec<_>>(), [Invariant::Ended]);
    }
}
