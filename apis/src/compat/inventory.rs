//! `restockSku` and `listSkus`.

use std::sync::Arc;

use axum::extract::State;
use event_store::StockRow;
use events::{Event, LotId, Priority, Quantity, Sku, SkuRestocked};
use serde_json::{Value, json};

use super::{Part, Posted, Refusal, bad, integer, name};
use crate::Api;
use crate::answer::Answer;
use crate::request::Caller;

pub(super) async fn restock_sku(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Posted(mut body): Posted,
) -> Result<Answer, Refusal> {
    let sku = body.required("sku", name(Sku::recorded));
    let units = body.required("units", |value| Quantity::new(integer(value)?).map_err(|_| bad()));
    let lot_id = body.required("lotId", name(LotId::recorded));
    let ((sku, units), lot_id) = body.finish_with_others(sku.zip(units).zip(lot_id))?;
    let echo = json!({ "sku": sku, "units": units, "lotId": lot_id });
    // A lot that stands keeps what it says: the first one counts.
    api.settle(Event::SkuRestocked(SkuRestocked { sku, units, lot_id }), None, &caller, Priority::Standard)
        .await?;
    Ok(Answer::accepted(&echo))
}

pub(super) async fn list_skus(
    State(api): State<Arc<Api>>,
    Posted(mut body): Posted,
) -> Result<Answer, Refusal> {
    let sku = body.optional("sku", name(Sku::recorded));
    let part = Part::read(&mut body);
    body.finish_with_others(Some(()))?;
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
    Ok(Answer::ok(&json!({ "skus": rows.iter().map(shown).collect::<Vec<_>>() })))
}

fn shown(row: &StockRow) -> Value {
    json!({
        "sku": row.sku,
        "units": row.available,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    })
}
