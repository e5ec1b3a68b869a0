//! What must hold: at every instant, and once everything owed is done.

use std::collections::BTreeMap;

use events::{Event, OrderPlaced, PaidBy, Sku};
use orders::{OrderFacts, Payment, Settlement, Status};
use payments::intent::{Intent, State};

use crate::log::{Item, Units};
use crate::workers::Worker;
use crate::world::{World, pk, skus};

type Verdict = Result<(), String>;

fn must(holds: bool, else_say: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(else_say()) }
}

/// Who owes the order something.
pub fn debtors(stream: &[Item]) -> Vec<Worker> {
    let events = || stream.iter().map(|item| &**item);
    let owes = [
        (Worker::Orders, orders::decide(&orders::fold(events())).is_some()),
        (Worker::Inventory, inventory::decide(&inventory::fold(events())).is_some()),
        (Worker::Payments, payments::decide(&payments::fold(events())).is_some()),
    ];
    owes.into_iter().filter_map(|(worker, owes)| owes.then_some(worker)).collect()
}

/// What must hold whenever an event was stored.
pub fn at_once(world: &World, item: &Item) -> Verdict {
    let later = item.causation_id.is_none_or(|cause| cause < item.event_id);
    must(later, || format!("{item:?} is older than its cause"))?;
    if item.moved_counters() {
        of_counters(world)?;
        must(world.forged || held(world) == reserved(world), || format!("held is {:?}", held(world)))?;
    }
    let Some(order) = world.orders.iter().position(|order| pk(&order.order_id) == *item.pk) else {
        return Ok(());
    };
    let stream = world.log.stream(&item.pk);
    gave_back_what_it_took(&stream)?;
    let facts = orders::fold(stream.iter().map(|item| &**item));
    let decided =
        !matches!(orders::status(&facts), None | Some(Status::PendingInventory | Status::Confirmed));
    let done = decided && debtors(&stream).is_empty();
    must(orders::has_ended(&facts) == done, || format!("ended is not {done} after {item:?}"))?;
    let intent = &world.intents[order];
    must(intent.charges <= 1, || format!("{} was charged twice", item.pk))?;
    let claimed = facts.attempts.len();
    must(intent.calls as usize <= claimed, || {
        format!("{}: {} calls, {claimed} claims", item.pk, intent.calls)
    })
}

/// Counters are what the log says, conserve what was received, and are never negative.
pub fn of_counters(world: &World) -> Verdict {
    let mut recorded: BTreeMap<&Sku, Units> = BTreeMap::new();
    let mut received: BTreeMap<&Sku, i64> = BTreeMap::new();
    for item in world.log.all() {
        if let Ok(Event::StockReceived(lot)) = item.event() {
            *received.entry(&lot.sku).or_default() += lot.units.units();
        }
        for delta in &item.counters {
            let [available, reserved, sold] = recorded.entry(&delta.sku).or_default();
            *available += delta.available;
            *reserved += delta.reserved;
            *sold += delta.sold;
        }
    }
    for (sku, units) in &world.log.counters {
        let explained = recorded.get(sku).copied().unwrap_or_default();
        must(explained == *units, || format!("{sku} is {units:?}, the log says {explained:?}"))?;
        let lots = received.get(sku).copied().unwrap_or_default();
        must(units.iter().sum::<i64>() == lots, || format!("{sku} is {units:?} of {lots} received"))?;
        must(units.iter().all(|count| *count >= 0), || format!("{sku} is {units:?}"))?;
    }
    must(recorded.len() == world.log.counters.len(), || format!("{recorded:?} moved late"))
}

/// An order gives back and sells no more than was taken for it, even if somebody forges that it had more.
fn gave_back_what_it_took(stream: &[Item]) -> Verdict {
    let mut of_the_order: BTreeMap<&Sku, Units> = BTreeMap::new();
    for delta in stream.iter().flat_map(|item| &item.counters) {
        let [taken, reserved, sold] = of_the_order.entry(&delta.sku).or_default();
        *taken -= delta.available;
        *reserved += delta.reserved;
        *sold += delta.sold;
    }
    let is_sane = of_the_order.values().flatten().all(|count| *count >= 0);
    must(is_sane, || format!("taken, reserved and sold are {of_the_order:?}"))
}

fn reserved(world: &World) -> BTreeMap<Sku, i64> {
    skus().map(|sku| (sku.clone(), world.log.counters.get(&sku).map_or(0, |units| units[1]))).collect()
}

/// Units of the orders that are reserved and not settled.
fn held(world: &World) -> BTreeMap<Sku, i64> {
    units_of(world, |facts| facts.is_reserved() && !facts.settlement.is_settled())
}

/// Units of the orders of which something is true, by SKU.
fn units_of(world: &World, which: impl Fn(&OrderFacts<'_>) -> bool) -> BTreeMap<Sku, i64> {
    let mut found: BTreeMap<Sku, i64> = skus().map(|sku| (sku, 0)).collect();
    for order in &world.orders {
        let stream = world.log.stream(&pk(&order.order_id));
        if which(&orders::fold(stream.iter().map(|item| &**item))) {
            for line in &order.items {
                *found.entry(line.sku.clone()).or_default() += line.quantity.units();
            }
        }
    }
    found
}

/// What must hold once nobody does anything any more.
pub fn after(world: &World) -> Verdict {
    of_counters(world)?;
    for (order, intent) in world.orders.iter().zip(&world.intents) {
        must(intent.charges <= 1, || format!("{} was charged twice", order.order_id))?;
        of_order(world, order, intent).map_err(|why| format!("{}: {why}", order.order_id))?;
    }
    if world.forged {
        return Ok(());
    }
    for item in world.log.all() {
        if let Ok(Event::SkuRestocked(lot)) = item.event() {
            let received = events::Slot::StockReceived(lot.lot_id.clone()).sk();
            must(world.log.slot(&item.pk, &received).is_some(), || format!("{item:?} was never counted"))?;
        }
    }
    let sold = units_of(world, |facts| {
        matches!(facts.settlement.what(), Some(Settlement::Committed(_))) && !facts.returned.is_settled()
    });
    for sku in skus() {
        let [_, reserved, counted] = world.log.counters.get(&sku).copied().unwrap_or_default();
        must((reserved, counted) == (0, sold[&sku]), || {
            format!("{sku}: {reserved} reserved, {counted} sold of {}", sold[&sku])
        })?;
    }
    Ok(())
}

fn of_order(world: &World, order: &OrderPlaced, intent: &Intent) -> Verdict {
    let pk = pk(&order.order_id);
    let stream = world.log.stream(&pk);
    let owing = debtors(&stream);
    must(owing.is_empty() || world.blocked.contains(&pk), || format!("{owing:?} still owe something"))?;
    if world.forged {
        return Ok(());
    }
    let facts = orders::fold(stream.iter().map(|item| &**item));
    let status = orders::status(&facts);
    must(orders::has_ended(&facts), || format!("{status:?} is no end"))?;
    let noise = stream.iter().filter(|item| item.sk.starts_with("noise")).count();
    let strange = events::anomalies(stream.iter().map(|item| &**item)).len();
    must(strange == noise, || format!("{strange} anomalies, {noise} of them expected"))?;
    let settled = facts.settlement.what();
    let is_sold = matches!(settled, Some(Settlement::Committed(_))) && !facts.returned.is_settled();
    let is_held = facts.is_reserved() && !matches!(settled, Some(Settlement::Released(_))) && !is_sold;
    let is_held = is_held && !facts.returned.is_settled();
    let charged = intent.state == State::Charged;
    if status == Some(Status::Cancelled) {
        return must(!is_sold && !is_held && !charged, || {
            format!("cancelled, but sold {is_sold}, held {is_held}, charged {charged}")
        });
    }
    let Some(Payment::Accepted(paid)) = facts.payment.what() else {
        return Err("lives, but is not paid".to_owned());
    };
    must((paid.amount, &paid.currency) == (order.total, &order.currency), || format!("paid {paid:?}"))?;
    let by_gateway = paid.by == PaidBy::Gateway;
    must(is_sold && charged == by_gateway, || {
        format!("lives, but sold {is_sold}, charged {charged}, by {:?}", paid.by)
    })
}
