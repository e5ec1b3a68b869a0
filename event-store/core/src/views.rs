//! The read models as workers write them and the API reads them.

use async_trait::async_trait;
use events::{CustomerId, OrderId, ProductId, Sku, Timestamp};
use orders::Status;
use serde::{Deserialize, Serialize};

use crate::log::StoreError;
use crate::rows::{
    CustomerRow, DeliveryRow, LedgerEntry, OrderRow, OrderRows, PaymentRow, Personal, ProductRow, StockRow,
};

/// Which way a list runs along the time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Newest first.
    #[default]
    Descending,
    /// Oldest first.
    Ascending,
}

/// Where a list goes on: behind the row with this time and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The last row's time of creation.
    pub created_at: Timestamp,
    /// The last row's key.
    pub id: String,
}

/// One page of a list: how many rows, from where, which way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// At most so many rows.
    pub limit: usize,
    /// Behind this one.
    pub after: Option<After>,
    /// Which way. Rows of one moment are in the order of their keys, the same way.
    pub direction: Direction,
}

/// Some rows, and where to go on; `None` at the end of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Row> {
    /// The rows.
    pub rows: Vec<Row>,
    /// Behind the last of them.
    pub next: Option<After>,
}

/// Which orders a list is about. Every condition that is there must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderQuery {
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// In this state.
    pub status: Option<Status>,
    /// Placed at this moment or later.
    pub from: Option<Timestamp>,
    /// Placed before this moment.
    pub until: Option<Timestamp>,
    /// Only those to which something is still to come.
    pub open: Option<bool>,
    /// Which part of the list.
    pub window: Window,
}

/// Orders, payments and deliveries.
///
/// What must hold: [`OrderViews::put`] writes the rows only if `seen` of the order is greater than that
/// of the stored one, and then all of them at once; a lookup by key sees every write that was
/// acknowledged before, a list may be a moment behind.
#[async_trait]
pub trait OrderViews: Send + Sync {
    /// Writes the rows if they are newer than what is stored; says whether they were. Whoever dies over it may leave
    /// the payment and the delivery ahead of the order, never behind it: then it is to be done again.
    async fn put(&self, rows: OrderRows) -> Result<bool, StoreError>;
    /// One order.
    async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError>;
    /// The payment of an order.
    async fn payment(&self, id: &OrderId) -> Result<Option<PaymentRow>, StoreError>;
    /// The delivery of an order.
    async fn delivery(&self, id: &OrderId) -> Result<Option<DeliveryRow>, StoreError>;
    /// Orders by the time they were placed.
    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderRow>, StoreError>;
    /// Payments by the time of their first event.
    async fn payments(&self, window: &Window) -> Result<Page<PaymentRow>, StoreError>;
}

/// Stock: the counters that move with the log, and their history.
#[async_trait]
pub trait StockViews: Send + Sync {
    /// The counters of one SKU; `None` if nothing of it was ever received.
    async fn stock(&self, sku: &Sku) -> Result<Option<StockRow>, StoreError>;
    /// The counters of all SKUs by the time of their first event.
    async fn stocks(&self, window: &Window) -> Result<Page<StockRow>, StoreError>;
    /// The counters of one SKU, and what the movements in its ledger sum up to, both of one moment: equal
    /// unless something is broken, however fast they move.
    async fn counted(&self, sku: &Sku) -> Result<(Option<StockRow>, Option<StockRow>), StoreError>;
    /// The movements of one SKU, behind the `after`-th; oldest first: in the order of their append where the
    /// store knows it, else in that of their ids.
    async fn ledger(&self, sku: &Sku, after: u64, limit: usize) -> Result<Vec<LedgerEntry>, StoreError>;
}

/// Customers and products.
///
/// What must hold: as in [`OrderViews`]. A customer's personal data is not part of what `seen` gates:
/// [`CatalogViews::put_customer`] keeps what is stored, and [`CatalogViews::put_personal`] believes whoever tells first.
#[async_trait]
pub trait CatalogViews: Send + Sync {
    /// Writes what the log knows of a customer, if it is newer; personal data stays as it is, unless
    /// the row says that it was erased: then it goes.
    async fn put_customer(&self, row: CustomerRow) -> Result<bool, StoreError>;
    /// Writes the personal data of a customer whose row is there, not erased, and without any so far; says whether this is
    /// what is known of them now. So of several who tell at once of one customer, those hear that they were believed who
    /// were.
    async fn put_personal(&self, id: &CustomerId, personal: Personal) -> Result<bool, StoreError>;
    /// One customer.
    async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, StoreError>;
    /// Customers by the time of their registration.
    async fn customers(&self, window: &Window) -> Result<Page<CustomerRow>, StoreError>;
    /// Writes a product, if it is newer; says whether it was.
    async fn put_product(&self, row: ProductRow) -> Result<bool, StoreError>;
    /// One product.
    async fn product(&self, id: &ProductId) -> Result<Option<ProductRow>, StoreError>;
    /// The product that sells a SKU and is not withdrawn; the one listed first if there are several.
    async fn product_by_sku(&self, sku: &Sku) -> Result<Option<ProductRow>, StoreError>;
    /// The product of that exact name, not withdrawn; the one listed first if there are several.
    async fn product_by_name(&self, name: &str) -> Result<Option<ProductRow>, StoreError>;
    /// Products by the time they were listed, withdrawn ones too.
    async fn products(&self, window: &Window) -> Result<Page<ProductRow>, StoreError>;
}
