//! The log: appending, reading, scanning and following the table `events`.

use std::sync::Arc;

use ::event_store::{
    Appended, ChangeFeed, EventLog, LogScan, Position, ScanPage, Segment, StoreError, check,
};
use async_trait::async_trait;
use events::RecordedEvent;
use rusqlite::{Connection, OptionalExtension};

use crate::EmbeddedStore;
use crate::events_table::{COLUMNS, event, insert};
use crate::recent::Knowledge;
use crate::stock;
use crate::writer::Transaction;

#[async_trait]
impl EventLog for EmbeddedStore {
    async fn append(&self, event: RecordedEvent) -> Result<Appended, StoreError> {
        check(&event)?;
        self.inner.writer.write(move |transaction| append(transaction, event)).await
    }

    async fn read_stream(&self, pk: &str) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        match self.inner.recent.stream(pk) {
            Some(known) => Ok(known),
            None => self.read(|sql| stream(sql, pk)),
        }
    }

    async fn read_slot(&self, pk: &str, sk: &str) -> Result<Option<Arc<RecordedEvent>>, StoreError> {
        match self.inner.recent.slot(pk, sk) {
            Some(known) => Ok(known),
            None => self.read(|sql| slot(sql, pk, sk)),
        }
    }
}

fn append(transaction: &mut Transaction<'_>, event: RecordedEvent) -> rusqlite::Result<Appended> {
    let (sql, batch) = (transaction.sql, &mut transaction.batch);
    let known = match batch.look_up(&event.pk, &event.sk) {
        Knowledge::Taken(taken) => return Ok(Appended::Taken(taken)),
        Knowledge::Free(stream) => Some(stream),
        Knowledge::Unknown => match stream_number(sql, &event.pk)? {
            None => None,
            Some(stream) => match slot(sql, &event.pk, &event.sk)? {
                Some(taken) => return Ok(Appended::Taken(taken)),
                None => Some(stream),
            },
        },
    };
    let shortages = stock::shortages(sql, &event.counters)?;
    if !shortages.is_empty() {
        return Ok(Appended::Short(shortages));
    }
    let stream = match known {
        Some(stream) => stream,
        None => begin_stream(sql, &event.pk)?,
    };
    let position = batch.next_position();
    stock::move_counters(sql, &event, position)?;
    #[cfg(feature = "planted")]
    crate::planted::split(sql)?;
    insert(sql, position.0, stream, &event)?;
    let event = Arc::new(event);
    batch.add(stream, known.is_none(), event.clone());
    Ok(Appended::Stored(event))
}

/// The number of a stream that somebody wrote to.
pub(crate) fn stream_number(sql: &Connection, pk: &str) -> rusqlite::Result<Option<i64>> {
    let mut find = sql.prepare_cached("SELECT stream FROM streams WHERE pk = ?1")?;
    find.query_row([pk], |row| row.get(0)).optional()
}

/// Gives a stream the next number.
pub(crate) fn begin_stream(sql: &Connection, pk: &str) -> rusqlite::Result<i64> {
    sql.prepare_cached("INSERT INTO streams (pk) VALUES (?1)")?.insert([pk])
}

fn stream(sql: &Connection, pk: &str) -> rusqlite::Result<Vec<Arc<RecordedEvent>>> {
    let all = format!("SELECT {COLUMNS} FROM streams s JOIN events e USING (stream) WHERE s.pk = ?1");
    let mut read = sql.prepare_cached(&all)?;
    let rows = read.query_map([pk], |row| event(row, 0, pk))?;
    let mut events = rows.map(|event| event.map(Arc::new)).collect::<rusqlite::Result<Vec<_>>>()?;
    events.sort_by_key(|event| event.event_id);
    Ok(events)
}

fn slot(sql: &Connection, pk: &str, sk: &str) -> rusqlite::Result<Option<Arc<RecordedEvent>>> {
    let one =
        format!("SELECT {COLUMNS} FROM streams s JOIN events e USING (stream) WHERE s.pk = ?1 AND e.sk = ?2");
    let mut read = sql.prepare_cached(&one)?;
    read.query_row([pk, sk], |row| event(row, 0, pk)).optional().map(|event| event.map(Arc::new))
}

/// Streams are dealt to segments in blocks of so many, by their numbers. New streams come behind all
/// others, so a block never changes hands.
const BLOCK: i64 = 4096;

#[async_trait]
impl LogScan for EmbeddedStore {
    async fn scan(
        &self,
        segment: Segment,
        after: Option<&str>,
        limit: usize,
    ) -> Result<ScanPage, StoreError> {
        let unreadable = || StoreError::Unavailable("that is no place in a scan; begin anew".into());
        let after = after.map_or(Ok(0), |after| after.parse::<i64>().map_err(|_| unreadable()))?;
        self.read_long(move |sql| page(sql, segment, after, limit)).await
    }

    async fn size(&self) -> Result<u64, StoreError> {
        Ok(self.inner.recent.head())
    }
}

fn page(sql: &Connection, segment: Segment, after: i64, limit: usize) -> rusqlite::Result<ScanPage> {
    let last: i64 = sql.query_row("SELECT coalesce(max(stream), 0) FROM streams", [], |row| row.get(0))?;
    let blocks = format!(
        "SELECT s.stream, s.pk, {COLUMNS} FROM streams s JOIN events e USING (stream)
         WHERE s.stream > ?1 AND s.stream <= ?2 ORDER BY s.stream"
    );
    let mut read = sql.prepare_cached(&blocks)?;
    let mut streams: Vec<Vec<RecordedEvent>> = Vec::new();
    let (mut events, mut at, mut current) = (0, after, 0);
    while at < last {
        let Some((from, to)) = next_block(at, segment) else { break };
        let mut rows = read.query([from, to])?;
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            if number != current {
                if events >= limit {
                    return Ok(ScanPage { streams, next: Some(current.to_string()) });
                }
                streams.push(Vec::with_capacity(8));
                current = number;
            }
            let stream = streams.last_mut().expect("a stream was begun above");
            let event = scanned(row)?;
            // Large payloads count as several, so that a page never takes much memory.
            events += 1 + event.data.len() / 4096;
            stream.push(event);
        }
        at = to;
        if events >= limit && at < last {
            return Ok(ScanPage { streams, next: Some(at.to_string()) });
        }
    }
    Ok(ScanPage { streams, next: None })
}

fn scanned(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordedEvent> {
    let pk = row.get_ref(1)?.as_str()?;
    event(row, 2, pk)
}

/// The rest of the segment's block that a place is in, or its next one: numbers above the first, up to
/// the second. Blocks are counted from 0 and hold `block * BLOCK + 1 ..= (block + 1) * BLOCK`.
fn next_block(after: i64, segment: Segment) -> Option<(i64, i64)> {
    let (index, of) = (i64::from(segment.index), i64::from(segment.of.max(1)));
    let block = after / BLOCK;
    let own = if block % of == index { block } else { block + (index - block % of).rem_euclid(of) };
    let end = own.checked_add(1)?.checked_mul(BLOCK)?;
    Some((after.max(own * BLOCK), end))
}

#[async_trait]
impl ChangeFeed for EmbeddedStore {
    async fn follow(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Arc<RecordedEvent>)>, StoreError> {
        self.inner.recent.beyond(after).await;
        match self.inner.recent.tail(after, limit) {
            Some(events) => Ok(events),
            None => self.read_long(move |sql| behind(sql, after, limit)).await,
        }
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(Position(self.inner.recent.head()))
    }
}

fn behind(
    sql: &Connection,
    after: Position,
    limit: usize,
) -> rusqlite::Result<Vec<(Position, Arc<RecordedEvent>)>> {
    let next = format!(
        "SELECT e.position, s.pk, {COLUMNS} FROM events e JOIN streams s USING (stream)
         WHERE e.position > ?1 ORDER BY e.position LIMIT ?2"
    );
    let mut read = sql.prepare_cached(&next)?;
    let rows = read.query_map([after.0 as i64, limit as i64], |row| {
        Ok((Position(row.get::<_, i64>(0)?.unsigned_abs()), Arc::new(scanned(row)?)))
    })?;
    rows.collect()
}
