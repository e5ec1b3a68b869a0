//! What each event carries. Field names are the published JSON names.

use serde::{Deserialize, Serialize};

use crate::{Currency, CustomerId, LotId, Money, OrderId, ProductId, Quantity, Sku};

/// One line of an order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// Price of one, as the catalogue had it; absent where only the total of the order is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
    /// What the catalogue called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Units of one SKU that are held, sold, released or returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockLine {
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// A SKU of which there was not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shortage {
    /// What.
    pub sku: Sku,
    /// How many the order asks for.
    pub requested: Quantity,
    /// How many could be promised; absent when the SKU was never received, so nobody knows it.
    pub available: Option<i64>,
}

/// Which lane an order takes through the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The ordinary lane.
    #[default]
    Standard,
    /// The lane that a backlog of ordinary orders does not hold up.
    Express,
}

impl Priority {
    /// The attribute's text: `standard` or `express`.
    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Standard => "standard",
            Priority::Express => "express",
        }
    }
}

/// A customer placed an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderPlaced {
    /// The order.
    pub order_id: OrderId,
    /// Who placed it.
    pub customer_id: CustomerId,
    /// What was ordered; no SKU twice.
    pub items: Vec<OrderLine>,
    /// What the whole order costs.
    pub total: Money,
    /// In which currency.
    pub currency: Currency,
    /// Through which lane.
    #[serde(default)]
    pub priority: Priority,
}

/// The order asks for its stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReserveInventory {
    /// The order.
    pub order_id: OrderId,
    /// Who placed it.
    pub customer_id: CustomerId,
    /// What is asked for.
    pub items: Vec<StockLine>,
}

/// Every line of the order is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryReserved {
    /// The order.
    pub order_id: OrderId,
    /// What is held.
    pub items: Vec<StockLine>,
}

/// Nothing of the order could be held, because some of it was short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryReservationFailed {
    /// The order.
    pub order_id: OrderId,
    /// `out_of_stock` or `unknown_sku`; a sentence, where more SKUs are asked for than one write can hold, or where an
    /// older system wrote it.
    #[serde(default)]
    pub reason: String,
    /// What was short, and by how much.
    #[serde(default)]
    pub shortages: Vec<Shortage>,
}

/// A payments worker took the right to call the gateway once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PaymentAttempted {
    /// The order.
    pub order_id: OrderId,
    /// Which attempt, from 1.
    pub attempt: u32,
}

/// An operator says that the order was paid by another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManualPaymentRecorded {
    /// The order.
    pub order_id: OrderId,
    /// Which operator.
    #[serde(default)]
    pub by: String,
    /// What it can be found under: a receipt, a bank reference.
    #[serde(default)]
    pub reference: String,
}

/// Where accepted money came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PaidBy {
    /// The gateway charged it.
    #[default]
    Gateway,
    /// An operator recorded it; the gateway holds nothing.
    Operator,
}

/// The order is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderPaymentAccepted {
    /// The order.
    pub order_id: OrderId,
    /// The gateway's id of the payment, or the operator's reference.
    #[serde(default)]
    pub payment_id: String,
    /// How much.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
    /// Who took it.
    #[serde(default)]
    pub by: PaidBy,
}

/// The order will never be paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderPaymentRejected {
    /// The order.
    pub order_id: OrderId,
    /// Why: the gateway's reason, `cancelled`, or `attempts_exhausted`.
    #[serde(default)]
    pub reason: String,
    /// How many attempts had been claimed.
    #[serde(default)]
    pub attempts: u32,
}

/// Held stock was sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryCommitted {
    /// The order.
    pub order_id: OrderId,
    /// What was sold.
    pub items: Vec<StockLine>,
}

/// Held stock went back to the shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryReleased {
    /// The order.
    pub order_id: OrderId,
    /// What went back.
    pub items: Vec<StockLine>,
    /// `order_cancelled` or `payment_rejected`.
    #[serde(default)]
    pub reason: String,
}

/// The order was cancelled on request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderCancelled {
    /// The order.
    pub order_id: OrderId,
    /// Why, in the words of who asked.
    #[serde(default)]
    pub reason: String,
    /// Who asked: `customer`, `operator`, an operator's name.
    #[serde(default)]
    pub by: String,
}

/// The parcel left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderShipped {
    /// The order.
    pub order_id: OrderId,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number of the parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
}

/// The parcel arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderDelivered {
    /// The order.
    pub order_id: OrderId,
}

/// Money was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrderPaymentRefunded {
    /// The order.
    pub order_id: OrderId,
    /// The payment that was given back.
    #[serde(default)]
    pub payment_id: String,
    /// How much.
    pub amount: Money,
}

/// Sold stock came back to the shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryReturned {
    /// The order.
    pub order_id: OrderId,
    /// What came back.
    pub items: Vec<StockLine>,
}

/// Somebody sent a lot of units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkuRestocked {
    /// What.
    pub sku: Sku,
    /// How many.
    pub units: Quantity,
    /// Which lot.
    pub lot_id: LotId,
}

/// The lot was counted onto the shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StockReceived {
    /// What.
    pub sku: Sku,
    /// How many.
    pub units: Quantity,
    /// Which lot.
    pub lot_id: LotId,
}

/// The customer exists. Name, email and address never enter the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomerRegistered {
    /// The customer.
    pub customer_id: CustomerId,
}

/// The customer's personal data is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CustomerErased {
    /// The customer.
    pub customer_id: CustomerId,
}

/// The product can be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductListed {
    /// The product.
    pub product_id: ProductId,
    /// What is counted when it is sold.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What one costs.
    pub price: Money,
    /// In which currency.
    pub currency: Currency,
}

/// The product costs something else from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductRepriced {
    /// The product.
    pub product_id: ProductId,
    /// Which change of price, from 1.
    pub revision: u32,
    /// What one costs now.
    pub price: Money,
    /// In which currency.
    pub currency: Currency,
}

/// The product can no longer be ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductWithdrawn {
    /// The product.
    pub product_id: ProductId,
}
