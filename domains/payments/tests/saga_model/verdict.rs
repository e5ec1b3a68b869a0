//! What must hold: at every instant, and once everything owed is done. The promises are those of `views`.

use event_store::StockRow;
use events::{RecordedEvent, Sku, Timestamp};
use views::Owing;
use views::invariants::{StockBook, Violation, held_by};
use views::invariants::{of_lots_at_rest, of_order_at_rest, of_payment, of_stream};

use crate::log::{Item, Units};
use crate::workers::Worker;
use crate::world::{World, pk};

type Verdict = Result<(), String>;

fn none(found: &[Violation]) -> Verdict {
    if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
}

/// Who owes the order something that a raw event does not block.
pub fn debtors(stream: &[Item]) -> Vec<Worker> {
    let facts = orders::fold(stream.iter().map(|item| &**item));
    let owing = Owing::of(&facts, stream).that_can_be_done(stream);
    let owes = [
        (Worker::Orders, owing.orders.is_some()),
        (Worker::Inventory, owing.inventory.is_some()),
        (Worker::Payments, owing.payments.is_some()),
    ];
    owes.into_iter().filter_map(|(worker, owes)| owes.then_some(worker)).collect()
}

/// What must hold whenever an event was stored.
pub fn at_once(world: &World, item: &Item) -> Verdict {
    if item.moved_counters() {
        of_counters(world)?;
    }
    let (stream, mut found) = (world.log.stream(&item.pk), Vec::new());
    of_stream(&stream, &mut found);
    if let Some(order) = world.orders.iter().position(|order| pk(&order.order_id) == *item.pk) {
        of_payment(&stream, &world.intents[order], &mut found);
    }
    none(&found)
}

/// Counters are what the log says, conserve what was received, and are never negative.
pub fn of_counters(world: &World) -> Verdict {
    let (mut book, mut found) = (StockBook::default(), Vec::new());
    world.log.all().for_each(|item| book.add(item));
    for order in &world.orders {
        let stream = world.log.stream(&pk(&order.order_id));
        held_by(&stream).for_each(|(sku, units)| book.hold(sku, units));
    }
    for sku in book.skus().chain(world.log.counters.keys()) {
        let live = world.log.counters.get(sku).map(|units| row(sku, *units));
        book.check(sku, live.as_ref(), &mut found);
    }
    none(&found)
}

fn row(sku: &Sku, [available, reserved, sold]: Units) -> StockRow {
    let at = Timestamp::from_millis(0);
    StockRow { sku: sku.clone(), available, reserved, sold, created_at: at, updated_at: at }
}

/// What must hold once nobody does anything any more.
pub fn after(world: &World) -> Verdict {
    of_counters(world)?;
    let mut found = Vec::new();
    for (order, intent) in world.orders.iter().zip(&world.intents) {
        let stream = world.log.stream(&pk(&order.order_id));
        of_payment(&stream, intent, &mut found);
        of_order_at_rest(&stream, Some(intent), &mut found);
        nothing_is_strange_but_noise(world, &stream)?;
    }
    for sku in crate::world::skus() {
        let stream = world.log.stream(&events::StreamKey::Sku(sku).pk());
        of_lots_at_rest(&stream, &mut found);
    }
    none(&found)
}

fn nothing_is_strange_but_noise(world: &World, stream: &[Item]) -> Verdict {
    let items = || stream.iter().map(|item| -> &RecordedEvent { item });
    let noise = items().filter(|item| item.sk.starts_with("noise")).count();
    let strange = events::anomalies(items()).len();
    if world.forged || strange == noise {
        return Ok(());
    }
    Err(format!("{strange} anomalies, {noise} of them expected"))
}
