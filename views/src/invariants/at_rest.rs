//! Once nothing is under way: every order has ended, and stock and money are where its end puts them.

use std::borrow::Borrow;

use events::{OrderLine, PaidBy, RecordedEvent, Sku, SkuRestocked, Slot};
use orders::{OrderFacts, Payment, Status};
use payments::intent::{Intent, State};

use super::stock::moved_by;
use super::{Found, Invariant, Violation, has_raw_events, is_decided_by_hand, must, pk};
use crate::owing::{Owing, stands_under, uncounted_lots};

/// What must hold of an order's stream and its intent once nothing is under way; without an intent, what the
/// stream alone tells. Where somebody decided by hand, stock and money are where that put them, see
/// [`excused_at_rest`].
pub fn of_order_at_rest<Item: Borrow<RecordedEvent>>(
    stream: &[Item],
    intent: Option<&Intent>,
    found: &mut Found,
) {
    let facts = orders::fold(stream.iter().map(Borrow::borrow));
    of_end(&facts, stream, found);
    if is_decided_by_hand(stream).is_none() {
        of_stock(&facts, stream, found);
        of_money(&facts, pk(stream), intent, found);
        of_shipment(&facts, stream, found);
    }
}

/// The raw event by which somebody decided over an order, and what therefore does not hold of its stock and
/// money: an anomaly, and no violation.
pub fn excused_at_rest<'a, Item: Borrow<RecordedEvent>>(
    stream: &'a [Item],
    intent: Option<&Intent>,
) -> Option<(&'a RecordedEvent, Vec<Violation>)> {
    let by_hand = is_decided_by_hand(stream)?;
    let facts = orders::fold(stream.iter().map(Borrow::borrow));
    let mut excused = Vec::new();
    of_stock(&facts, stream, &mut excused);
    of_money(&facts, pk(stream), intent, &mut excused);
    of_shipment(&facts, stream, &mut excused);
    (!excused.is_empty()).then_some((by_hand, excused))
}

/// What must hold of a SKU's stream once nothing is under way.
pub fn of_lots_at_rest<Item: Borrow<RecordedEvent>>(stream: &[Item], found: &mut Found) {
    found.extend(uncounted_lots(stream).map(|(sent, lot)| of_uncounted(sent, lot)));
}

/// A lot that was sent and never counted.
pub(super) fn of_uncounted(sent: &RecordedEvent, lot: &SkuRestocked) -> Violation {
    let detail = format!("{}: lot {} was never counted", sent.pk, lot.lot_id);
    Violation { invariant: Invariant::Lots, detail }
}

/// Nobody owes anything that can be done. What cannot be done is blocked by a raw event.
pub(super) fn of_end<Item: Borrow<RecordedEvent>>(
    facts: &OrderFacts<'_>,
    stream: &[Item],
    found: &mut Found,
) {
    let owed = Owing::of(facts, stream);
    let raw_under = |slot: &Slot| {
        let mut items = stream.iter().map(Borrow::borrow);
        items.any(|item: &RecordedEvent| item.is_raw() && stands_under(item, slot))
    };
    // An attempt that was claimed and charged leads nowhere where its outcome cannot be written down.
    let is_blocked = |slot: &Slot| {
        raw_under(slot) || (matches!(slot, Slot::PaymentAttempt(_)) && raw_under(&Slot::Payment))
    };
    // An order that is not decided is owed the decision, so nothing else is asked of its end.
    must(found, owed.slots().all(is_blocked), Invariant::End, || {
        let status = orders::status(facts).map_or("not placed", Status::as_str);
        let still: Vec<_> = owed.slots().filter(|slot| !is_blocked(slot)).map(Slot::to_string).collect();
        format!("{} is {status}, and still owed {}", pk(stream), still.join(", "))
    });
}

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Cancelled,
    Lives,
}

fn end(facts: &OrderFacts<'_>) -> Option<End> {
    match orders::status(facts)? {
        Status::Cancelled => Some(End::Cancelled),
        Status::Paid | Status::Shipped | Status::Delivered => Some(End::Lives),
        Status::PendingInventory | Status::Confirmed => None,
    }
}

fn of_stock<Item: Borrow<RecordedEvent>>(facts: &OrderFacts<'_>, stream: &[Item], found: &mut Found) {
    let Some(end) = end(facts) else { return };
    for (sku, [taken, held, sold]) in moved_by(stream) {
        let said = || format!("{}: of {taken} taken of {sku}, {held} are held and {sold} sold", pk(stream));
        match end {
            End::Cancelled => must(found, [taken, held, sold] == [0; 3], Invariant::GivenBack, said),
            End::Lives => must(found, held == 0 && sold == taken, Invariant::Sold, said),
        }
    }
    let Some(placed) = facts.placed.what().filter(|_| end == End::Lives && !has_raw_events(stream)) else {
        return;
    };
    let ordered = |sku: &Sku| units(placed.items.iter().filter(|line| line.sku == *sku));
    let is_sold = moved_by(stream).all(|(sku, [_, _, sold])| sold == ordered(sku));
    let all: i64 = moved_by(stream).map(|(_, [_, _, sold])| sold).sum();
    must(found, is_sold && all == units(placed.items.iter()), Invariant::Sold, || {
        format!("{}: {all} units were sold, which are not what was ordered", pk(stream))
    });
}

fn units<'a>(lines: impl Iterator<Item = &'a OrderLine>) -> i64 {
    lines.map(|line| line.quantity.units()).sum()
}

fn of_money(facts: &OrderFacts<'_>, pk: &str, intent: Option<&Intent>, found: &mut Found) {
    let Some(end) = end(facts) else { return };
    let is_kept = intent.map(|intent| intent.state == State::Charged);
    match end {
        End::Cancelled => must(found, is_kept != Some(true), Invariant::Gateway, || {
            format!("{pk} is cancelled, and the gateway kept its money")
        }),
        End::Lives => {
            let Some(Payment::Accepted(paid)) = facts.payment.what() else { return };
            let by_gateway = paid.by == PaidBy::Gateway;
            must(found, is_kept.is_none_or(|kept| kept == by_gateway), Invariant::Paid, || {
                format!("{pk} is paid by {:?}, and the gateway's intent is {:?}", paid.by, intent)
            });
        }
    }
}

fn of_shipment<Item: Borrow<RecordedEvent>>(facts: &OrderFacts<'_>, stream: &[Item], found: &mut Found) {
    // What a raw event blocks is never decided, so what waits for it waits.
    if end(facts).is_none() && has_raw_events(stream) {
        return;
    }
    // Allocates nothing where nothing is held.
    let held = facts.held();
    let waits = |name: &&str| *name == "OrderShipped" || facts.is_shipped();
    must(found, !held.iter().any(waits), Invariant::HeldShipment, || {
        format!("{}: still waiting for a payment: {}", pk(stream), held.join(", "))
    });
}
