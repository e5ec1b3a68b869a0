//! `placeOrder` and `listOrders`.

use std::sync::Arc;

use axum::extract::State;
use event_store::{OrderQuery, OrderRow};
use events::{
    Currency, CustomerId, Event, Money, OrderId, OrderLine, OrderPlaced, Priority, Quantity, Sku, Timestamp,
};
use orders::{Status, StatusReason};
use serde::Serialize;
use serde_json::json;

use super::{Part, Posted, Refusal, name, say_part, units};
use crate::Api;
use crate::answer::Answer;
use crate::fields::{Fields, nearest_money};
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::request::{Caller, Said};
use crate::shape;

/// An order of one line. `price` is what the whole order costs.
pub(super) async fn place_order(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Posted(asked): Posted<Asked>,
) -> Result<Answer, Refusal> {
    let Asked { order_id, sku, units, price, user_id } = asked.clone();
    let placed = OrderPlaced {
        order_id: order_id.clone(),
        customer_id: user_id,
        items: vec![OrderLine { sku, quantity: units, unit_price: None, name: None }],
        total: price,
        currency: Currency::default(),
        priority: Priority::Standard,
    };
    // An order that stands keeps what it says: the first one counts.
    api.settle(Event::OrderPlaced(placed), None, &caller, Priority::Standard).await?;
    Ok(Answer::accepted(&asked).about(&order_id))
}

pub(super) fn place_says(says: &mut Operation) {
    says.summary("Place an order of one line")
        .detail("An order that stands keeps what it says: the first one counts.")
        .field("orderId", "Names the order.")
        .field("sku", "What.")
        .field("units", "How many.")
        .field("price", "What the whole order costs; rounded to the nearest cent.")
        .field("userId", "Who orders.")
        .example(
            "two teapots",
            json!({
                "orderId": "order-0003", "sku": "TEAPOT-RED", "units": 2, "price": 51, "userId": "anna-1",
            }),
        )
        .answers::<Asked>(202, "What was understood.");
}

/// An order, as it comes and is said again.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    order_id: OrderId,
    sku: Sku,
    units: Quantity,
    price: Money,
    user_id: CustomerId,
}

impl Said for Asked {
    const PASSES_OVER: bool = true;

    fn read(body: &mut Fields) -> Option<Self> {
        let order_id = body.required("orderId", name(OrderId::recorded));
        let sku = body.required("sku", name(Sku::recorded));
        let units = body.required("units", units());
        let price = body.required("price", nearest_money());
        let user_id = body.required("userId", name(CustomerId::recorded));
        Some(Asked { order_id: order_id?, sku: sku?, units: units?, price: price?, user_id: user_id? })
    }
}

shape! {
    "An order of one line.",
    Asked as "CompatOrder" {
        order_id as "orderId": "Names the order.",
        sku: "What.",
        units: "How many.",
        price: "What the whole order costs.",
        user_id as "userId": "Who orders.",
    }
}

pub(super) async fn list_orders(
    State(api): State<Arc<Api>>,
    Posted(Wanted { order_id, part }): Posted<Wanted>,
) -> Result<Answer, Refusal> {
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
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
        .collect();
    Ok(Answer::ok(&Listed { orders }))
}

pub(super) fn list_says(says: &mut Operation) {
    says.summary("List orders").field("orderId", "Only this one.").answers::<Listed<'_>>(200, "The orders.");
    say_part(says);
}

/// What of a list is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) order_id: Option<OrderId>,
    pub(super) part: Part,
}

impl Said for Wanted {
    const PASSES_OVER: bool = true;

    fn read(body: &mut Fields) -> Option<Self> {
        let order_id = body.optional("orderId", name(OrderId::recorded));
        Some(Wanted { order_id, part: Part::read(body) })
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    orders: Vec<ListedOrder<'a>>,
}

shape! {
    "Orders.",
    Listed<'_> as "CompatOrders" { orders: "The orders.", }
}

shape! {
    "An order, as the older system knows it.",
    ListedOrder<'_> as "CompatListedOrder" {
        order_id as "orderId": "Names the order.",
        order_status as "orderStatus": "Where it stands." = "ORDER_PAYMENT_ACCEPTED_STATUS",
        created_at as "createdAt": "When it was placed.",
        updated_at as "updatedAt": "When the latest of its events was appended.",
    } with line
}

shape! {
    "What is known of an order of one SKU.",
    Line<'_> as "CompatLine" {
        sku: "What; of several, the first.",
        units: "How many; of several SKUs, of all of them.",
        price: "What the whole order costs.",
        user_id as "userId": "Who ordered.",
    }
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
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What this API knows of an order: one SKU. Of an order with several lines, which only the other routes
/// take, it shows the first SKU and the units of all lines.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    sku: &'a str,
    units: u64,
    price: Money,
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
