//! The rows of the read models: what clients see, folded from the log.

use std::fmt;

use events::{
    Currency, CustomerId, Money, OrderId, OrderLine, PaidBy, Priority, ProductId, Sku, StreamKey, Timestamp,
    Ulid,
};
use orders::{Status, StatusReason};
use serde::{Deserialize, Serialize};

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The key.
    pub order_id: OrderId,
    /// From how many events the row was folded. A row is written only if this grows.
    pub seen: u32,
    /// Where the order stands.
    pub status: Status,
    /// Why it is cancelled, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<StatusReason>,
    /// The reason in the words of who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_detail: Option<String>,
    /// Who placed it.
    pub customer_id: CustomerId,
    /// What was ordered.
    pub items: Vec<OrderLine>,
    /// What it costs.
    pub total: Money,
    /// In which currency.
    pub currency: Currency,
    /// Its lane.
    pub priority: Priority,
    /// Events that are in the log but take effect only when what comes before them is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
    /// Whether something is still to come: see [`orders::has_ended`].
    pub open: bool,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When the latest of its events was appended.
    pub updated_at: Timestamp,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// Attempts were made, none has an outcome.
    Pending,
    /// Paid.
    Accepted,
    /// Never will be.
    Rejected,
    /// Paid, and given back.
    Refunded,
}

/// The payment of one order, from its first attempt on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRow {
    /// The key.
    pub order_id: OrderId,
    /// As in [`OrderRow::seen`].
    pub seen: u32,
    /// Where it stands.
    pub status: PaymentStatus,
    /// The gateway's id, or an operator's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
    /// Who took the money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PaidBy>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How much.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
    /// Attempts claimed.
    pub attempts: u32,
    /// Attempts that failed before the outcome, or so far.
    pub retries: u32,
    /// When the first of its events was appended.
    pub created_at: Timestamp,
    /// When the latest of its events was appended.
    pub updated_at: Timestamp,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// To be packed.
    Pending,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Will never leave.
    Cancelled,
}

/// The delivery of one order, from its payment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The key.
    pub order_id: OrderId,
    /// As in [`OrderRow::seen`].
    pub seen: u32,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number of the parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// When it came to be.
    pub created_at: Timestamp,
    /// When the latest of its events was appended.
    pub updated_at: Timestamp,
}

/// What folding one order's stream gives: written together, or the order last; read apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRows {
    /// The order.
    pub order: OrderRow,
    /// Its payment, from the first attempt on.
    pub payment: Option<PaymentRow>,
    /// Its delivery, from the payment on.
    pub delivery: Option<DeliveryRow>,
}

/// What is known of a person. Lives here alone, never in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// One customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRow {
    /// The key.
    pub customer_id: CustomerId,
    /// As in [`OrderRow::seen`].
    pub seen: u32,
    /// Name, email, address. Cannot be rebuilt from the log, so replay keeps it as it is.
    #[serde(flatten)]
    pub personal: Personal,
    /// Whether the personal data was erased.
    pub erased: bool,
    /// When the customer was registered.
    pub created_at: Timestamp,
    /// When the latest of its events was appended.
    pub updated_at: Timestamp,
}

/// One product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// The key.
    pub product_id: ProductId,
    /// As in [`OrderRow::seen`].
    pub seen: u32,
    /// What is counted when it is sold.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What one costs now.
    pub price: Money,
    /// In which currency.
    pub currency: Currency,
    /// Whether it can no longer be ordered.
    pub withdrawn: bool,
    /// When it was listed.
    pub created_at: Timestamp,
    /// When the latest of its events was appended.
    pub updated_at: Timestamp,
}

/// The counters of one SKU, in units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRow {
    /// The key.
    pub sku: Sku,
    /// Can still be promised.
    pub available: i64,
    /// Held for orders that are not settled.
    pub reserved: i64,
    /// Sold.
    pub sold: i64,
    /// When the first event that moved them was appended, by the clock of who appended it: where clocks are
    /// apart, the earliest such time or that of the first append, as the store can tell.
    pub created_at: Timestamp,
    /// As that, of the latest.
    pub updated_at: Timestamp,
}

/// One movement of a SKU's counters, and the event that explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The event.
    pub event_id: Ulid,
    /// Its name.
    pub event_name: String,
    /// The stream it stands in.
    pub pk: String,
    /// When.
    pub occurred_at: Timestamp,
    /// Change of what can still be promised.
    pub available: i64,
    /// Change of what is held.
    pub reserved: i64,
    /// Change of what was sold.
    pub sold: i64,
}

/// A read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// [`OrderRow`]s.
    Orders,
    /// [`PaymentRow`]s.
    Payments,
    /// [`DeliveryRow`]s.
    Deliveries,
    /// [`CustomerRow`]s.
    Customers,
    /// [`ProductRow`]s.
    Products,
    /// [`StockRow`]s.
    Stock,
}

impl View {
    /// Every read model.
    pub const ALL: [View; 6] =
        [View::Orders, View::Payments, View::Deliveries, View::Customers, View::Products, View::Stock];

    /// Its name: `orders`, `payments`, …
    pub fn as_str(self) -> &'static str {
        match self {
            View::Orders => "orders",
            View::Payments => "payments",
            View::Deliveries => "deliveries",
            View::Customers => "customers",
            View::Products => "products",
            View::Stock => "stock",
        }
    }

    /// Finds a read model by its name.
    pub fn parse(name: &str) -> Option<View> {
        View::ALL.into_iter().find(|view| view.as_str() == name)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row of any read model, for replay and audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ViewRow {
    /// Of [`View::Orders`].
    Order(OrderRow),
    /// Of [`View::Payments`].
    Payment(PaymentRow),
    /// Of [`View::Deliveries`].
    Delivery(DeliveryRow),
    /// Of [`View::Customers`].
    Customer(CustomerRow),
    /// Of [`View::Products`].
    Product(ProductRow),
    /// Of [`View::Stock`].
    Stock(StockRow),
}

impl ViewRow {
    /// The read model it belongs to.
    pub fn view(&self) -> View {
        match self {
            ViewRow::Order(_) => View::Orders,
            ViewRow::Payment(_) => View::Payments,
            ViewRow::Delivery(_) => View::Deliveries,
            ViewRow::Customer(_) => View::Customers,
            ViewRow::Product(_) => View::Products,
            ViewRow::Stock(_) => View::Stock,
        }
    }

    /// Its key.
    pub fn id(&self) -> &str {
        match self {
            ViewRow::Order(row) => row.order_id.as_str(),
            ViewRow::Payment(row) => row.order_id.as_str(),
            ViewRow::Delivery(row) => row.order_id.as_str(),
            ViewRow::Customer(row) => row.customer_id.as_str(),
            ViewRow::Product(row) => row.product_id.as_str(),
            ViewRow::Stock(row) => row.sku.as_str(),
        }
    }

    /// The stream that it was folded from; `None` for stock, which all streams move.
    pub fn stream(&self) -> Option<StreamKey> {
        match self {
            ViewRow::Order(row) => Some(StreamKey::Order(row.order_id.clone())),
            ViewRow::Payment(row) => Some(StreamKey::Order(row.order_id.clone())),
            ViewRow::Delivery(row) => Some(StreamKey::Order(row.order_id.clone())),
            ViewRow::Customer(row) => Some(StreamKey::Customer(row.customer_id.clone())),
            ViewRow::Product(row) => Some(StreamKey::Product(row.product_id.clone())),
            ViewRow::Stock(_) => None,
        }
    }

    /// From how many events it was folded; 0 for stock, whose rows are the counters themselves.
    pub fn seen(&self) -> u32 {
        match self {
            ViewRow::Order(row) => row.seen,
            ViewRow::Payment(row) => row.seen,
            ViewRow::Delivery(row) => row.seen,
            ViewRow::Customer(row) => row.seen,
            ViewRow::Product(row) => row.seen,
            ViewRow::Stock(_) => 0,
        }
    }
}
