//! `restockSku` and `listSkus`.

use std::sync::Arc;

use axum::extract::State;
use event_store::StockRow;
use events::{Event, LotId, Priority, Quantity, Sku, SkuRestocked, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::{Part, Posted, Refusal, name, say_part, units};
use crate::Api;
use crate::answer::Answer;
use crate::fields::Fields;
use crate::openapi::Operation;
use crate::request::{Caller, Said};
use crate::shape;

pub(super) async fn restock_sku(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Posted(lot): Posted<Lot>,
) -> Result<Answer, Refusal> {
    let Lot { sku, units, lot_id } = lot.clone();
    // A lot that stands keeps what it says: the first one counts.
    api.settle(Event::SkuRestocked(SkuRestocked { sku, units, lot_id }), None, &caller, Priority::Standard)
        .await?;
    Ok(Answer::accepted(&lot))
}

pub(super) fn restock_says(says: &mut Operation) {
    says.summary("Put a lot on the shelf")
        .detail("The same lot is counted once, as it was sent first.")
        .field("sku", "What.")
        .field("units", "How many.")
        .field("lotId", "Names the lot.")
        .example("ten teapots", json!({ "sku": "TEAPOT-RED", "units": 10, "lotId": "lot-0003" }))
        .answers::<Lot>(202, "What was understood.");
}

/// A lot, as it comes and is said again.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lot {
    sku: Sku,
    units: Quantity,
    lot_id: LotId,
}

impl Said for Lot {
    const PASSES_OVER: bool = true;

    fn read(body: &mut Fields) -> Option<Self> {
        let sku = body.required("sku", name(Sku::recorded));
        let units = body.required("units", units());
        let lot_id = body.required("lotId", name(LotId::recorded));
        Some(Lot { sku: sku?, units: units?, lot_id: lot_id? })
    }
}

shape! {
    "A lot.",
    Lot as "CompatLot" {
        sku: "What.",
        units: "How many.",
        lot_id as "lotId": "Names the lot.",
    }
}

pub(super) async fn list_skus(
    State(api): State<Arc<Api>>,
    Posted(Wanted { sku, part }): Posted<Wanted>,
) -> Result<Answer, Refusal> {
    let rows = match sku {
        Some(sku) => Vec::from_iter(api.stock.stock(&sku).await?),
        None => {
            let mut all = part.gather();
            while let Some(window) = all.missing() {
                all.add(api.stock.stocks(&window).await?);
            }
            all.rows
        }
    };
    Ok(Answer::ok(&Listed { skus: rows.iter().map(ListedSku::of).collect() }))
}

pub(super) fn list_says(says: &mut Operation) {
    says.summary("List what is on the shelf")
        .field("sku", "Only this one.")
        .answers::<Listed<'_>>(200, "The SKUs.");
    say_part(says);
}

/// What of a list is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    sku: Option<Sku>,
    part: Part,
}

impl Said for Wanted {
    const PASSES_OVER: bool = true;

    fn read(body: &mut Fields) -> Option<Self> {
        let sku = body.optional("sku", name(Sku::recorded));
        Some(Wanted { sku, part: Part::read(body) })
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    skus: Vec<ListedSku<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedSku<'a> {
    sku: &'a Sku,
    units: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> ListedSku<'a> {
    fn of(row: &'a StockRow) -> Self {
        let StockRow { sku, available, created_at, updated_at, .. } = row;
        ListedSku { sku, units: *available, created_at: *created_at, updated_at: *updated_at }
    }
}

shape! {
    "SKUs.",
    Listed<'_> as "CompatSkus" { skus: "What is on the shelf.", }
}

shape! {
    "What is on the shelf of one SKU.",
    ListedSku<'_> as "CompatSku" {
        sku: "What.",
        units: "How many can still be promised.",
        created_at as "createdAt": "When its counters first moved.",
        updated_at as "updatedAt": "When they moved last.",
    }
}
