//! Orders with their payments and deliveries: one row of the table `orders` each.

use std::fmt::Write as _;

use ::event_store::{
    DeliveryRow, OrderQuery, OrderRow, OrderRows, OrderViews, Page, PaymentRow, StoreError, Window,
};
use async_trait::async_trait;
use events::{OrderId, StreamKey};
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::de::DeserializeOwned;

use crate::EmbeddedStore;
use crate::log::{begin_stream, stream_number};
use crate::stock::{asked, page, place, way};
use crate::writer::Transaction;

/// The number of a stream, new or old: rows may be put before the log's own stream is known here.
pub(crate) fn number(transaction: &Transaction<'_>, stream: &StreamKey) -> rusqlite::Result<i64> {
    let pk = stream.pk();
    if let Some(known) = transaction.batch.number(&pk) {
        return Ok(known);
    }
    match stream_number(transaction.sql, &pk)? {
        Some(known) => Ok(known),
        None => begin_stream(transaction.sql, &pk),
    }
}

/// A row as JSON.
pub(crate) fn json(row: &impl serde::Serialize) -> String {
    serde_json::to_string(row).expect("a row has only text keys and finite numbers")
}

/// A row from the JSON of a column.
pub(crate) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|cause| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(cause)))
}

/// Writes the rows; with `newer_only`, only over older ones. Says whether it did.
pub(crate) fn put(
    transaction: &Transaction<'_>,
    stream: i64,
    rows: &OrderRows,
    newer_only: bool,
) -> rusqlite::Result<bool> {
    let OrderRows { order, payment, delivery } = rows;
    let mut upsert = transaction.sql.prepare_cached(
        "INSERT INTO orders (stream, seen, status, customer_id, open, created_at, payment_created_at,
             \"order\", payment, delivery)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (stream) DO UPDATE SET seen = ?2, status = ?3, customer_id = ?4, open = ?5,
             created_at = ?6, payment_created_at = ?7, \"order\" = ?8, payment = ?9, delivery = ?10
         WHERE seen < ?2 OR NOT ?11",
    )?;
    let written = upsert.execute(params![
        stream,
        order.seen,
        order.status.as_str(),
        order.customer_id.as_str(),
        order.open,
        order.created_at.millis(),
        payment.as_ref().map(|payment| payment.created_at.millis()),
        json(order),
        payment.as_ref().map(json),
        delivery.as_ref().map(json),
        newer_only,
    ])?;
    Ok(written > 0)
}

/// One of the three JSON columns of an order, by its stream's key.
pub(crate) fn column<T: DeserializeOwned>(
    sql: &Connection,
    column: &str,
    order_id: &str,
) -> rusqlite::Result<Option<T>> {
    let one = format!(
        "SELECT o.{column} FROM streams s JOIN orders o USING (stream)
         WHERE s.pk = 'EVENTS#ORDER_ID#' || ?1 AND o.{column} IS NOT NULL"
    );
    sql.prepare_cached(&one)?.query_row([order_id], |row| from_json(row, 0)).optional()
}

/// One of the three JSON columns of many orders, in the order of their keys.
pub(crate) fn by_key<T: DeserializeOwned>(
    sql: &Connection,
    column: &str,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<T>> {
    let next = format!(
        "SELECT o.{column} FROM streams s JOIN orders o USING (stream)
         WHERE s.pk > 'EVENTS#ORDER_ID#' || ?1 AND s.pk < 'EVENTS#ORDER_ID$' AND o.{column} IS NOT NULL
         ORDER BY s.pk LIMIT ?2"
    );
    let mut read = sql.prepare_cached(&next)?;
    read.query_map(params![after, limit as i64], |row| from_json(row, 0))?.collect()
}

/// A list by age: behind the place `(?1, ?2)` if there is one, at most `?3` rows.
pub(crate) fn list_sql(
    columns: &str,
    table: &str,
    age: &str,
    key: &str,
    condition: &str,
    window: &Window,
) -> String {
    let (beyond, order) = way(window.direction);
    let behind = match window.after {
        Some(_) => format!("({age} {beyond} ?1 OR ({age} = ?1 AND {key} {beyond} ?2))"),
        // Both values are given all the same; these conditions hold for none.
        None => "(?1 IS NULL AND ?2 IS NULL)".to_owned(),
    };
    format!(
        "SELECT {columns} FROM {table} WHERE {condition} AND {behind}
         ORDER BY {age} {order}, {key} {order} LIMIT ?3"
    )
}

#[async_trait]
impl OrderViews for EmbeddedStore {
    async fn put(&self, rows: OrderRows) -> Result<bool, StoreError> {
        let write = move |transaction: &mut Transaction<'_>| {
            let stream = number(transaction, &StreamKey::Order(rows.order.order_id.clone()))?;
            put(transaction, stream, &rows, true)
        };
        self.inner.writer.write(write).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError> {
        self.read(|sql| column(sql, "\"order\"", id.as_str()))
    }

    async fn payment(&self, id: &OrderId) -> Result<Option<PaymentRow>, StoreError> {
        self.read(|sql| column(sql, "payment", id.as_str()))
    }

    async fn delivery(&self, id: &OrderId) -> Result<Option<DeliveryRow>, StoreError> {
        self.read(|sql| column(sql, "delivery", id.as_str()))
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderRow>, StoreError> {
        let query = query.clone();
        self.read_long(move |sql| orders(sql, &query)).await
    }

    async fn payments(&self, window: &Window) -> Result<Page<PaymentRow>, StoreError> {
        let window = window.clone();
        self.read_long(move |sql| {
            let list = list_sql(
                "payment",
                "orders JOIN streams USING (stream)",
                "payment_created_at",
                "substr(pk, 17)",
                "payment_created_at IS NOT NULL",
                &window,
            );
            let (at, id) = place(&window);
            let mut read = sql.prepare_cached(&list)?;
            let rows = read.query_map(params![at, id, asked(&window)], |row| from_json(row, 0))?;
            let rows = rows.collect::<rusqlite::Result<Vec<PaymentRow>>>()?;
            Ok(page(rows, &window, |row| (row.created_at, row.order_id.as_str())))
        })
        .await
    }
}

fn orders(sql: &Connection, query: &OrderQuery) -> rusqlite::Result<Page<OrderRow>> {
    let (at, id) = place(&query.window);
    let mut values: Vec<Value> = vec![at.into(), id.map(str::to_owned).into(), asked(&query.window).into()];
    let mut condition = "\"order\" IS NOT NULL".to_owned();
    let mut also = |text: &str, value: Value| {
        values.push(value);
        write!(condition, " AND {text} ?{}", values.len()).expect("a text takes what is written to it");
    };
    if let Some(customer) = &query.customer_id {
        also("customer_id =", customer.as_str().to_owned().into());
    }
    if let Some(status) = query.status {
        also("status =", status.as_str().to_owned().into());
    }
    if let Some(from) = query.from {
        also("created_at >=", from.millis().into());
    }
    if let Some(until) = query.until {
        also("created_at <", until.millis().into());
    }
    match query.open {
        // Said in words, so that the index of open orders is used.
        Some(true) => condition.push_str(" AND open = 1"),
        Some(false) => condition.push_str(" AND open = 0"),
        None => {}
    }
    let list = list_sql(
        "\"order\"",
        "orders JOIN streams USING (stream)",
        "created_at",
        "substr(pk, 17)",
        &condition,
        &query.window,
    );
    let mut read = sql.prepare_cached(&list)?;
    let rows = read.query_map(params_from_iter(values), |row| from_json(row, 0))?;
    let rows = rows.collect::<rusqlite::Result<Vec<OrderRow>>>()?;
    Ok(page(rows, &query.window, |row| (row.created_at, row.order_id.as_str())))
}
