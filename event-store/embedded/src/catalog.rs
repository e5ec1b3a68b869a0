//! Customers and products. Personal data is in one column, and nowhere else.

use ::event_store::{CatalogViews, CustomerRow, Page, Personal, ProductRow, StoreError, Window};
use async_trait::async_trait;
use events::{CustomerId, ProductId, Sku, StreamKey};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::EmbeddedStore;
use crate::orders::{from_json, json, list_sql, number};
use crate::stock::{asked, page, place};
use crate::writer::Transaction;

/// Writes what the log knows of a customer; with `newer_only`, only over an older row.
pub(crate) fn put_customer(
    transaction: &Transaction<'_>,
    row: &CustomerRow,
    newer_only: bool,
) -> rusqlite::Result<bool> {
    let stream = number(transaction, &StreamKey::Customer(row.customer_id.clone()))?;
    let known = CustomerRow { personal: Personal::default(), ..row.clone() };
    let mut upsert = transaction.sql.prepare_cached(
        "INSERT INTO customers (stream, seen, created_at, customer) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (stream) DO UPDATE SET seen = ?2, created_at = ?3, customer = ?4,
             personal = CASE WHEN ?5 THEN NULL ELSE personal END
         WHERE seen < ?2 OR NOT ?6",
    )?;
    let at = row.created_at.millis();
    let written = upsert.execute(params![stream, row.seen, at, json(&known), row.erased, newer_only])?;
    Ok(written > 0)
}

/// Writes a product; with `newer_only`, only over an older row.
pub(crate) fn put_product(
    transaction: &Transaction<'_>,
    row: &ProductRow,
    newer_only: bool,
) -> rusqlite::Result<bool> {
    let stream = number(transaction, &StreamKey::Product(row.product_id.clone()))?;
    let mut upsert = transaction.sql.prepare_cached(
        "INSERT INTO products (stream, seen, sku, name, withdrawn, created_at, product)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (stream) DO UPDATE SET seen = ?2, sku = ?3, name = ?4, withdrawn = ?5, created_at = ?6,
             product = ?7
         WHERE seen < ?2 OR NOT ?8",
    )?;
    let (sku, at) = (row.sku.as_str(), row.created_at.millis());
    let columns = params![stream, row.seen, sku, row.name, row.withdrawn, at, json(row), newer_only];
    Ok(upsert.execute(columns)? > 0)
}

fn customer_row(row: &Row<'_>) -> rusqlite::Result<CustomerRow> {
    let mut customer: CustomerRow = from_json(row, 0)?;
    if row.get_ref(1)?.as_str_or_null()?.is_some() {
        customer.personal = from_json(row, 1)?;
    }
    Ok(customer)
}

pub(crate) fn customer(sql: &Connection, id: &str) -> rusqlite::Result<Option<CustomerRow>> {
    let mut find = sql.prepare_cached(
        "SELECT customer, personal FROM streams JOIN customers USING (stream)
         WHERE pk = 'EVENTS#CUSTOMER_ID#' || ?1",
    )?;
    find.query_row([id], customer_row).optional()
}

pub(crate) fn customers_by_key(
    sql: &Connection,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<CustomerRow>> {
    let mut read = sql.prepare_cached(
        "SELECT customer, personal FROM streams JOIN customers USING (stream)
         WHERE pk > 'EVENTS#CUSTOMER_ID#' || ?1 AND pk < 'EVENTS#CUSTOMER_ID$' ORDER BY pk LIMIT ?2",
    )?;
    read.query_map(params![after, limit as i64], customer_row)?.collect()
}

pub(crate) fn product(sql: &Connection, id: &str) -> rusqlite::Result<Option<ProductRow>> {
    let mut find = sql.prepare_cached(
        "SELECT product FROM streams JOIN products USING (stream) WHERE pk = 'EVENTS#PRODUCT_ID#' || ?1",
    )?;
    find.query_row([id], |row| from_json(row, 0)).optional()
}

pub(crate) fn products_by_key(
    sql: &Connection,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<ProductRow>> {
    let mut read = sql.prepare_cached(
        "SELECT product FROM streams JOIN products USING (stream)
         WHERE pk > 'EVENTS#PRODUCT_ID#' || ?1 AND pk < 'EVENTS#PRODUCT_ID$' ORDER BY pk LIMIT ?2",
    )?;
    read.query_map(params![after, limit as i64], |row| from_json(row, 0))?.collect()
}

/// The first product on sale whose column has a value.
fn on_sale(sql: &Connection, column: &str, value: &str) -> rusqlite::Result<Option<ProductRow>> {
    let first = format!(
        "SELECT product FROM products WHERE {column} = ?1 AND withdrawn = 0 ORDER BY created_at, stream LIMIT 1"
    );
    sql.prepare_cached(&first)?.query_row([value], |row| from_json(row, 0)).optional()
}

#[async_trait]
impl CatalogViews for EmbeddedStore {
    async fn put_customer(&self, row: CustomerRow) -> Result<bool, StoreError> {
        self.inner.writer.write(move |transaction| put_customer(transaction, &row, true)).await
    }

    async fn put_personal(&self, id: &CustomerId, personal: Personal) -> Result<bool, StoreError> {
        let pk = StreamKey::Customer(id.clone()).pk();
        let write = move |transaction: &mut Transaction<'_>| {
            let mut update = transaction.sql.prepare_cached(
                "UPDATE customers SET personal = ?2
                 WHERE stream = (SELECT stream FROM streams WHERE pk = ?1) AND NOT customer ->> 'erased'
                     AND (personal IS NULL OR personal IN (?2, ?3))",
            )?;
            let (told, nothing) = (json(&personal), json(&Personal::default()));
            Ok(update.execute(params![pk, told, nothing])? > 0)
        };
        self.inner.writer.write(write).await
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        self.read(|sql| customer(sql, id.as_str()))
    }

    async fn customers(&self, window: &Window) -> Result<Page<CustomerRow>, StoreError> {
        let window = window.clone();
        self.read_long(move |sql| {
            let from = "customers JOIN streams USING (stream)";
            let list = list_sql("customer, personal", from, "created_at", "substr(pk, 20)", "1", &window);
            let (at, id) = place(&window);
            let mut read = sql.prepare_cached(&list)?;
            let rows = read.query_map(params![at, id, asked(&window)], customer_row)?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(page(rows, &window, |row| (row.created_at, row.customer_id.as_str())))
        })
        .await
    }

    async fn put_product(&self, row: ProductRow) -> Result<bool, StoreError> {
        self.inner.writer.write(move |transaction| put_product(transaction, &row, true)).await
    }

    async fn product(&self, id: &ProductId) -> Result<Option<ProductRow>, StoreError> {
        self.read(|sql| product(sql, id.as_str()))
    }

    async fn product_by_sku(&self, sku: &Sku) -> Result<Option<ProductRow>, StoreError> {
        self.read(|sql| on_sale(sql, "sku", sku.as_str()))
    }

    async fn product_by_name(&self, name: &str) -> Result<Option<ProductRow>, StoreError> {
        self.read(|sql| on_sale(sql, "name", name))
    }

    async fn products(&self, window: &Window) -> Result<Page<ProductRow>, StoreError> {
        let window = window.clone();
        self.read_long(move |sql| {
            let from = "products JOIN streams USING (stream)";
            let list = list_sql("product", from, "created_at", "substr(pk, 19)", "1", &window);
            let (at, id) = place(&window);
            let mut read = sql.prepare_cached(&list)?;
            let rows = read.query_map(params![at, id, asked(&window)], |row| from_json(row, 0))?;
            let rows = rows.collect::<rusqlite::Result<Vec<ProductRow>>>()?;
            Ok(page(rows, &window, |row| (row.created_at, row.product_id.as_str())))
        })
        .await
    }
}
