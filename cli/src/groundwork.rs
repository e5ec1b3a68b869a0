//! What orders need before they are placed: customers, products, stock. Doing it twice is doing it once.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use events::Money;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, path};
use crate::failure::Failure;

/// Requests that are under way at once.
pub const AT_ONCE: usize = 64;

/// What became of something that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It is new.
    New,
    /// It was there, and the same.
    There,
    /// It was there and says something else, which stands.
    Other,
    /// The server will not have it.
    Refused(String),
}

/// Registers a customer of whom only the id is known.
pub async fn customer(client: &Client, id: &str) -> anyhow::Result<Registered> {
    register(client, "/customers", &json!({ "customer_id": id })).await
}

/// Lists a product under its SKU.
pub async fn product(
    client: &Client,
    sku: &str,
    name: &str,
    price: Money,
    currency: &str,
) -> anyhow::Result<Registered> {
    let product =
        json!({ "product_id": sku, "sku": sku, "name": name, "price": price, "currency": currency });
    register(client, "/products", &product).await
}

/// Sends a lot of units to the shelf. It is counted there a moment later: see [`wait_for_units`].
pub async fn restock(client: &Client, sku: &str, units: u64, lot_id: &str) -> anyhow::Result<Registered> {
    register(client, "/inventory/restocks", &json!({ "sku": sku, "units": units, "lot_id": lot_id })).await
}

/// Sends what makes something of this kind, if it is not there.
pub async fn register(client: &Client, route: &str, body: &Value) -> anyhow::Result<Registered> {
    match client.insist(Method::POST, route, Some(body)).await {
        Ok(answer) if answer.status == StatusCode::OK => Ok(Registered::There),
        Ok(_) => Ok(Registered::New),
        Err(Failure::Refused(refusal)) if refusal.status == 409 => Ok(Registered::Other),
        Err(Failure::Refused(refusal)) if refusal.is_final() => Ok(Registered::Refused(refusal.to_string())),
        Err(failure) => Err(failure.into()),
    }
}

/// The stock of a SKU: what can be promised, and what was ever received. Both 0 for one nobody has seen.
pub async fn units(client: &Client, sku: &str) -> Result<(i64, i64), Failure> {
    let route = path(&["inventory", "skus", sku]);
    let stock = match client.get(&route).await {
        Ok(stock) => stock,
        Err(Failure::Refused(refusal)) if refusal.status == 404 => Value::Null,
        Err(failure) => return Err(failure),
    };
    let [available, reserved, sold] =
        ["available", "reserved", "sold"].map(|counter| stock[counter].as_i64().unwrap_or(0));
    Ok((available, available + reserved + sold))
}

/// Waits until at least so many units of a SKU were ever received: an order that comes before its stock
/// would find the shelf empty.
pub async fn wait_for_units(
    client: &Client,
    sku: &str,
    at_least: u64,
    timeout: Duration,
) -> anyhow::Result<()> {
    let (began, mut pause) = (Instant::now(), Duration::from_millis(5));
    loop {
        let (_, received) =
            units(client, sku).await.with_context(|| format!("while waiting for stock of {sku}"))?;
        if u64::try_from(received).is_ok_and(|received| received >= at_least) {
            return Ok(());
        }
        if began.elapsed() > timeout {
            bail!(
                "the stock of {sku} was not counted onto the shelf within {} s; \
                 `sagaline queue list` and `sagaline dlq list` show what holds it up",
                timeout.as_secs()
            );
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}
