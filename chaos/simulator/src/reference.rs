//! The reference model: what clients asked for, what the gateway did, and what must follow, in a page.
//!
//! It knows nothing of events, slots, workers or queues. It looks at the system as a client does, through
//! the API's answers, once everything is at rest.

use std::collections::BTreeMap;

use event_store::IntentStore;
use event_store::memory::MemoryStore;
use events::OrderId;
use payments::intent::State;
use serde_json::Value;

use crate::ask::{Change, Wants};
use crate::book::Entry;
use crate::ports::at_once;

/// What the API shows at rest.
#[derive(Default)]
pub struct Shown {
    /// `GET /orders/{id}` of every order that a client named.
    pub orders: BTreeMap<OrderId, Value>,
    /// `GET /inventory/skus`, by SKU.
    pub stock: BTreeMap<String, Value>,
}

/// Compares what is shown with what was asked and answered; names the first thing that cannot be.
///
/// `by_hand` says that somebody forged events: then only what no forgery can change is compared.
pub fn compare(entries: &[Entry], shown: &Shown, gateway: &MemoryStore, by_hand: bool) -> Result<(), String> {
    let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
    for (id, order) in &shown.orders {
        let status = order["status"].as_str().unwrap_or("none");
        let lives = matches!(status, "PAID" | "SHIPPED" | "DELIVERED");
        if !by_hand {
            let kept = at_once(gateway.load(id)).map_err(|cause| cause.to_string())?.intent;
            let takes_money = kept.state == State::Charged;
            let paid_by_hand = asked(entries, id, Change::Paid).next().is_some();
            if !lives && status != "CANCELLED" {
                return Err(format!("order {id} has not ended: {order}"));
            }
            if takes_money != lives && !(lives && paid_by_hand) {
                return Err(format!("order {id} is {status}, and the gateway has it {:?}", kept.state));
            }
            if takes_money && kept.amount.map(|amount| amount.minor()) != minor(&order["total"]) {
                return Err(format!("order {id} cost {}, and {:?} was taken", order["total"], kept.amount));
            }
            if asked(entries, id, Change::Cancelled).any(|status| status == 200) && status != "CANCELLED" {
                return Err(format!("order {id} was cancelled, and is {status}"));
            }
            let shipped = asked(entries, id, Change::Shipped).any(|status| status == 200);
            if shipped && !matches!(status, "SHIPPED" | "DELIVERED") {
                return Err(format!("order {id} was shipped, and is {status}"));
            }
        }
        if let Some((cost, total)) = cost(entries, id).zip(minor(&order["total"]))
            && cost != total
        {
            return Err(format!("order {id} costs {total}, and what was ordered costs {cost}"));
        }
        for line in order["items"].as_array().into_iter().flatten().filter(|_| lives) {
            let sku = line["sku"].as_str().unwrap_or_default();
            *sold.entry(sku).or_default() += line["quantity"].as_i64().unwrap_or(0);
        }
    }
    for (sku, stock) in &shown.stock {
        let [available, reserved, of_sku] =
            ["available", "reserved", "sold"].map(|counter| stock[counter].as_i64().unwrap_or(i64::MIN));
        let (sure, perhaps) = lots(entries, sku);
        let received = available + reserved + of_sku;
        if !(sure..=sure + perhaps).contains(&received) {
            return Err(format!(
                "{sku}: {stock}, and lots of {sure} units, perhaps {perhaps} more, were sent"
            ));
        }
        if !by_hand && (reserved, of_sku) != (0, sold.get(sku.as_str()).copied().unwrap_or(0)) {
            return Err(format!(
                "{sku}: {stock}, and the orders that live have {:?}",
                sold.get(sku.as_str())
            ));
        }
    }
    Ok(())
}

/// What clients were answered who asked for this change of this order; 0 for those who never heard.
fn asked<'a>(entries: &'a [Entry], id: &'a OrderId, wanted: Change) -> impl Iterator<Item = u16> + 'a {
    entries.iter().filter_map(move |entry| match &entry.ask.wants {
        Wants::Change { order_id, into } if order_id == id && *into == wanted && entry.sent > 0 => {
            Some(entry.settled.unwrap_or(0))
        }
        _ => None,
    })
}

/// What an order costs that was asked for once, at the prices at which its SKUs are listed, in hundredths.
fn cost(entries: &[Entry], id: &OrderId) -> Option<i64> {
    let mut asked = entries.iter().filter_map(|entry| match &entry.ask.wants {
        Wants::Place { order_id: Some(order_id), lines, .. } if order_id == id => Some(lines),
        _ => None,
    });
    let lines = asked.next()?;
    if asked.any(|other| other != lines) {
        return None;
    }
    let price = |sku| {
        entries.iter().find_map(|entry| match &entry.ask.wants {
            Wants::List { sku: listed, minor, .. } if listed == sku => Some(*minor),
            _ => None,
        })
    };
    lines.iter().map(|(sku, units)| Some(price(sku)? * i64::from(*units))).sum()
}

/// Units of the lots that were accepted, and of those that may have been.
fn lots(entries: &[Entry], of: &str) -> (i64, i64) {
    let mut lots: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.sent > 0) {
        let Wants::Restock { sku, units, lot_id } = &entry.ask.wants else { continue };
        if sku.as_str() != of {
            continue;
        }
        let lot = lots.entry(lot_id.as_str()).or_default();
        match entry.settled {
            Some(202) => *lot = (i64::from(*units), 0),
            None if lot.0 == 0 => lot.1 = lot.1.max(i64::from(*units)),
            _ => {}
        }
    }
    let sum = |part: fn(&(i64, i64)) -> i64| lots.values().map(part).sum();
    (sum(|lot| lot.0), sum(|lot| lot.1))
}

/// A sum of money in hundredths, read from a JSON number with at most two decimals.
fn minor(value: &Value) -> Option<i64> {
    let text = value.to_string();
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{rest:0<2}").parse().ok()
}
