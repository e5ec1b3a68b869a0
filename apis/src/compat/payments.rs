//! `listOrderPayments`.

use std::sync::Arc;

use axum::extract::State;
use event_store::{OrderRow, PaymentRow, PaymentStatus};
use events::OrderId;
use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::json;

use super::orders::{Line, order};
use super::{Part, Posted, Refusal, name};
use crate::Api;
use crate::answer::Answer;
use crate::problem::Problem;

pub(super) async fn list_order_payments(
    State(api): State<Arc<Api>>,
    Posted(mut body): Posted,
) -> Result<Answer, Refusal> {
    let order_id = body.optional("orderId", name(OrderId::recorded));
    let part = Part::read(&mut body);
    body.finish_with_others(Some(()))?;
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
    let payments: Vec<_> =
        joined.filter_map(|(payment, order)| Some(ListedPayment::of(payment, order.as_ref()?))).collect();
    Ok(Answer::ok(&json!({ "orderPayments": payments })))
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
    created_at: String,
    updated_at: String,
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
            created_at: payment.created_at.to_string(),
            updated_at: payment.updated_at.to_string(),
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
