//! The reference model: what clients asked for, what the gateway did, and what must follow, in a page.
//!
//! It knows nothing of events, slots, workers or queues. It looks at the system as a client does, through
//! the API's answers, once everything is at rest.

use std::collections::{BTreeMap, BTreeSet};

use event_store::IntentStore;
use event_store::memory::MemoryStore;
use events::OrderId;
use payments::intent::State;
use serde_json::Value;

use crate::ask::{Change, Line, Wants};
use crate::book::Entry;
use crate::ports::at_once;

/// What the API shows at rest.
#[derive(Default)]
pub struct Shown {
    /// `GET /customers/{id}` of every customer whose registration was accepted; none where there is none.
    pub customers: BTreeMap<String, Option<Value>>,
    /// `GET /orders/{id}` of every order that a client named.
    pub orders: BTreeMap<OrderId, Value>,
    /// `GET /orders`, page by page.
    pub listed: Vec<Value>,
    /// `GET /inventory/skus`, by SKU.
    pub stock: BTreeMap<String, Value>,
}

/// What somebody wrote by hand: of these, only what no forgery can change is compared.
#[derive(Default)]
pub struct Forged {
    streams: BTreeSet<String>,
    skus: BTreeSet<String>,
}

impl Forged {
    /// What the raw events that were sent may have touched.
    pub fn by(entries: &[Entry]) -> Forged {
        let mut forged = Forged::default();
        for entry in entries.iter().filter(|entry| entry.sent > 0) {
            let Wants::Raw { pk, .. } = &entry.ask.wants else { continue };
            forged.streams.insert(pk.clone());
            let said: Value = serde_json::from_str(&entry.ask.body).unwrap_or_default();
            forged.skus.extend(said["data"]["sku"].as_str().map(str::to_owned));
            forged.skus.extend(pk.strip_prefix("EVENTS#SKU#").map(str::to_owned));
        }
        forged
    }

    /// Whether somebody wrote into an order's stream.
    pub fn order(&self, id: &OrderId) -> bool {
        self.streams.contains(&events::StreamKey::Order(id.clone()).pk())
    }

    /// Whether what is on the shelf of a SKU, or what of it is sold, may be other than what was asked for. Any order
    /// that was written into may hold units of what it names.
    fn sku(&self, sku: &str, shown: &Shown) -> bool {
        let names = |order: &Value| {
            order["items"].as_array().into_iter().flatten().any(|line| line["sku"].as_str() == Some(sku))
        };
        self.skus.contains(sku) || shown.orders.iter().any(|(id, order)| self.order(id) && names(order))
    }
}

/// What clients asked for, by what it is about.
#[derive(Default)]
struct Asked<'a> {
    /// What was asked for in orders whose ids clients chose, each time.
    orders: BTreeMap<&'a OrderId, Vec<&'a [Line]>>,
    /// Into which states orders were to be brought, and what was answered; 0 for those who never heard.
    changes: BTreeMap<&'a OrderId, Vec<(Change, u16)>>,
    /// The prices that somebody gave what is sold under a SKU, in hundredths.
    prices: BTreeMap<&'a str, Vec<i64>>,
}

impl<'a> Asked<'a> {
    fn of(entries: &'a [Entry]) -> Asked<'a> {
        let mut asked = Asked::default();
        let mut sells: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for entry in entries {
            match &entry.ask.wants {
                Wants::Place { order_id: Some(id), lines, .. } => {
                    asked.orders.entry(id).or_default().push(lines);
                }
                Wants::Change { order_id, into } if entry.sent > 0 => {
                    // Whoever asked again was perhaps refused because an earlier try had its effect.
                    let heard = entry.settled.filter(|status| *status < 400 || entry.sent == 1);
                    asked.changes.entry(order_id).or_default().push((*into, heard.unwrap_or(0)));
                }
                Wants::List { product_id, sku, minor, .. } => {
                    sells.entry(product_id).or_default().insert(sku.as_str());
                    asked.prices.entry(sku.as_str()).or_default().push(*minor);
                }
                _ => {}
            }
        }
        for entry in entries {
            let Wants::Reprice { product_id, minor } = &entry.ask.wants else { continue };
            for sku in sells.get(product_id.as_str()).into_iter().flatten() {
                asked.prices.entry(sku).or_default().push(*minor);
            }
        }
        asked
    }

    /// What those were answered who asked for this change of this order.
    fn changes(&self, id: &OrderId, wanted: Change) -> impl Iterator<Item = u16> {
        let all = self.changes.get(id).map_or(&[][..], |all| all);
        all.iter().filter(move |(into, _)| *into == wanted).map(|(_, status)| *status)
    }

    /// What was asked for in an order, if it was asked for once: units by SKU.
    fn lines(&self, id: &OrderId) -> Option<Vec<(String, i64)>> {
        let (first, others) = self.orders.get(id)?.split_first()?;
        let line = |(sku, units): &Line| (sku.to_string(), i64::from(*units));
        others.iter().all(|other| other == first).then(|| first.iter().map(line).collect())
    }
}

/// Compares what is shown with what was asked and answered; names the first thing that cannot be.
pub fn compare(
    entries: &[Entry],
    shown: &Shown,
    gateway: &MemoryStore,
    forged: &Forged,
) -> Result<(), String> {
    if let Some((id, _)) = shown.customers.iter().find(|(_, customer)| customer.is_none()) {
        return Err(format!("customer {id} was registered and is not there"));
    }
    of_the_list(shown)?;
    let asked = Asked::of(entries);
    let mut sold: BTreeMap<String, i64> = BTreeMap::new();
    for (id, order) in &shown.orders {
        let status = order["status"].as_str().unwrap_or("none");
        let lives = matches!(status, "PAID" | "SHIPPED" | "DELIVERED");
        let by_hand = forged.order(id);
        if !by_hand {
            let kept = at_once(gateway.load(id)).map_err(|cause| cause.to_string())?.intent;
            let takes_money = kept.state == State::Charged;
            // Or somebody never heard what they were answered.
            let paid_by_hand = asked.changes(id, Change::Paid).any(|status| status < 300);
            if !lives && status != "CANCELLED" {
                return Err(format!("order {id} has not ended: {order}"));
            }
            if takes_money != lives && !(lives && paid_by_hand) {
                return Err(format!("order {id} is {status}, and the gateway has it {:?}", kept.state));
            }
            if takes_money && kept.amount.map(|amount| amount.minor()) != minor(&order["total"]) {
                return Err(format!("order {id} cost {}, and {:?} was taken", order["total"], kept.amount));
            }
            if asked.changes(id, Change::Cancelled).any(|status| status == 200) && status != "CANCELLED" {
                return Err(format!("order {id} was cancelled, and is {status}"));
            }
            let shipped = asked.changes(id, Change::Shipped).any(|status| status == 200);
            if shipped && !matches!(status, "SHIPPED" | "DELIVERED") {
                return Err(format!("order {id} was shipped, and is {status}"));
            }
        }
        of_the_cost(&asked, id, order)?;
        if lives {
            for (sku, units) in asked.lines(id).unwrap_or_else(|| lines_of(order)) {
                *sold.entry(sku).or_default() += units;
            }
        }
    }
    for entry in entries.iter().filter(|entry| entry.settled == Some(202)) {
        let Wants::Restock { sku, .. } = &entry.ask.wants else { continue };
        if !shown.stock.contains_key(sku.as_str()) && !forged.sku(sku.as_str(), shown) {
            return Err(format!("a lot of {sku} was accepted, and no shelf has it"));
        }
    }
    for (sku, stock) in &shown.stock {
        let [available, reserved, of_sku] =
            ["available", "reserved", "sold"].map(|counter| stock[counter].as_i64().unwrap_or(i64::MIN));
        let (sure, perhaps) = lots(entries, sku);
        let received = available + reserved + of_sku;
        if forged.sku(sku, shown) {
            continue;
        }
        if !(sure..=sure + perhaps).contains(&received) {
            return Err(format!(
                "{sku}: {stock}, and lots of {sure} units, perhaps {perhaps} more, were sent"
            ));
        }
        if (reserved, of_sku) != (0, sold.get(sku.as_str()).copied().unwrap_or(0)) {
            return Err(format!(
                "{sku}: {stock}, and the orders that live have {:?}",
                sold.get(sku.as_str())
            ));
        }
    }
    Ok(())
}

/// The list shows every order once, as it shows itself, the newest first.
fn of_the_list(shown: &Shown) -> Result<(), String> {
    let id = |order: &Value| OrderId::recorded(order["order_id"].as_str().unwrap_or_default()).ok();
    let listed: BTreeMap<OrderId, &Value> =
        shown.listed.iter().filter_map(|order| Some((id(order)?, order))).collect();
    if listed.len() != shown.listed.len() {
        return Err("the list shows an order twice".into());
    }
    for (id, order) in &shown.orders {
        match listed.get(id) {
            Some(row) if *row == order => {}
            row => return Err(format!("order {id} is {order}, and the list has {row:?}")),
        }
    }
    let times: Vec<&str> = shown.listed.iter().filter_map(|order| order["created_at"].as_str()).collect();
    if !times.is_sorted_by(|newer, older| newer >= older) {
        return Err("the list does not begin with the newest".into());
    }
    Ok(())
}

/// What an order shows of itself: units by SKU. Its id was the system's choice, or several asked for it.
fn lines_of(order: &Value) -> Vec<(String, i64)> {
    let lines = order["items"].as_array().into_iter().flatten();
    let line = |line: &Value| {
        (line["sku"].as_str().unwrap_or_default().to_owned(), line["quantity"].as_i64().unwrap_or(0))
    };
    lines.map(line).collect()
}

/// An order that was asked for once costs what its lines do, each at a price that somebody gave its product.
fn of_the_cost(asked: &Asked, id: &OrderId, order: &Value) -> Result<(), String> {
    let Some((lines, total)) = asked.lines(id).zip(minor(&order["total"])) else { return Ok(()) };
    let mut cost = 0;
    for (sku, units) in lines {
        let known = asked.prices.get(sku.as_str());
        let shown = order["items"].as_array().into_iter().flatten().find(|line| line["sku"] == *sku);
        let Some(price) = shown.and_then(|line| minor(&line["unit_price"])) else {
            return Err(format!("order {id} does not show {sku}, which was ordered"));
        };
        let Some(known) = known else { return Ok(()) };
        if !known.contains(&price) {
            return Err(format!(
                "{sku} of order {id} is sold for {price}, and what was ordered costs {known:?}"
            ));
        }
        cost += price * units;
    }
    if cost == total {
        Ok(())
    } else {
        Err(format!("order {id} costs {total}, and what was ordered costs {cost}"))
    }
}

/// Units of the lots that were accepted, and of those that may have been.
fn lots(entries: &[Entry], of: &str) -> (i64, i64) {
    let mut lots: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.sent > 0) {
        let (sku, units, lot_id, first_stands) = match &entry.ask.wants {
            Wants::Restock { sku, units, lot_id } => (sku, units, lot_id, false),
            Wants::CompatRestock { sku, units, lot_id } => (sku, units, lot_id, true),
            _ => continue,
        };
        if sku.as_str() != of {
            continue;
        }
        let lot = lots.entry(lot_id.as_str()).or_default();
        match entry.settled {
            // Accepted whatever stands there: perhaps these units, perhaps those of somebody else's request.
            _ if first_stands && lot.0 == 0 => lot.1 = lot.1.max(i64::from(*units)),
            _ if first_stands => {}
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
