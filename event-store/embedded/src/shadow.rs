//! The second copy of each read model that a replay builds.

use ::event_store::{Copy, OrderRows, Progress, ShadowViews, StoreError, View, ViewRow};
use async_trait::async_trait;
use events::{OrderId, StreamKey};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::EmbeddedStore;
use crate::catalog;
use crate::orders::{self, from_json, json, number};
use crate::stock;
use crate::writer::Transaction;

/// A row of a read model from the JSON of a column.
fn view_row(view: View, row: &Row<'_>, column: usize) -> rusqlite::Result<ViewRow> {
    Ok(match view {
        View::Orders => ViewRow::Order(from_json(row, column)?),
        View::Payments => ViewRow::Payment(from_json(row, column)?),
        View::Deliveries => ViewRow::Delivery(from_json(row, column)?),
        View::Customers => ViewRow::Customer(from_json(row, column)?),
        View::Products => ViewRow::Product(from_json(row, column)?),
        View::Stock => ViewRow::Stock(from_json(row, column)?),
    })
}

fn live_rows(sql: &Connection, view: View, after: &str, limit: usize) -> rusqlite::Result<Vec<ViewRow>> {
    fn all<T>(rows: rusqlite::Result<Vec<T>>, wrap: fn(T) -> ViewRow) -> rusqlite::Result<Vec<ViewRow>> {
        rows.map(|rows| rows.into_iter().map(wrap).collect())
    }
    match view {
        View::Orders => all(orders::by_key(sql, "\"order\"", after, limit), ViewRow::Order),
        View::Payments => all(orders::by_key(sql, "payment", after, limit), ViewRow::Payment),
        View::Deliveries => all(orders::by_key(sql, "delivery", after, limit), ViewRow::Delivery),
        View::Customers => all(catalog::customers_by_key(sql, after, limit), ViewRow::Customer),
        View::Products => all(catalog::products_by_key(sql, after, limit), ViewRow::Product),
        View::Stock => all(stock::by_key(sql, after, limit), ViewRow::Stock),
    }
}

fn live_row(sql: &Connection, view: View, id: &str) -> rusqlite::Result<Option<ViewRow>> {
    Ok(match view {
        View::Orders => orders::column(sql, "\"order\"", id)?.map(ViewRow::Order),
        View::Payments => orders::column(sql, "payment", id)?.map(ViewRow::Payment),
        View::Deliveries => orders::column(sql, "delivery", id)?.map(ViewRow::Delivery),
        View::Customers => catalog::customer(sql, id)?.map(ViewRow::Customer),
        View::Products => catalog::product(sql, id)?.map(ViewRow::Product),
        View::Stock => stock::one(sql, id)?.map(ViewRow::Stock),
    })
}

fn shadow_rows(sql: &Connection, view: View, after: &str, limit: usize) -> rusqlite::Result<Vec<ViewRow>> {
    let mut read =
        sql.prepare_cached("SELECT row FROM shadow WHERE view = ?1 AND id > ?2 ORDER BY id LIMIT ?3")?;
    let rows = read.query_map(params![view.as_str(), after, limit as i64], |row| view_row(view, row, 0))?;
    rows.collect()
}

#[async_trait]
impl ShadowViews for EmbeddedStore {
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError> {
        let after = after.unwrap_or_default().to_owned();
        self.read_long(move |sql| match copy {
            Copy::Live => live_rows(sql, view, &after, limit),
            Copy::Shadow => shadow_rows(sql, view, &after, limit),
        })
        .await
    }

    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError> {
        self.read(|sql| match copy {
            Copy::Live => live_row(sql, view, id),
            Copy::Shadow => {
                let mut find = sql.prepare_cached("SELECT row FROM shadow WHERE view = ?1 AND id = ?2")?;
                find.query_row([view.as_str(), id], |row| view_row(view, row, 0)).optional()
            }
        })
    }

    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError> {
        let write = move |transaction: &mut Transaction<'_>| {
            let mut put = transaction
                .sql
                .prepare_cached("INSERT OR REPLACE INTO shadow (view, id, row) VALUES (?1, ?2, ?3)")?;
            for row in &rows {
                put.execute([view.as_str(), row.id(), &json(row)])?;
            }
            let mut note = transaction
                .sql
                .prepare_cached("INSERT OR REPLACE INTO replays (view, progress) VALUES (?1, ?2)")?;
            note.execute([view.as_str(), &json(&progress)])?;
            Ok(())
        };
        self.inner.writer.write(write).await
    }

    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError> {
        self.read(|sql| {
            let mut find = sql.prepare_cached("SELECT progress FROM replays WHERE view = ?1")?;
            find.query_row([view.as_str()], |row| from_json(row, 0)).optional()
        })
    }

    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError> {
        let write = move |transaction: &mut Transaction<'_>| {
            rows.iter().try_for_each(|row| adopt(transaction, row))?;
            gone.iter().try_for_each(|id| remove(transaction.sql, view, id))
        };
        self.inner.writer.write(write).await
    }

    async fn discard(&self, view: View) -> Result<(), StoreError> {
        // The progress goes first: rows without it are rows of nothing.
        let forget = move |transaction: &mut Transaction<'_>| {
            transaction.sql.execute("DELETE FROM replays WHERE view = ?1", [view.as_str()]).map(drop)
        };
        self.inner.writer.write(forget).await?;
        loop {
            // In portions, so that appends need not wait for a million rows to go.
            let some = move |transaction: &mut Transaction<'_>| {
                let portion = "DELETE FROM shadow WHERE view = ?1
                     AND id IN (SELECT id FROM shadow WHERE view = ?1 LIMIT 5000)";
                transaction.sql.prepare_cached(portion)?.execute([view.as_str()])
            };
            if self.inner.writer.write(some).await? == 0 {
                return Ok(());
            }
        }
    }
}

fn adopt(transaction: &Transaction<'_>, row: &ViewRow) -> rusqlite::Result<()> {
    let sql = transaction.sql;
    let live = live_row(sql, row.view(), row.id())?.map_or(0, |live| live.seen());
    // A row that claims to have seen more than its stream holds is no newer one.
    if live > row.seen() && i64::from(live) <= events_of(sql, row)? {
        return Ok(());
    }
    match row {
        ViewRow::Order(order) => {
            let id = order.order_id.as_str();
            let rows = OrderRows {
                order: order.clone(),
                payment: orders::column(sql, "payment", id)?,
                delivery: orders::column(sql, "delivery", id)?,
            };
            let stream = number(transaction, &StreamKey::Order(order.order_id.clone()))?;
            orders::put(transaction, stream, &rows, false).map(drop)
        }
        ViewRow::Payment(payment) => {
            let at = Some(payment.created_at.millis());
            set_column(
                transaction,
                &payment.order_id,
                "payment = ?2, payment_created_at = ?3",
                json(payment),
                at,
            )
        }
        ViewRow::Delivery(delivery) => set_column(
            transaction,
            &delivery.order_id,
            "delivery = ?2, open = coalesce(?3, open)",
            json(delivery),
            None,
        ),
        ViewRow::Customer(customer) => catalog::put_customer(transaction, customer, false).map(drop),
        ViewRow::Product(product) => catalog::put_product(transaction, product, false).map(drop),
        ViewRow::Stock(stock) => {
            let ledger = stock::summed(sql, stock.sku.as_str())?;
            let stock = ledger.as_ref().unwrap_or(stock);
            let mut put = sql.prepare_cached(
                "INSERT INTO stock (sku, available, reserved, sold, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (sku) DO UPDATE SET available = ?2, reserved = ?3, sold = ?4, created_at = ?5,
                     updated_at = ?6",
            )?;
            let (created_at, updated_at) = (stock.created_at.millis(), stock.updated_at.millis());
            let (available, reserved, sold) = (stock.available, stock.reserved, stock.sold);
            let counters = params![stock.sku.as_str(), available, reserved, sold, created_at, updated_at];
            put.execute(counters).map(drop)
        }
    }
}

/// How many events the stream of a row holds.
fn events_of(sql: &Connection, row: &ViewRow) -> rusqlite::Result<i64> {
    let stream = match row {
        ViewRow::Order(row) => StreamKey::Order(row.order_id.clone()),
        ViewRow::Payment(row) => StreamKey::Order(row.order_id.clone()),
        ViewRow::Delivery(row) => StreamKey::Order(row.order_id.clone()),
        ViewRow::Customer(row) => StreamKey::Customer(row.customer_id.clone()),
        ViewRow::Product(row) => StreamKey::Product(row.product_id.clone()),
        ViewRow::Stock(_) => return Ok(0),
    };
    let mut count =
        sql.prepare_cached("SELECT count(*) FROM streams JOIN events USING (stream) WHERE pk = ?1")?;
    count.query_row([stream.pk()], |row| row.get(0))
}

/// Sets what a payment or delivery is of an order whose row is there.
fn set_column(
    transaction: &Transaction<'_>,
    order: &OrderId,
    change: &str,
    row: String,
    at: Option<i64>,
) -> rusqlite::Result<()> {
    let stream = number(transaction, &StreamKey::Order(order.clone()))?;
    // Where the order's own row is lost, it gets a place to stand in until that is rebuilt too.
    transaction.sql.prepare_cached(
        "INSERT INTO orders (stream, seen, status, customer_id, open, created_at) VALUES (?1, 0, '', '', 0, 0)
         ON CONFLICT DO NOTHING",
    )?.execute([stream])?;
    let update = format!("UPDATE orders SET {change} WHERE stream = ?1");
    transaction.sql.prepare_cached(&update)?.execute(params![stream, row, at]).map(drop)
}

fn remove(sql: &Connection, view: View, id: &str) -> rusqlite::Result<()> {
    let of = |table: &str, kind: &str| {
        format!(
            "DELETE FROM {table} WHERE stream = (SELECT stream FROM streams WHERE pk = 'EVENTS#{kind}#' || ?1)"
        )
    };
    let clear = |columns: &str| {
        format!(
            "UPDATE orders SET {columns} WHERE stream = (SELECT stream FROM streams WHERE pk = 'EVENTS#ORDER_ID#' || ?1)"
        )
    };
    let statement = match view {
        // Its payment and delivery are rows of their own, and stay.
        View::Orders => clear("\"order\" = NULL, seen = 0, open = 0"),
        View::Payments => clear("payment = NULL, payment_created_at = NULL"),
        View::Deliveries => clear("delivery = NULL"),
        View::Customers => of("customers", "CUSTOMER_ID"),
        View::Products => of("products", "PRODUCT_ID"),
        // A SKU with a ledger is never taken away: the ledger hangs on its number.
        View::Stock => {
            "DELETE FROM stock WHERE sku = ?1 AND number NOT IN (SELECT number FROM stock_moves)".to_owned()
        }
    };
    sql.execute(&statement, [id]).map(drop)
}
