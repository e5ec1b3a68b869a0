//! `placeOrder` and `listOrders`.

use std::sync::Arc;

use axum::extract::State;
use event_store::{OrderQuery, OrderRow};
use events::{Currency, CustomerId, Event, OrderId, OrderLine, OrderPlaced, Priority, Quantity, Sku};
use orders::{Status, StatusReason};
use serde::Serialize;
use serde_json::json;

use super::{Part, Posted, Refusal, bad, integer, name};
use crate::Api;
use crate::answer::Answer;
use crate::fields::nearest_money;
use crate::problem::Problem;
use crate::request::Caller;

/// An order of one line. `price` is what the whole order costs.
pub(super) async fn place_order(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Posted(mut body): Posted,
) -> Result<Answer, Refusal> {
    let order_id = body.required("orderId", name(OrderId::recorded));
    let sku = body.required("sku", name(Sku::recorded));
    let units = body.required("units", |value| Quantity::new(integer(value)?).map_err(|_| bad()));
    let price = body.required("price", nearest_money);
    let user_id = body.required("userId", name(CustomerId::recorded));
    let read = order_id.zip(sku).zip(units).zip(price).zip(user_id);
    let ((((order_id, sku), quantity), total), customer_id) = body.finish_with_others(read)?;
    let echo = json!({
        "orderId": order_id, "sku": sku, "units": quantity, "price": total, "userId": customer_id,
    });
    let placed = OrderPlaced {
        order_id: order_id.clone(),
        customer_id,
        items: vec![OrderLine { sku, quantity, unit_price: None, name: None }],
        total,
        currency: Currency::default(),
        priority: Priority::Standard,
    };
    // An order that stands keeps what it says: the first one counts.
    api.settle(Event::OrderPlaced(placed), None, &caller, Priority::Standard).await?;
    Ok(Answer::accepted(&echo).about(&order_id))
}

pub(super) async fn list_orders(
    State(api): State<Arc<Api>>,
    Posted(mut body): Posted,
) -> Result<Answer, Refusal> {
    let order_id = body.optional("orderId", name(OrderId::recorded));
    let part = Part::read(&mut body);
    body.finish_with_others(Some(()))?;
    let rows = match order_id {
        Some(id) => Vec::from_iter(order(&api, &id).await?),
        None => {
            let mut all = part.gather();
            while let Some(window) = all.missing() {
                all.add(api.orders.orders(&OrderQuery { window, ..OrderQuery::default() }).await?);
            }
            all.rows
        }
    };
    let orders: Vec<_> = rows
        .iter()
        .map(|row| ListedOrder {
            order_id: &row.order_id,
            order_status: order_status(row),
            line: Line::of(row),
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        })
        .collect();
    Ok(Answer::ok(&json!({ "orders": orders })))
}

/// The row of an order; folded from its stream where it is not there yet.
pub(super) async fn order(api: &Api, id: &OrderId) -> Result<Option<OrderRow>, Problem> {
    if let Some(row) = api.orders.order(id).await? {
        return Ok(Some(row));
    }
    Ok(api.rows(id).await?.map(|rows| rows.order))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedOrder<'a> {
    order_id: &'a OrderId,
    order_status: &'static str,
    #[serde(flatten)]
    line: Line<'a>,
    created_at: String,
    updated_at: String,
}

/// What this API knows of an order: one SKU. Of an order with several lines, which only the other routes
/// take, it shows the first SKU and the units of all lines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    sku: &'a str,
    units: u64,
    price: events::Money,
    user_id: &'a CustomerId,
}

impl<'a> Line<'a> {
    pub(super) fn of(row: &'a OrderRow) -> Self {
        Line {
            sku: row.items.first().map_or("", |line| line.sku.as_str()),
            units: row.items.iter().map(|line| u64::from(line.quantity)).sum(),
            price: row.total,
            user_id: &row.customer_id,
        }
    }
}

fn order_status(row: &OrderRow) -> &'static str {
    match (row.status, row.status_reason) {
        (Status::PendingInventory, _) => "ORDER_CREATED_STATUS",
        (Status::Confirmed, _) => "ORDER_STOCK_ALLOCATED_STATUS",
        (Status::Paid, _) => "ORDER_PAYMENT_ACCEPTED_STATUS",
        (Status::Shipped, _) => "ORDER_SHIPPED_STATUS",
        (Status::Delivered, _) => "ORDER_DELIVERED_STATUS",
        (Status::Cancelled, Some(StatusReason::ReservationFailed)) => "ORDER_STOCK_DEPLETED_STATUS",
        (Status::Cancelled, Some(StatusReason::PaymentRejected)) => "ORDER_PAYMENT_REJECTED_STATUS",
        (Status::Cancelled, Some(StatusReason::CancelledOnRequest) | None) => "ORDER_CANCELED_STATUS",
    }
}
