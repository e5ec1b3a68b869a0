//! Placing the orders of a plan in their order of time, and waiting for their ends.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::plan::{Order, Plan, Step};
use super::summary::{End, Summary};
use crate::client::{Client, path};
use crate::failure::Failure;
use crate::progress::Progress;

/// Orders that are looked at at once.
const LOOKS: usize = 16;

/// Places and cancels, one after another: who ordered first is served first.
pub async fn place(client: &Client, plan: &Plan, summary: &mut Summary) -> anyhow::Result<()> {
    let progress = Progress::new("orders", plan.orders() as u64);
    for step in &plan.steps {
        match step {
            Step::Place(order) => {
                place_one(client, order, summary)
                    .await
                    .with_context(|| format!("while placing order {}", order.order_id))?;
                progress.one();
            }
            Step::Cancel(order_id) => {
                let order_id = order_id.as_str();
                cancel_one(client, order_id, summary)
                    .await
                    .with_context(|| format!("while cancelling order {order_id}"))?;
            }
        }
    }
    progress.finish();
    Ok(())
}

async fn place_one(client: &Client, order: &Order, summary: &mut Summary) -> Result<(), Failure> {
    let items: Vec<Value> =
        order.items.iter().map(|(sku, units)| json!({ "sku": sku, "quantity": units })).collect();
    let request = json!({ "order_id": order.order_id, "customer_id": order.customer_id, "items": items });
    match client.insist(Method::POST, "/orders", Some(&request)).await {
        Ok(answer) => summary.placed(order.order_id.as_str(), answer.status == StatusCode::CREATED),
        Err(Failure::Refused(refusal)) if refusal.is_final() => {
            summary.refused(order.order_id.as_str(), refusal.to_string());
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

async fn cancel_one(client: &Client, order_id: &str, summary: &mut Summary) -> Result<(), Failure> {
    if !summary.is_placed(order_id) {
        return Ok(());
    }
    match client.insist(Method::DELETE, &path(&["orders", order_id]), None).await {
        Ok(_) => summary.cancelled(order_id),
        Err(Failure::Refused(refusal)) if refusal.is_final() => {
            summary.not_cancelled(order_id, refusal.to_string())
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// Waits until nothing more is owed to any of the orders.
pub async fn settle(client: &Client, timeout: Duration, summary: &mut Summary) -> anyhow::Result<()> {
    let orders = summary.orders();
    let (progress, deadline) = (Progress::new("ends", orders.len() as u64), Instant::now() + timeout);
    let progress = &progress;
    let looks = orders.into_iter().map(|(order_id, is_cancelled)| async move {
        let end = end_of(client, &order_id, is_cancelled, deadline).await;
        progress.one();
        end.map(|end| (order_id, end))
    });
    let mut ends = stream::iter(looks).buffer_unordered(LOOKS);
    while let Some((order_id, end)) = ends.try_next().await.context("while waiting for the orders to end")? {
        summary.ended(order_id, end);
    }
    progress.finish();
    Ok(())
}

async fn end_of(
    client: &Client,
    order_id: &str,
    is_cancelled: bool,
    deadline: Instant,
) -> Result<End, Failure> {
    let (route, mut pause) = (path(&["orders", order_id]), Duration::from_millis(10));
    loop {
        let order = client.get(&route).await?;
        match End::of(&order, is_cancelled) {
            End::Open if Instant::now() < deadline => tokio::time::sleep(pause).await,
            end => return Ok(end),
        }
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}
