//! Stock: lots that come in, what is on the shelf, and how it came to be so.

use std::sync::Arc;

use axum::extract::State;
use events::{Event, LotId, Priority, Quantity, Sku, SkuRestocked};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::Api;
use crate::access::Needs;
use crate::answer::Answer;
use crate::fields::{Fields, id, whole};
use crate::lines::items;
use crate::paging::Listing;
use crate::params::{self, Params};
use crate::problem::Problem;
use crate::request::{Caller, Named, unknown};
use crate::settle::Settled;
use crate::table::Table;

pub(crate) fn routes(table: Table) -> Table {
    table
        .post(Needs::OPERATOR, "/inventory/restocks", restock)
        .list(Needs::OPERATOR, "/inventory/skus", list)
        .get(Needs::OPERATOR, "/inventory/skus/{sku}", stock)
        .list(Needs::OPERATOR, "/inventory/skus/{sku}/ledger", ledger)
        .post(Needs::CUSTOMER, "/inventory/check", check)
}

/// `POST /inventory/restocks` {sku, units, lot_id}: the inventory worker counts the lot onto the shelf.
async fn restock(State(api): State<Arc<Api>>, caller: Caller, mut body: Fields) -> Result<Answer, Problem> {
    let sku = body.required("sku", id(Sku::parse));
    let units = body.required("units", whole(1..=u64::from(Quantity::MAX)));
    let lot_id = body.required("lot_id", id(LotId::parse));
    let units = units.and_then(|units| Quantity::new(units).ok());
    let ((sku, units), lot_id) = body.finish(sku.zip(units).zip(lot_id))?;
    let lot = SkuRestocked { sku, units, lot_id };
    let event = Event::SkuRestocked(lot.clone());
    if let Settled::Before(stored) = api.settle(event, None, &caller, Priority::Standard).await?
        && !matches!(stored.event(), Ok(Event::SkuRestocked(known)) if *known == lot)
    {
        let detail = "this lot of the SKU was sent with another number of units; choose another lot_id";
        return Err(Problem::conflict("lot_exists", detail));
    }
    Ok(Answer::accepted(&lot))
}

async fn list(State(api): State<Arc<Api>>, mut params: Params) -> Result<Answer, Problem> {
    let list = api.list_of("skus").await?;
    let window = list.window(&mut params);
    params.finish()?;
    let page = api.stock.stocks(&window).await?;
    Ok(Answer::ok(&list.page("skus", &page)))
}

async fn stock(State(api): State<Arc<Api>>, Named(sku): Named<Sku>) -> Result<Answer, Problem> {
    let row = api.stock.stock(&sku).await?.ok_or_else(unknown::<Sku>)?;
    Ok(Answer::ok(&row))
}

/// The movements of a SKU's counters, oldest first.
async fn ledger(
    State(api): State<Arc<Api>>,
    Named(sku): Named<Sku>,
    mut params: Params,
) -> Result<Answer, Problem> {
    let list = api.list_of(format!("ledger {sku}")).await?;
    let limit = params.read("limit", params::limit).unwrap_or(params::LIMIT);
    let after: u64 = list.place(&mut params).unwrap_or(0);
    params.finish()?;
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
async fn check(State(api): State<Arc<Api>>, mut body: Fields) -> Result<Answer, Problem> {
    let lines = items(&mut body);
    let lines = body.finish(lines)?;
    let rows = try_join_all(lines.iter().map(|line| api.stock.stock(&line.sku))).await?;
    let available = rows.iter().map(|row| row.as_ref().map_or(0, |row| row.available));
    let checked: Vec<(i64, bool)> = available
        .zip(&lines)
        .map(|(available, line)| (available, available >= line.quantity.units()))
        .collect();
    let items: Vec<Value> = lines
        .iter()
        .zip(&checked)
        .map(|(line, (available, enough))| {
            json!({ "sku": line.sku, "requested": line.quantity, "available": available, "enough": enough })
        })
        .collect();
    Ok(Answer::ok(&json!({ "enough": checked.iter().all(|(_, enough)| *enough), "items": items })))
}
