//! `listOrderPayments`.

use std::sync::Arc;

use axum::extract::State;
use event_store::{OrderRow, PaymentRow, PaymentStatus};
use events::{OrderId, Timestamp};
use futures_util::future::try_join_all;
use serde::Serialize;

use super::orders::{Line, Wanted, order};
use super::{Posted, Refusal, say_part};
use crate::Api;
use crate::answer::Answer;
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::shape;

pub(super) async fn list_order_payments(
    State(api): State<Arc<Api>>,
    Posted(Wanted { order_id, part }): Posted<Wanted>,
) -> Result<Answer, Refusal> {
    let rows = match order_id {
        Some(id) => Vec::from_iter(payment(&api, &id).await?),
        None => {
            let mut all = part.gather();
            while let Some(window) = all.missing() {
                all.add(api.orders.payments(&window).await?);
            }
            all.rows
        }
    };
    let orders = try_join_all(rows.iter().map(|row| order(&api, &row.order_id))).await?;
    let joined = rows.iter().zip(&orders);
    let order_payments =
        joined.filter_map(|(payment, order)| Some(ListedPayment::of(payment, order.as_ref()?))).collect();
    Ok(Answer::ok(&Listed { order_payments }))
}

pub(super) fn list_says(says: &mut Operation) {
    says.summary("List payments")
        .field("orderId", "Only this order's.")
        .answers::<Listed<'_>>(200, "The payments.");
    say_part(says);
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    order_payments: Vec<ListedPayment<'a>>,
}

shape! {
    "Payments.",
    Listed<'_> as "CompatPayments" { order_payments as "orderPayments": "The payments.", }
}

shape! {
    "A payment, as the older system knows it.",
    ListedPayment<'_> as "CompatPayment" {
        order_id as "orderId": "The order.",
        created_at as "createdAt": "When the first of its events was appended.",
        updated_at as "updatedAt": "When the latest was.",
        payment_id as "paymentId": "The gateway's id; empty while there is none." = "pay-order-0001",
        payment_status as "paymentStatus": "Where it stands." = "PAYMENT_ACCEPTED",
        payment_retries as "paymentRetries": "How many attempts failed." = 0,
    } with line
}

/// The payment of an order; folded from its stream where the row is not there yet.
async fn payment(api: &Api, id: &OrderId) -> Result<Option<PaymentRow>, Problem> {
    if let Some(row) = api.orders.payment(id).await? {
        return Ok(Some(row));
    }
    Ok(api.rows(id).await?.and_then(|rows| rows.payment))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedPayment<'a> {
    order_id: &'a OrderId,
    #[serde(flatten)]
    line: Line<'a>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Empty while there is none.
    payment_id: &'a str,
    payment_status: &'static str,
    payment_retries: u32,
}

impl<'a> ListedPayment<'a> {
    fn of(payment: &'a PaymentRow, order: &'a OrderRow) -> Self {
        ListedPayment {
            order_id: &payment.order_id,
            line: Line::of(order),
            created_at: payment.created_at,
            updated_at: payment.updated_at,
            payment_id: payment.payment_id.as_deref().unwrap_or_default(),
            payment_status: payment_status(payment.status),
            payment_retries: payment.retries,
        }
    }
}

/// The older system knew no refund: what was given back had been accepted.
fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Accepted | PaymentStatus::Refunded => "PAYMENT_ACCEPTED",
        PaymentStatus::Rejected => "PAYMENT_REJECTED",
        PaymentStatus::Pending => "PAYMENT_FAILED",
    }
}
