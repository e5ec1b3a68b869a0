//! Stock: lots that come in, what is on the shelf, and how it came to be so.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use event_store::{LedgerEntry, StockRow};
use events::{Event, LotId, Priority, Quantity, Sku, SkuRestocked};
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::json;

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::fields::{Fields, id, whole};
use crate::lines::{Line, items};
use crate::openapi::Operation;
use crate::paging::{Listing, Wanted};
use crate::problem::Problem;
use crate::request::{Caller, Named, Said, Sent, unknown};
use crate::settle::Settled;
use crate::shape;
use crate::table::Table;

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::OPERATOR, "/inventory/restocks", restock, restock_says)
        .list(Needs::OPERATOR, "/inventory/skus", list, list_says)
        .get(Needs::OPERATOR, "/inventory/skus/{sku}", stock, stock_says)
        .list(Needs::OPERATOR, "/inventory/skus/{sku}/ledger", ledger, ledger_says)
        .post(Needs::CUSTOMER, "/inventory/check", check, check_says)
}

/// `POST /inventory/restocks` {sku, units, lot_id}: the inventory worker counts the lot onto the shelf.
async fn restock(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Sent(lot): Sent<SkuRestocked>,
) -> Result<Answer, Problem> {
    let event = Event::SkuRestocked(lot.clone());
    if let Settled::Before(stored) = api.settle(event, None, &caller, Priority::Standard).await?
        && !matches!(stored.event(), Ok(Event::SkuRestocked(known)) if *known == lot)
    {
        let detail = "this lot of the SKU was sent with another number of units; choose another lot_id";
        return Err(Problem::conflict("lot_exists", detail));
    }
    Ok(Answer::accepted(&lot))
}

fn restock_says(says: &mut Operation) {
    let other = "This lot of the SKU was sent with another number of units.";
    says.summary("Put a lot on the shelf")
        .detail("The inventory worker counts it; the same lot is counted once.")
        .field("sku", "What.")
        .field("units", "How many.")
        .field("lot_id", "Names the lot, among those of its SKU.")
        .example("ten teapots", json!({ "sku": "TEAPOT-RED", "units": 10, "lot_id": "lot-0002" }))
        .answers::<SkuRestocked>(202, "The lot; it is about to be counted.")
        .refuses(StatusCode::CONFLICT, "lot_exists", other);
}

impl Said for SkuRestocked {
    fn read(body: &mut Fields) -> Option<Self> {
        let sku = body.required("sku", id(Sku::parse));
        let units = body.required("units", whole(1..=u64::from(Quantity::MAX)));
        let lot_id = body.required("lot_id", id(LotId::parse));
        Some(SkuRestocked { sku: sku?, units: Quantity::new(units?).ok()?, lot_id: lot_id? })
    }
}

fn list_says(says: &mut Operation) {
    says.summary("List what is on the shelf, newest first").lists::<StockRow>("skus", "A page of SKUs.");
}

async fn list(State(api): State<Arc<Api>>, wanted: Wanted) -> Result<Answer, Problem> {
    let list = api.list_of("skus").await?;
    let window = list.window(wanted)?;
    let page = api.stock.stocks(&window).await?;
    Ok(Answer::ok(&list.page("skus", &page)))
}

async fn stock(State(api): State<Arc<Api>>, Named(sku): Named<Sku>) -> Result<Answer, Problem> {
    let row = api.stock.stock(&sku).await?.ok_or_else(unknown::<Sku>)?;
    Ok(Answer::ok(&row))
}

fn stock_says(says: &mut Operation) {
    says.summary("Show the counters of a SKU").answers::<StockRow>(200, "The counters.");
}

/// The movements of a SKU's counters, oldest first.
async fn ledger(
    State(api): State<Arc<Api>>,
    Named(sku): Named<Sku>,
    wanted: Wanted,
) -> Result<Answer, Problem> {
    let list = api.list_of(format!("ledger {sku}")).await?;
    let limit = wanted.limit;
    let after: u64 = list.place(wanted)?.unwrap_or(0);
    // One more than asked for tells whether there is a next page.
    let mut entries = api.stock.ledger(&sku, after, limit + 1).await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    if entries.is_empty() && api.stock.stock(&sku).await?.is_none() {
        return Err(unknown::<Sku>());
    }
    let next_token = more.then(|| list.token(after.saturating_add(limit as u64)));
    Ok(Answer::ok(&Listing { name: "entries", rows: &entries, next_token }))
}

/// `POST /inventory/check` {items[{sku, quantity}]}: whether the shelf holds enough of each SKU right now.
/// Nothing is held for anybody by asking.
async fn check(State(api): State<Arc<Api>>, Sent(Wish(lines)): Sent<Wish>) -> Result<Answer, Problem> {
    let rows = try_join_all(lines.iter().map(|line| api.stock.stock(&line.sku))).await?;
    let items: Vec<Checked<'_>> = lines
        .iter()
        .zip(&rows)
        .map(|(Line { sku, quantity, .. }, row)| {
            let available = row.as_ref().map_or(0, |row| row.available);
            Checked { sku, requested: *quantity, available, enough: available >= quantity.units() }
        })
        .collect();
    Ok(Answer::ok(&AllChecked { enough: items.iter().all(|line| line.enough), items }))
}

fn ledger_says(says: &mut Operation) {
    says.summary("Show how the counters of a SKU came to be what they are")
        .detail("Oldest first. The counters are the sums of their ledger, at every moment.")
        .lists::<LedgerEntry>("entries", "A page of movements.");
}

fn check_says(says: &mut Operation) {
    says.summary("Ask whether there is enough")
        .detail("Of each SKU, right now. Nothing is held for anybody by asking.")
        .field("items", "Of what, and how many: at most 90 different SKUs. Lines of one SKU are added up.")
        .field("items/sku", "What.")
        .field("items/quantity", "How many.")
        .example("two teapots", json!({ "items": [{ "sku": "TEAPOT-RED", "quantity": 2 }] }))
        .answers::<AllChecked<'_>>(200, "Whether there is.");
}

struct Wish(Vec<Line>);

impl Said for Wish {
    fn read(body: &mut Fields) -> Option<Self> {
        items(body).map(Wish)
    }
}

#[derive(Serialize)]
struct AllChecked<'a> {
    enough: bool,
    items: Vec<Checked<'a>>,
}

#[derive(Serialize)]
struct Checked<'a> {
    sku: &'a Sku,
    requested: Quantity,
    available: i64,
    enough: bool,
}

shape! {
    "Whether the shelf holds enough.",
    AllChecked<'_> as "Check" {
        enough: "Of everything.",
        items: "Of each SKU.",
    }
}

shape! {
    "Whether the shelf holds enough of one SKU.",
    Checked<'_> as "CheckedLine" {
        sku: "What.",
        requested: "How many were asked for.",
        available: "How many can still be promised.",
        enough: "Whether these are enough.",
    }
}
