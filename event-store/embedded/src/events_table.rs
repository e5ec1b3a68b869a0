//! Rows of the table `events`, and the events they are.

use std::sync::Arc;

use events::{Causes, Priority, RecordedEvent, Stamp, Timestamp, Ulid};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

/// The columns that [`event`] reads, in its order.
pub(crate) const COLUMNS: &str = "e.sk, e.event_id, e.event_name, e.schema_version, e.data, e.occurred_at, \
     e.priority, e.counters, e.producer, e.correlation_id, e.causation_id, e.traceparent, e.request_seed";

/// The event of a row whose [`COLUMNS`] begin at column `first`; `pk` is its stream's.
pub(crate) fn event(row: &Row<'_>, first: usize, pk: &str) -> rusqlite::Result<RecordedEvent> {
    let text = |column: usize| row.get_ref(first + column).and_then(|value| Ok(value.as_str()?));
    let optional = |column: usize| row.get_ref(first + column).and_then(|value| Ok(value.as_str_or_null()?));
    let counters = match optional(7)? {
        None => Vec::new(),
        Some(json) => serde_json::from_str(json).map_err(|cause| unreadable(first + 7, cause))?,
    };
    let stamp = Stamp {
        event_id: ulid(first + 1, text(1)?)?,
        occurred_at: Timestamp::from_millis(row.get(first + 5)?),
        producer: text(8)?.into(),
    };
    let causes = Causes {
        priority: if text(6)? == Priority::Express.as_str() { Priority::Express } else { Priority::Standard },
        correlation_id: text(9)?.into(),
        causation_id: optional(10)?.map(|id| ulid(first + 10, id)).transpose()?,
        request_seed: optional(12)?.map(|id| ulid(first + 12, id)).transpose()?,
        traceparent: optional(11)?.map(Arc::from),
    };
    let said = (text(2)?, row.get(first + 3)?, text(4)?);
    Ok(RecordedEvent::raw((pk, text(0)?), said, counters, stamp, causes))
}

fn ulid(column: usize, text: &str) -> rusqlite::Result<Ulid> {
    Ulid::from_string(text).map_err(|cause| unreadable(column, cause))
}

fn unreadable(column: usize, cause: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(cause))
}

/// Writes an event's row.
pub(crate) fn insert(
    sql: &Connection,
    position: u64,
    stream: i64,
    event: &RecordedEvent,
) -> rusqlite::Result<()> {
    let counters = event.moved_counters().then(|| {
        serde_json::to_string(&event.counters).expect("counters have only text keys and whole numbers")
    });
    let [mut event_id, mut causation_id, mut request_seed] = [[0; ULID_LEN]; 3];
    let causation_id = event.causation_id.map(|id| &*id.array_to_str(&mut causation_id));
    let request_seed = event.request_seed.map(|id| &*id.array_to_str(&mut request_seed));
    let mut insert = sql.prepare_cached(
        "INSERT INTO events (position, stream, sk, event_id, event_name, schema_version, data, occurred_at,
             priority, counters, producer, correlation_id, causation_id, traceparent, request_seed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    insert.execute(params![
        position as i64,
        stream,
        &*event.sk,
        &*event.event_id.array_to_str(&mut event_id),
        &*event.event_name,
        event.schema_version,
        &*event.data,
        event.occurred_at.millis(),
        event.priority.as_str(),
        counters,
        &*event.producer,
        &*event.correlation_id,
        causation_id,
        event.traceparent.as_deref(),
        request_seed,
    ])?;
    Ok(())
}

/// How many characters a ULID has as text.
const ULID_LEN: usize = 26;
