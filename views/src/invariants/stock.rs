//! Counters: what the log says they are, and what must hold between them.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use event_store::StockRow;
use events::{Event, RecordedEvent, Sku};

use super::{Found, Invariant, must};

/// The running totals of every SKU, as the log explains them. Events are added in any order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StockBook {
    pages: BTreeMap<Sku, Page>,
}

/// One SKU's totals, in units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Page {
    /// Available, reserved, sold: what the deltas sum up to. `None` while no event moved them.
    moved: Option<[i64; 3]>,
    /// How many events moved them.
    events: u64,
    /// Units of received lots.
    received: i64,
    /// Units of orders that are reserved and not settled.
    held: i64,
}

impl StockBook {
    /// Adds what an event moved: its deltas, and the units of the lot that it received. Most events moved
    /// nothing.
    pub fn add(&mut self, event: &RecordedEvent) {
        for (n, delta) in event.counters.iter().enumerate() {
            let names_it_again = event.counters[..n].iter().any(|earlier| earlier.sku == delta.sku);
            let page = self.page(&delta.sku);
            page.events += u64::from(!names_it_again);
            let [available, reserved, sold] = page.moved.get_or_insert_default();
            *available += delta.available;
            *reserved += delta.reserved;
            *sold += delta.sold;
        }
        // A forged reception moved nothing, whatever it claims.
        if event.moved_counters()
            && let Ok(Event::StockReceived(lot)) = event.event()
        {
            self.page(&lot.sku).received += lot.units.units();
        }
    }

    /// Adds units that a stream holds, see [`held_by`]; negative ones for what it no longer holds.
    pub fn hold(&mut self, sku: &Sku, units: i64) {
        self.page(sku).held += units;
    }

    /// Compares a SKU's counters, as they are stored, with the book, and with each other.
    pub fn check(&self, sku: &Sku, live: Option<&StockRow>, found: &mut Found) {
        let Page { moved, received, held, .. } = self.pages.get(sku).copied().unwrap_or_default();
        let stored = live.map(|row| [row.available, row.reserved, row.sold]);
        must(found, stored == moved, Invariant::Counters, || {
            format!("stock {sku} is {}, the log's deltas sum up to {}", said(stored), said(moved))
        });
        let Some(units @ [available, reserved, sold]) = stored else { return };
        must(found, available + reserved + sold == received, Invariant::Conservation, || {
            format!("stock {sku} is {}, and its lots held {received}", said(stored))
        });
        must(found, units.iter().all(|count| *count >= 0), Invariant::NotNegative, || {
            format!("stock {sku} is {}", said(stored))
        });
        must(found, reserved == held, Invariant::Reserved, || {
            format!("stock {sku} holds {reserved} for orders that hold {held}")
        });
    }

    /// How many of the events that were added moved a SKU.
    pub fn movements(&self, sku: &Sku) -> u64 {
        self.pages.get(sku).map_or(0, |page| page.events)
    }

    /// Every SKU that an event moved, sorted.
    pub fn skus(&self) -> impl Iterator<Item = &Sku> {
        self.pages.keys()
    }

    fn page(&mut self, sku: &Sku) -> &mut Page {
        // Looking first spares the common case a clone of the key.
        if !self.pages.contains_key(sku) {
            self.pages.insert(sku.clone(), Page::default());
        }
        self.pages.get_mut(sku).expect("it was put there above")
    }
}

fn said(units: Option<[i64; 3]>) -> String {
    match units {
        Some([available, reserved, sold]) => {
            format!("{available} available, {reserved} reserved, {sold} sold")
        }
        None => "nothing".to_owned(),
    }
}

/// What a stream holds now, by the events that moved counters; a forged one moved none, whatever it claims.
pub fn held_by<Item: Borrow<RecordedEvent>>(stream: &[Item]) -> impl Iterator<Item = (&Sku, i64)> {
    let moved = |is: fn(&Event) -> bool| {
        let mut items = stream.iter().map(Borrow::borrow);
        items.find(move |item: &&RecordedEvent| item.moved_counters() && item.event().is_ok_and(is))
    };
    let reserved = moved(|event| matches!(event, Event::InventoryReserved(_)));
    let settled = moved(|event| matches!(event, Event::InventoryCommitted(_) | Event::InventoryReleased(_)));
    let held = reserved.filter(|_| settled.is_none());
    held.into_iter().flat_map(|item| &item.counters).map(|delta| (&delta.sku, delta.reserved))
}

/// What an order's events moved, SKU by SKU: units taken from the shelf, held and sold.
pub(super) fn moved_by<Item: Borrow<RecordedEvent>>(
    stream: &[Item],
) -> impl Iterator<Item = (&Sku, [i64; 3])> {
    let first_of_its_sku = move |at: usize, hint: usize, sku: &Sku| {
        stream[..at].iter().all(|item| delta_of(item.borrow(), sku, hint).is_none())
    };
    let sum = move |at: usize, hint: usize, sku: &Sku| {
        let deltas = stream[at..].iter().filter_map(move |item| delta_of(item.borrow(), sku, hint));
        deltas.fold([0; 3], |[taken, held, sold], [available, reserved, sells]| {
            [taken - available, held + reserved, sold + sells]
        })
    };
    let items = stream.iter().map(Borrow::borrow).enumerate();
    items.flat_map(move |(at, item): (usize, &RecordedEvent)| {
        let firsts = item.counters.iter().enumerate();
        let firsts = firsts.filter(move |(hint, delta)| first_of_its_sku(at, *hint, &delta.sku));
        firsts.map(move |(hint, delta)| (&delta.sku, sum(at, hint, &delta.sku)))
    })
}

/// How an event moved a SKU's counters. `hint` is where it probably stands: an order's events name its SKUs
/// in the same order.
fn delta_of(item: &RecordedEvent, sku: &Sku, hint: usize) -> Option<[i64; 3]> {
    let expected = item.counters.get(hint).filter(|delta| delta.sku == *sku);
    let delta = expected.or_else(|| item.counters.iter().find(|delta| delta.sku == *sku))?;
    Some([delta.available, delta.reserved, delta.sold])
}
