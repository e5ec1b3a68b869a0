//! Counters: what is short, how they move with an event, and their ledger.

use ::event_store::{
    After, Direction, LedgerEntry, Page, Position, StockRow, StockViews, StoreError, Window,
};
use async_trait::async_trait;
use events::{Quantity, RecordedEvent, Shortage, Sku, StockDelta, Timestamp, Ulid};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::EmbeddedStore;
use crate::orders::list_sql;

/// The SKUs of which there is not enough for the counters to move.
pub(crate) fn shortages(sql: &Connection, deltas: &[StockDelta]) -> rusqlite::Result<Vec<Shortage>> {
    let mut short = Vec::new();
    for delta in deltas {
        let taken = [delta.available, delta.reserved, delta.sold].into_iter().min().unwrap_or(0);
        if taken >= 0 {
            continue;
        }
        let mut find = sql.prepare_cached("SELECT available, reserved, sold FROM stock WHERE sku = ?1")?;
        let counters = |row: &Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]);
        let stored = find.query_row([delta.sku.as_str()], counters).optional()?;
        let moves = [delta.available, delta.reserved, delta.sold];
        // A sum that is no number comes from a damaged file, and is not enough either.
        let left = |there: &i64, by: i64| there.checked_add(by).is_some_and(|left| left >= 0);
        let enough = stored.is_some_and(|stored| stored.iter().zip(moves).all(|(there, by)| left(there, by)));
        if !enough {
            short.push(Shortage {
                sku: delta.sku.clone(),
                requested: Quantity::new(taken.unsigned_abs()).unwrap_or_else(|_| {
                    Quantity::new(u64::from(Quantity::MAX)).expect("the largest quantity is one")
                }),
                available: stored.map(|[available, _, _]| available),
            });
        }
    }
    Ok(short)
}

/// Moves the counters of an event that will stand at `position`.
pub(crate) fn move_counters(
    sql: &Connection,
    event: &RecordedEvent,
    position: Position,
) -> rusqlite::Result<()> {
    for delta in &event.counters {
        let (available, reserved, sold) = (delta.available, delta.reserved, delta.sold);
        let moved = params![delta.sku.as_str(), available, reserved, sold, event.occurred_at.millis()];
        let number: i64 = match sql.prepare_cached(MOVE)?.query_row(moved, |row| row.get(0)).optional()? {
            Some(number) => number,
            None => sql.prepare_cached(BEGIN)?.insert(moved)?,
        };
        let mut note = sql.prepare_cached(
            "INSERT INTO stock_moves (number, position, available, reserved, sold) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        note.execute(params![number, position.0 as i64, available, reserved, sold])?;
    }
    Ok(())
}

/// Moves the counters that are there. Not one upsert with [`BEGIN`]: its checks look at what would be
/// inserted, and that may be below zero.
const MOVE: &str = "UPDATE stock SET available = available + ?2, reserved = reserved + ?3, sold = sold + ?4,
     created_at = min(created_at, ?5), updated_at = max(updated_at, ?5) WHERE sku = ?1 RETURNING number";
const BEGIN: &str = "INSERT INTO stock (sku, available, reserved, sold, created_at, updated_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?5)";

const COLUMNS: &str = "sku, available, reserved, sold, created_at, updated_at";

pub(crate) fn stock_row(row: &Row<'_>) -> rusqlite::Result<StockRow> {
    Ok(StockRow {
        sku: sku(row, 0)?,
        available: row.get(1)?,
        reserved: row.get(2)?,
        sold: row.get(3)?,
        created_at: Timestamp::from_millis(row.get(4)?),
        updated_at: Timestamp::from_millis(row.get(5)?),
    })
}

fn sku(row: &Row<'_>, column: usize) -> rusqlite::Result<Sku> {
    Sku::recorded(row.get_ref(column)?.as_str()?).map_err(|cause| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(cause))
    })
}

pub(crate) fn one(sql: &Connection, sku: &str) -> rusqlite::Result<Option<StockRow>> {
    let mut find = sql.prepare_cached(&format!("SELECT {COLUMNS} FROM stock WHERE sku = ?1"))?;
    find.query_row([sku], stock_row).optional()
}

/// What the ledger of a SKU sums up to.
pub(crate) fn summed(sql: &Connection, sku: &str) -> rusqlite::Result<Option<StockRow>> {
    let mut sum = sql.prepare_cached(
        "SELECT sku, sum(m.available), sum(m.reserved), sum(m.sold), min(e.occurred_at), max(e.occurred_at)
         FROM stock JOIN stock_moves m USING (number) JOIN events e USING (position)
         WHERE sku = ?1 GROUP BY sku",
    )?;
    sum.query_row([sku], stock_row).optional()
}

pub(crate) fn by_key(sql: &Connection, after: &str, limit: usize) -> rusqlite::Result<Vec<StockRow>> {
    let next = format!("SELECT {COLUMNS} FROM stock WHERE sku > ?1 ORDER BY sku LIMIT ?2");
    let mut read = sql.prepare_cached(&next)?;
    read.query_map(params![after, limit as i64], stock_row)?.collect()
}

#[async_trait]
impl StockViews for EmbeddedStore {
    async fn stock(&self, sku: &Sku) -> Result<Option<StockRow>, StoreError> {
        self.read(|sql| one(sql, sku.as_str()))
    }

    async fn stocks(&self, window: &Window) -> Result<Page<StockRow>, StoreError> {
        let window = window.clone();
        self.read_long(move |sql| {
            let list = list_sql(COLUMNS, "stock", "created_at", "sku", "1", &window);
            let mut read = sql.prepare_cached(&list)?;
            let (at, id) = place(&window);
            let rows = read.query_map(params![at, id, asked(&window)], stock_row)?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(page(rows, &window, |row| (row.created_at, row.sku.as_str())))
        })
        .await
    }

    async fn counted(&self, sku: &Sku) -> Result<(Option<StockRow>, Option<StockRow>), StoreError> {
        let sku = sku.clone();
        self.read_long(move |sql| {
            let moment = sql.unchecked_transaction()?;
            let counted = (one(&moment, sku.as_str())?, summed(&moment, sku.as_str())?);
            moment.finish()?;
            Ok(counted)
        })
        .await
    }

    async fn ledger(&self, sku: &Sku, after: u64, limit: usize) -> Result<Vec<LedgerEntry>, StoreError> {
        let sku = sku.clone();
        // Where SQLite cannot count to there is nothing; a negative offset would be the beginning.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.read_long(move |sql| {
            let mut read = sql.prepare_cached(
                "SELECT e.event_id, e.event_name, s.pk, e.occurred_at, m.available, m.reserved, m.sold
                 FROM stock JOIN stock_moves m USING (number) JOIN events e USING (position)
                     JOIN streams s USING (stream)
                 WHERE stock.sku = ?1 ORDER BY m.position LIMIT ?3 OFFSET ?2",
            )?;
            let rows = read.query_map(params![sku.as_str(), after, limit as i64], |row| {
                Ok(LedgerEntry {
                    event_id: Ulid::from_string(row.get_ref(0)?.as_str()?).unwrap_or_default(),
                    event_name: row.get(1)?,
                    pk: row.get(2)?,
                    occurred_at: Timestamp::from_millis(row.get(3)?),
                    available: row.get(4)?,
                    reserved: row.get(5)?,
                    sold: row.get(6)?,
                })
            })?;
            rows.collect()
        })
        .await
    }
}

/// Where a window begins, as the two values that [`list_sql`] compares with.
pub(crate) fn place(window: &Window) -> (Option<i64>, Option<&str>) {
    let after = window.after.as_ref();
    (after.map(|after| after.created_at.millis()), after.map(|after| after.id.as_str()))
}

/// How many rows are asked for: one more than the page holds tells whether the list goes on.
pub(crate) fn asked(window: &Window) -> i64 {
    window.limit as i64 + 1
}

/// The page that these rows make; behind a full one the list may go on.
pub(crate) fn page<Row>(
    mut rows: Vec<Row>,
    window: &Window,
    key: impl Fn(&Row) -> (Timestamp, &str),
) -> Page<Row> {
    let goes_on = rows.len() > window.limit;
    rows.truncate(window.limit);
    let next = rows.last().filter(|_| goes_on).map(|row| {
        let (created_at, id) = key(row);
        After { created_at, id: id.to_owned() }
    });
    Page { rows, next }
}

/// `>` or `<`, and `ASC` or `DESC`.
pub(crate) fn way(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    }
}
