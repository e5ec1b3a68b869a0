//! Reading an event that is in the log, whoever wrote it and whenever: names, versions, older payloads.
//!
//! Every reader goes through [`read`]: workers, replay, audit, dead letters. A new version of a
//! payload adds its upcaster here, from the version before, and a golden file beside the tests.

use serde::Deserialize;

use crate::event::{Event, EventName};
use crate::payload::*;
use crate::{Currency, CustomerId, LotId, Money, OrderId, Quantity, Sku, StreamKey};

/// Why a stored event says nothing to this code. It stays in the log; readers pass over it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// No published event has this name.
    #[error("unknown event name")]
    UnknownName,
    /// The name is known, the payload is not what it should be.
    #[error("undecodable payload: {0}")]
    Payload(String),
    /// The payload speaks of another stream than the one it is stored in.
    #[error("payload belongs to {0}")]
    WrongStream(String),
}

/// Reads a stored event: `data` is the payload's JSON text, `pk` the partition key it stands under.
///
/// A version above the one that this code writes is read as the newest known one: versions only
/// ever add fields, so an older reader sees what it knows.
///
/// # Errors
/// See [`Undecodable`].
pub fn read(name: &str, version: u32, data: &str, pk: &str) -> Result<Event, Undecodable> {
    let (known, older_system) = EventName::find(name).ok_or(Undecodable::UnknownName)?;
    let event = if older_system { from_flat(known, data) } else { upcast(known, version, data) }?;
    match StreamKey::parse(pk) {
        Some(stream) if stream == event.stream() => Ok(event),
        _ => Err(Undecodable::WrongStream(event.stream().pk())),
    }
}

/// Brings a payload of an older version up to the current one. All are at version 1 today.
fn upcast(name: EventName, _version: u32, data: &str) -> Result<Event, Undecodable> {
    Event::from_data(name, data).map_err(payload)
}

fn payload(cause: serde_json::Error) -> Undecodable {
    Undecodable::Payload(cause.to_string())
}

/// The older system's order payload: one SKU, camelCase, `price` the total of the order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatOrder {
    order_id: OrderId,
    sku: Option<Sku>,
    units: Option<Quantity>,
    #[serde(default, deserialize_with = "nearest")]
    price: Option<Money>,
    user_id: Option<CustomerId>,
}

/// The older system's restock payload.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatRestock {
    sku: Sku,
    units: Quantity,
    lot_id: LotId,
}

fn nearest<'de, D: serde::Deserializer<'de>>(price: D) -> Result<Option<Money>, D::Error> {
    let price = Option::<f64>::deserialize(price)?;
    price.map(Money::nearest).transpose().map_err(serde::de::Error::custom)
}

fn missing(field: &str) -> Undecodable {
    Undecodable::Payload(format!("missing field `{field}`"))
}

impl FlatOrder {
    fn customer(&self) -> Result<CustomerId, Undecodable> {
        self.user_id.clone().ok_or_else(|| missing("userId"))
    }

    fn line(&self) -> Result<StockLine, Undecodable> {
        Ok(StockLine {
            sku: self.sku.clone().ok_or_else(|| missing("sku"))?,
            quantity: self.units.ok_or_else(|| missing("units"))?,
        })
    }

    fn total(&self) -> Result<Money, Undecodable> {
        self.price.ok_or_else(|| missing("price"))
    }
}

/// Reads a payload of the older system as an order of one line. What an event does not need may be missing.
fn from_flat(name: EventName, data: &str) -> Result<Event, Undecodable> {
    if name == EventName::SkuRestocked {
        let FlatRestock { sku, units, lot_id } = serde_json::from_str(data).map_err(payload)?;
        return Ok(Event::SkuRestocked(SkuRestocked { sku, units, lot_id }));
    }
    let flat: FlatOrder = serde_json::from_str(data).map_err(payload)?;
    let order_id = flat.order_id.clone();
    Ok(match name {
        EventName::OrderPlaced => {
            let StockLine { sku, quantity } = flat.line()?;
            Event::OrderPlaced(OrderPlaced {
                order_id,
                customer_id: flat.customer()?,
                items: vec![OrderLine { sku, quantity, unit_price: None, name: None }],
                total: flat.total()?,
                currency: Currency::default(),
                priority: Priority::Standard,
            })
        }
        EventName::ReserveInventory => Event::ReserveInventory(ReserveInventory {
            order_id,
            customer_id: flat.customer()?,
            items: vec![flat.line()?],
        }),
        EventName::InventoryReserved => {
            Event::InventoryReserved(InventoryReserved { order_id, items: vec![flat.line()?] })
        }
        EventName::InventoryReservationFailed => {
            Event::InventoryReservationFailed(InventoryReservationFailed {
                order_id,
                reason: "out_of_stock".into(),
                shortages: Vec::new(),
            })
        }
        EventName::OrderPaymentAccepted => Event::OrderPaymentAccepted(OrderPaymentAccepted {
            order_id,
            payment_id: String::new(),
            amount: flat.total()?,
            currency: Currency::default(),
            by: PaidBy::Gateway,
        }),
        EventName::OrderPaymentRejected => {
            Event::OrderPaymentRejected(OrderPaymentRejected { order_id, reason: String::new(), attempts: 0 })
        }
        EventName::OrderCancelled => {
            Event::OrderCancelled(OrderCancelled { order_id, reason: String::new(), by: String::new() })
        }
        EventName::OrderShipped => {
            Event::OrderShipped(OrderShipped { order_id, carrier: None, tracking: None })
        }
        EventName::OrderDelivered => Event::OrderDelivered(OrderDelivered { order_id }),
        // The older system had no name for any of these, so no alias leads here.
        EventName::SkuRestocked
        | EventName::StockReceived
        | EventName::PaymentAttempted
        | EventName::ManualPaymentRecorded
        | EventName::InventoryCommitted
        | EventName::InventoryReleased
        | EventName::OrderPaymentRefunded
        | EventName::InventoryReturned
        | EventName::CustomerRegistered
        | EventName::CustomerErased
        | EventName::ProductListed
        | EventName::ProductRepriced
        | EventName::ProductWithdrawn => return Err(Undecodable::UnknownName),
    })
}
